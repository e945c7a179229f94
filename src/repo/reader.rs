//! Reading a snapshot that nobody may forget meanwhile.

use bytes::Bytes;

use super::error::RepoError;
use super::frames::{self, FrameTable};
use super::holder::Holder;
use super::manifest::{Proven, read_manifest};
use super::pin::Pin;
use super::proof::frame_label;
use super::{CheckReport, Depth, Repository, layout};
use crate::blocking::blocking;
use crate::codec::{decode, digest};
use crate::model::digest::Digest;
use crate::model::frame::Frame;
use crate::model::manifest::{FileRecord, Manifest};
use crate::model::names::{FileName, SnapshotId};
use crate::model::watch::Watch;

/// Bytes that a file without frames may have to be read whole: a table of contents, globals.
const PLAIN_FILE_BYTES: u64 = 1 << 30;

/// A snapshot whose manifest and list of frames are proven, pinned against forget until
/// [`SnapshotReader::release`].
pub struct SnapshotReader {
    repository: Repository,
    proven: Proven,
    frames: FrameTable,
    pin: Pin,
}

impl Repository {
    /// Opens a snapshot for reading.
    pub async fn reader(&self, id: &SnapshotId, holder: &Holder, watch: &Watch) -> Result<SnapshotReader, RepoError> {
        let pin = Pin::take(self.store(), id, holder, watch).await?;
        match self.read_lists(id).await {
            Ok((proven, frames)) => Ok(SnapshotReader { repository: self.clone(), proven, frames, pin }),
            Err(error) => {
                let _ = pin.release().await;
                Err(error)
            }
        }
    }

    /// Proves a snapshot that nobody may forget meanwhile. Damage is a finding; an error means that it could not
    /// be found out.
    pub async fn prove(
        &self,
        id: &SnapshotId,
        holder: &Holder,
        jobs: usize,
        depth: Depth,
        watch: &Watch,
    ) -> Result<CheckReport, RepoError> {
        let pin = Pin::take(self.store(), id, holder, watch).await?;
        let report = self.check(id, jobs, depth, watch).await;
        if let Err(error) = pin.release().await {
            watch.warn(format!("the pin of {id} could not be released, it runs out by itself: {error}"));
        }
        report
    }

    async fn read_lists(&self, id: &SnapshotId) -> Result<(Proven, FrameTable), RepoError> {
        self.store().check_tree(&layout::snapshot(id)).await?;
        let proven = read_manifest(self.store(), id).await?;
        let frames = frames::read(self.store(), id, &proven.manifest).await?;
        Ok((proven, frames))
    }
}

impl SnapshotReader {
    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.proven.manifest
    }

    /// SHA-256 of the manifest's bytes.
    #[must_use]
    pub const fn manifest_digest(&self) -> Digest {
        self.proven.digest
    }

    /// The frames of a file, in the order of their bytes; none for files without frames.
    #[must_use]
    pub fn frames(&self, file: &FileName) -> &[Frame] {
        self.frames.get(file).map_or(&[], Vec::as_slice)
    }

    /// The plain bytes of a frame, proven.
    pub async fn plain_frame(&self, file: &FileName, index: usize) -> Result<Bytes, RepoError> {
        let frame = self.frames(file).get(index).copied();
        let frame = frame.ok_or_else(|| RepoError::corrupt(file.as_str(), format!("it has no frame {}", index + 1)))?;
        let key = layout::file(&self.proven.manifest.id, file);
        let stored = self.repository.store().range(&key, frame.offset..frame.offset + frame.stored_bytes).await?;
        let compression = self.proven.manifest.compression;
        let plain = blocking(move || decode(compression, &stored, &frame)).await;
        let subject = || frame_label(file.as_str(), index as u64, frame.offset);
        plain.map(Bytes::from).map_err(|source| RepoError::Codec { subject: subject(), source })
    }

    /// The bytes of a file that is stored as it is, proven.
    pub async fn read_plain_file(&self, file: &FileName) -> Result<Bytes, RepoError> {
        let record = self.record(file)?;
        let key = layout::file(&self.proven.manifest.id, file);
        let bytes = self.repository.store().read(&key, PLAIN_FILE_BYTES).await?;
        let bytes = bytes.ok_or_else(|| RepoError::corrupt(&key, "it is missing"))?;
        let (again, expected) = (bytes.clone(), record.digest);
        if blocking(move || digest(&again)).await == expected {
            return Ok(bytes);
        }
        Err(RepoError::corrupt(key, "its SHA-256 differs"))
    }

    fn record(&self, file: &FileName) -> Result<&FileRecord, RepoError> {
        let found = self.proven.manifest.files.iter().find(|record| record.name == *file);
        found.ok_or_else(|| RepoError::corrupt(file.as_str(), "the manifest does not name it"))
    }

    /// Proves the snapshot, as [`Repository::prove`] does.
    pub async fn check(&self, jobs: usize, depth: Depth, watch: &Watch) -> Result<CheckReport, RepoError> {
        self.repository.check(&self.proven.manifest.id, jobs, depth, watch).await
    }

    /// Lets others forget the snapshot.
    pub async fn release(self) -> Result<(), RepoError> {
        self.pin.release().await
    }
}
