//! Which file a path means: by host and path, and by what the file system calls it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::identity::FileIdentity;

/// The identity of the file at `path` on `host`, whether it exists or not; symbolic links are resolved.
pub(super) fn file_identity(path: &Path, host: &str) -> io::Result<FileIdentity> {
    let file_id = match std::fs::metadata(path) {
        Ok(metadata) => Some(format!("{:x}:{}", rustix::fs::statvfs(path)?.f_fsid, metadata.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = resolved(path)?;
    Ok(FileIdentity { host: host.to_owned(), path: path.display().to_string(), file_id })
}

/// The absolute path with links resolved, as far as it exists.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    if let Ok(whole) = absolute.canonicalize() {
        return Ok(whole);
    }
    let folder = absolute.parent().and_then(|folder| folder.canonicalize().ok());
    Ok(match (folder, absolute.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        (Some(_), None) | (None, _) => absolute,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_keeps_its_id_and_a_missing_one_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
        let missing = file_identity(&old, "web1").unwrap();
        std::fs::write(&old, "x").unwrap();
        let before = file_identity(&old, "web1").unwrap();
        std::fs::rename(&old, &new).unwrap();
        let after = file_identity(&new, "web1").unwrap();
        assert_eq!(missing.file_id, None);
        assert_eq!(missing.path, before.path);
        assert!(before.file_id.is_some());
        assert_eq!(before.file_id, after.file_id);
    }

    #[test]
    fn a_link_is_the_file_that_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(file_identity(&file, "h").unwrap(), file_identity(&link, "h").unwrap());
    }
}
