//! One writer at a time, whoever dies or sleeps.

use super::*;

async fn take(repo: &Repository, holder: &Holder, watch: &Watch) -> Result<Lease, RepoError> {
    repo.lease(&database(), "backup", holder, watch).await
}

fn is_locked(taken: &Result<Lease, RepoError>) -> bool {
    matches!(taken, Err(RepoError::Locked { .. }))
}

#[tokio::test]
async fn the_second_taker_is_told_who_was_first() {
    let (_, repo, watch, _) = memory().await;
    let first = take(&repo, &holder(&watch), &watch).await.unwrap();
    let Err(RepoError::Locked { holder: who, operation, since, .. }) = take(&repo, &holder(&watch), &watch).await
    else {
        panic!("not locked");
    };
    assert!(who.contains(&std::process::id().to_string()), "{who}");
    assert_eq!((operation.as_str(), since), ("backup", watch.clock.now()));
    first.release().await.unwrap();
    let second = take(&repo, &holder(&watch), &watch).await.unwrap();
    second.check().unwrap();
    let other: DatabaseName = "other".parse().unwrap();
    repo.lease(&other, "backup", &holder(&watch), &watch).await.unwrap();
}

#[tokio::test]
async fn a_dead_holder_is_overtaken() {
    let (_, repo, watch, _) = memory().await;
    let dead = take(&repo, &dead_holder(&watch), &watch).await.unwrap();
    let mine = take(&repo, &holder(&watch), &watch).await.unwrap();
    mine.check().unwrap();
    assert!(dead.grant().confirm().await.is_err());
    assert!(matches!(dead.check(), Err(RepoError::LostLease { .. })));
}

#[tokio::test]
async fn an_expired_lease_is_overtaken() {
    let (_, repo, watch, clock) = memory().await;
    let far = Holder { host: "elsewhere".into(), ..holder(&watch) };
    let asleep = take(&repo, &far, &watch).await.unwrap();
    clock.forward(TimeDelta::seconds(59));
    assert!(is_locked(&take(&repo, &holder(&watch), &watch).await));
    clock.forward(TimeDelta::seconds(2));
    assert!(matches!(asleep.check(), Err(RepoError::LostLease { .. })));
    take(&repo, &holder(&watch), &watch).await.unwrap();
    // What was lost is not given back: the new holder stays undisturbed.
    asleep.release().await.unwrap();
    assert!(is_locked(&take(&repo, &holder(&watch), &watch).await));
}

/// A clock that went wrong by a year and came right must not lock a database for that year.
#[tokio::test]
async fn an_expiry_that_no_right_clock_wrote_is_bounded_by_the_store() {
    let (_, repo, watch, clock) = memory().await;
    let (wrong_watch, wrong_clock) = super::watch();
    wrong_clock.forward(TimeDelta::days(365));
    let far = Holder { host: "elsewhere".into(), ..holder(&watch) };
    let killed = take(&repo, &far, &wrong_watch).await.unwrap();
    assert!(is_locked(&take(&repo, &holder(&watch), &watch).await), "it may live: it was just written");
    drop(killed);
    clock.forward(TimeDelta::seconds(62));
    take(&repo, &holder(&watch), &watch).await.unwrap();
}

#[tokio::test]
async fn and_so_is_a_pin() {
    let (_, repo, watch, clock) = memory().await;
    let id = backup(&repo, &watch).await.unwrap().id;
    let (wrong_watch, wrong_clock) = super::watch();
    wrong_clock.forward(TimeDelta::days(365));
    let far = Holder { host: "elsewhere".into(), ..holder(&watch) };
    drop(repo.reader(&id, &far, &wrong_watch).await.unwrap());
    clock.forward(TimeDelta::seconds(62));
    let lease = take(&repo, &holder(&watch), &watch).await.unwrap();
    repo.forget(&lease, &id, &watch).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_in_the_background() {
    let (_, repo, watch, clock) = memory().await;
    let lease = take(&repo, &holder(&watch), &watch).await.unwrap();
    for _ in 0..20 {
        clock.forward(TimeDelta::seconds(16));
        tokio::time::sleep(std::time::Duration::from_secs(16)).await;
        lease.check().unwrap();
        assert!(is_locked(&take(&repo, &holder(&watch), &watch).await));
    }
    lease.release().await.unwrap();
}

#[tokio::test]
async fn of_many_takers_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let (watch, _) = watch();
    let place = Place::Folder(folder.path().to_path_buf());
    let repo = Repository::create(place, watch.clock.now()).await.unwrap();
    for _ in 0..20 {
        let takers = (0..8).map(|_| {
            let (repo, watch) = (repo.clone(), watch.clone());
            tokio::spawn(async move { take(&repo, &holder(&watch), &watch).await })
        });
        let taken: Vec<_> = futures::future::join_all(takers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(taken.iter().filter(|taken| is_locked(taken)).count(), 7);
        for lease in taken.into_iter().flatten() {
            lease.release().await.unwrap();
        }
    }
}

#[tokio::test]
async fn generations_do_not_pile_up() {
    let (_, repo, watch, _) = memory().await;
    for _ in 0..5 {
        take(&repo, &holder(&watch), &watch).await.unwrap().release().await.unwrap();
    }
    let listed = repo.store().list(&layout::locks(&database())).await.unwrap();
    assert_eq!(listed.iter().map(|found| layout::last(&found.key)).collect::<Vec<_>>(), ["000005"]);
}

#[tokio::test]
async fn an_unreadable_lease_holds_for_a_minute() {
    let (_, repo, watch, clock) = memory().await;
    repo.store().put(&layout::lock(&database(), 7), vec![Bytes::from_static(b"?")]).await.unwrap();
    assert!(is_locked(&take(&repo, &holder(&watch), &watch).await));
    clock.forward(TimeDelta::seconds(120));
    take(&repo, &holder(&watch), &watch).await.unwrap();
}

#[tokio::test]
async fn a_tombstone_beats_a_paused_writer() {
    let (_, repo, watch, clock) = memory().await;
    let paused = take(&repo, &dead_holder(&watch), &watch).await.unwrap();
    let writer = repo.begin(&paused, Compression::Zstd(3), &watch).await.unwrap();
    write_files(&writer).await.unwrap();
    let id = writer.id().clone();
    let lease = take(&repo, &holder(&watch), &watch).await.unwrap();
    let swept = repo.sweep(&lease, Sweep::Unfinished, &watch).await.unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!((swept[0].folder.as_str(), swept[0].objects), (layout::snapshot(&id).as_str(), 3));
    let lost = writer.commit(draft(&watch), &watch).await;
    assert!(matches!(lost, Err(RepoError::LostLease { .. } | RepoError::Corrupt { .. })), "{lost:?}");
    assert_eq!(repo.snapshots(&database()).await.unwrap(), []);
    repo.sweep(&lease, Sweep::Unfinished, &watch).await.unwrap();
    assert_eq!(repo.orphans(&database()).await.unwrap(), []);
    let key = layout::in_snapshot(&id, layout::SUMS);
    assert!(repo.store().size(&key).await.unwrap().is_some(), "a young tombstone stays");
    let next = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
    assert_ne!(*next.id(), id, "and keeps its second");
    lease.release().await.unwrap();
    clock.forward(TimeDelta::hours(25));
    let lease = take(&repo, &holder(&watch), &watch).await.unwrap();
    repo.sweep(&lease, Sweep::Unfinished, &watch).await.unwrap();
    assert_eq!(repo.store().size(&key).await.unwrap(), None, "an old one goes");
}

/// Even a writer that believes in its lease can't commit over a tombstone.
#[tokio::test]
async fn a_commit_meets_the_tombstone() {
    let (_, repo, watch, _) = memory().await;
    let lease = take(&repo, &holder(&watch), &watch).await.unwrap();
    let writer = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
    write_files(&writer).await.unwrap();
    let key = layout::in_snapshot(writer.id(), layout::SUMS);
    let tombstone = sums::tombstone(&lease.grant().claim()).unwrap();
    repo.store().put(&key, vec![tombstone]).await.unwrap();
    let refused = writer.commit(draft(&watch), &watch).await;
    assert!(matches!(refused, Err(RepoError::Forgotten { .. })), "{refused:?}");
    assert_eq!(repo.snapshots(&database()).await.unwrap(), []);
}

#[tokio::test]
async fn a_lease_is_for_its_database_only() {
    let (_, repo, watch, _) = memory().await;
    let id = backup(&repo, &watch).await.unwrap().id;
    let other: DatabaseName = "other".parse().unwrap();
    let lease = repo.lease(&other, "forget", &holder(&watch), &watch).await.unwrap();
    let refused = repo.forget(&lease, &id, &watch).await;
    assert!(matches!(refused, Err(RepoError::LostLease { .. })), "{refused:?}");
}
