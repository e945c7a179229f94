//! What every test here needs: a folder, a repository in memory, a clock that stands, stock `sqlite3`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::codec::{EncodedFrame, decode};
use crate::engine::sqlite::SqliteEngine;
use crate::engine::{
    Confirmed, DumpPlan, Engine, EngineError, FileOutlet, IfAbsent, IfDamaged, Inlet, InletFailed, LoadPlan, Loaded,
    Outlet, OutletFailed, Target,
};
use crate::model::cancel::Cancel;
use crate::model::clock::Clock;
use crate::model::event::{Event, Observer};
use crate::model::frame::{Compression, Frame};
use crate::model::manifest::{CheckDepth, FileRole, State};
use crate::model::names::FileName;
use crate::model::watch::Watch;

/// A clock that stands at one instant.
pub struct Standing;

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_143_600, 0).unwrap()
    }
}

/// Calls a function for each event.
pub struct Ear<F>(pub F);

impl<F: Fn(&Event) + Send + Sync> Observer for Ear<F> {
    fn notice(&self, event: &Event) {
        (self.0)(event);
    }
}

pub fn watch_with(ear: impl Fn(&Event) + Send + Sync + 'static) -> Watch {
    Watch { observer: Arc::new(Ear(ear)), clock: Arc::new(Standing), cancel: Cancel::default() }
}

pub fn watch() -> Watch {
    watch_with(|_| ())
}

/// Finished files in memory.
#[derive(Clone, Default)]
pub struct Memory(pub Arc<Mutex<BTreeMap<FileName, Vec<EncodedFrame>>>>);

struct MemoryFile {
    memory: Memory,
    name: FileName,
    frames: Vec<EncodedFrame>,
}

#[async_trait]
impl Outlet for Memory {
    async fn begin(&self, name: &FileName, _role: FileRole) -> Result<Box<dyn FileOutlet>, OutletFailed> {
        Ok(Box::new(MemoryFile { memory: self.clone(), name: name.clone(), frames: Vec::new() }))
    }
}

#[async_trait]
impl FileOutlet for MemoryFile {
    async fn append(&mut self, frame: EncodedFrame) -> Result<(), OutletFailed> {
        self.frames.push(frame);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), OutletFailed> {
        self.memory.0.lock().unwrap().insert(self.name, self.frames);
        Ok(())
    }
}

#[async_trait]
impl Inlet for Memory {
    fn frames(&self, file: &FileName) -> usize {
        self.0.lock().unwrap().get(file).map_or(0, Vec::len)
    }

    async fn frame(&self, file: &FileName, index: usize) -> Result<Bytes, InletFailed> {
        let encoded = self.0.lock().unwrap()[file][index].clone();
        let frame = Frame {
            offset: 0,
            stored_bytes: encoded.stored.len() as u64,
            plain_bytes: encoded.plain_bytes,
            rows: 0,
            digest: encoded.digest,
        };
        let compression = if file.as_str().ends_with(".gz") { Compression::Gzip(1) } else { Compression::Zstd(1) };
        Ok(decode(compression, &encoded.stored, &frame).unwrap().into())
    }
}

impl Memory {
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

/// A folder with a database to be and a folder for copies.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub memory: Memory,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("temp")).unwrap();
        Self { folder, memory: Memory::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database that is dumped.
    pub fn db(&self) -> PathBuf {
        self.path("agents.db")
    }

    /// Opens it, making it where it is not there.
    pub fn open(&self) -> Connection {
        open(&self.db())
    }

    pub fn dump_plan(&self) -> DumpPlan {
        DumpPlan {
            compression: Compression::Zstd(1),
            jobs: 4,
            temp_dir: self.path("temp"),
            check: CheckDepth::Full,
            damaged: IfDamaged::Refuse,
            absent: IfAbsent::Refuse,
        }
    }

    pub fn load_plan(&self) -> LoadPlan {
        LoadPlan { jobs: 4, temp_dir: self.path("temp"), busy_timeout: Duration::from_secs(60) }
    }

    pub fn dump_by(&self, plan: &DumpPlan, watch: &Watch) -> Result<State, EngineError> {
        let outlet = Arc::new(self.memory.clone());
        wait(engine(&self.db()).dump(plan, outlet, watch))
    }

    pub fn dump(&self) -> Result<State, EngineError> {
        self.dump_by(&self.dump_plan(), &watch())
    }

    /// Restores into a new file.
    pub fn load_fresh(&self, state: &State, to: &Path) -> Result<Loaded, EngineError> {
        let engine = engine(to);
        let target = Target::Fresh(wait(engine.fresh())?);
        wait(engine.load(target, state, &self.load_plan(), Arc::new(self.memory.clone()), &watch()))
    }

    /// Restores into the live database.
    pub fn load_live(&self, state: &State, plan: &LoadPlan) -> Result<Loaded, EngineError> {
        let engine = engine(&self.db());
        let target = Target::Replace(wait(engine.replace(Confirmed::by_owner()))?);
        wait(engine.load(target, state, plan, Arc::new(self.memory.clone()), &watch()))
    }

    /// Names in the stage's folder and in that for copies.
    pub fn names(&self) -> Vec<String> {
        let list = |path: &Path| fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = list(self.folder.path()).chain(list(&self.path("temp"))).collect();
        names.sort();
        names
    }
}

pub fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    connection
}

pub fn engine(path: &Path) -> SqliteEngine {
    SqliteEngine::new(path.to_owned(), "testhost".to_owned())
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// What stock `sqlite3` says to a command; fails the test where it is not installed or complains.
pub fn sqlite3(path: &Path, command: &str) -> String {
    let out = Command::new("sqlite3").arg(path).arg(command).output();
    let out = out.expect("these tests need the sqlite3 command line (Debian: apt-get install sqlite3)");
    assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
