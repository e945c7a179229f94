//! Proving a snapshot: every byte that stands in its folder is what was stored.

use std::collections::BTreeSet;

use super::error::RepoError;
use super::frames::{self, FrameTable};
use super::manifest::{Proven, read_manifest};
use super::proof::{Bench, check_sizes};
use super::writer::sizes_of;
use super::{Repository, layout, sums};
use crate::model::digest::Digest;
use crate::model::event::Phase;
use crate::model::manifest::{FileRecord, FileRole, Manifest};
use crate::model::names::SnapshotId;
use crate::model::report::Finding;
use crate::model::watch::Watch;

/// How thoroughly stored bytes are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every byte is read, every frame decoded.
    Full,
    /// Manifest, list of frames and commit point are proven; of the other files, that they are there at their size.
    Presence,
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// SHA-256 of the manifest; `None` where the manifest itself is damaged.
    pub manifest_digest: Option<Digest>,
    /// What is wrong; empty or warnings only when all is well.
    pub findings: Vec<Finding>,
    /// Bytes of the files that the manifest names.
    pub stored_bytes: u64,
    /// Their bytes after decompression.
    pub plain_bytes: u64,
    /// Their frames.
    pub frames: u64,
}

impl Repository {
    /// Proves a snapshot, pinned or not: what is forgotten meanwhile looks damaged.
    pub(super) async fn check(
        &self,
        id: &SnapshotId,
        jobs: usize,
        depth: Depth,
        watch: &Watch,
    ) -> Result<CheckReport, RepoError> {
        let mut report =
            CheckReport { manifest_digest: None, findings: Vec::new(), stored_bytes: 0, plain_bytes: 0, frames: 0 };
        self.store().check_tree(&layout::snapshot(id)).await?;
        let proven = read_manifest(self.store(), id).await;
        let Some(proven) = damage_as_finding(id, proven, &mut report.findings)? else { return Ok(report) };
        report.count(&proven);
        let manifest = &proven.manifest;
        if proven.sums != sums::render(manifest, proven.digest) {
            report.findings.push(Finding::corrupt(layout::SUMS, "it is not what the manifest adds up to"));
        }
        let table = frames::read(self.store(), id, manifest).await;
        let table = damage_as_finding(id, table, &mut report.findings)?;
        let good = self.check_presence(manifest, table.as_ref(), &mut report.findings).await?;
        if depth == Depth::Full {
            watch.began(Phase::Verify, Some(good.iter().map(|file| file.plain_bytes).sum()));
            let bench = Bench::new(self.store(), id, manifest.compression, jobs, watch);
            report.findings.extend(bench.prove(&good, table.as_ref()).await?);
            watch.ended(Phase::Verify);
        }
        Ok(report)
    }

    /// What is missing, cut, or there without a name; gives the files that are worth reading.
    async fn check_presence<'m>(
        &self,
        manifest: &'m Manifest,
        table: Option<&FrameTable>,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<&'m FileRecord>, RepoError> {
        let sizes = sizes_of(self.store(), &manifest.id).await?;
        // The list of frames was proven, or found damaged, when it was read.
        let others = manifest.files.iter().filter(|file| file.role != FileRole::Frames);
        let good = check_sizes(others, &sizes, table, findings);
        let mut named: BTreeSet<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        named.extend([layout::MANIFEST, layout::SUMS]);
        for name in sizes.keys().filter(|name| !named.contains(name.as_str())) {
            findings.push(Finding::warning(name.as_str(), "the manifest does not name it"));
        }
        Ok(good)
    }
}

impl CheckReport {
    fn count(&mut self, proven: &Proven) {
        let files = &proven.manifest.files;
        self.manifest_digest = Some(proven.digest);
        self.stored_bytes = proven.manifest.stored_bytes();
        self.plain_bytes = files.iter().map(|file| file.plain_bytes).sum();
        self.frames = files.iter().map(|file| file.frames).fold(0, u64::saturating_add);
    }
}

/// Damage becomes a finding about the file in the snapshot's folder; other errors stay errors.
fn damage_as_finding<T>(
    id: &SnapshotId,
    read: Result<T, RepoError>,
    findings: &mut Vec<Finding>,
) -> Result<Option<T>, RepoError> {
    let folder = layout::snapshot(id);
    let short = |subject: &str| subject.strip_prefix(&folder).unwrap_or(subject).trim_start_matches('/').to_owned();
    match read {
        Ok(value) => return Ok(Some(value)),
        Err(RepoError::Corrupt { subject, why }) => findings.push(Finding::corrupt(short(&subject), why)),
        Err(RepoError::TooLarge { subject, bytes, limit }) => {
            let why = format!("it has {bytes} bytes, more than the {limit} that dbops reads");
            findings.push(Finding::corrupt(short(&subject), why));
        }
        Err(error) => return Err(error),
    }
    Ok(None)
}
