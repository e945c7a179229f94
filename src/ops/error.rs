//! Why an operation could not be done.

use crate::engine::EngineError;
use crate::model::cancel::Interrupted;
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::report::Finding;
use crate::repo::RepoError;

/// Why an operation could not be done.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// The repository said no.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The database said no.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nothing matches what was asked for.
    #[error("no snapshot matches {asked:?} in {place}")]
    NoMatch {
        /// What was asked for.
        asked: String,
        /// Where it was looked for.
        place: String,
    },
    /// More than one snapshot matches.
    #[error("{asked:?} matches {} snapshots: {}", .matches.len(), first_of(.matches))]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// What matches.
        matches: Vec<SnapshotId>,
    },
    /// The repository holds several databases and none was named.
    #[error("{asked:?} of which database? the repository holds {}", join(.databases))]
    WhichDatabase {
        /// What was asked for.
        asked: String,
        /// The databases.
        databases: Vec<DatabaseName>,
    },
    /// The folder of this name belongs to another source.
    #[error("the folder {database} holds snapshots of another source: {theirs}; this is {ours}")]
    ForeignFolder {
        /// The folder.
        database: DatabaseName,
        /// What its newest snapshot was taken from.
        theirs: String,
        /// What was to be dumped.
        ours: String,
    },
    /// The newest snapshot was taken from another source.
    #[error("{id} was taken from another source: {theirs}; this is {ours}")]
    OtherSource {
        /// The snapshot.
        id: SnapshotId,
        /// What it was taken from.
        theirs: String,
        /// The source that was asked for.
        ours: String,
    },
    /// What was stored did not read back as it was written; nothing was committed.
    #[error("what was stored does not read back as it was written; no snapshot was made")]
    ReadBack {
        /// What differs.
        findings: Vec<Finding>,
    },
    /// The snapshot may not be deleted.
    #[error("{id} is not forgotten: {why}")]
    MustStay {
        /// The snapshot.
        id: SnapshotId,
        /// Why it must stay.
        why: String,
    },
    /// A side file is the database itself, or one of the files that SQLite keeps beside it.
    #[error("side file {path} belongs to the database itself, which is stored as a whole")]
    SideFileIsDatabase {
        /// Its path.
        path: String,
    },
    /// The database was restored, its side files were not all put in place.
    #[error("the database was restored ({location}), but not all of its side files")]
    SideFilesLeft {
        /// Where the restored database is.
        location: String,
        /// What failed.
        #[source]
        source: EngineError,
    },
    /// What was asked for makes no sense together.
    #[error("{0}")]
    Usage(String),
    /// dbops broke a promise to itself.
    #[error("a bug in dbops: {0}")]
    Bug(&'static str),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What to do about an error, where something can be done.
pub trait Hint {
    /// One sentence or command.
    fn hint(&self) -> Option<String>;
}

impl Hint for OpsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Repo(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::NoMatch { .. } => Some("`dbops list` shows what there is".into()),
            Self::Ambiguous { .. } => Some("give more of the id".into()),
            Self::WhichDatabase { .. } => Some("name it with --name, or --db".into()),
            Self::ForeignFolder { .. } => {
                Some("give this one a name of its own with --name, or configure it in dbops.toml".into())
            }
            Self::OtherSource { id, .. } => Some(format!("--any-source takes it all the same, or name it: {id}")),
            Self::ReadBack { .. } => Some("check the repository's disk; earlier snapshots are as they were".into()),
            Self::SideFilesLeft { .. } => Some("restore again with --replace, or with --no-files".into()),
            Self::MustStay { .. }
            | Self::SideFileIsDatabase { .. }
            | Self::Usage(_)
            | Self::Bug(_)
            | Self::Interrupted(_) => None,
        }
    }
}

impl Hint for RepoError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoRepository { .. } => "`dbops init` makes one; --repository says where",
            Self::NoSnapshot { .. } => "`dbops list` shows what there is",
            Self::AlreadyExists { .. } => "use it as it is",
            Self::NewerFormat { .. } => "use the dbops that wrote it, or a newer one",
            Self::Locked { .. } => "wait for that run, or stop it; a killed one gives way by itself",
            Self::Pinned { .. } => "try again when that run is done",
            Self::Forgotten { .. } | Self::LostLease { .. } => "start again; nothing partial is listed",
            Self::Corrupt { .. } | Self::Codec { .. } => "`dbops verify --all` tells which snapshots are good",
            Self::TooLarge { .. } => "dbops never writes one that large: look who changed it",
            Self::Unsafe { .. } => "look who put it there; dbops makes none",
            Self::Storage { .. } => "check the repository's disk; committed snapshots are as they were",
            Self::CommitUnknown { .. } | Self::BeingForgotten { .. } => "`dbops list` tells what there is now",
            Self::NotStorable { .. } | Self::Interrupted(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl Hint for EngineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { hint, .. } | Self::Refused { hint, .. } | Self::TargetRefused { hint, .. } => {
                hint.clone()
            }
            Self::Busy { .. } => Some("stop it or wait, then try again".into()),
            Self::Damaged { .. } => {
                Some("nothing was stored, earlier snapshots stand; --keep-damaged stores it marked as damaged".into())
            }
            Self::Unequal { .. } => Some("`dbops verify` tells whether the stored bytes are good".into()),
            Self::NoRoom { .. } => Some("free some, or name another folder with --temp-dir".into()),
            Self::Disk { .. } => Some("check that folder and its disk".into()),
            Self::SideFile { .. } => Some("try again when nobody writes it".into()),
            Self::Codec(_) | Self::Outlet(_) | Self::Inlet(_) | Self::Interrupted(_) => None,
        }
    }
}

fn join(databases: &[DatabaseName]) -> String {
    databases.iter().map(DatabaseName::as_str).collect::<Vec<_>>().join(", ")
}

/// Names shown of many matches; the rest is counted in the message.
const MATCHES_SHOWN: usize = 5;

fn first_of(matches: &[SnapshotId]) -> String {
    let mut shown: Vec<String> = matches.iter().take(MATCHES_SHOWN).map(SnapshotId::to_string).collect();
    if matches.len() > MATCHES_SHOWN {
        shown.push("…".into());
    }
    shown.join(", ")
}
