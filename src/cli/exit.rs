//! Exit codes: documented, never renumbered; an unknown code is a failure.

use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::model::outcome::Outcome;
use crate::model::report::Severity;
use crate::ops::OpsError;
use crate::repo::RepoError;

use super::error::CliError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, warnings or not.
    Done = 0,
    /// A bug, or unclassified.
    Bug = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Done with warnings, under `--strict`.
    Warnings = 3,
    /// The configuration is invalid.
    Config = 9,
    /// No repository, or no such snapshot.
    NoRepository = 10,
    /// Locked or busy: another run, another writer.
    Busy = 11,
    /// Stored bytes are corrupt.
    Corrupt = 20,
    /// A check failed.
    CheckFailed = 22,
    /// Refused: target not empty, protected, another source.
    Refused = 24,
    /// The database can't be reached.
    Unreachable = 30,
    /// The database said no: rights, not a database, an SQL error.
    DatabaseRefused = 31,
    /// Storage failed: disk full, object store.
    Storage = 40,
    /// Interrupted.
    Interrupted = 130,
}

/// Every exit code that any version gives, with its meaning; never renumbered. The manual prints it.
pub(super) const TABLE: [(u8, &str); 18] = [
    (0, "done, warnings too"),
    (1, "a bug, or unclassified"),
    (2, "usage: the command line makes no sense"),
    (3, "done with warnings, under --strict"),
    (9, "the configuration or a URL is invalid, or asks for what this version does not support"),
    (10, "no repository, or no such snapshot"),
    (11, "locked or busy: another run, another writer"),
    (12, "wrong key (later versions)"),
    (20, "stored bytes are corrupt"),
    (21, "ledger: edited, missing, unfinished (later versions)"),
    (22, "a check failed: the source is damaged, what was restored differs, a side file does not hold still"),
    (23, "objective missed (later versions)"),
    (24, "refused: target not empty, protected, another source, not confirmed"),
    (25, "migrations pending (later versions)"),
    (30, "database unreachable"),
    (31, "database refused: rights, not a database, an SQL error"),
    (40, "storage failed: disk full, no rights, object store"),
    (130, "interrupted"),
];

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a command that gave an answer ends.
pub(super) fn of_outcome(outcome: &Outcome, strict: bool) -> Exit {
    match outcome.worst() {
        Some(Severity::Corrupt) => Exit::Corrupt,
        Some(Severity::Failure) => Exit::CheckFailed,
        Some(Severity::Warning) if strict => Exit::Warnings,
        Some(Severity::Warning) => Exit::Done,
        None => match outcome {
            Outcome::Verify(done) if !done.passed => Exit::CheckFailed,
            Outcome::List(done) if !done.unreadable.is_empty() => Exit::Corrupt,
            _ => Exit::Done,
        },
    }
}

/// How a command that failed ends.
pub(super) fn of_error(error: &CliError) -> Exit {
    match error {
        CliError::Ops(error) => of_ops(error),
        CliError::Config(error) | CliError::InConfig { source: error, .. } => of_config(error),
        CliError::Usage(_) | CliError::Arguments(_) => Exit::Usage,
        CliError::NotConfirmed { .. } | CliError::Declined { .. } | CliError::Protected { .. } => Exit::Refused,
        CliError::NoSuchPath { .. } | CliError::NoneOf { .. } => Exit::NoRepository,
        CliError::NoSnapshot { .. } => Exit::Usage,
        CliError::Interrupted(_) => Exit::Interrupted,
        CliError::Unsupported(_) => Exit::Config,
        CliError::ReadConfig { .. } => Exit::Config,
        CliError::Local { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => Exit::Refused,
        CliError::Local { .. } | CliError::Answer { .. } => Exit::Storage,
        CliError::DemoFailed { .. } => Exit::Bug,
    }
}

const fn of_config(_: &ConfigError) -> Exit {
    Exit::Config
}

fn of_ops(error: &OpsError) -> Exit {
    match error {
        OpsError::Repo(error) => of_repo(error),
        OpsError::Engine(error) => of_engine(error),
        OpsError::NoMatch { .. } => Exit::NoRepository,
        OpsError::Ambiguous { .. }
        | OpsError::WhichDatabase { .. }
        | OpsError::SideFileIsDatabase { .. }
        | OpsError::Usage(_) => Exit::Usage,
        OpsError::ForeignFolder { .. } | OpsError::OtherSource { .. } | OpsError::MustStay { .. } => Exit::Refused,
        OpsError::ReadBack { .. } => Exit::Corrupt,
        OpsError::SideFilesLeft { source, .. } => of_engine(source),
        OpsError::Bug(_) => Exit::Bug,
        OpsError::Interrupted(_) => Exit::Interrupted,
    }
}

fn of_repo(error: &RepoError) -> Exit {
    match error {
        RepoError::NoRepository { .. }
        | RepoError::NoSnapshot { .. }
        | RepoError::NewerFormat { .. }
        | RepoError::BeingForgotten { .. } => Exit::NoRepository,
        RepoError::Locked { .. }
        | RepoError::Pinned { .. }
        | RepoError::LostLease { .. }
        | RepoError::Forgotten { .. } => Exit::Busy,
        RepoError::Corrupt { .. } | RepoError::TooLarge { .. } | RepoError::Codec { .. } => Exit::Corrupt,
        RepoError::AlreadyExists { .. } | RepoError::Unsafe { .. } => Exit::Refused,
        RepoError::NotStorable { .. } => Exit::Usage,
        RepoError::Storage { .. } | RepoError::CommitUnknown { .. } => Exit::Storage,
        RepoError::Interrupted(_) => Exit::Interrupted,
    }
}

fn of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Unreachable { .. } => Exit::Unreachable,
        EngineError::Refused { .. } => Exit::DatabaseRefused,
        EngineError::Busy { .. } => Exit::Busy,
        EngineError::Damaged { .. } | EngineError::Unequal { .. } | EngineError::SideFile { .. } => Exit::CheckFailed,
        EngineError::TargetRefused { .. } => Exit::Refused,
        EngineError::Disk { .. } | EngineError::NoRoom { .. } => Exit::Storage,
        EngineError::Codec(_) | EngineError::Outlet(_) | EngineError::Inlet(_) => Exit::Bug,
        EngineError::Interrupted(_) => Exit::Interrupted,
    }
}
