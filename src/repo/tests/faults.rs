//! A store that misbehaves at its n-th call, for every n: nothing partial is ever listed, and the next run
//! succeeds and clears up.

use super::faulty::{FAULTS, Fault, FaultyStore};
use super::*;

/// Runs past which a loop has surely come to its end.
const CALLS: usize = 2000;

fn faulty(store: &Arc<InMemory>, fault: Fault, at: usize) -> (FaultyStore, Place) {
    let faulty = FaultyStore::new(Arc::clone(store) as Arc<dyn ObjectStore>, fault, at);
    let place = Place::Store { store: Arc::new(faulty.clone()), prefix: "a/b".into(), label: "test".into() };
    (faulty, place)
}

/// The repository through a store that fails.
fn failing(repo: &Repository, fault: Fault, at: usize) -> (FaultyStore, Repository) {
    let mut kept = None;
    let repo = repo.through(|objects| {
        let faulty = FaultyStore::new(objects, fault, at);
        kept = Some(faulty.clone());
        Arc::new(faulty)
    });
    (kept.unwrap(), repo)
}

/// What stands after the fault verifies, and the next backup works and leaves no orphan.
async fn assert_sound_after(repo: &Repository, watch: &Watch, case: &str) -> Vec<SnapshotId> {
    let listed = assert_all_verify(repo, watch, case).await;
    let next = backup(repo, watch).await.unwrap_or_else(|error| panic!("{case}: the next backup: {error:?}"));
    assert_eq!(repo.orphans(&database()).await.unwrap(), [], "{case}");
    assert!(assert_all_verify(repo, watch, case).await.contains(&next.id), "{case}");
    let lost = repo.evidence(&database()).await.unwrap().lost;
    assert_eq!(lost, [], "{case}");
    listed
}

async fn backup_with_fault(repo: &Repository, watch: &Watch, clock: &StandingClock, fault: Fault, at: usize) -> bool {
    let case = format!("{fault:?} at call {at}");
    let first = backup(repo, watch).await.unwrap();
    clock.forward(TimeDelta::seconds(10));
    let (faulty, failing) = failing(repo, fault, at);
    let attempt = backup(&failing, watch).await;
    clock.forward(TimeDelta::hours(1));
    let listed = assert_sound_after(repo, watch, &case).await;
    assert!(listed.contains(&first.id), "{case}");
    match &attempt {
        Ok(committed) => assert!(listed.contains(&committed.id), "{case}"),
        Err(Failed::After(id, error)) => assert!(listed.contains(id), "{case}: {error}"),
        Err(Failed::Before(RepoError::CommitUnknown { .. })) => {}
        Err(Failed::Before(_) | Failed::ReadBack(_)) => assert_eq!(listed, [first.id], "{case}"),
    }
    if !faulty.was_hit() {
        assert!(attempt.is_ok(), "{case}: {attempt:?}");
    } else if matches!(fault, Fault::Fail | Fault::LoseAnswer) {
        // One failure is tried again, but for the parts of a large file.
        let part =
            matches!(&attempt, Err(Failed::Before(RepoError::Storage { subject, .. })) if subject.ends_with(DATA));
        assert!(attempt.is_ok() || part, "{case}: {attempt:?}");
    }
    faulty.was_hit()
}

#[tokio::test(start_paused = true)]
async fn a_backup_survives_every_fault_at_every_call() {
    for fault in FAULTS {
        let mut at = 0;
        loop {
            let (_, repo, watch, clock) = memory().await;
            if !backup_with_fault(&repo, &watch, &clock, fault, at).await {
                break;
            }
            at += 1;
            assert!(at < CALLS);
        }
        assert!(at > 20, "{fault:?} never happened");
    }
}

/// The same on a disk: there uploads leave half-written files that its own listing hides.
#[tokio::test(start_paused = true)]
async fn a_backup_into_a_folder_survives_the_faults_of_its_disk() {
    for fault in [Fault::FailFromThere, Fault::LoseAnswersFromThere, Fault::Truncate] {
        let mut at = 0;
        loop {
            let temp = tempfile::tempdir().unwrap();
            let (watch, clock) = watch();
            let place = Place::Folder(temp.path().join("backups"));
            let repo = Repository::create(place, watch.clock.now()).await.unwrap();
            let hit = backup_with_fault(&repo, &watch, &clock, fault, at).await;
            let snapshots = half_written(&temp.path().join("backups/exam"));
            assert_eq!(snapshots, Vec::<std::path::PathBuf>::new(), "{fault:?} at call {at}");
            if !hit {
                break;
            }
            at += 1;
            assert!(at < CALLS);
        }
        assert!(at > 20, "{fault:?} never happened");
    }
}

fn half_written(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: std::path::PathBuf| if path.is_dir() { half_written(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.to_string_lossy().contains('#')).collect()
}

async fn forget_with_fault(fault: Fault, at: usize) -> bool {
    let case = format!("{fault:?} at call {at} of a forget");
    let (_, repo, watch, clock) = memory().await;
    let first = backup(&repo, &watch).await.unwrap().id;
    clock.forward(TimeDelta::seconds(10));
    let second = backup(&repo, &watch).await.unwrap().id;
    let (faulty, failing) = failing(&repo, fault, at);
    let attempt = async {
        let repo = failing;
        let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await?;
        repo.forget(&lease, &first, &watch).await?;
        lease.release().await
    };
    let attempt = attempt.await;
    if attempt.is_ok() {
        assert!(!repo.snapshots(&database()).await.unwrap().contains(&first), "{case}");
    }
    clock.forward(TimeDelta::hours(1));
    let listed = assert_sound_after(&repo, &watch, &case).await;
    assert!(listed.contains(&second), "{case}");
    if listed.contains(&first) {
        let reader = repo.reader(&first, &holder(&watch), &watch).await.unwrap();
        reader.release().await.unwrap();
    }
    assert!(faulty.was_hit() || attempt.is_ok(), "{case}: {attempt:?}");
    faulty.was_hit()
}

#[tokio::test(start_paused = true)]
async fn a_forget_survives_every_fault_at_every_call() {
    for fault in FAULTS {
        let mut at = 0;
        while forget_with_fault(fault, at).await {
            at += 1;
            assert!(at < CALLS);
        }
    }
}

async fn read_with_fault(fault: Fault, at: usize) -> bool {
    let (store, repo, watch, clock) = memory().await;
    let id = backup(&repo, &watch).await.unwrap().id;
    let (faulty, place) = faulty(&store, fault, at);
    let attempt = async {
        let repo = Repository::open(place).await?;
        let reader = repo.reader(&id, &holder(&watch), &watch).await?;
        let frame = reader.plain_frame(&file(DATA), 1).await?;
        let plain = reader.read_plain_file(&file(PLAIN)).await?;
        reader.release().await?;
        Ok::<_, RepoError>((frame, plain))
    };
    if let Ok((frame, plain)) = attempt.await {
        assert_eq!(frame, frame_content(1), "{fault:?} at {at}");
        assert_eq!(plain, "table of contents");
    }
    clock.forward(TimeDelta::hours(1));
    let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
    repo.forget(&lease, &id, &watch).await.unwrap();
    faulty.was_hit()
}

#[tokio::test(start_paused = true)]
async fn a_reader_gets_the_truth_or_an_error() {
    for fault in FAULTS {
        let mut at = 0;
        while read_with_fault(fault, at).await {
            at += 1;
            assert!(at < CALLS);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn damage_on_the_way_in_is_seen_by_the_read_back() {
    for fault in [Fault::Truncate, Fault::Flip] {
        let mut caught = 0;
        for at in 0..60 {
            let (store, repo, watch, _) = memory().await;
            let (_, place) = faulty(&store, fault, at);
            let faulty = Repository::open(place).await.unwrap();
            match backup(&faulty, &watch).await {
                Err(Failed::ReadBack(findings)) => {
                    assert!(findings.iter().all(is_damage), "{findings:?}");
                    caught += 1;
                    assert_eq!(repo.snapshots(&database()).await.unwrap(), []);
                }
                Ok(_) | Err(Failed::Before(_) | Failed::After(..)) => {}
            }
        }
        assert!(caught >= 3, "{fault:?}: the read-back is broken");
    }
}
