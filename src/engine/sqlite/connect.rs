//! Connections: how each kind is opened, how long one waits for a lock, what SQLite's errors mean to a person.
//!
//! Invariant: a live database is only ever opened through SQLite, never as a plain file: closing such a handle would
//! drop the POSIX locks that this process holds on it.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::ffi;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use super::who;
use crate::engine::EngineError;
use crate::model::cancel::Cancel;

/// How long a dump waits for a writer to let readers in. Writers hold the lock for a commit, which takes
/// milliseconds; a bulk load or VACUUM in rollback mode takes seconds. Beyond that somebody should look.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two tries. SQLite's locks have no queue, and a writer at full speed lets go of its own for some
/// microseconds only: who sleeps for milliseconds, as SQLite's own waiting does, was seen to starve for a minute.
const RETRY_PAUSE: Duration = Duration::from_micros(100);

/// Tries that SQLite itself makes before [`patiently`] looks whether to go on. Within them it keeps what it has got:
/// who waits for an exclusive lock keeps new readers out meanwhile, and would let them in by beginning again.
const INSIST_TRIES: i32 = 200;

/// Virtual machine steps between two looks at the wish to stop: some milliseconds.
const STEPS_PER_LOOK: i32 = 50_000;

/// A connection to a database that others use. Read and write, since rolling back a hot journal and reading a
/// write-ahead log both write; falls back to read-only where the file's mode asks for it.
pub(super) fn live(path: &Path) -> Result<Connection, EngineError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// The same for who only reads: leaves the write-ahead log as it was found. Otherwise the last to close would move
/// the log into the database, a write that nobody asked for; but where there is none, it removes the one it made.
pub(super) fn reader(path: &Path) -> Result<Connection, EngineError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let keeps_log = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
    let connection = live(path)?;
    let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_log);
    kept.map_err(|error| failure("open", path, error))?;
    Ok(connection)
}

/// A connection to a file of ours that nobody changes any more: no locks, no journal, no log.
pub(super) fn still(path: &Path) -> Result<Connection, EngineError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(immutable_uri(path), flags);
    connection.map_err(|error| failure("open", path, error))
}

/// A connection to a new file that is worth nothing until it is whole: no journal, no waiting for the disk.
pub(super) fn scrap(path: &Path) -> Result<Connection, EngineError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    let settings = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE";
    connection.execute_batch(settings).map_err(|error| failure("write", path, error))?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, EngineError> {
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| failure("open", path, error))?;
    let insist = |tries| {
        std::thread::sleep(RETRY_PAUSE);
        tries < INSIST_TRIES
    };
    connection.busy_handler(Some(insist)).map_err(|error| failure("open", path, error))?;
    Ok(connection)
}

/// `immutable=1` as <https://sqlite.org/uri.html> describes it; every byte that could mean something is escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            _ => _ = write!(uri, "%{byte:02x}"),
        }
    }
    uri + "?mode=ro&immutable=1"
}

/// Makes every statement of `connection` stop soon after `stopped` says so.
pub(super) fn heed(
    connection: &mut Connection,
    stopped: impl FnMut() -> bool + Send + 'static,
) -> rusqlite::Result<()> {
    connection.progress_handler(STEPS_PER_LOOK, Some(stopped))
}

/// Tries `deed` until nobody is in its way, `patience` ends or the user wants to stop.
pub(super) fn patiently<T>(
    path: &Path,
    patience: Duration,
    cancel: &Cancel,
    mut deed: impl FnMut() -> rusqlite::Result<T>,
) -> Result<T, EngineError> {
    let begun = Instant::now();
    loop {
        cancel.check()?;
        match deed() {
            Err(error) if is_busy(&error) && begun.elapsed() < patience => {
                std::thread::sleep(RETRY_PAUSE);
            }
            other => return other.map_err(|error| failure("open", path, error)),
        }
    }
}

/// Whether somebody else is in the way, for now.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether SQLite found the database's structure damaged.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt))
}

/// The error to raise when SQLite could not `deed` the database at `path`.
pub(super) fn failure(deed: &'static str, path: &Path, error: Error) -> EngineError {
    let subject = path.display().to_string();
    let why = told(&error);
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => EngineError::Interrupted(crate::model::cancel::Interrupted),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => busy(path),
        Some(ErrorCode::DatabaseCorrupt) => EngineError::Damaged { subject, damage: vec![why] },
        Some(ErrorCode::DiskFull) => EngineError::Disk { deed, subject, source: rustix::io::Errno::NOSPC.into() },
        Some(ErrorCode::SystemIoFailure) => EngineError::Disk { deed, subject, source: std::io::Error::other(error) },
        _ => EngineError::Refused { deed, subject, hint: hint(path, &error), why },
    }
}

/// That `path` is held by others, and by whom.
pub(super) fn busy(path: &Path) -> EngineError {
    EngineError::Busy { subject: path.display().to_string(), who: who::describe(path) }
}

fn told(error: &Error) -> String {
    match error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

fn hint(path: &Path, error: &Error) -> Option<String> {
    let hint = match (error.sqlite_error_code()?, error.sqlite_extended_error_code()?) {
        (ErrorCode::NotADatabase, _) => {
            "it is another kind of file, or an encrypted database: only plain SQLite \
            databases can be read"
        }
        (_, ffi::SQLITE_READONLY_ROLLBACK) => {
            "a writer was stopped in mid-transaction, and its journal must be \
            rolled back before the database can be read: make file and folder writable, or open it once as their owner"
        }
        (_, ffi::SQLITE_READONLY_RECOVERY | ffi::SQLITE_READONLY_CANTINIT | ffi::SQLITE_READONLY_DIRECTORY) => {
            "reading a database in WAL mode needs write permission for its folder (the -shm file lies there)"
        }
        (ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly, _) => access_hint(path),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn access_hint(path: &Path) -> &'static str {
    if rustix::fs::access(path, rustix::fs::Access::READ_OK).is_err() {
        "this user may not read the file"
    } else {
        "file and folder must be writable for this user while the database is in WAL mode or has a journal to be \
            rolled back"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_hide_what_could_mean_something() {
        assert_eq!(immutable_uri(Path::new("/a b/?#%é.db")), "file:/a%20b/%3f%23%25%c3%a9.db?mode=ro&immutable=1");
    }
}
