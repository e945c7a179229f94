//! Database URLs in every form that drivers and people write.
//!
//! No error here repeats the text: it may hold a password.

mod percent;
mod postgres;
mod sqlite;

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::ConfigError;
use crate::model::names::DatabaseName;

pub use postgres::{PostgresHost, PostgresUrl};

/// Where a database is. Prints without password and parameters.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(PostgresUrl),
}

impl DatabaseUrl {
    /// Reads a URL, a key=value connection string or a path; a relative path is relative to `folder`.
    ///
    /// PostgreSQL: `postgres://`, `postgresql://`, with `+psycopg`, `+psycopg2` or `+asyncpg` too, and libpq's
    /// `host=… dbname=…`. SQLite: `sqlite:///rel`, `sqlite:////abs` (with `+aiosqlite` or `+pysqlite` too),
    /// `sqlite:path`, `file:` URIs, plain paths. A database in memory is refused.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
            return Self::with_scheme(&scheme.to_ascii_lowercase(), rest, folder);
        }
        if postgres::is_key_value(text) {
            return postgres::key_value(text).map(Self::Postgres);
        }
        sqlite::without_authority(text).map(|path| Self::Sqlite(folder.join(path)))
    }

    fn with_scheme(scheme: &str, rest: &str, folder: &Path) -> Result<Self, ConfigError> {
        let sqlite = |path: PathBuf| Self::Sqlite(folder.join(path));
        match scheme.split_once('+').unwrap_or((scheme, "")) {
            ("postgres" | "postgresql", "" | "psycopg" | "psycopg2" | "asyncpg") => {
                postgres::uri(rest).map(Self::Postgres)
            }
            ("sqlite", "" | "aiosqlite" | "pysqlite") => sqlite::url(rest).map(sqlite),
            ("file", "") => sqlite::file_uri(&format!("//{rest}")).map(sqlite),
            ("postgres" | "postgresql" | "sqlite", driver) => Err(invalid(format!("unknown driver {driver}"))),
            (other, _) => Err(invalid(format!("{other} is neither PostgreSQL nor SQLite"))),
        }
    }

    /// The name for its snapshots where none is configured: the file's name without its ending, the database's
    /// name, or else its user's, as PostgreSQL itself chooses.
    pub fn default_name(&self) -> Result<DatabaseName, ConfigError> {
        let name = match self {
            Self::Sqlite(path) => path.file_stem().and_then(|stem| stem.to_str()),
            Self::Postgres(url) => url.database.as_deref().or(url.user.as_deref()),
        };
        let name = name.ok_or_else(|| invalid("it names no database"))?;
        DatabaseName::escape(name).map_err(|error| invalid(error.to_string()))
    }
}

fn invalid(why: impl Into<String>) -> ConfigError {
    ConfigError::Url(why.into())
}

fn is_scheme(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    starts && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests;
