//! The copy's pages, compressed by several workers and stored in their order.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::stream;

use super::halt::Halt;
use super::temp::disk;
use crate::blocking::blocking;
use crate::codec::{EncodedFrame, Encoder, FRAME_BYTES};
use crate::engine::{EngineError, FileOutlet};
use crate::model::event::Phase;
use crate::model::frame::Compression;
use crate::model::watch::Watch;

/// The file to store, and what the workers share.
pub(super) struct Pages {
    file: File,
    bytes: u64,
    compression: Compression,
    workers: Mutex<Vec<Worker>>,
}

/// What a worker reuses from frame to frame.
struct Worker {
    encoder: Encoder,
    plain: Vec<u8>,
}

impl Pages {
    /// The pages of the file at `copy`, which nobody changes any more.
    pub(super) fn open(copy: &Path, compression: Compression) -> Result<Self, EngineError> {
        let file = File::open(copy).map_err(disk("read", copy))?;
        let bytes = file.metadata().map_err(disk("read", copy))?.len();
        Ok(Self { file, bytes, compression, workers: Mutex::default() })
    }

    fn frames(&self) -> u64 {
        self.bytes.div_ceil(FRAME_BYTES as u64)
    }

    fn encode(&self, index: u64) -> Result<EncodedFrame, EngineError> {
        let idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker { encoder: Encoder::new(self.compression)?, plain: Vec::new() },
        };
        let at = index * FRAME_BYTES as u64;
        let bytes = (self.bytes - at).min(FRAME_BYTES as u64);
        worker.plain.resize(usize::try_from(bytes).unwrap_or(FRAME_BYTES), 0);
        let read = self.file.read_exact_at(&mut worker.plain, at);
        read.map_err(|source| EngineError::Disk { deed: "read", subject: "the copy".to_owned(), source })?;
        let frame = worker.encoder.encode(&worker.plain, 0)?;
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        Ok(frame)
    }
}

/// Appends all of `pages` to `file`; at most `jobs` frames are in memory at once.
pub(super) async fn store(
    pages: Arc<Pages>,
    file: &mut Box<dyn FileOutlet>,
    jobs: usize,
    halt: &Halt,
    watch: &Watch,
) -> Result<(), EngineError> {
    watch.began(Phase::Store, Some(pages.bytes));
    let encode = |index| {
        let pages = Arc::clone(&pages);
        blocking(move || pages.encode(index))
    };
    let mut frames = stream::iter(0..pages.frames()).map(encode).buffered(jobs.max(1));
    while let Some(frame) = frames.next().await {
        halt.check()?;
        let frame = frame?;
        let plain_bytes = frame.plain_bytes;
        file.append(frame).await?;
        watch.advanced(Phase::Store, plain_bytes, 0)?;
    }
    watch.ended(Phase::Store);
    Ok(())
}
