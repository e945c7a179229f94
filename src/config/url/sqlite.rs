//! SQLite's forms: `sqlite:` URLs of SQLAlchemy and sqlx, `file:` URIs of SQLite itself, plain paths.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::invalid;
use super::percent::{decoded, pairs};
use crate::config::error::ConfigError;

/// What follows `sqlite://`: after one more slash a path, relative or absolute (SQLAlchemy);
/// without it a relative path (sqlx).
pub(super) fn url(rest: &str) -> Result<PathBuf, ConfigError> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix('/').unwrap_or(path);
    refuse_memory(query)?;
    if path.starts_with("file:") { without_authority(path) } else { on_disk(path) }
}

/// `sqlite:path`, `file:path`, or a plain path.
pub(super) fn without_authority(text: &str) -> Result<PathBuf, ConfigError> {
    if let Some(rest) = text.strip_prefix("file:") {
        return file_uri(rest);
    }
    let Some(rest) = text.strip_prefix("sqlite:") else { return on_disk(text) };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    refuse_memory(query)?;
    on_disk(path)
}

/// What follows `file:`, as SQLite reads it (<https://www.sqlite.org/uri.html>): an authority is empty or
/// `localhost`, query and fragment are no part of the path, `%XX` stands for a byte.
pub(super) fn file_uri(rest: &str) -> Result<PathBuf, ConfigError> {
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    refuse_memory(query)?;
    let path = match path.strip_prefix("//") {
        None => path,
        Some(with_authority) => {
            let at = with_authority.find('/').unwrap_or(with_authority.len());
            let (authority, path) = with_authority.split_at(at);
            if !matches!(authority, "" | "localhost") {
                return Err(invalid("a file: URI names a path on this host: file:/absolute or file:relative"));
            }
            path
        }
    };
    let bytes = decoded(path)?;
    if bytes.is_empty() || bytes == b":memory:" {
        return Err(in_memory());
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

fn on_disk(path: &str) -> Result<PathBuf, ConfigError> {
    if path.is_empty() || path == ":memory:" { Err(in_memory()) } else { Ok(PathBuf::from(path)) }
}

fn refuse_memory(query: &str) -> Result<(), ConfigError> {
    for pair in pairs(query) {
        let (name, value) = pair?;
        if (name == "mode" && value == "memory") || (name == "vfs" && value == "memdb") {
            return Err(in_memory());
        }
    }
    Ok(())
}

fn in_memory() -> ConfigError {
    invalid("it names no file; a database in memory can't be backed up")
}
