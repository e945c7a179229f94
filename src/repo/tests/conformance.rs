//! What holds on every kind of store.

use std::path::Path as FsPath;

use super::*;

async fn on_every_place<F: Future<Output = ()>>(test: impl Fn(Repository, Watch, Arc<StandingClock>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    for place in places(folder.path()) {
        let (watch, clock) = watch();
        let repo = Repository::create(place, watch.clock.now()).await.unwrap();
        test(repo, watch, clock).await;
    }
}

fn places(folder: &FsPath) -> Vec<Place> {
    vec![Place::Memory, in_store(&Arc::new(InMemory::new())), Place::Folder(folder.join("backups"))]
}

#[tokio::test]
async fn a_snapshot_comes_back() {
    on_every_place(|repo, watch, _| async move {
        let committed = backup(&repo, &watch).await.unwrap();
        assert_eq!(repo.databases().await.unwrap(), [database()]);
        assert_eq!(repo.snapshots(&database()).await.unwrap(), std::slice::from_ref(&committed.id));
        let (manifest, digest) = repo.manifest(&committed.id).await.unwrap();
        assert_eq!((&manifest, digest), (&committed.manifest, committed.manifest_digest));
        let reader = repo.reader(&committed.id, &holder(&watch), &watch).await.unwrap();
        assert_eq!(reader.frames(&file(DATA)).len(), 3);
        for index in 0..3 {
            assert_eq!(reader.plain_frame(&file(DATA), index).await.unwrap(), frame_content(index as u64));
        }
        assert_eq!(reader.read_plain_file(&file(PLAIN)).await.unwrap(), "table of contents");
        assert!(matches!(reader.plain_frame(&file(DATA), 3).await, Err(RepoError::Corrupt { .. })));
        let report = reader.check(2, Depth::Full, &watch).await.unwrap();
        assert_eq!(report.findings, []);
        assert_eq!((report.manifest_digest, report.frames), (Some(digest), 4));
        assert_eq!(report.stored_bytes, manifest.stored_bytes());
        reader.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_without_files_comes_back() {
    on_every_place(|repo, watch, _| async move {
        let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
        let writer = repo.begin(&lease, Compression::Gzip(6), &watch).await.unwrap();
        let committed = writer.commit(draft(&watch), &watch).await.unwrap();
        assert_eq!(assert_all_verify(&repo, &watch, "empty").await, [committed.id]);
        lease.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_second_snapshot_in_the_same_second_takes_the_next() {
    on_every_place(|repo, watch, _| async move {
        let first = backup(&repo, &watch).await.unwrap().id;
        let second = backup(&repo, &watch).await.unwrap().id;
        assert_eq!(second.instant() - first.instant(), TimeDelta::seconds(1));
        assert_eq!(repo.snapshots(&database()).await.unwrap(), [first, second]);
    })
    .await;
}

#[tokio::test]
async fn a_repository_is_made_once_and_opened_often() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemory::new());
    for place in [in_store(&store), Place::Folder(folder.path().join("x/y"))] {
        let now = Utc::now();
        assert!(matches!(Repository::open(place.clone()).await, Err(RepoError::NoRepository { .. })));
        let made = Repository::create(place.clone(), now).await.unwrap();
        assert_eq!(Repository::open(place.clone()).await.unwrap().id(), made.id());
        assert!(matches!(Repository::create(place.clone(), now).await, Err(RepoError::AlreadyExists { .. })));
        assert_eq!(made.databases().await.unwrap(), []);
        assert_eq!(made.snapshots(&database()).await.unwrap(), []);
        assert_eq!(made.evidence(&database()).await.unwrap(), Records::default());
    }
}

#[tokio::test]
async fn a_damaged_or_newer_repository_is_refused() {
    use object_store::ObjectStoreExt;
    let store = Arc::new(InMemory::new());
    Repository::create(in_store(&store), Utc::now()).await.unwrap();
    let path = object_store::path::Path::parse("a/b/.dbops/repository.json").unwrap();
    let good = store.get(&path).await.unwrap().bytes().await.unwrap();
    for at in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1 << (at % 8);
        store.put(&path, bytes.into()).await.unwrap();
        let opened = Repository::open(in_store(&store)).await;
        let blank = good[at].is_ascii_whitespace();
        let refused = matches!(opened, Err(RepoError::Corrupt { .. } | RepoError::NewerFormat { .. }));
        assert!(refused || blank, "byte {at}");
    }
    store.put(&path, r#"{"format": 2, "other": []}"#.into()).await.unwrap();
    let newer = Repository::open(in_store(&store)).await.err().unwrap();
    assert!(matches!(newer, RepoError::NewerFormat { found: 2, .. }), "{newer:?}");
}

#[tokio::test]
async fn an_abandoned_snapshot_leaves_nothing() {
    on_every_place(|repo, watch, _| async move {
        let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
        let writer = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
        write_files(&writer).await.unwrap();
        writer.abandon().await;
        assert_eq!(repo.snapshots(&database()).await.unwrap(), []);
        assert_eq!(repo.orphans(&database()).await.unwrap(), []);
        lease.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_dropped_unfinished_is_no_part_of_the_snapshot() {
    on_every_place(|repo, watch, _| async move {
        let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
        let writer = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
        let mut dropped = writer.begin_file(&file("dropped"), FileRole::Plain).await.unwrap();
        for _ in 0..5 {
            dropped.append_plain(noise(1, 5000).into()).await.unwrap();
        }
        drop(dropped);
        write_files(&writer).await.unwrap();
        assert_eq!(writer.read_back(&watch, 2).await.unwrap(), []);
        let committed = writer.commit(draft(&watch), &watch).await.unwrap();
        assert!(committed.manifest.files.iter().all(|record| record.name.as_str() != "dropped"));
        assert_all_verify(&repo, &watch, "dropped").await;
        lease.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn names_that_can_not_be_are_refused() {
    on_every_place(|repo, watch, _| async move {
        let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
        let writer = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
        let mut kept = writer.begin_file(&file("twice"), FileRole::Data).await.unwrap();
        for name in ["twice", "SHA256SUMS", "manifest.json", "frames.jsonl", "x#1"] {
            let refused = writer.begin_file(&file(name), FileRole::Plain).await;
            assert!(matches!(refused, Err(RepoError::NotStorable { .. })), "{name}");
        }
        let refused = kept.append_plain(Bytes::from_static(b"x")).await;
        assert!(matches!(refused, Err(RepoError::NotStorable { .. })));
        lease.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn odd_file_names_come_back() {
    on_every_place(|repo, watch, _| async move {
        let names = ["files/a b", "files/ä ö%20", "files/x#1.zst", "files/~[]{}^`\"'<>|*?", "-rf", "..a"];
        let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
        let writer = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
        for name in names {
            let mut plain = writer.begin_file(&file(name), FileRole::Plain).await.unwrap();
            plain.append_plain(name.as_bytes().to_vec().into()).await.unwrap();
            plain.finish().await.unwrap();
        }
        let id = writer.commit(draft(&watch), &watch).await.unwrap().id;
        assert_all_verify(&repo, &watch, "odd").await;
        let reader = repo.reader(&id, &holder(&watch), &watch).await.unwrap();
        for name in names {
            assert_eq!(reader.read_plain_file(&file(name)).await.unwrap(), name.as_bytes());
        }
        reader.release().await.unwrap();
        lease.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn forget_deletes_one_snapshot() {
    on_every_place(|repo, watch, _| async move {
        let first = backup(&repo, &watch).await.unwrap().id;
        let second = backup(&repo, &watch).await.unwrap().id;
        let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
        repo.forget(&lease, &first, &watch).await.unwrap();
        assert_eq!(repo.snapshots(&database()).await.unwrap(), [second]);
        assert_eq!(repo.orphans(&database()).await.unwrap(), []);
        let again = repo.forget(&lease, &first, &watch).await;
        assert!(matches!(again, Err(RepoError::NoSnapshot { .. })), "{again:?}");
        assert!(matches!(repo.manifest(&first).await, Err(RepoError::NoSnapshot { .. })));
        let reader = repo.reader(&first, &holder(&watch), &watch).await;
        assert!(matches!(reader, Err(RepoError::NoSnapshot { .. })));
        let check = repo.check(&first, 1, Depth::Full, &watch).await;
        assert!(matches!(check, Err(RepoError::NoSnapshot { .. })));
        lease.release().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_pin_beats_forget() {
    on_every_place(|repo, watch, clock| async move {
        let id = backup(&repo, &watch).await.unwrap().id;
        let reader = repo.reader(&id, &holder(&watch), &watch).await.unwrap();
        let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
        let refused = repo.forget(&lease, &id, &watch).await;
        assert!(matches!(refused, Err(RepoError::Pinned { .. })), "{refused:?}");
        assert_eq!(reader.check(1, Depth::Full, &watch).await.unwrap().findings, []);
        reader.release().await.unwrap();
        lease.release().await.unwrap();
        let dead = repo.reader(&id, &dead_holder(&watch), &watch).await.unwrap();
        drop(dead);
        clock.forward(TimeDelta::seconds(1));
        let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
        repo.forget(&lease, &id, &watch).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_forget_under_way_keeps_readers_out_until_it_dies() {
    let (_, repo, watch, _) = memory().await;
    let id = backup(&repo, &watch).await.unwrap().id;
    let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
    let claim = hold::Claim { operation: "forget".into(), ..lease.grant().claim() };
    repo.store().put(&layout::tombstone(&id), vec![claim.bytes().unwrap()]).await.unwrap();
    let refused = repo.reader(&id, &holder(&watch), &watch).await.err().unwrap();
    assert!(matches!(refused, RepoError::BeingForgotten { .. }), "{refused:?}");
    lease.release().await.unwrap();
    let reader = repo.reader(&id, &holder(&watch), &watch).await.unwrap();
    reader.release().await.unwrap();
    let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
    repo.sweep(&lease, Sweep::Unfinished, &watch).await.unwrap();
    assert_eq!(repo.store().list(layout::TOMBSTONES).await.unwrap().len(), 0);
}

/// Whoever lost a commit point by accident must not lose the data to the next run.
#[tokio::test]
async fn what_was_committed_is_swept_only_on_demand() {
    on_every_place(|repo, watch, _| async move {
        let id = backup(&repo, &watch).await.unwrap().id;
        let key = layout::in_snapshot(&id, layout::SUMS);
        let sums = repo.store().read(&key, 1 << 20).await.unwrap().unwrap();
        repo.store().delete(&key).await.unwrap();
        let next = backup(&repo, &watch).await.unwrap().id;
        assert_eq!(repo.snapshots(&database()).await.unwrap(), std::slice::from_ref(&next));
        assert_eq!(repo.orphans(&database()).await.unwrap().len(), 1);
        repo.store().put(&key, vec![sums]).await.unwrap();
        assert_eq!(assert_all_verify(&repo, &watch, "found again").await, [id.clone(), next.clone()]);
        repo.store().delete(&key).await.unwrap();
        let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
        assert_eq!(repo.sweep(&lease, Sweep::All, &watch).await.unwrap().len(), 1);
        assert_eq!(repo.orphans(&database()).await.unwrap(), []);
        assert_eq!(repo.snapshots(&database()).await.unwrap(), [next]);
    })
    .await;
}

/// What a killed forget left is no loss: the next run takes it away.
#[tokio::test]
async fn what_was_half_forgotten_is_swept() {
    on_every_place(|repo, watch, _| async move {
        let id = backup(&repo, &watch).await.unwrap().id;
        let lease = repo.lease(&database(), "forget", &holder(&watch), &watch).await.unwrap();
        let claim = lease.grant().claim();
        repo.store().put(&layout::tombstone(&id), vec![claim.bytes().unwrap()]).await.unwrap();
        repo.store().delete(&layout::in_snapshot(&id, layout::SUMS)).await.unwrap();
        lease.release().await.unwrap();
        backup(&repo, &watch).await.unwrap();
        assert_eq!(repo.orphans(&database()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn evidence_is_a_chain() {
    on_every_place(|repo, watch, _| async move {
        let committed = backup(&repo, &watch).await.unwrap();
        let deed = deed(&committed.id, committed.manifest_digest, &watch);
        let exam = database();
        let both = tokio::join!(repo.record(&exam, deed.clone()), repo.record(&exam, deed.clone()));
        assert_ne!(both.0.unwrap().number, both.1.unwrap().number);
        let records = repo.evidence(&database()).await.unwrap();
        assert_eq!(records.lost, []);
        let intact = records.intact;
        assert_eq!(intact.iter().map(|record| record.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(intact[0].previous, None);
        assert_eq!(intact[2].deed, deed);
        assert_eq!(repo.evidence_end(&database()).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_commit_commits_nothing() {
    on_every_place(|repo, watch, _| async move {
        let lease = repo.lease(&database(), "backup", &holder(&watch), &watch).await.unwrap();
        let writer = repo.begin(&lease, Compression::Zstd(3), &watch).await.unwrap();
        write_files(&writer).await.unwrap();
        watch.cancel.cancel();
        let stopped = writer.commit(draft(&watch), &watch).await;
        assert!(matches!(stopped, Err(RepoError::Interrupted(_))), "{stopped:?}");
        assert_eq!(repo.snapshots(&database()).await.unwrap(), []);
        lease.release().await.unwrap();
    })
    .await;
}
