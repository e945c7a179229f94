//! What a repository in a folder needs beyond the object store: links refused, leftovers removed, durable deletes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::error::RepoError;

/// A folder that holds a repository. The folder itself may be a symbolic link; nothing below it may.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Makes the folder, for its owner only.
    pub(super) fn make(&self) -> io::Result<()> {
        if self.root.is_dir() {
            return Ok(());
        }
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&self.root)?;
        match fs::canonicalize(&self.root)?.parent() {
            Some(parent) => fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Proves that the way to `key` has no symbolic links and no special files; what is absent is fine.
    pub(super) fn check_way(&self, key: &str) -> Result<(), RepoError> {
        let mut path = self.root.clone();
        for part in key.split('/').filter(|part| !part.is_empty()) {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(metadata) => check_kind(&path, &metadata)?,
                Err(error) if absent(&error) => return Ok(()),
                Err(error) => return Err(RepoError::storage("look at", path.display().to_string(), error)),
            }
        }
        Ok(())
    }

    /// Proves the same for everything below `key` too.
    pub(super) fn check_tree(&self, key: &str) -> Result<(), RepoError> {
        self.check_way(key)?;
        walk(&self.path(key), &mut |path, metadata| check_kind(path, metadata))
    }

    /// Removes half-written files that object_store left (`name#1`) and, from the inside out, folders that are
    /// empty, of those that are `due`. `key` itself goes too when it is empty. Best effort.
    pub(super) fn tidy(&self, key: &str, due: Leftovers) -> Result<(), RepoError> {
        self.check_tree(key)?;
        let mut folders = vec![self.path(key)];
        walk(&self.path(key), &mut |path, metadata| {
            if metadata.is_dir() {
                folders.push(path.to_path_buf());
            } else if is_staging(path) && due.includes(metadata) {
                let _ = fs::remove_file(path);
            }
            Ok(())
        })?;
        for folder in folders.iter().rev() {
            if fs::symlink_metadata(folder).is_ok_and(|metadata| due.includes(&metadata)) {
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(())
    }

    /// Makes a deletion in the folder of `key` survive a power cut.
    pub(super) fn sync_parent(&self, key: &str) -> io::Result<()> {
        match self.path(key).parent().map(fs::File::open) {
            Some(Ok(folder)) => folder.sync_all(),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Some(Err(_)) | None => Ok(()),
        }
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        let space = rustix::fs::statvfs(&self.root).ok()?;
        Some(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn check_kind(path: &Path, metadata: &fs::Metadata) -> Result<(), RepoError> {
    if metadata.is_file() || metadata.is_dir() {
        return Ok(());
    }
    Err(RepoError::Unsafe { path: path.display().to_string() })
}

/// Calls `visit` for everything below `root`, folders before what they hold; never follows a link.
fn walk(root: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), RepoError>) -> Result<(), RepoError> {
    let failed = |path: &Path, error: io::Error| RepoError::storage("list", path.display().to_string(), error);
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(()),
        Err(error) => return Err(failed(root, error)),
    };
    for entry in entries {
        let path = entry.map_err(|error| failed(root, error))?.path();
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if absent(&error) => continue,
            Err(error) => return Err(failed(&path, error)),
        };
        visit(&path, &metadata)?;
        if metadata.is_dir() {
            walk(&path, visit)?;
        }
    }
    Ok(())
}

/// `name#1`: what object_store's folder store writes before it renames, and hides in its listings.
fn is_staging(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let suffix = name.as_deref().and_then(|name| name.split_once('#')).map(|(_, suffix)| suffix.to_owned());
    suffix.is_some_and(|suffix| !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Which leftovers of killed writes go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leftovers {
    /// All: nobody else writes there.
    All,
    /// Those last written before this instant: others may be writing there.
    Before(DateTime<Utc>),
}

impl Leftovers {
    fn includes(self, metadata: &fs::Metadata) -> bool {
        match self {
            Self::All => true,
            Self::Before(instant) => metadata.modified().is_ok_and(|modified| modified < SystemTime::from(instant)),
        }
    }
}
