//! The list of frames, `frames.jsonl`: one JSON line a frame, sorted by file and offset, written and read as
//! a stream.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::RepoError;
use super::layout;
use super::store::Store;
use crate::blocking::blocking;
use crate::codec::{FRAME_BYTES_MAX, Hasher};
use crate::model::frame::Frame;
use crate::model::manifest::{FileRecord, FileRole, Manifest};
use crate::model::names::{FileName, SnapshotId};

/// Bytes that the list may have: some twenty million frames, 80 TB plain.
const FRAMES_BYTES: u64 = 4 << 30;
/// Bytes that a line may have: a file name, its escapes, and a few numbers fit many times.
const LINE_BYTES: usize = 64 << 10;
/// Bytes that are read and written at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// The frames of every framed file.
pub(super) type FrameTable = BTreeMap<FileName, Vec<Frame>>;

#[derive(Serialize, Deserialize)]
struct Line {
    file: FileName,
    #[serde(flatten)]
    frame: Frame,
}

/// The list as chunks of whole lines.
pub(super) fn render(table: &FrameTable) -> impl Iterator<Item = Result<Bytes, RepoError>> {
    let mut lines = table.iter().flat_map(|(file, frames)| frames.iter().map(move |frame| (file, *frame))).peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES as usize {
            let Some((file, frame)) = lines.next() else { break };
            if let Err(error) = serde_json::to_writer(&mut chunk, &Line { file: file.clone(), frame }) {
                return Some(Err(RepoError::storage("write", layout::FRAMES, error)));
            }
            chunk.push(b'\n');
        }
        Some(Ok(chunk.into()))
    })
}

/// The frames of a snapshot, proven to be the list that its manifest names and to fill its files exactly.
pub(super) async fn read(store: &Store, id: &SnapshotId, manifest: &Manifest) -> Result<FrameTable, RepoError> {
    let mut reading = Reading::default();
    if let Some(record) = manifest.files.iter().find(|file| file.role == FileRole::Frames) {
        let key = layout::in_snapshot(id, layout::FRAMES);
        check_size(store, &key, record).await?;
        let mut offset = 0;
        while offset < record.stored_bytes {
            let end = record.stored_bytes.min(offset + CHUNK_BYTES);
            let chunk = store.range(&key, offset..end).await?;
            let taken = blocking(move || {
                reading.take(&chunk)?;
                Ok::<_, String>(reading)
            })
            .await;
            reading = taken.map_err(|why| RepoError::corrupt(&key, why))?;
            offset = end;
        }
        reading.finish(record).map_err(|why| RepoError::corrupt(&key, why))?;
    }
    let why = check_files(&reading.table, manifest);
    why.map_err(|why| RepoError::corrupt(layout::in_snapshot(id, layout::FRAMES), why))?;
    Ok(reading.table)
}

async fn check_size(store: &Store, key: &str, record: &FileRecord) -> Result<(), RepoError> {
    let bytes = store.size(key).await?.ok_or_else(|| RepoError::corrupt(key, "it is missing"))?;
    if bytes > FRAMES_BYTES {
        return Err(RepoError::TooLarge { subject: key.to_owned(), bytes, limit: FRAMES_BYTES });
    }
    if bytes != record.stored_bytes {
        return Err(RepoError::corrupt(key, format!("it has {bytes} bytes instead of {}", record.stored_bytes)));
    }
    Ok(())
}

/// How far the reading of the list came.
#[derive(Default)]
struct Reading {
    table: FrameTable,
    /// The file of the last line, looked up only when it changes.
    current: Option<(FileName, Vec<Frame>)>,
    rest: Vec<u8>,
    hasher: Hasher,
    lines: u64,
}

impl Reading {
    fn take(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.hasher.update(chunk);
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(chunk);
        let whole = rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        for line in rest[..whole].split_inclusive(|&byte| byte == b'\n') {
            self.take_line(line)?;
        }
        self.rest = rest.split_off(whole);
        if self.rest.len() > LINE_BYTES { Err(self.long_line()) } else { Ok(()) }
    }

    fn long_line(&self) -> String {
        format!("line {} is longer than {LINE_BYTES} bytes", self.lines + 1)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.len() > LINE_BYTES {
            return Err(self.long_line());
        }
        self.lines += 1;
        let wrong = |why: &str| format!("line {}: {why}", self.lines);
        let Line { file, frame } = serde_json::from_slice(line).map_err(|error| wrong(&error.to_string()))?;
        match &mut self.current {
            Some((name, frames)) if *name == file => frames.push(frame),
            current => {
                if current.as_ref().is_some_and(|(name, _)| *name > file) {
                    return Err(wrong("it is out of order"));
                }
                if let Some((name, frames)) = current.replace((file, vec![frame])) {
                    self.table.insert(name, frames);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, record: &FileRecord) -> Result<(), String> {
        if std::mem::take(&mut self.hasher).finish() != record.digest {
            return Err("its SHA-256 differs".to_owned());
        }
        if !self.rest.is_empty() {
            return Err("its last line is cut off".to_owned());
        }
        self.table.extend(self.current.take());
        Ok(())
    }
}

/// Frames must fill their files without gap or overlap, and no other file may have any.
fn check_files(table: &FrameTable, manifest: &Manifest) -> Result<(), String> {
    let mut framed = BTreeSet::new();
    for file in manifest.files.iter().filter(|file| is_framed(file.role)) {
        framed.insert(&file.name);
        let frames = table.get(&file.name).map_or(&[][..], Vec::as_slice);
        if !fills(frames, file) {
            return Err(format!("its frames do not fill {} exactly", file.name));
        }
    }
    match table.keys().find(|name| !framed.contains(name)) {
        Some(name) => Err(format!("it has frames of {name}, which has none")),
        None => Ok(()),
    }
}

pub(super) const fn is_framed(role: FileRole) -> bool {
    match role {
        FileRole::Data | FileRole::Side => true,
        FileRole::Frames | FileRole::Plain => false,
    }
}

fn fills(frames: &[Frame], file: &FileRecord) -> bool {
    let (mut stored, mut plain) = (0_u64, 0_u64);
    for frame in frames {
        if frame.offset != stored || frame.stored_bytes == 0 || !is_sensible(frame) {
            return false;
        }
        stored = stored.saturating_add(frame.stored_bytes);
        plain = plain.saturating_add(frame.plain_bytes);
    }
    frames.len() as u64 == file.frames && stored == file.stored_bytes && plain == file.plain_bytes
}

/// A frame is read whole, so it must not claim more bytes than one can have; no compression adds a 64th.
const fn is_sensible(frame: &Frame) -> bool {
    let stored_most = frame.plain_bytes.saturating_add(frame.plain_bytes / 64).saturating_add(1 << 10);
    frame.plain_bytes <= FRAME_BYTES_MAX && frame.stored_bytes <= stored_most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stored_bytes: u64, plain_bytes: u64, expected: bool) {
        let digest = crate::codec::digest(b"");
        let frame = Frame { offset: 0, stored_bytes, plain_bytes, rows: 0, digest };
        let (name, role) = ("a.zst".parse().unwrap(), FileRole::Data);
        let file = FileRecord { name, role, stored_bytes, plain_bytes, digest, frames: 1 };
        assert_eq!(fills(&[frame], &file), expected, "{stored_bytes} stored, {plain_bytes} plain");
    }

    #[test]
    fn a_frame_claims_no_more_than_one_can_have() {
        check(13, 0, true);
        check(4_195_000, 4 << 20, true);
        check(1 << 20, 1 << 33, true);
        check(0, 0, false);
        check(1 << 40, 4 << 20, false);
        check(1 << 20, 1 << 40, false);
        check(u64::MAX, u64::MAX, false);
    }
}
