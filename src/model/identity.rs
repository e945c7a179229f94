//! What a state was taken from, so that `staging/exam` and `prod/exam` are never mistaken for one another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The source of a state, told apart from every other of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Identity {
    /// A database of a PostgreSQL server.
    Postgres {
        /// `pg_control_system().system_identifier`: made by initdb, kept by replicas.
        system_identifier: u64,
        /// `pg_database.oid`; a swap changes it.
        database_oid: u32,
        /// The database's name.
        database: String,
        /// The host as given.
        host: String,
    },
    /// An SQLite file.
    Sqlite(FileIdentity),
    /// Side files alone, without a database; the identity is the first one's.
    Files(FileIdentity),
}

/// A file, by where it is and by what the file system calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileIdentity {
    /// The host's name.
    pub host: String,
    /// The absolute path, symbolic links resolved.
    pub path: String,
    /// `<file system id>:<inode>`; survives a change of the host's name; absent while the file does not exist.
    pub file_id: Option<String>,
}

impl Identity {
    /// Whether both name the same source.
    ///
    /// Files: the same path on the same host, or the same file of the same file system.
    /// PostgreSQL: the same database of the same cluster.
    #[must_use]
    pub fn is_same_source(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(a), Self::Sqlite(b)) | (Self::Files(a), Self::Files(b)) => a.is_same_file(b),
            (
                Self::Postgres { system_identifier: a, database_oid: x, .. },
                Self::Postgres { system_identifier: b, database_oid: y, .. },
            ) => a == b && x == y,
            (Self::Postgres { .. } | Self::Sqlite(_) | Self::Files(_), _) => false,
        }
    }
}

impl FileIdentity {
    fn is_same_file(&self, other: &Self) -> bool {
        let same_place = self.host == other.host && self.path == other.path;
        same_place || (self.file_id.is_some() && self.file_id == other.file_id)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres { database, host, .. } => write!(f, "database {database} on {host}"),
            Self::Sqlite(file) | Self::Files(file) => write!(f, "{} on {}", file.path, file.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(host: &str, path: &str, file_id: Option<&str>) -> Identity {
        Identity::Sqlite(FileIdentity { host: host.into(), path: path.into(), file_id: file_id.map(Into::into) })
    }

    #[test]
    fn a_file_is_known_by_place_or_by_id() {
        let known = file("web1", "/srv/a.db", Some("8:42"));
        assert!(known.is_same_source(&file("web1", "/srv/a.db", Some("8:43"))));
        assert!(known.is_same_source(&file("web2", "/data/a.db", Some("8:42"))));
        assert!(!known.is_same_source(&file("web2", "/srv/a.db", Some("8:43"))));
        assert!(!file("a", "/x", None).is_same_source(&file("b", "/x", None)));
    }

    #[test]
    fn a_postgres_database_is_known_by_cluster_and_oid() {
        let database = |system_identifier, database_oid, host: &str| Identity::Postgres {
            system_identifier,
            database_oid,
            database: "exam".into(),
            host: host.into(),
        };
        assert!(database(7, 5, "db").is_same_source(&database(7, 5, "10.0.0.1")));
        assert!(!database(7, 5, "db").is_same_source(&database(8, 5, "db")));
        assert!(!database(7, 5, "db").is_same_source(&database(7, 6, "db")));
        assert!(!database(7, 5, "db").is_same_source(&file("db", "/x", None)));
    }
}
