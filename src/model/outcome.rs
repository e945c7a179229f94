//! What operations answer: the values that `report` renders for people and for programs.
//!
//! Their JSON form is a public interface; `docs/json-schema.json` is made from these types.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::evidence::Proof;
use super::identity::Identity;
use super::manifest::{CheckDepth, Content, Contract, SideFile, TableRecord};
use super::names::{DatabaseName, SnapshotId};
use super::report::{Finding, Severity, worst};

/// The answer of a command.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "command", rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Outcome {
    /// Of `init`.
    Init(Initialised),
    /// Of `backup`.
    Backup(Box<BackedUp>),
    /// Of `list`.
    List(Listed),
    /// Of `show`.
    Show(Box<Shown>),
    /// Of `verify`.
    Verify(Verified),
    /// Of `restore`.
    Restore(Restored),
    /// Of `forget`.
    Forget(Forgotten),
}

/// A repository was made.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Initialised {
    /// Where it is.
    pub repository: String,
    /// Its random id.
    pub id: String,
}

/// A snapshot was taken, read back and committed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BackedUp {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Milliseconds from the start of the command's work until the snapshot was proven.
    pub took_ms: u64,
    /// Where that time went.
    pub phases: Vec<PhaseTook>,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
}

/// How long a phase took; phases may overlap.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhaseTook {
    /// The phase, e.g. `storing`.
    pub phase: String,
    /// Milliseconds from its begin to its end.
    pub took_ms: u64,
}

/// A snapshot in a few figures.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The database whose folder holds it.
    pub database: DatabaseName,
    /// Where it is.
    pub path: String,
    /// What it was taken from.
    pub source: Identity,
    /// What kind of state it holds.
    pub content: Content,
    /// The instant of the view.
    pub taken_at: DateTime<Utc>,
    /// Bytes of the restored database and side files.
    pub plain_bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Tables.
    pub tables: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Side files.
    pub side_files: u64,
    /// The release that it was taken for.
    pub release: Option<String>,
    /// Free text of who took it.
    pub note: Option<String>,
    /// How thoroughly the source was checked.
    pub source_check: CheckDepth,
    /// Whether the source was damaged when it was taken.
    pub source_damaged: bool,
    /// What is proven about it.
    pub proof: Proof,
}

/// All snapshots, by database, oldest first.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Listed {
    /// Where they are.
    pub repository: String,
    /// Every snapshot that can be read.
    pub snapshots: Vec<Snapshot>,
    /// Snapshots whose manifest can't be read, and why.
    pub unreadable: Vec<Unreadable>,
    /// Unfinished remains of runs that were killed; `forget --orphans` removes them.
    pub orphans: Vec<String>,
}

/// A snapshot whose manifest can't be read.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unreadable {
    /// The snapshot.
    pub id: SnapshotId,
    /// Why.
    pub why: String,
}

/// One snapshot with all that its manifest says.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shown {
    /// In a few figures.
    pub snapshot: Snapshot,
    /// Version of the server or library that read it.
    pub engine_version: String,
    /// Version of dbops that wrote it.
    pub dbops_version: String,
    /// Its tables with rows and fingerprints.
    pub tables: Vec<TableRecord>,
    /// Its side files, each with its instant.
    pub side_files: Vec<SideFile>,
    /// The ledger as it stood.
    pub ledger: Option<Value>,
    /// What a target must offer.
    pub contract: Contract,
    /// The stored files with their bytes and digests.
    pub files: Vec<Value>,
    /// The records about it, oldest first.
    pub evidence: Vec<Value>,
}

/// Stored bytes were checked.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verified {
    /// Each snapshot.
    pub snapshots: Vec<VerifiedSnapshot>,
    /// Whether every check of every snapshot held.
    pub passed: bool,
}

/// One snapshot's stored bytes were checked.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerifiedSnapshot {
    /// The snapshot.
    pub id: SnapshotId,
    /// Where it is.
    pub path: String,
    /// `full`: every byte was read and proven. `presence`: only that the files are there with their sizes.
    pub depth: VerifyDepth,
    /// Whether every check held.
    pub passed: bool,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Stored bytes that were checked.
    pub stored_bytes: u64,
    /// Plain bytes that they hold.
    pub plain_bytes: u64,
    /// Frames that were checked.
    pub frames: u64,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// How deep a verification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum VerifyDepth {
    /// Every byte is read and proven.
    Full,
    /// The files are there, with their sizes. Proves nothing about their content.
    Presence,
}

/// A state was restored.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Restored {
    /// The snapshot.
    pub id: SnapshotId,
    /// Where the restored database is.
    pub location: Option<String>,
    /// Where what it replaced was put.
    pub previous: Vec<String>,
    /// Side files that were put in place.
    pub side_files: Vec<String>,
    /// Tables whose rows were compared with the fingerprints taken when the snapshot was.
    pub tables_compared: u64,
    /// Rows in them.
    pub rows: u64,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
}

/// What retention decided, and what was deleted.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Forgotten {
    /// Whether nothing was deleted because only the plan was asked for.
    pub dry_run: bool,
    /// Each snapshot with its fate, newest first.
    pub decisions: Vec<Decided>,
    /// Remains of killed runs that were removed (or would be).
    pub orphans: Vec<String>,
}

/// A snapshot's fate.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Decided {
    /// The snapshot.
    pub id: SnapshotId,
    /// Whether it stays.
    pub kept: bool,
    /// Why it stays or goes.
    pub reasons: Vec<String>,
}

impl Outcome {
    /// All that was found, to decide how the command ends.
    #[must_use]
    pub fn findings(&self) -> Vec<&Finding> {
        match self {
            Self::Init(_) | Self::List(_) | Self::Show(_) | Self::Forget(_) => Vec::new(),
            Self::Backup(done) => done.findings.iter().collect(),
            Self::Verify(done) => done.snapshots.iter().flat_map(|snapshot| &snapshot.findings).collect(),
            Self::Restore(done) => done.findings.iter().collect(),
        }
    }

    /// The heaviest finding.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        let findings: Vec<Finding> = self.findings().into_iter().cloned().collect();
        worst(&findings)
    }
}
