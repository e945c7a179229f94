//! TOML and environment into one validated [`Config`]; database URLs of every driver.
//!
//! Invariant: every default of the configuration file stands here; a secret prints as `***`, in errors too.
//! Absent: reading the environment and files: both come as arguments.

mod env_file;
mod error;
mod expand;
mod keys;
mod read;
mod secret;
mod section;
mod url;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use crate::model::frame::Compression;
use crate::model::manifest::CheckDepth;
use crate::model::names::DatabaseName;
use crate::model::retention::Policy;

pub use env_file::parse as parse_env_file;
pub use error::ConfigError;
pub use secret::Secret;
pub use url::{DatabaseUrl, PostgresHost, PostgresUrl};

/// The repository's folder where none is configured.
pub const DEFAULT_REPOSITORY: &str = "backups";

/// All that a configuration file says, validated and with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The repository's folder.
    pub repository: PathBuf,
    /// Where copies may be put aside; absent: the system's folder for such.
    pub temp_dir: Option<PathBuf>,
    /// Whose calendar retention follows.
    pub time_zone: Tz,
    /// Workers at once; absent: as many as the machine has cores.
    pub jobs: Option<NonZeroUsize>,
    /// The databases by the names that the file gives them.
    pub databases: BTreeMap<DatabaseName, DatabaseConfig>,
}

/// What is configured for one database.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseConfig {
    /// Where it is; absent: side files alone.
    pub url: Option<DatabaseUrl>,
    /// Side files of the same state.
    pub files: Vec<PathBuf>,
    /// How data files are compressed.
    pub compression: Compression,
    /// How thoroughly the source is checked at a backup.
    pub check: CheckDepth,
    /// Whether it is a state like any other that the database does not exist yet.
    pub absent_ok: bool,
    /// Whether restore refuses to replace it.
    pub protected: bool,
    /// Which snapshots `forget` keeps.
    pub retention: Policy,
}

impl Config {
    /// What holds without a configuration file, for the folder where dbops was started.
    #[must_use]
    pub fn without_file(folder: &Path) -> Self {
        Self {
            repository: folder.join(DEFAULT_REPOSITORY),
            temp_dir: None,
            time_zone: Tz::UTC,
            jobs: None,
            databases: BTreeMap::new(),
        }
    }

    /// Reads `text`, the content of a configuration file that lies in `folder`.
    ///
    /// `${NAME}` in a string is replaced by what `environment` knows, `$$` by `$`; paths are relative to `folder`.
    /// Errors name the line and the key, and never a value that may be secret.
    pub fn parse(text: &str, environment: &dyn Fn(&str) -> Option<String>, folder: &Path) -> Result<Self, ConfigError> {
        read::config(text, environment, folder)
    }
}

impl DatabaseConfig {
    /// What holds for a database about which no configuration file says anything.
    #[must_use]
    pub fn unconfigured(url: Option<DatabaseUrl>, time_zone: Tz) -> Self {
        Self {
            url,
            files: Vec::new(),
            compression: Compression::default(),
            check: CheckDepth::default(),
            absent_ok: false,
            protected: false,
            retention: Policy::keep_everything(time_zone),
        }
    }
}

#[cfg(test)]
mod tests;
