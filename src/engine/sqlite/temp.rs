//! Where copies are put aside: folders and files of ours, locked while in use, swept when their maker was killed.
//!
//! Invariant: whatever lies here belongs to a process that holds a lock on it, or is removed by the next run.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::connect;
use crate::engine::EngineError;
use crate::model::watch::Watch;

/// Names of our folders begin so; sixteen letters or digits follow.
const PREFIX: &str = "dbops-";

/// The file in each of our folders on which its maker holds a lock.
const LOCK: &str = ".dbops-temp-lock";

/// Tries to make something before its makers' race counts as a failure of the disk.
const TRIES: usize = 20;

/// A folder of our own; removed with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Workspace {
    folder: PathBuf,
    _lock: File,
}

impl Workspace {
    /// A new folder in `temp_dir`; first removes what killed runs left there.
    pub(super) fn new(temp_dir: &Path, watch: &Watch) -> Result<Self, EngineError> {
        sweep(temp_dir, watch);
        for _ in 0..TRIES {
            if let Some(workspace) = Self::make(temp_dir).map_err(disk("make a folder in", temp_dir))? {
                return Ok(workspace);
            }
        }
        Err(disk("make a folder in", temp_dir)(io::Error::other("another process keeps removing it")))
    }

    /// `None` when a sweep of another run came between the folder and its lock.
    fn make(temp_dir: &Path) -> io::Result<Option<Self>> {
        let folder = temp_dir.join(format!("{PREFIX}{}", random_name()?));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        match lock_anew(&folder.join(LOCK)) {
            Ok(Some(lock)) => Ok(Some(Self { folder, _lock: lock })),
            Ok(None) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sixteen random hexadecimal digits, from the kernel.
fn random_name() -> io::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// Removes the folders of ours whose makers are gone. What can't be removed is left: it is not in the way.
fn sweep(temp_dir: &Path, watch: &Watch) {
    let Ok(entries) = fs::read_dir(temp_dir) else { return };
    for folder in entries.flatten().map(|entry| entry.path()).filter(|path| is_ours(path)) {
        let Ok(Some(_held)) = lock_abandoned(&folder.join(LOCK)) else { continue };
        if fs::remove_dir_all(&folder).is_ok() {
            watch.note(format!("removed {}, which a killed run left behind", folder.display()));
        }
    }
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
    let named = name.is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let owner = rustix::process::geteuid().as_raw();
    named && fs::symlink_metadata(path).is_ok_and(|entry| entry.is_dir() && entry.uid() == owner)
}

/// Creates `path` (0600) and locks it; `None` when somebody swept it in between.
fn lock_anew(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    lock_in_place(path, file)
}

/// Locks a file that exists; `None` while its maker lives.
fn lock_abandoned(path: &Path) -> io::Result<Option<File>> {
    let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(nofollow).open(path)?;
    lock_in_place(path, file)
}

fn lock_in_place(path: &Path, file: File) -> io::Result<Option<File>> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => return Ok(None),
        other => other?,
    }
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(path));
    let same = there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
    Ok(same.then_some(file))
}

/// A hidden file that is being built beside its final place; removed when dropped before it is there.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    placed: bool,
}

impl Draft {
    /// A new empty file at `path`, 0600; removes a dead predecessor's.
    pub(super) fn new(path: PathBuf) -> Result<Self, EngineError> {
        for _ in 0..TRIES {
            match lock_anew(&path) {
                Ok(Some(file)) => return Ok(Self { path, file, placed: false }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_dead(&path)?,
                Err(error) => return Err(disk("create", &path)(error)),
            }
        }
        Err(connect::busy(&path))
    }

    /// The file.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Where it is until it is placed.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it durable.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        self.file.sync_all().map_err(disk("write", &self.path))
    }

    /// Gives it its final name, where nothing may be yet, and makes that durable.
    pub(super) fn place(mut self, at: &Path) -> io::Result<()> {
        rename_anew(&self.path, at)?;
        self.placed = true;
        sync_folder(at)
    }

    /// Says that the file has its final name already.
    pub(super) fn placed(mut self) {
        self.placed = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_dead(path: &Path) -> Result<(), EngineError> {
    match lock_abandoned(path) {
        Ok(Some(_held)) => fs::remove_file(path).map_err(disk("remove", path)),
        Ok(None) => Err(connect::busy(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(disk("remove", path)(error)),
    }
}

/// Renames, but never over something: `renameat2`, or a second link where the file system lacks it.
pub(super) fn rename_anew(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => Ok(other?),
    }
}

/// Makes a new name in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The folder in which `path` lies.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses to begin when `needed_bytes` don't fit into `place`.
pub(super) fn require_room(place: &Path, needed_bytes: u64) -> Result<(), EngineError> {
    let room = rustix::fs::statvfs(place).map_err(|error| disk("look at", place)(error.into()))?;
    let free_bytes = room.f_bavail.saturating_mul(room.f_frsize);
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(EngineError::NoRoom { place: place.display().to_string(), needed_bytes, free_bytes })
}

/// An adapter from the system's errors to ours.
pub(super) fn disk(deed: &'static str, path: &Path) -> impl Fn(io::Error) -> EngineError {
    let subject = path.display().to_string();
    move |source| EngineError::Disk { deed, subject: subject.clone(), source }
}
