//! SQLite's own checks of a database that nobody changes.

use std::path::Path;

use rusqlite::Connection;

use super::connect::{self, failure, is_damage};
use super::halt::Halt;
use crate::engine::EngineError;
use crate::model::event::Phase;
use crate::model::manifest::{CheckDepth, SourceCheck};
use crate::model::names::quoted;
use crate::model::watch::Watch;

/// Messages kept of a damaged database: enough to see its kind, bounded for the manifest.
pub(super) const DAMAGE_MAX: usize = 100;

/// Kibibytes of page cache: the check visits most pages once, indexes' rows at random.
const CACHE_KIB: u32 = 16_384;

/// Checks the file at `path` as thoroughly as `depth` says; damage is a result, not an error.
pub(super) fn check(
    path: &Path,
    depth: CheckDepth,
    phase: Phase,
    halt: &Halt,
    watch: &Watch,
) -> Result<SourceCheck, EngineError> {
    let mut found = SourceCheck { depth, ..SourceCheck::default() };
    let pragma = match depth {
        CheckDepth::Full => "integrity_check",
        CheckDepth::Quick => "quick_check",
        CheckDepth::None => return Ok(found),
    };
    watch.began(phase, None);
    let mut connection = connect::still(path)?;
    let heeded = halt.clone();
    connect::heed(&mut connection, move || heeded.is_set()).map_err(|error| failure("check", path, error))?;
    found.damage = told_damage(path, damage(&connection, pragma))?;
    if found.damage.is_empty() {
        found.foreign_key_violations = violations(&connection, watch).map_err(|error| failure("check", path, error))?;
    }
    watch.ended(phase);
    Ok(found)
}

fn damage(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    connection.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))?;
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({DAMAGE_MAX})"))?;
    let messages = statement.query_map([], |row| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned()));
    let messages = messages?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(messages.into_iter().filter(|message| message != "ok").take(DAMAGE_MAX).collect())
}

/// Damage so bad that the check itself can't run is damage too.
fn told_damage(path: &Path, found: rusqlite::Result<Vec<String>>) -> Result<Vec<String>, EngineError> {
    match found {
        Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
        other => other.map_err(|error| failure("check", path, error)),
    }
}

/// Rows whose parent is missing, over all tables.
fn violations(connection: &Connection, watch: &Watch) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
    let tables = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut violations = 0;
    for table in tables {
        match violations_of(connection, &table) {
            Ok(found) => violations += found,
            // A key whose parent lacks a unique index, a collation that only the application knows.
            Err(error) if is_sql_error(&error) => {
                watch.warn(format!("foreign keys of table {table} can't be checked: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(violations)
}

fn violations_of(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare(&format!("PRAGMA foreign_key_check({})", quoted(table)))?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Whether SQLite refused the statement itself, rather than the database or the machine.
pub(super) fn is_sql_error(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqlInputError { .. } => true,
        other => other.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown),
    }
}
