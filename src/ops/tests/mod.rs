//! What the tests of the room share: a repository in memory that can be damaged, snapshots of a side file, a clock
//! that is set forward.

mod evidence;
mod forget;
mod select;
mod verify;

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

use super::*;
use crate::engine::DumpPlan;
use crate::engine::{IfAbsent, IfDamaged};
use crate::model::cancel::Cancel;
use crate::model::clock::Clock;
use crate::model::event::{Event, Observer};
use crate::model::evidence::{Deed, Operation, Records};
use crate::model::frame::Compression;
use crate::model::manifest::CheckDepth;
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::VerifyDepth;
use crate::repo::{Place, RepoError};

struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

type Reaction = Box<dyn Fn(&Event) + Send>;

/// Keeps warnings, and lets a test act in the midst of an operation.
#[derive(Default)]
struct Ear {
    warnings: Mutex<Vec<String>>,
    reaction: Mutex<Option<Reaction>>,
}

impl Observer for Ear {
    fn notice(&self, event: &Event) {
        if let Event::Warning { message } = event {
            self.warnings.lock().unwrap().push(message.clone());
        }
        if let Some(reaction) = &*self.reaction.lock().unwrap() {
            reaction(event);
        }
    }
}

struct Desk {
    ctx: Ctx,
    store: Arc<InMemory>,
    clock: Arc<HandClock>,
    ear: Arc<Ear>,
    folder: TempDir,
}

fn exam() -> DatabaseName {
    "exam".parse().unwrap()
}

impl Desk {
    async fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let clock = Arc::new(HandClock(AtomicI64::new(Utc::now().timestamp_millis())));
        let objects = Arc::clone(&store) as Arc<dyn ObjectStore>;
        let place = Place::Store { store: objects, prefix: String::new(), label: "desk".into() };
        let repo = Repository::create(place, clock.now()).await.unwrap();
        let ear = Arc::new(Ear::default());
        let observer = Arc::clone(&ear) as Arc<dyn Observer>;
        let watch = Watch { observer, clock: Arc::clone(&clock) as _, cancel: Cancel::default() };
        let ctx = Ctx { repo, watch, holder: Holder::this_process(clock.now()) };
        Self { ctx, store, clock, ear, folder: tempfile::tempdir().unwrap() }
    }

    fn later(&self) {
        self.clock.0.fetch_add(TimeDelta::minutes(1).num_milliseconds(), Ordering::SeqCst);
    }

    fn request(&self, database: &str, file: &str, naming: Naming) -> BackupRequest {
        let path = self.folder.path().join(file);
        std::fs::write(&path, format!("[\"{file}\"]")).unwrap();
        BackupRequest {
            database: database.parse().unwrap(),
            naming,
            engine: None,
            side_files: vec![path],
            side_base: self.folder.path().to_path_buf(),
            host: "web1".into(),
            plan: DumpPlan {
                compression: Compression::default(),
                jobs: 2,
                temp_dir: self.folder.path().to_path_buf(),
                check: CheckDepth::None,
                damaged: IfDamaged::Refuse,
                absent: IfAbsent::Refuse,
            },
            release: None,
            note: None,
        }
    }

    /// Takes a snapshot of a side file, a minute after whatever was before.
    async fn snapshot(&self, database: &str, file: &str) -> SnapshotId {
        self.later();
        backup(&self.ctx, &self.request(database, file, Naming::Chosen)).await.unwrap().snapshot.id
    }

    async fn exams<const N: usize>(&self) -> [SnapshotId; N] {
        let mut ids = Vec::new();
        for _ in 0..N {
            ids.push(self.snapshot("exam", "w.json").await);
        }
        ids.try_into().unwrap()
    }

    async fn listed(&self) -> Vec<SnapshotId> {
        self.ctx.repo.snapshots(&exam()).await.unwrap()
    }

    async fn write(&self, key: &str, text: &str) {
        self.store.put(&Path::from(key), text.to_owned().into()).await.unwrap();
    }

    async fn spoil(&self, id: &SnapshotId, name: &str) {
        let path = Path::from(format!("{}/{id}/{name}", id.database()));
        let mut bytes = self.store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.store.put(&path, bytes.into()).await.unwrap();
    }

    async fn spoil_data(&self, id: &SnapshotId) {
        self.spoil(id, "files/w.json.zst").await;
    }

    async fn spoil_record(&self, number: u64) {
        self.write(&self.ctx.repo.evidence_path(&exam(), number), "?").await;
    }

    async fn records(&self) -> Records {
        self.ctx.repo.evidence(&exam()).await.unwrap()
    }

    async fn verify(&self, ids: &[SnapshotId], depth: VerifyDepth) -> crate::model::outcome::Verified {
        verify(&self.ctx, ids, depth, 2).await.unwrap()
    }

    fn warnings(&self) -> Vec<String> {
        self.ear.warnings.lock().unwrap().clone()
    }

    async fn failed_verification(&self, id: &SnapshotId) -> Deed {
        let (_, manifest_digest) = self.ctx.repo.manifest(id).await.unwrap();
        Deed {
            at: self.clock.now(),
            operation: Operation::Verify,
            snapshot: id.clone(),
            manifest_digest,
            passed: false,
            findings: Vec::new(),
            took_ms: 1,
            host: "web2".into(),
            dbops_version: "0.1.0".into(),
        }
    }

    fn restore_folder(&self) -> PathBuf {
        self.folder.path().join("restored")
    }
}
