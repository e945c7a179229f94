//! Databases behind one trait: what can be dumped, loaded and fingerprinted.
//!
//! Invariant: a load goes only into a [`Target`], and a target is only made by the engine that proved it fit.
//! Absent: object storage, the terminal, the choice what to do next.

mod place;
pub mod side;
pub mod sqlite;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::codec::{CodecError, EncodedFrame};
use crate::model::cancel::Interrupted;
use crate::model::frame::Compression;
use crate::model::identity::Identity;
use crate::model::manifest::{CheckDepth, FileRole, State};
use crate::model::names::FileName;
use crate::model::report::Finding;
use crate::model::watch::Watch;

pub use target::{Confirmed, Fresh, Replace, Target};

/// A database that is, or may come to be, at a place.
#[async_trait]
pub trait Engine: Send + Sync {
    /// What it is and where, for people: `SQLite database /srv/agents.db on web1`. Never a secret.
    fn label(&self) -> String;

    /// What a state of it would be taken from. Reads no rows; works while the database does not exist.
    async fn identify(&self) -> Result<Identity, EngineError>;

    /// Writes one consistent state to `outlet` and tells what it is.
    ///
    /// Writers of the database are held up no longer than the engine itself needs. Whatever it put aside
    /// meanwhile is gone when it returns; what a killed run put aside, the next one removes.
    async fn dump(&self, plan: &DumpPlan, outlet: Arc<dyn Outlet>, watch: &Watch) -> Result<State, EngineError>;

    /// Proves that nothing is there yet (or only an empty database): a place that a load may fill.
    async fn fresh(&self) -> Result<Fresh, EngineError>;

    /// Proves that a database is there which a load may replace; `confirmed` says that its owner agreed.
    async fn replace(&self, confirmed: Confirmed) -> Result<Replace, EngineError>;

    /// Builds `state` beside the target, compares it with its fingerprints, and only then puts it in place.
    ///
    /// Whatever fails, before that moment the target is as it was, and after it as it was dumped.
    async fn load(
        &self,
        target: Target,
        state: &State,
        plan: &LoadPlan,
        inlet: Arc<dyn Inlet>,
        watch: &Watch,
    ) -> Result<Loaded, EngineError>;
}

/// How to dump.
#[derive(Debug, Clone)]
pub struct DumpPlan {
    /// How data files are compressed.
    pub compression: Compression,
    /// Workers that read and compress at once; at least 1.
    pub jobs: usize,
    /// Where a copy may be put aside.
    pub temp_dir: PathBuf,
    /// How thoroughly the source is checked.
    pub check: CheckDepth,
    /// What to do when the source turns out to be damaged.
    pub damaged: IfDamaged,
    /// What to do when the database does not exist.
    pub absent: IfAbsent,
}

/// What to do when the source turns out to be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfDamaged {
    /// Fail with [`EngineError::Damaged`].
    Refuse,
    /// Store it all the same, with the damage in its manifest.
    Keep,
}

/// What to do when the database does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// Fail with [`EngineError::Unreachable`]: more often a wrong path than a new installation.
    Refuse,
    /// Record that there was none.
    Record,
}

/// How to load.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Workers at once; at least 1.
    pub jobs: usize,
    /// Where the state may be built when not beside the target.
    pub temp_dir: PathBuf,
    /// How long to wait for others to let go of the live database.
    pub busy_timeout: std::time::Duration,
}

/// What a load did.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Where the restored database is now, for people.
    pub location: String,
    /// Where the database that it replaced was put.
    pub previous: Option<String>,
    /// Tables that were compared with their fingerprints.
    pub tables_compared: u64,
    /// Rows in them.
    pub rows: u64,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
}

/// Where the files of a dump go.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Begins a file.
    async fn begin(&self, name: &FileName, role: FileRole) -> Result<Box<dyn FileOutlet>, OutletFailed>;
}

/// A file of a dump on its way.
#[async_trait]
pub trait FileOutlet: Send {
    /// Appends a frame.
    async fn append(&mut self, frame: EncodedFrame) -> Result<(), OutletFailed>;

    /// Ends the file; without it, the file counts as never begun.
    async fn finish(self: Box<Self>) -> Result<(), OutletFailed>;
}

/// The outlet failed; whoever made it knows why and reports it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("could not store what was dumped")]
pub struct OutletFailed;

/// Where the files for a load come from.
#[async_trait]
pub trait Inlet: Send + Sync {
    /// How many frames `file` has.
    fn frames(&self, file: &FileName) -> usize;

    /// The plain bytes of a frame, proven to be what was stored.
    async fn frame(&self, file: &FileName, index: usize) -> Result<Bytes, InletFailed>;
}

/// The inlet failed; whoever made it knows why and reports it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("could not read what was stored")]
pub struct InletFailed;

/// Why an engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database can't be reached: no such host, no such file.
    #[error("could not open {subject}: {why}")]
    Unreachable {
        /// What was tried.
        subject: String,
        /// Why it failed.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The database is there and said no: not a database, no rights, an SQL error.
    #[error("could not {deed} {subject}: {why}")]
    Refused {
        /// What was tried.
        deed: &'static str,
        /// On what.
        subject: String,
        /// Why it failed.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Somebody else holds the database, for longer than the bound.
    #[error("{subject} is busy: {who}")]
    Busy {
        /// What is held.
        subject: String,
        /// Who holds it, as far as can be seen, and since when.
        who: String,
    },
    /// The source is damaged, and damage was to be refused.
    #[error("{subject} is damaged: {}", .damage.first().map_or("", String::as_str))]
    Damaged {
        /// What is damaged.
        subject: String,
        /// What the check said.
        damage: Vec<String>,
    },
    /// The target is not fit: not empty, frozen, not ours.
    #[error("{subject}: {why}")]
    TargetRefused {
        /// The target.
        subject: String,
        /// Why it is refused.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The restored state is not what was dumped; the target was left as it was.
    #[error("what was built for {subject} is not what was stored; the target was left as it was")]
    Unequal {
        /// The target.
        subject: String,
        /// What differs.
        findings: Vec<Finding>,
    },
    /// The local disk failed or is full.
    #[error("could not {deed} {subject}")]
    Disk {
        /// What was tried.
        deed: &'static str,
        /// On what.
        subject: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// There is not enough room for what must be put aside or built.
    #[error("not enough room in {place}: {needed_bytes} bytes are needed, {free_bytes} are free")]
    NoRoom {
        /// The folder.
        place: String,
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
    },
    /// A side file would not hold still, or is not what its name promises.
    #[error("side file {subject}: {why}")]
    SideFile {
        /// Its path.
        subject: String,
        /// What is wrong with it.
        why: String,
    },
    /// A frame could not be made.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The outlet failed; its owner knows why.
    #[error(transparent)]
    Outlet(#[from] OutletFailed),
    /// The inlet failed; its owner knows why.
    #[error(transparent)]
    Inlet(#[from] InletFailed),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}
