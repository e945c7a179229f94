//! Page by page copies through SQLite's backup API.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::connect::{self, failure, patiently};
use super::temp;
use crate::engine::{EngineError, IfDamaged};
use crate::model::event::Phase;
use crate::model::watch::Watch;

/// Bytes copied between two looks at the wish to stop; a fraction of a second even on a slow disk.
const STEP_BYTES: u64 = 16 << 20;

/// What is known about a copy.
#[derive(Debug, Clone)]
pub(super) struct Copied {
    /// The instant of the view.
    pub taken_at: DateTime<Utc>,
    /// Bytes of the copy.
    pub bytes: u64,
    /// The source's journal mode.
    pub journal_mode: String,
}

/// Copies the state that `source` has now to the new file `copy`, whatever writers do meanwhile.
///
/// A read transaction pins the state: a snapshot in WAL mode, where writers go on; a shared lock in the rollback
/// modes, where they wait for the copy only. The backup never begins again, as nothing changes under it.
pub(super) fn take(source: &Path, copy: &Path, damaged: IfDamaged, watch: &Watch) -> Result<Copied, EngineError> {
    let connection = connect::reader(source)?;
    let failed = |error| failure("read", source, error);
    if damaged == IfDamaged::Keep {
        lenient(&connection).map_err(failed)?;
    }
    patiently(source, connect::READ_PATIENCE, &watch.cancel, || pin(&connection))?;
    let taken_at = watch.clock.now();
    let (pages, page_bytes) = size(&connection).map_err(failed)?;
    let bytes = pages * page_bytes;
    temp::require_room(temp::folder_of(copy), bytes)?;
    let journal_mode = text(&connection, "PRAGMA journal_mode").map_err(failed)?;
    watch.began(Phase::Copy, Some(bytes));
    copy_pages(&connection, &mut connect::scrap(copy)?, copy, Phase::Copy, watch)?;
    connection.execute_batch("COMMIT").map_err(failed)?;
    drop(connection);
    thaw(copy).map_err(temp::disk("write", copy))?;
    watch.ended(Phase::Copy);
    Ok(Copied { taken_at, bytes, journal_mode })
}

/// Begins a read transaction that holds one state; leaves none behind when it fails.
pub(super) fn pin(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN")?;
    let pinned = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    if pinned.is_err() {
        _ = connection.execute_batch("ROLLBACK");
    }
    pinned
}

/// Lets SQLite open a file that is shorter than its header says (lockBtree looks at this setting).
pub(super) fn lenient(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA writable_schema = ON")
}

/// Pages, and bytes of one.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map(u64::from);
    Ok((number("PRAGMA page_count")?, number("PRAGMA page_size")?))
}

/// The only value of a statement's only row, as text.
pub(super) fn text(connection: &Connection, sql: &str) -> rusqlite::Result<String> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// Copies all pages of `from` into `into`, which lies at `path`, as one transaction of `into`.
pub(super) fn copy_pages(
    from: &Connection,
    into: &mut Connection,
    path: &Path,
    phase: Phase,
    watch: &Watch,
) -> Result<(), EngineError> {
    let page_bytes = size(from).map_err(|error| failure("read", path, error))?.1;
    let backup = Backup::new(from, into).map_err(|error| failure("write", path, error))?;
    finish(&backup, page_bytes, path, phase, watch)
}

/// Takes the remaining steps of a backup into `path`.
pub(super) fn finish(
    backup: &Backup<'_, '_>,
    page_bytes: u64,
    path: &Path,
    phase: Phase,
    watch: &Watch,
) -> Result<(), EngineError> {
    let step = i32::try_from((STEP_BYTES / page_bytes.max(512)).max(1)).unwrap_or(i32::MAX);
    let mut left = None;
    let begun = Instant::now();
    loop {
        let result = backup.step(step).map_err(|error| failure("write", path, error))?;
        let remaining = u64::try_from(backup.progress().remaining).unwrap_or(0);
        let pages = u64::try_from(backup.progress().pagecount).unwrap_or(0);
        let went = left.unwrap_or(pages).saturating_sub(remaining);
        left = Some(remaining);
        watch.advanced(phase, went * page_bytes, 0)?;
        match result {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Only a commit into a rollback-mode database that readers still hold gets here.
            _ if begun.elapsed() < connect::READ_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            _ => return Err(connect::busy(path)),
        }
    }
}

/// Byte of the header that says how the file may be written, and the next one, how it may be read
/// (<https://sqlite.org/fileformat2.html>, "file format version numbers").
const WRITE_VERSION_AT: u64 = 18;

/// Undoes a freeze in a copy: a write version above what SQLite writes makes a database read-only.
fn thaw(copy: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(copy)?;
    let mut versions = [0; 2];
    file.read_exact_at(&mut versions, WRITE_VERSION_AT)?;
    if versions[0] > 2 {
        file.write_all_at(&[versions[1]], WRITE_VERSION_AT)?;
    }
    Ok(())
}

/// Makes a file that nobody has open one of the rollback journal modes.
pub(super) fn leave_wal_mode(copy: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(copy)?.write_all_at(&[1, 1], WRITE_VERSION_AT)
}
