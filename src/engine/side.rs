//! Side files: files that belong to the same state as a database, or a state of their own.
//!
//! Invariant: what is stored was read twice alike, and what is put in place is what was stored.
//! A restore is prepared whole before anything is put in place, so that several files, and a database with
//! them, are put in place together or not at all.
//! Absent: which files belong to a database.

mod folder;
mod restore;
mod still;
mod store;

use std::path::{Path, PathBuf};

use super::EngineError;
use super::place::file_identity;
use crate::blocking::blocking;
use crate::model::frame::Compression;
use crate::model::identity::Identity;
use crate::model::names::FileName;

pub use restore::{Existing, Prepared, Restored, prepare, restore};
pub use store::store;

/// How to store one side file.
#[derive(Debug, Clone)]
pub struct SidePlan {
    /// Where a restore puts it, relative to the folder of the restored database.
    pub restore_as: FileName,
    /// The stored file's name in the snapshot.
    pub stored_as: FileName,
    /// What its content must be.
    pub content: SideContent,
    /// How it is compressed.
    pub compression: Compression,
    /// Where it is copied to while it is proven to hold still; its size must fit there.
    pub temp_dir: PathBuf,
}

/// What the content of a side file must be to count as whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideContent {
    /// One JSON document (a byte order mark before it is let pass).
    Json,
    /// Anything.
    Any,
}

impl SideContent {
    /// What a file of this name promises: `.json`, in any case, is JSON.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Any }
    }
}

impl SidePlan {
    /// The plan for the side file `path` of a database in `database_folder`, named as the format wants it:
    /// `files/<restore_as>.<zst or gz>`.
    pub fn new(
        path: &Path,
        database_folder: &Path,
        compression: Compression,
        temp_dir: &Path,
    ) -> Result<Self, EngineError> {
        let restore_as = restore_name(path, database_folder)?;
        let stored_as = format!("files/{restore_as}.{}", compression.extension());
        let stored_as = stored_as.parse().map_err(|error| side_file(path, format!("{error}")))?;
        let content = SideContent::of(path);
        Ok(Self { restore_as, stored_as, content, compression, temp_dir: temp_dir.to_owned() })
    }
}

/// Where a restore puts the side file `path`: its path inside the database's folder, else its base name.
///
/// Both paths are compared as they are written; give both absolute, or both relative to the same folder.
pub fn restore_name(path: &Path, database_folder: &Path) -> Result<FileName, EngineError> {
    let inside = path.strip_prefix(database_folder).ok().and_then(parsed);
    let base = || path.file_name().map(Path::new).and_then(parsed);
    inside.or_else(base).ok_or_else(|| side_file(path, "its name can't be stored: not UTF-8, too long, or none"))
}

/// What a state of the side file `path` alone would be taken from.
pub async fn identify(path: &Path, host: &str) -> Result<Identity, EngineError> {
    let (its_path, host) = (path.to_owned(), host.to_owned());
    let identity = blocking(move || file_identity(&its_path, &host)).await;
    identity.map(Identity::Files).map_err(|error| side_file(path, error.to_string()))
}

fn parsed(path: &Path) -> Option<FileName> {
    path.to_str()?.parse().ok()
}

fn side_file(path: &Path, why: impl Into<String>) -> EngineError {
    EngineError::SideFile { subject: path.display().to_string(), why: why.into() }
}

#[cfg(test)]
mod tests;
