//! Why the repository could not do what it was asked.

use chrono::{DateTime, Utc};

use crate::codec::CodecError;
use crate::model::cancel::Interrupted;
use crate::model::names::{DatabaseName, SnapshotId};

/// What a store or a file system said.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why the repository could not do what it was asked. Damage that a check found is a finding, not an error.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// Nothing at that place is a repository.
    #[error("there is no repository at {place}")]
    NoRepository {
        /// Where it was looked for.
        place: String,
    },
    /// The repository has no such snapshot.
    #[error("there is no snapshot {snapshot} in the repository")]
    NoSnapshot {
        /// The snapshot asked for.
        snapshot: SnapshotId,
    },
    /// A repository is there already.
    #[error("there is a repository at {place} already")]
    AlreadyExists {
        /// Where it is.
        place: String,
    },
    /// Written by a newer dbops in a format that this one does not know.
    #[error("{subject} has format {found}, newer than this dbops can read")]
    NewerFormat {
        /// The repository or the snapshot.
        subject: String,
        /// Its format version.
        found: u64,
    },
    /// Another run works on this database.
    #[error("{database} is locked: {operation} by {holder} since {since}, which expires {expires} unless renewed")]
    Locked {
        /// The database whose lease was asked for.
        database: DatabaseName,
        /// Who holds the lease.
        holder: String,
        /// What for.
        operation: String,
        /// Since when.
        since: DateTime<Utc>,
        /// When it expires unless renewed.
        expires: DateTime<Utc>,
    },
    /// Somebody reads the snapshot that was to be forgotten.
    #[error("{snapshot} is being read by {who}")]
    Pinned {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Who reads it.
        who: String,
    },
    /// This run's lease went to another run, or expired before it could be renewed.
    #[error("the lease of {database} was lost: {why}")]
    LostLease {
        /// The database.
        database: DatabaseName,
        /// How it was lost.
        why: String,
    },
    /// Another run took this one for dead and cleared away what it had stored.
    #[error("{snapshot} was cleared away by another run before it was finished")]
    Forgotten {
        /// The snapshot that was being written.
        snapshot: SnapshotId,
    },
    /// The snapshot is being deleted at this moment.
    #[error("{snapshot} is being forgotten at this moment")]
    BeingForgotten {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Stored bytes are not what was stored.
    #[error("{subject} is damaged: {why}")]
    Corrupt {
        /// What is damaged.
        subject: String,
        /// How that shows.
        why: String,
    },
    /// Larger than anything dbops writes; it was not read.
    #[error("{subject} has {bytes} bytes, more than the {limit} that dbops reads")]
    TooLarge {
        /// What is too large.
        subject: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A symbolic link or special file where only plain files and folders may be.
    #[error("{path} is neither a plain file nor a folder: nothing in a repository may lead out of it")]
    Unsafe {
        /// Where it stands.
        path: String,
    },
    /// A file that can't be part of a snapshot.
    #[error("could not store {name} in the snapshot: {why}")]
    NotStorable {
        /// The name asked for.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// The disk or the object store failed.
    #[error("could not {deed} {subject}")]
    Storage {
        /// What was tried.
        deed: &'static str,
        /// On what.
        subject: String,
        /// Why it failed.
        #[source]
        source: Cause,
    },
    /// The store failed at the commit point, and then would not tell whether it stands.
    #[error("could not find out whether {snapshot} was committed; `dbops list` will tell")]
    CommitUnknown {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why it could not be found out.
        #[source]
        source: Cause,
    },
    /// A stored frame is not what the manifest says.
    #[error("could not read {subject}")]
    Codec {
        /// The file and frame.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl RepoError {
    pub(super) fn storage(deed: &'static str, subject: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Storage { deed, subject: subject.into(), source: source.into() }
    }

    pub(super) fn corrupt(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { subject: subject.into(), why: why.into() }
    }
}

/// The first I/O error among `error` and its causes.
pub(super) fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a std::io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}
