//! Side files into a snapshot.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::still::{Reading, StillCopy, advanced, read_still};
use super::{SidePlan, side_file};
use crate::blocking::blocking;
use crate::codec::{EncodedFrame, Encoder, FRAME_BYTES};
use crate::engine::{EngineError, Outlet};
use crate::model::manifest::{FileRole, SideFile};
use crate::model::watch::Watch;

/// How often a file is read before it counts as one that never holds still.
const TRIES: u32 = 5;

/// The wait after the first try; doubled after each: 0.75 s in all, longer than a program takes to save a file.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Stores the file at `path`, proven not to have changed while it was read, and tells what it was.
///
/// Symbolic links are followed; anything but a regular file is refused. A file that does not exist is recorded
/// as absent and nothing is stored. `view_at` is the instant of the database's view. Memory: a frame and its
/// compressed bytes. Errors: [`EngineError::SideFile`] when it changed at each of five tries or is not what its
/// name promises; [`EngineError::Disk`] when the private copy can't be written.
pub async fn store(
    path: &Path,
    plan: &SidePlan,
    view_at: Option<DateTime<Utc>>,
    outlet: &Arc<dyn Outlet>,
    watch: &Watch,
) -> Result<SideFile, EngineError> {
    let absolute = std::path::absolute(path).map_err(|error| side_file(path, error.to_string()))?;
    let still = settle(&absolute, plan, watch).await?;
    let taken_at = still.as_ref().map_or_else(|| watch.clock.now(), |copy| copy.taken_at);
    let mut record = SideFile {
        source_path: absolute.display().to_string(),
        restore_as: plan.restore_as.clone(),
        file: None,
        plain_bytes: 0,
        plain_digest: None,
        mode: None,
        modified_at: None,
        taken_at,
        gap_ms: view_at.map_or(0, |view_at| (taken_at - view_at).num_milliseconds()),
    };
    if let Some(StillCopy { file, bytes, digest, mode, modified_at, taken_at: _ }) = still {
        send(file, plan, outlet, watch).await?;
        record.file = Some(plan.stored_as.clone());
        record.plain_bytes = bytes;
        record.plain_digest = Some(digest);
        record.mode = Some(mode);
        record.modified_at = modified_at;
    }
    Ok(record)
}

/// Tries until the file held still; `None` when there is none.
async fn settle(path: &Path, plan: &SidePlan, watch: &Watch) -> Result<Option<StillCopy>, EngineError> {
    let mut wait = FIRST_WAIT;
    let mut tries = 1;
    loop {
        let (its_path, its_plan, its_watch) = (path.to_owned(), plan.clone(), watch.clone());
        match blocking(move || read_still(&its_path, &its_plan, &its_watch)).await? {
            Reading::Absent => return Ok(None),
            Reading::Still(copy) => return Ok(Some(copy)),
            Reading::Restless(why) if tries == TRIES => return Err(side_file(path, format!("{why}, {TRIES} times"))),
            Reading::Restless(_) => tokio::time::sleep(wait).await,
        }
        tries += 1;
        wait *= 2;
    }
}

/// Frames the private copy into the outlet; an empty file is one empty frame, so that every reader opens it.
async fn send(copy: File, plan: &SidePlan, outlet: &Arc<dyn Outlet>, watch: &Watch) -> Result<(), EngineError> {
    let mut stored = outlet.begin(&plan.stored_as, FileRole::Side).await?;
    let mut framer =
        Framer { copy, encoder: Encoder::new(plan.compression)?, temp_dir: plan.temp_dir.clone(), sent: 0 };
    loop {
        let next;
        (framer, next) = blocking(move || {
            let next = framer.next();
            (framer, next)
        })
        .await;
        let Some(frame) = next? else { break };
        let plain_bytes = frame.plain_bytes;
        stored.append(frame).await?;
        advanced(watch, plain_bytes)?;
    }
    Ok(stored.finish().await?)
}

struct Framer {
    copy: File,
    encoder: Encoder,
    temp_dir: PathBuf,
    sent: u64,
}

impl Framer {
    fn next(&mut self) -> Result<Option<EncodedFrame>, EngineError> {
        let mut plain = Vec::with_capacity(FRAME_BYTES);
        let read = (&mut self.copy).take(FRAME_BYTES as u64).read_to_end(&mut plain);
        read.map_err(|error| self.unreadable(error))?;
        if plain.is_empty() && self.sent > 0 {
            return Ok(None);
        }
        self.sent += 1;
        Ok(Some(self.encoder.encode(&plain, 0)?))
    }

    fn unreadable(&self, source: io::Error) -> EngineError {
        EngineError::Disk { deed: "read a side file's copy in", subject: self.temp_dir.display().to_string(), source }
    }
}
