//! Side files back out of a snapshot.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rustix::fs::Mode;

use super::folder::{Folder, Standing};
use super::side_file;
use super::still::advanced;
use crate::blocking::blocking;
use crate::codec::Hasher;
use crate::engine::{EngineError, Inlet};
use crate::model::manifest::SideFile;
use crate::model::names::FileName;
use crate::model::report::Finding;
use crate::model::watch::Watch;

/// What to do with a file that is already where a side file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and fail with [`EngineError::TargetRefused`].
    Refuse,
    /// Keep it under another name beside: `<name>.before_<UTC date>_<UTC time>`.
    KeepAside,
}

/// What became of a side file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where it is; where nothing is now, if it did not exist when the snapshot was taken.
    pub path: PathBuf,
    /// Where the file that was there before is now.
    pub previous: Option<PathBuf>,
}

/// A side file that waits, whole and proven, beside its place. Dropped, it leaves nothing.
pub struct Prepared {
    folder: Folder,
    name: String,
    existing: Existing,
    /// The hidden name of its content; absent when the side file did not exist.
    waiting: Option<String>,
    /// Its content, locked while it waits: what a killed restore left is told by its missing lock.
    content: Option<File>,
}

/// Prepares `side` and puts it in place at once.
pub async fn restore(
    side: &SideFile,
    into: &Path,
    existing: Existing,
    inlet: &Arc<dyn Inlet>,
    watch: &Watch,
) -> Result<Restored, EngineError> {
    prepare(side, into, existing, inlet, watch).await?.put_in_place(watch).await
}

/// Writes `side` under a hidden name beside its place in the folder `into`, compares its SHA-256 with the
/// manifest's, gives it its permission bits and makes it durable; its place is not touched yet. What a killed
/// restore of the same file left there is removed.
///
/// `into` must exist; folders below it are made. Errors: [`EngineError::TargetRefused`] when something that may
/// not be replaced is there already, [`EngineError::Unequal`] when the stored bytes are not what the manifest says.
pub async fn prepare(
    side: &SideFile,
    into: &Path,
    existing: Existing,
    inlet: &Arc<dyn Inlet>,
    watch: &Watch,
) -> Result<Prepared, EngineError> {
    let (its_side, its_into) = (side.clone(), into.to_owned());
    let (mut prepared, content) = blocking(move || begin(&its_side, &its_into, existing)).await?;
    let (Some(stored), Some(content)) = (&side.file, content) else { return Ok(prepared) };
    let mut arrival = Arrival { content, hasher: Hasher::default(), bytes: 0 };
    for index in 0..inlet.frames(stored) {
        let plain = inlet.frame(stored, index).await?;
        let plain_bytes = plain.len() as u64;
        let written;
        (prepared, arrival, written) = blocking(move || {
            let written = arrival.take(&plain);
            (prepared, arrival, written)
        })
        .await;
        written.map_err(|error| prepared.disk("write", error))?;
        advanced(watch, plain_bytes)?;
    }
    let its_side = side.clone();
    blocking(move || {
        prepared.accept(arrival, &its_side)?;
        Ok(prepared)
    })
    .await
}

/// Content on its way in.
struct Arrival {
    content: File,
    hasher: Hasher,
    bytes: u64,
}

impl Arrival {
    fn take(&mut self, plain: &Bytes) -> io::Result<()> {
        self.content.write_all(plain)?;
        self.hasher.update(plain);
        self.bytes += plain.len() as u64;
        Ok(())
    }
}

/// Opens the folder, refuses what may not be replaced, and makes the hidden file.
fn begin(side: &SideFile, into: &Path, existing: Existing) -> Result<(Prepared, Option<File>), EngineError> {
    let (folder, name) = enter(into, &side.restore_as)?;
    let mut prepared = Prepared { folder, name, existing, waiting: None, content: None };
    prepared.check_place(side.file.is_some())?;
    if side.file.is_none() {
        return Ok((prepared, None));
    }
    let start = format!(".{}.dbops_", prepared.name);
    prepared.folder.sweep(&start).map_err(|error| prepared.disk("look for leftovers of", error))?;
    let hidden = hidden_name(&start);
    let content = prepared.folder.create(&hidden).map_err(|error| prepared.disk("write", error))?;
    prepared.waiting = Some(hidden);
    // Where a file system has no locks, nobody can sweep by them either.
    let _ = content.lock();
    Ok((prepared, Some(content)))
}

fn enter(into: &Path, restore_as: &FileName) -> Result<(Folder, String), EngineError> {
    let path = into.join(restore_as.as_str());
    let failed = |source| EngineError::Disk { deed: "open the folder of", subject: path.display().to_string(), source };
    let mut folder = Folder::open(into).map_err(failed)?;
    let mut parts: Vec<&str> = restore_as.as_str().split('/').collect();
    let name = parts.pop().unwrap_or_default().to_owned();
    for part in parts {
        folder = folder.enter(part).map_err(failed)?;
    }
    Ok((folder, name))
}

/// A name that no other process and no other restore of this one uses at the same time.
fn hidden_name(start: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{start}{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

impl Prepared {
    /// Where it will be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path_of(&self.name)
    }

    /// Puts it in place, atomically; what was there before is kept aside or refused, as was asked.
    ///
    /// A side file that did not exist when the snapshot was taken: what is there now is moved aside, or left
    /// alone where replacing is refused.
    pub async fn put_in_place(self, watch: &Watch) -> Result<Restored, EngineError> {
        let now = watch.clock.now();
        blocking(move || self.put(now)).await
    }

    fn put(mut self, now: DateTime<Utc>) -> Result<Restored, EngineError> {
        let standing = self.check_place(self.waiting.is_some())?;
        let previous = match (self.existing, standing) {
            (Existing::KeepAside, Standing::RegularFile | Standing::Other) => Some(self.keep_aside(now)?),
            (Existing::KeepAside | Existing::Refuse, _) => None,
        };
        if let Some(hidden) = &self.waiting {
            let moved = match previous {
                Some(_) => self.folder.replace(hidden, &self.name),
                None => self.folder.move_new(hidden, &self.name),
            };
            moved.map_err(|error| self.not_moved(error))?;
            self.waiting = None;
        }
        self.folder.sync().map_err(|error| self.disk("make durable", error))?;
        Ok(Restored { path: self.path(), previous })
    }

    /// What stands in its place; an error when that may not be replaced.
    fn check_place(&self, has_content: bool) -> Result<Standing, EngineError> {
        let standing = self.folder.standing(&self.name).map_err(|error| self.disk("look at", error))?;
        match (standing, self.existing) {
            (Standing::Other, Existing::KeepAside) => Err(self.refused("is there and is no regular file")),
            (Standing::RegularFile | Standing::Other, Existing::Refuse) if has_content => {
                Err(self.refused("is there already"))
            }
            (Standing::Nothing | Standing::RegularFile | Standing::Other, _) => Ok(standing),
        }
    }

    /// Gives the present file a second name (moves it, where nothing takes its place), and tells its path.
    fn keep_aside(&self, now: DateTime<Utc>) -> Result<PathBuf, EngineError> {
        let second = now.format("%Y%m%d_%H%M%S");
        let aside = format!("{}.before_{second}", self.name);
        let further = (2..100).map(|number| format!("{aside}_{number}"));
        for aside in std::iter::once(aside.clone()).chain(further) {
            match self.set_aside(&aside) {
                Ok(()) => return Ok(self.folder.path_of(&aside)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.disk("keep aside", error)),
            }
        }
        Err(self.refused("a hundred files that it replaced in this second are beside it"))
    }

    /// Where hard links can't be made, the name is free for a moment before the new file takes it.
    fn set_aside(&self, aside: &str) -> io::Result<()> {
        if self.waiting.is_none() {
            return self.folder.move_new(&self.name, aside);
        }
        match self.folder.link(&self.name, aside) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists && error.kind() != ErrorKind::StorageFull => {
                self.folder.move_new(&self.name, aside)
            }
            other => other,
        }
    }

    /// Proves the whole content, gives it its permission bits, makes it durable.
    fn accept(&mut self, arrival: Arrival, side: &SideFile) -> Result<(), EngineError> {
        let Arrival { content, hasher, bytes } = arrival;
        let Some(expected) = side.plain_digest else {
            return Err(side_file(&self.path(), "the manifest names no digest for it"));
        };
        if bytes != side.plain_bytes || hasher.finish() != expected {
            let finding = Finding::corrupt(side.restore_as.as_str(), "its SHA-256 differs");
            return Err(EngineError::Unequal { subject: self.path().display().to_string(), findings: vec![finding] });
        }
        let mode = Mode::from_raw_mode(side.mode.unwrap_or(0o600) & 0o777);
        rustix::fs::fchmod(&content, mode).map_err(|error| self.disk("set the rights of", error.into()))?;
        content.sync_all().map_err(|error| self.disk("write", error))?;
        self.content = Some(content);
        Ok(())
    }

    fn not_moved(&self, error: io::Error) -> EngineError {
        match error.kind() {
            ErrorKind::AlreadyExists => self.refused("came into being meanwhile"),
            _ => self.disk("put in place", error),
        }
    }

    fn refused(&self, why: &str) -> EngineError {
        let subject = self.path().display().to_string();
        EngineError::TargetRefused { subject, why: why.to_owned(), hint: None }
    }

    fn disk(&self, deed: &'static str, source: io::Error) -> EngineError {
        EngineError::Disk { deed, subject: self.path().display().to_string(), source }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // It can only fail when somebody else removed it or the folder: nothing is left either way.
        if let Some(hidden) = &self.waiting {
            drop(self.folder.remove(hidden));
        }
    }
}
