//! What the tests of the room share: a clock that stands, a small state, a backup as `ops` does it.

mod conformance;
mod damage;
mod evidence;
mod faults;
mod faulty;
mod folder;
mod leases;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::codec::Encoder;
use crate::model::cancel::Cancel;
use crate::model::clock::Clock;
use crate::model::digest::Digest;
use crate::model::event::{Event, Observer};
use crate::model::evidence::{Deed, Operation, Records};
use crate::model::frame::Compression;
use crate::model::identity::{FileIdentity, Identity};
use crate::model::manifest::{Content, Contract, FileRole, SourceCheck, State};
use crate::model::names::{DatabaseName, FileName, SnapshotId};
use crate::model::report::{Finding, Severity};
use crate::model::watch::Watch;

/// A clock that stands until it is set forward.
pub(super) struct StandingClock(AtomicI64);

impl StandingClock {
    pub(super) fn forward(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Keeps what it was told.
#[derive(Default)]
pub(super) struct Ear(Mutex<Vec<Event>>);

impl Observer for Ear {
    fn notice(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

pub(super) fn watch() -> (Watch, Arc<StandingClock>) {
    let clock = Arc::new(StandingClock(AtomicI64::new(Utc::now().timestamp_millis())));
    let watch = Watch { observer: Arc::new(Ear::default()), clock: Arc::clone(&clock) as _, cancel: Cancel::default() };
    (watch, clock)
}

pub(super) fn database() -> DatabaseName {
    "exam".parse().unwrap()
}

pub(super) fn file(name: &str) -> FileName {
    name.parse().unwrap()
}

pub(super) fn holder(watch: &Watch) -> Holder {
    Holder::this_process(watch.clock.now())
}

/// A process of this host that ended.
pub(super) fn dead_holder(watch: &Watch) -> Holder {
    let living = holder(watch);
    Holder { started_ticks: living.started_ticks.map(|ticks| ticks + 1), ..living }
}

pub(super) fn draft(watch: &Watch) -> Draft {
    let source = FileIdentity { host: "web1".into(), path: "/srv/exam.db".into(), file_id: Some("8:42".into()) };
    let state = State {
        source: Identity::Sqlite(source),
        engine_version: "SQLite 3".into(),
        content: Content::Database,
        taken_at: watch.clock.now(),
        tables: Vec::new(),
        ledger: None,
        side_files: Vec::new(),
        contract: Contract::default(),
        source_check: SourceCheck::default(),
    };
    Draft { state, release: Some("v1".into()), note: None, dbops_version: "0.1.0".into() }
}

pub(super) fn deed(snapshot: &SnapshotId, manifest_digest: Digest, watch: &Watch) -> Deed {
    Deed {
        at: watch.clock.now(),
        operation: Operation::Backup,
        snapshot: snapshot.clone(),
        manifest_digest,
        passed: true,
        findings: Vec::new(),
        took_ms: 7,
        host: "web1".into(),
        dbops_version: "0.1.0".into(),
    }
}

/// Bytes that don't compress much.
pub(super) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

pub(super) const DATA: &str = "exam.sqlite.zst";
pub(super) const SIDE: &str = "files/a.json.zst";
pub(super) const PLAIN: &str = "toc.dat";

/// The plain content of the data file's frame `index`.
pub(super) fn frame_content(index: u64) -> Vec<u8> {
    noise(index + 1, 900)
}

pub(super) async fn write_files(writer: &SnapshotWriter) -> Result<(), RepoError> {
    let mut encoder = Encoder::new(Compression::Zstd(3)).unwrap();
    let mut data = writer.begin_file(&file(DATA), FileRole::Data).await?;
    let mut side = writer.begin_file(&file(SIDE), FileRole::Side).await?;
    for index in 0..3 {
        data.append(encoder.encode(&frame_content(index), index).unwrap()).await?;
    }
    side.append(encoder.encode(b"{}", 0).unwrap()).await?;
    data.finish().await?;
    side.finish().await?;
    let mut plain = writer.begin_file(&file(PLAIN), FileRole::Plain).await?;
    plain.append_plain(Bytes::from_static(b"table of contents")).await?;
    plain.finish().await?;
    Ok(())
}

/// How a backup failed, if it did.
#[derive(Debug)]
pub(super) enum Failed {
    Before(RepoError),
    ReadBack(Vec<Finding>),
    After(SnapshotId, RepoError),
}

impl From<RepoError> for Failed {
    fn from(error: RepoError) -> Self {
        Self::Before(error)
    }
}

/// A backup as `ops` does it: lease, sweep, write, read back, commit, record, release.
pub(super) async fn backup(repo: &Repository, watch: &Watch) -> Result<Committed, Failed> {
    let lease = repo.lease(&database(), "backup", &holder(watch), watch).await?;
    repo.sweep(&lease, Sweep::Unfinished, watch).await?;
    let writer = repo.begin(&lease, Compression::Zstd(3), watch).await?;
    write_files(&writer).await?;
    let findings = writer.read_back(watch, 2).await?;
    if !findings.is_empty() {
        writer.abandon().await;
        return Err(Failed::ReadBack(findings));
    }
    let committed = writer.commit(draft(watch), watch).await?;
    let after = |error| Failed::After(committed.id.clone(), error);
    repo.record(&database(), deed(&committed.id, committed.manifest_digest, watch)).await.map_err(after)?;
    lease.release().await.map_err(after)?;
    Ok(committed)
}

pub(super) fn in_store(store: &Arc<InMemory>) -> Place {
    Place::Store { store: Arc::clone(store) as Arc<dyn ObjectStore>, prefix: "a/b".into(), label: "test".into() }
}

pub(super) async fn memory() -> (Arc<InMemory>, Repository, Watch, Arc<StandingClock>) {
    let (watch, clock) = watch();
    let store = Arc::new(InMemory::new());
    let repo = Repository::create(in_store(&store), watch.clock.now()).await.unwrap();
    (store, repo, watch, clock)
}

pub(super) fn is_damage(finding: &Finding) -> bool {
    finding.severity == Severity::Corrupt
}

/// All that is listed must verify.
pub(super) async fn assert_all_verify(repo: &Repository, watch: &Watch, case: &str) -> Vec<SnapshotId> {
    let ids = repo.snapshots(&database()).await.unwrap();
    for id in &ids {
        let report = repo.check(id, 2, Depth::Full, watch).await.unwrap();
        assert!(report.findings.is_empty(), "{case}: {id}: {:?}", report.findings);
    }
    ids
}

#[test]
fn futures_may_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let _ = |repo: Repository, lease: Lease, watch: Watch, id: SnapshotId, holder: Holder| {
        is_send(backup(&repo, &watch));
        is_send(repo.sweep(&lease, Sweep::Unfinished, &watch));
        is_send(repo.forget(&lease, &id, &watch));
        is_send(repo.reader(&id, &holder, &watch));
        is_send(repo.check(&id, 1, Depth::Full, &watch));
        is_send(repo.prove(&id, &holder, 1, Depth::Full, &watch));
        is_send(repo.evidence(id.database()));
        is_send(repo.orphans(id.database()));
    };
}
