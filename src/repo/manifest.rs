//! Reading a manifest, proven against the commit point that covers it.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt, stream};
use serde::Deserialize;

use super::error::RepoError;
use super::store::Store;
use super::{Repository, layout, sums};
use crate::blocking::blocking;
use crate::codec::digest;
use crate::model::digest::Digest;
use crate::model::manifest::{FORMAT, FileRole, Manifest};
use crate::model::names::SnapshotId;

/// Bytes that a manifest may have: a million tables' worth.
pub(super) const MANIFEST_BYTES: u64 = 64 << 20;

/// Manifests that are read at once; each may hold [`MANIFEST_BYTES`].
const READ_AHEAD: usize = 8;

/// Stored or plain bytes that a snapshot may claim: 1 EiB, so that sums of files can't overflow.
const SNAPSHOT_BYTES: u64 = 1 << 60;

/// A manifest, and what it was proven against.
#[derive(Debug, Clone)]
pub(super) struct Proven {
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
    /// The SHA256SUMS as it stands.
    pub(super) sums: Bytes,
}

impl Repository {
    /// A snapshot's manifest with its digest, proven against SHA256SUMS.
    pub async fn manifest(&self, id: &SnapshotId) -> Result<(Manifest, Digest), RepoError> {
        let proven = read_manifest(self.store(), id).await?;
        Ok((proven.manifest, proven.digest))
    }

    /// The manifests of several snapshots, in their order, some read ahead.
    pub fn manifests(
        &self,
        ids: Vec<SnapshotId>,
    ) -> impl Stream<Item = (SnapshotId, Result<(Manifest, Digest), RepoError>)> + Send {
        stream::iter(ids.into_iter().map(|id| self.named_manifest(id).boxed())).buffered(READ_AHEAD)
    }

    async fn named_manifest(&self, id: SnapshotId) -> (SnapshotId, Result<(Manifest, Digest), RepoError>) {
        let manifest = self.manifest(&id).await;
        (id, manifest)
    }
}

pub(super) async fn read_manifest(store: &Store, id: &SnapshotId) -> Result<Proven, RepoError> {
    let key = layout::in_snapshot(id, layout::SUMS);
    let sums = store.read(&key, MANIFEST_BYTES).await?.filter(|bytes| !sums::is_tombstone(bytes));
    let sums = sums.ok_or_else(|| RepoError::NoSnapshot { snapshot: id.clone() })?;
    let named = sums::manifest_digest(&sums);
    let expected = named.ok_or_else(|| RepoError::corrupt(key, "it has no line for manifest.json"))?;
    let key = layout::in_snapshot(id, layout::MANIFEST);
    let bytes = store.read(&key, MANIFEST_BYTES).await?;
    let bytes = bytes.ok_or_else(|| RepoError::corrupt(&key, "it is missing"))?;
    let id = id.clone();
    let manifest = blocking(move || parse(&id, &key, &bytes, expected)).await?;
    Ok(Proven { manifest, digest: expected, sums })
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn parse(id: &SnapshotId, key: &str, bytes: &[u8], expected: Digest) -> Result<Manifest, RepoError> {
    if digest(bytes) != expected {
        return Err(RepoError::corrupt(key, "its SHA-256 is not the one in SHA256SUMS"));
    }
    let unreadable = |error: serde_json::Error| RepoError::corrupt(key, error.to_string());
    let FormatOnly { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if format > u64::from(FORMAT) {
        return Err(RepoError::NewerFormat { subject: format!("snapshot {id}"), found: format });
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(unreadable)?;
    check_sense(id, &manifest).map_err(|why| RepoError::corrupt(key, why))?;
    Ok(manifest)
}

/// What holds in every manifest that dbops wrote, so that the rest of the room may rely on it.
fn check_sense(id: &SnapshotId, manifest: &Manifest) -> Result<(), String> {
    if manifest.id != *id {
        return Err(format!("it is the manifest of {}", manifest.id));
    }
    let mut names = BTreeSet::new();
    let (mut stored, mut plain) = (0_u64, 0_u64);
    for file in &manifest.files {
        let reserved = [layout::MANIFEST, layout::SUMS].contains(&file.name.as_str());
        let misplaced = (file.name.as_str() == layout::FRAMES) != (file.role == FileRole::Frames);
        if reserved || misplaced || !names.insert(&file.name) {
            return Err(format!("it can't name the file {}", file.name));
        }
        stored = stored.saturating_add(file.stored_bytes);
        plain = plain.saturating_add(file.plain_bytes);
    }
    if stored.max(plain) > SNAPSHOT_BYTES {
        return Err("it claims more bytes than there can be".to_owned());
    }
    Ok(())
}
