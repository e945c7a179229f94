//! The file that names every byte of a snapshot.
//!
//! Format version 1; `docs/format.md` is the specification. Additive: unknown fields are kept.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::digest::Digest;
use super::fingerprint::Fingerprint;
use super::frame::Compression;
use super::identity::Identity;
use super::names::{FileName, SnapshotId, TableName};

/// The newest format version that this build reads, and the one that it writes.
pub const FORMAT: u32 = 1;

/// A snapshot's manifest. The frames stand in `frames.jsonl` beside it, which `files` names too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the repository format.
    pub format: u32,
    /// The snapshot's id; equal to its folder's name.
    pub id: SnapshotId,
    /// What was dumped.
    #[serde(flatten)]
    pub state: State,
    /// When the last byte of it was stored.
    pub finished_at: DateTime<Utc>,
    /// Version of dbops that wrote it.
    pub dbops_version: String,
    /// The release that it was taken for; its content is the state before that release.
    pub release: Option<String>,
    /// Free text of who took it.
    pub note: Option<String>,
    /// How data files are compressed.
    pub compression: Compression,
    /// Every stored file except `manifest.json` and `SHA256SUMS`, sorted by name.
    pub files: Vec<FileRecord>,
    /// Fields of newer minor versions, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The part of a manifest that an engine knows: the state itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What it was taken from.
    pub source: Identity,
    /// Version of the server or library that read it, e.g. `SQLite 3.50.4`.
    pub engine_version: String,
    /// What kind of state this is.
    pub content: Content,
    /// The instant of the view.
    pub taken_at: DateTime<Utc>,
    /// Every table, sorted by name.
    pub tables: Vec<TableRecord>,
    /// The ledger of migrations as it stood; absent where the database has none.
    pub ledger: Option<Value>,
    /// Side files of the same state.
    pub side_files: Vec<SideFile>,
    /// What a target must offer for a restore.
    pub contract: Contract,
    /// What the checks of the source found.
    pub source_check: SourceCheck,
}

/// What kind of state a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Content {
    /// A database.
    Database,
    /// The database did not exist yet; going back to this state means that it does not exist.
    AbsentDatabase,
    /// No database was asked for: side files only.
    FilesOnly,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path in the snapshot's folder.
    pub name: FileName,
    /// What it is for.
    pub role: FileRole,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Bytes after decompression; equal to `stored_bytes` where the file is not compressed.
    pub plain_bytes: u64,
    /// SHA-256 of the stored bytes, as in SHA256SUMS.
    pub digest: Digest,
    /// How many frames it has in `frames.jsonl`; 0 for files that are stored as they are.
    pub frames: u64,
}

/// What a stored file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// Framed data of the database.
    Data,
    /// A framed side file.
    Side,
    /// The list of frames: `frames.jsonl`.
    Frames,
    /// Stored as it is: an archive's table of contents, globals.
    Plain,
}

/// A table of the dumped database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TableRecord {
    /// Schema and name.
    #[serde(flatten)]
    pub table: TableName,
    /// Columns in the order that the fingerprint reads them.
    pub columns: Vec<String>,
    /// Rows, and what they add up to.
    #[serde(flatten)]
    pub fingerprint: Fingerprint,
    /// Bytes of its rows in the dump; absent where the engine does not store by table (SQLite).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_bytes: Option<u64>,
    /// The file that holds its rows; absent where the engine does not store by table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileName>,
}

/// A side file, read at its own instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SideFile {
    /// Where it was, absolute.
    pub source_path: String,
    /// Where a restore puts it, relative to the folder of the restored database.
    pub restore_as: FileName,
    /// The stored file; absent where the side file did not exist.
    pub file: Option<FileName>,
    /// Its size.
    pub plain_bytes: u64,
    /// SHA-256 of its content; absent where the side file did not exist.
    pub plain_digest: Option<Digest>,
    /// Permission bits, e.g. 0o644.
    pub mode: Option<u32>,
    /// When the file was last written, by its file system.
    pub modified_at: Option<DateTime<Utc>>,
    /// The instant at which it was read.
    pub taken_at: DateTime<Utc>,
    /// Milliseconds from the instant of the database's view to that instant; negative when read before.
    pub gap_ms: i64,
}

/// The restorability contract: what a target must offer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Contract {
    /// Oldest version of the server or library that can read it.
    pub minimum_version: String,
    /// The database's text encoding.
    pub encoding: String,
    /// Bytes that the restored database takes.
    pub plain_bytes: u64,
    /// Extensions or loadable modules that it uses, with versions where known.
    pub extensions: Vec<String>,
    /// Engine-specific further demands (roles, locale, collation versions, tablespaces, page size).
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// What the checks of the source found when the snapshot was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceCheck {
    /// How thoroughly the source was checked.
    pub depth: CheckDepth,
    /// Damage that the engine's own check reported; a snapshot with any is never counted as good.
    pub damage: Vec<String>,
    /// Rows that break a foreign key: the application's matter, recorded and compared after a restore.
    pub foreign_key_violations: u64,
}

/// How thoroughly a source is checked before its copy is called good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum CheckDepth {
    /// Everything: SQLite's integrity_check and foreign_key_check.
    #[default]
    Full,
    /// Without comparing indexes with their tables: SQLite's quick_check and foreign_key_check.
    Quick,
    /// Nothing was checked; said as a warning wherever the snapshot is shown.
    None,
}

impl SourceCheck {
    /// Whether the source itself was damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }
}

impl State {
    /// Rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.fingerprint.rows).sum()
    }
}

impl Manifest {
    /// Bytes of all stored files that it names.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.stored_bytes).sum()
    }
}
