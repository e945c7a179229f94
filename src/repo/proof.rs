//! Proving stored files: every frame decoded in parallel, every file's SHA-256 over the same bytes in order.
//!
//! Invariant: memory is bounded by [`MEMORY_BYTES`], or one frame where a single one is larger.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::error::RepoError;
use super::frames::{FrameTable, is_framed};
use super::layout;
use super::store::Store;
use crate::blocking::blocking;
use crate::codec::{CodecError, Hasher, decode};
use crate::model::event::Phase;
use crate::model::frame::{Compression, Frame};
use crate::model::manifest::FileRecord;
use crate::model::names::SnapshotId;
use crate::model::report::Finding;
use crate::model::watch::Watch;

/// Stored and plain bytes under way at once.
const MEMORY_BYTES: u64 = 64 << 20;
/// One permit of memory.
const GRAIN_BYTES: u64 = 1 << 10;
/// Bytes of a file without frames that are read at once.
const PIECE_BYTES: u64 = 4 << 20;
/// Files that are proven at once; a large one keeps all workers busy alone.
const FILES_AT_ONCE: usize = 8;

/// What a proof works with: where the files are, how they are compressed, who may work and who listens.
pub(super) struct Bench<'a> {
    store: &'a Store,
    id: &'a SnapshotId,
    compression: Compression,
    jobs: usize,
    decoding: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    watch: &'a Watch,
}

/// A run of a file's bytes: a frame, or a piece of a file that has none.
#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    stored_bytes: u64,
    frame: Option<Frame>,
}

/// A piece that was read and, where it is a frame, decoded.
struct Tried {
    piece: Piece,
    bytes: Bytes,
    verdict: Result<(), CodecError>,
    _memory: OwnedSemaphorePermit,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        store: &'a Store,
        id: &'a SnapshotId,
        compression: Compression,
        jobs: usize,
        watch: &'a Watch,
    ) -> Self {
        let jobs = jobs.max(1);
        let memory = Arc::new(Semaphore::new((MEMORY_BYTES / GRAIN_BYTES) as usize));
        Self { store, id, compression, jobs, decoding: Arc::new(Semaphore::new(jobs)), memory, watch }
    }

    /// Damage of `files`, all of whose sizes are known to be right. Without `frames` only the files'
    /// digests are proven.
    pub(super) async fn prove(
        &self,
        files: &[&FileRecord],
        frames: Option<&FrameTable>,
    ) -> Result<Vec<Finding>, RepoError> {
        let proofs: Vec<BoxFuture<'_, _>> = files
            .iter()
            .map(|file| {
                let framed = frames.filter(|_| is_framed(file.role)).and_then(|table| table.get(&file.name));
                self.prove_file(file, framed.map(Vec::as_slice)).boxed()
            })
            .collect();
        let found: Vec<Vec<Finding>> = stream::iter(proofs).buffered(FILES_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn prove_file(&self, file: &FileRecord, frames: Option<&[Frame]>) -> Result<Vec<Finding>, RepoError> {
        let key = layout::file(self.id, &file.name);
        let mut line = Line { bench: self, file, taken: 0, hasher: Hasher::default(), findings: Vec::new() };
        let mut flights = VecDeque::new();
        for piece in pieces(file, frames) {
            let memory = self.memory_for(&piece, &mut flights, &mut line).await?;
            flights.push_back(self.fly(key.clone(), piece, memory));
            if flights.len() > self.jobs + 1 {
                line.land(&mut flights).await?;
            }
        }
        while !flights.is_empty() {
            line.land(&mut flights).await?;
        }
        Ok(line.finish())
    }

    /// Memory for a piece. Never waits while holding some itself, so that files can't block one another.
    async fn memory_for(
        &self,
        piece: &Piece,
        flights: &mut VecDeque<Flight>,
        line: &mut Line<'_>,
    ) -> Result<OwnedSemaphorePermit, RepoError> {
        let plain = piece.frame.map_or(0, |frame| frame.plain_bytes);
        let bytes = piece.stored_bytes.saturating_add(plain).min(MEMORY_BYTES - GRAIN_BYTES);
        let permits = u32::try_from(bytes / GRAIN_BYTES + 1).unwrap_or(u32::MAX);
        loop {
            if let Ok(permit) = Arc::clone(&self.memory).try_acquire_many_owned(permits) {
                return Ok(permit);
            }
            if flights.is_empty() {
                let permit = Arc::clone(&self.memory).acquire_many_owned(permits).await;
                return permit.map_err(|error| RepoError::storage("read", line.file.name.as_str(), error));
            }
            line.land(flights).await?;
        }
    }

    /// Reads and decodes a piece beside the others.
    fn fly(&self, key: String, piece: Piece, memory: OwnedSemaphorePermit) -> Flight {
        let (store, decoding, compression) = (self.store.clone(), Arc::clone(&self.decoding), self.compression);
        Flight(tokio::spawn(async move {
            let bytes = store.range(&key, piece.offset..piece.offset + piece.stored_bytes).await?;
            let verdict = match piece.frame {
                Some(frame) => {
                    let _turn = decoding.acquire().await;
                    let stored = bytes.clone();
                    blocking(move || decode(compression, &stored, &frame).map(drop)).await
                }
                None => Ok(()),
            };
            Ok(Tried { piece, bytes, verdict, _memory: memory })
        }))
    }
}

/// A piece under way; dropped, it is called off.
struct Flight(JoinHandle<Result<Tried, RepoError>>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The pieces of a file, in order.
fn pieces<'f>(file: &FileRecord, frames: Option<&'f [Frame]>) -> Box<dyn Iterator<Item = Piece> + Send + 'f> {
    match frames {
        Some(frames) => Box::new(frames.iter().map(|frame| Piece {
            offset: frame.offset,
            stored_bytes: frame.stored_bytes,
            frame: Some(*frame),
        })),
        None => {
            let stored = file.stored_bytes;
            Box::new((0..stored.div_ceil(PIECE_BYTES)).map(move |i| {
                let offset = i * PIECE_BYTES;
                Piece { offset, stored_bytes: PIECE_BYTES.min(stored - offset), frame: None }
            }))
        }
    }
}

/// Where the pieces of a file come together in order.
struct Line<'a> {
    bench: &'a Bench<'a>,
    file: &'a FileRecord,
    taken: u64,
    hasher: Hasher,
    findings: Vec<Finding>,
}

impl Line<'_> {
    async fn land(&mut self, flights: &mut VecDeque<Flight>) -> Result<(), RepoError> {
        let Some(mut flight) = flights.pop_front() else { return Ok(()) };
        let tried = match (&mut flight.0).await {
            Ok(tried) => tried?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => return Err(RepoError::storage("prove", self.file.name.as_str(), error)),
            },
        };
        let Tried { piece, bytes, verdict, _memory } = tried;
        if let Err(error) = verdict {
            let subject = frame_label(self.file.name.as_str(), self.taken, piece.offset);
            self.findings.push(Finding::corrupt(subject, told(&error)));
        }
        self.taken += 1;
        let mut hasher = std::mem::take(&mut self.hasher);
        self.hasher = blocking(move || {
            hasher.update(&bytes);
            hasher
        })
        .await;
        let (plain, rows) = piece.frame.map_or((piece.stored_bytes, 0), |frame| (frame.plain_bytes, frame.rows));
        Ok(self.bench.watch.advanced(Phase::Verify, plain, rows)?)
    }

    /// A damaged frame is named already; else the whole file's digest speaks.
    fn finish(mut self) -> Vec<Finding> {
        if self.hasher.finish() != self.file.digest && self.findings.is_empty() {
            let why = "its SHA-256 differs";
            self.findings.push(Finding::corrupt(self.file.name.as_str(), why));
        }
        self.findings
    }
}

/// `exam.sqlite.zst, frame 12 at byte 345`; frames count from 1.
pub(super) fn frame_label(file: &str, index: u64, offset: u64) -> String {
    format!("{file}, frame {} at byte {offset}", index + 1)
}

/// An error with its cause, in one sentence.
fn told(error: &CodecError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Sorts out files that are missing or of a wrong size; gives those that are worth reading.
pub(super) fn check_sizes<'f>(
    files: impl IntoIterator<Item = &'f FileRecord>,
    sizes: &BTreeMap<String, u64>,
    frames: Option<&FrameTable>,
    findings: &mut Vec<Finding>,
) -> Vec<&'f FileRecord> {
    let mut good = Vec::new();
    for file in files {
        let name = file.name.as_str();
        match sizes.get(name) {
            Some(&found) if found == file.stored_bytes => good.push(file),
            Some(&found) => findings.push(wrong_size(file, found, frames.and_then(|table| table.get(&file.name)))),
            None => findings.push(Finding::corrupt(name, "it is missing")),
        }
    }
    good
}

fn wrong_size(file: &FileRecord, found: u64, frames: Option<&Vec<Frame>>) -> Finding {
    let name = file.name.as_str();
    let why = format!("the file has {found} bytes instead of {}", file.stored_bytes);
    let cut = |frame: &Frame| frame.offset + frame.stored_bytes > found;
    match frames.and_then(|frames| frames.iter().enumerate().find(|(_, frame)| cut(frame))) {
        Some((index, frame)) => Finding::corrupt(frame_label(name, index as u64, frame.offset), why),
        None => Finding::corrupt(name, why),
    }
}
