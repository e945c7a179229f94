//! A folder held open, in which files are made and moved by name: no symbolic link swapped in on the way leads
//! out of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// An open folder.
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    RegularFile,
    Other,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens `path` as the user gave it, symbolic links followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The folder `name` in this one, made if it is missing; a symbolic link is refused.
    pub(super) fn enter(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let fd = match rustix::fs::openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let why = format!("{} is a symbolic link or no folder", self.path_of(name).display());
                return Err(io::Error::other(why));
            }
            other => other?,
        };
        Ok(Self { fd, path: self.path_of(name) })
    }

    /// Where `name` is, for people.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new private file (0600); an error when the name is taken.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// What stands under `name`, symbolic links not followed.
    pub(super) fn standing(&self, name: &str) -> io::Result<Standing> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Standing::RegularFile),
            Ok(_) => Ok(Standing::Other),
            Err(Errno::NOENT) => Ok(Standing::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames, replacing what stands under `to`.
    pub(super) fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Renames; `AlreadyExists` when something stands under `to`.
    ///
    /// File systems that can't rename so are asked for a hard link instead, which refuses likewise.
    pub(super) fn move_new(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                self.link(from, to)?;
                self.remove(from)
            }
            other => Ok(other?),
        }
    }

    /// Gives a file a second name; `AlreadyExists` when something stands under `to`.
    pub(super) fn link(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty())?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes the files whose names begin so and that no living process holds locked.
    ///
    /// What can't be opened or removed stays: it is in nobody's way.
    pub(super) fn sweep(&self, start: &str) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        for entry in Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_owned();
            if !name.to_bytes().starts_with(start.as_bytes()) {
                continue;
            }
            let file = rustix::fs::openat(&self.fd, &name, flags, Mode::empty()).map(File::from);
            if file.is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = rustix::fs::unlinkat(&self.fd, &name, AtFlags::empty());
            }
        }
        Ok(())
    }

    /// Makes what was made and moved durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}
