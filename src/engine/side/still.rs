//! A copy of a file that provably held still while it was read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::fs::OFlags;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{SideContent, SidePlan, side_file};
use crate::codec::Hasher;
use crate::engine::EngineError;
use crate::model::digest::Digest;
use crate::model::event::Phase;
use crate::model::watch::Watch;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// The pause between two readings: longer than a program takes from truncating a small file to writing it anew,
/// which two readings back to back would both find empty.
const PAUSE: Duration = Duration::from_millis(25);

/// A private copy, rewound; it has no name, so that nothing of it outlives the process.
pub(super) struct StillCopy {
    pub file: File,
    pub bytes: u64,
    pub digest: Digest,
    /// Permission bits.
    pub mode: u32,
    pub modified_at: Option<DateTime<Utc>>,
    /// The instant at which the reading began.
    pub taken_at: DateTime<Utc>,
}

/// How one try to read went.
pub(super) enum Reading {
    /// There is no such file.
    Absent,
    /// It held still and is what its name promises.
    Still(StillCopy),
    /// It changed, or is not what its name promises, which a writer at work explains as well: why.
    Restless(String),
}

/// What a file system tells about a file's content without reading it; any write changes it,
/// except within one tick of the file system's clock or through a memory map.
#[derive(PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Reads `path` twice, with a pause between, the first time into a private copy.
///
/// It held still when device, inode, size, mtime and ctime are the same before, between and after, and both
/// readings have one SHA-256. The second reading is always made: stamps alone hide a write within one tick of
/// the file system's clock, and a clock that could tell may be a file server's. A writer that pauses half-way
/// for longer than both readings can't be seen; JSON files are parsed for that reason.
pub(super) fn read_still(path: &Path, plan: &SidePlan, watch: &Watch) -> Result<Reading, EngineError> {
    let Some((mut source, before)) = open(path)? else { return Ok(Reading::Absent) };
    let failed = |error: io::Error| side_file(path, format!("could not read it: {error}"));
    let taken_at = watch.clock.now();
    let mut copy = tempfile::tempfile_in(&plan.temp_dir).map_err(|e| no_copy(plan, e))?;
    let first =
        pass(path, &mut source, before.size(), watch, |bytes| copy.write_all(bytes).map_err(|e| no_copy(plan, e)))?;
    std::thread::sleep(PAUSE);
    let between = source.metadata().map_err(failed)?;
    source.rewind().map_err(failed)?;
    let second = pass(path, &mut source, before.size(), watch, |_| Ok(()))?;
    let after = match fs::metadata(path) {
        Ok(after) => Some(Stamp::of(&after)),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(failed(error)),
    };
    let stamp = Stamp::of(&before);
    if stamp != Stamp::of(&between) || Some(&stamp) != after.as_ref() || first != second || first.0 != before.size() {
        return Ok(Reading::Restless("changed while it was read".to_owned()));
    }
    if let Some(why) = wrong_content(plan, &mut copy)? {
        return Ok(Reading::Restless(why));
    }
    copy.rewind().map_err(|e| no_copy(plan, e))?;
    let modified_at = DateTime::from_timestamp(before.mtime(), u32::try_from(before.mtime_nsec()).unwrap_or(0));
    let (bytes, digest) = first;
    Ok(Reading::Still(StillCopy { file: copy, bytes, digest, mode: before.mode() & 0o777, modified_at, taken_at }))
}

fn no_copy(plan: &SidePlan, source: io::Error) -> EngineError {
    EngineError::Disk { deed: "copy a side file to", subject: plan.temp_dir.display().to_string(), source }
}

/// Opens a regular file, without waiting for the other end of a pipe that came in its place.
fn open(path: &Path) -> Result<Option<(File, Metadata)>, EngineError> {
    let unreadable = |error: io::Error| side_file(path, format!("could not open it: {error}"));
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(side_file(path, "is not a regular file")),
        Err(error) if is_absent(&error) && path.is_symlink() => {
            return Err(side_file(path, "is a symbolic link to nothing"));
        }
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = match OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_file() { Ok(Some((file, metadata))) } else { Err(side_file(path, "is not a regular file")) }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Reads once from where `source` stands, at most one byte past `size`, so that a file that grows for ever ends.
fn pass(
    path: &Path,
    source: &mut File,
    size: u64,
    watch: &Watch,
    mut each: impl FnMut(&[u8]) -> Result<(), EngineError>,
) -> Result<(u64, Digest), EngineError> {
    let mut bounded = source.take(size.saturating_add(1));
    let (mut buffer, mut hasher, mut total) = (vec![0; READ_BYTES], Hasher::default(), 0);
    loop {
        watch.cancel.check()?;
        let count = match bounded.read(&mut buffer) {
            Ok(0) => return Ok((total, hasher.finish())),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(side_file(path, format!("could not read it: {error}"))),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        hasher.update(piece);
        each(piece)?;
        total += count as u64;
    }
}

/// Why the copy is not what its name promises, if it isn't.
fn wrong_content(plan: &SidePlan, copy: &mut File) -> Result<Option<String>, EngineError> {
    match plan.content {
        SideContent::Any => Ok(None),
        SideContent::Json => {
            copy.rewind().map_err(|e| no_copy(plan, e))?;
            match json_error(BufReader::new(copy)) {
                Ok(()) => Ok(None),
                Err(error) if error.is_io() => Err(no_copy(plan, error.into())),
                Err(error) => Ok(Some(format!("is not valid JSON: {error}"))),
            }
        }
    }
}

/// Parses one whole document in flat memory; the error names line and column.
fn json_error(mut reader: impl BufRead) -> Result<(), serde_json::Error> {
    let marked = reader.fill_buf().map_err(serde_json::Error::io)?.starts_with(b"\xEF\xBB\xBF");
    reader.consume(if marked { 3 } else { 0 });
    let mut document = serde_json::Deserializer::from_reader(reader);
    IgnoredAny::deserialize(&mut document)?;
    document.end()
}

/// Tells how far the storing came.
pub(super) fn advanced(watch: &Watch, plain_bytes: u64) -> Result<(), EngineError> {
    Ok(watch.advanced(Phase::SideFiles, plain_bytes, 0)?)
}
