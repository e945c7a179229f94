//! Writing a snapshot: its files, then the list of frames, the manifest, and last the commit point.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::Map;

use super::error::RepoError;
use super::folder::Leftovers;
use super::frames::{self, FrameTable, is_framed};
use super::lease::{Grant, Lease};
use super::manifest::MANIFEST_BYTES;
use super::proof::{Bench, check_sizes};
use super::store::{Created, Store};
use super::upload::Upload;
use super::{Repository, layout, sums, survey};
use crate::blocking::blocking;
use crate::codec::{EncodedFrame, Hasher, digest};
use crate::model::digest::Digest;
use crate::model::event::Phase;
use crate::model::frame::{Compression, Frame};
use crate::model::manifest::{FORMAT, FileRecord, FileRole, Manifest, State};
use crate::model::names::{FileName, SnapshotId};
use crate::model::report::Finding;
use crate::model::watch::Watch;

/// Bytes up to which hashing in place is cheaper than handing them to another thread.
const HASH_HERE_BYTES: usize = 16 << 10;

/// What the manifest says beside what the writer knows itself.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The state that was stored.
    pub state: State,
    /// The release that it was taken for.
    pub release: Option<String>,
    /// Free text of who took it.
    pub note: Option<String>,
    /// Version of dbops that wrote it.
    pub dbops_version: String,
}

/// A snapshot that exists now.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its id.
    pub id: SnapshotId,
    /// Its manifest.
    pub manifest: Manifest,
    /// SHA-256 of the manifest's bytes.
    pub manifest_digest: Digest,
}

/// A snapshot on its way. It does not exist before [`SnapshotWriter::commit`], and nothing can be added after.
pub struct SnapshotWriter {
    site: Arc<Site>,
}

/// Where files are written to and entered once they are finished.
struct Site {
    store: Store,
    id: SnapshotId,
    compression: Compression,
    grant: Grant,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    begun: BTreeSet<FileName>,
    files: Vec<FileRecord>,
    frames: FrameTable,
    closed: bool,
}

impl Repository {
    /// Begins a snapshot of the leased database, named after this second or the next free one.
    pub async fn begin(
        &self,
        lease: &Lease,
        compression: Compression,
        watch: &Watch,
    ) -> Result<SnapshotWriter, RepoError> {
        let grant = lease.grant().clone();
        grant.check()?;
        let taken: BTreeSet<_> = survey::folders(self.store(), grant.database()).await?.into_iter().collect();
        let mut instant = watch.clock.now();
        let mut id = SnapshotId::new(grant.database().clone(), instant);
        while taken.contains(&id) {
            instant += TimeDelta::seconds(1);
            id = SnapshotId::new(grant.database().clone(), instant);
        }
        let entries = Mutex::new(Entries::default());
        let site = Site { store: self.store().clone(), id, compression, grant, entries };
        Ok(SnapshotWriter { site: Arc::new(site) })
    }
}

impl Site {
    fn entries<T>(&self, deed: impl FnOnce(&mut Entries) -> T) -> T {
        deed(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn key(&self, name: &str) -> String {
        layout::in_snapshot(&self.id, name)
    }

    /// Enters a name, once.
    fn claim_name(&self, name: &FileName) -> Result<(), &'static str> {
        if [layout::MANIFEST, layout::FRAMES, layout::SUMS].contains(&name.as_str()) {
            return Err("the repository itself uses that name");
        }
        // object_store's folder store keeps such names for itself.
        let numbered = layout::last(name.as_str()).split_once('#').map(|(_, suffix)| suffix);
        if numbered.is_some_and(|suffix| !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err("it ends in # and a number");
        }
        self.entries(|entries| match (entries.closed, entries.begun.insert(name.clone())) {
            (true, _) => Err("the snapshot is finished"),
            (false, false) => Err("it was begun before"),
            (false, true) => Ok(()),
        })
    }
}

impl SnapshotWriter {
    /// The id that the snapshot will have.
    #[must_use]
    pub fn id(&self) -> &SnapshotId {
        &self.site.id
    }

    /// Begins a file. Several may be written at once.
    pub async fn begin_file(&self, name: &FileName, role: FileRole) -> Result<FileWriter, RepoError> {
        self.site.grant.check()?;
        let not_storable = |why| RepoError::NotStorable { name: name.to_string(), why };
        self.site.claim_name(name).map_err(not_storable)?;
        Ok(FileWriter::new(Arc::clone(&self.site), name.clone(), role))
    }

    /// Reads every finished file from the store and proves it: what is not as it was written is a finding.
    pub async fn read_back(&self, watch: &Watch, jobs: usize) -> Result<Vec<Finding>, RepoError> {
        let (files, frames) = self.site.entries(|entries| (entries.files.clone(), entries.frames.clone()));
        let mut findings = Vec::new();
        let sizes = sizes_of(&self.site.store, &self.site.id).await?;
        let good = check_sizes(&files, &sizes, Some(&frames), &mut findings);
        let site = &self.site;
        watch.began(Phase::Verify, Some(good.iter().map(|file| file.plain_bytes).sum()));
        let bench = Bench::new(&site.store, &site.id, site.compression, jobs, watch);
        findings.extend(bench.prove(&good, Some(&frames)).await?);
        watch.ended(Phase::Verify);
        Ok(findings)
    }

    /// Makes the snapshot exist. On an error it does not, except for [`RepoError::CommitUnknown`].
    pub async fn commit(self, draft: Draft, watch: &Watch) -> Result<Committed, RepoError> {
        let (manifest, manifest_digest) = match self.prepare(draft, watch).await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.abandon().await;
                return Err(error);
            }
        };
        // From here on nothing is deleted: a commit that failed may still arrive, and must find its files.
        // What does not arrive is an orphan, and the next sweep takes its commit point first.
        self.seal(&manifest, manifest_digest).await?;
        Ok(Committed { id: self.site.id.clone(), manifest, manifest_digest })
    }

    /// Everything but the commit point, read back.
    async fn prepare(&self, draft: Draft, watch: &Watch) -> Result<(Manifest, Digest), RepoError> {
        let site = &self.site;
        let (mut files, frames) = site.entries(|entries| {
            entries.closed = true;
            (std::mem::take(&mut entries.files), std::mem::take(&mut entries.frames))
        });
        files.push(self.write_frames(&frames).await?);
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = self.manifest(draft, files, watch);
        let manifest_digest = self.write_manifest(&manifest).await?;
        self.find_all(&manifest, watch).await?;
        watch.cancel.check()?;
        site.grant.confirm().await?;
        Ok((manifest, manifest_digest))
    }

    async fn write_frames(&self, table: &FrameTable) -> Result<FileRecord, RepoError> {
        let name = layout::FRAMES.parse().map_err(|error| RepoError::storage("name", layout::FRAMES, error))?;
        let mut file = FileWriter::new(Arc::clone(&self.site), name, FileRole::Frames);
        for chunk in frames::render(table) {
            file.store(chunk?).await?;
        }
        let (record, _) = file.complete().await?;
        Ok(record)
    }

    fn manifest(&self, draft: Draft, files: Vec<FileRecord>, watch: &Watch) -> Manifest {
        let Draft { state, release, note, dbops_version } = draft;
        Manifest {
            format: FORMAT,
            id: self.site.id.clone(),
            state,
            finished_at: watch.clock.now(),
            dbops_version,
            release,
            note,
            compression: self.site.compression,
            files,
            unknown: Map::new(),
        }
    }

    async fn write_manifest(&self, manifest: &Manifest) -> Result<Digest, RepoError> {
        let key = self.site.key(layout::MANIFEST);
        let json = serde_json::to_vec_pretty(manifest);
        let mut text = json.map_err(|error| RepoError::storage("write", &key, error))?;
        text.push(b'\n');
        let bytes = text.len() as u64;
        if bytes > MANIFEST_BYTES {
            return Err(RepoError::TooLarge { subject: key, bytes, limit: MANIFEST_BYTES });
        }
        let text = Bytes::from(text);
        self.site.store.put(&key, vec![text.clone()]).await?;
        match self.site.store.read(&key, MANIFEST_BYTES).await {
            Ok(Some(found)) if found == text => Ok(digest(&text)),
            Ok(_) | Err(RepoError::TooLarge { .. }) => Err(not_as_written(key)),
            Err(error) => Err(error),
        }
    }

    /// The list of frames as it was written, and every file still there at its size.
    async fn find_all(&self, manifest: &Manifest, watch: &Watch) -> Result<(), RepoError> {
        let site = &self.site;
        let mut findings = Vec::new();
        let sizes = sizes_of(&site.store, &site.id).await?;
        let good = check_sizes(&manifest.files, &sizes, None, &mut findings);
        let list: Vec<_> = good.into_iter().filter(|file| file.role == FileRole::Frames).collect();
        let bench = Bench::new(&site.store, &site.id, site.compression, 1, watch);
        findings.extend(bench.prove(&list, None).await?);
        match findings.into_iter().next() {
            Some(finding) => Err(RepoError::corrupt(site.key(&finding.subject), finding.message)),
            None => Ok(()),
        }
    }

    /// Writes the commit point.
    async fn seal(&self, manifest: &Manifest, manifest_digest: Digest) -> Result<(), RepoError> {
        let snapshot = self.site.id.clone();
        let text = sums::render(manifest, manifest_digest);
        match self.site.store.create(&self.site.key(layout::SUMS), text.into()).await? {
            Created::Ours => Ok(()),
            Created::Theirs(bytes) if sums::is_tombstone(&bytes) => Err(RepoError::Forgotten { snapshot }),
            Created::Theirs(_) => Err(RepoError::LostLease {
                database: snapshot.database().clone(),
                why: format!("another run committed {snapshot}"),
            }),
            Created::Unknown(error) => Err(RepoError::CommitUnknown { snapshot, source: error.into() }),
        }
    }

    /// Gives up: deletes what was stored, as far as that goes; what stays is an orphan.
    pub async fn abandon(self) {
        let site = &self.site;
        let begun = site.entries(|entries| {
            entries.closed = true;
            std::mem::take(&mut entries.begun)
        });
        if site.grant.check().is_err() {
            return;
        }
        let own = [layout::MANIFEST, layout::FRAMES].into_iter().map(str::to_owned);
        for name in begun.into_iter().map(String::from).chain(own) {
            if site.store.delete(&site.key(&name)).await.is_err() {
                return;
            }
        }
        let _ = site.store.tidy(&layout::snapshot(&site.id), Leftovers::All).await;
    }
}

/// The sizes of all files in a snapshot's folder, by name.
pub(super) async fn sizes_of(
    store: &Store,
    id: &SnapshotId,
) -> Result<std::collections::BTreeMap<String, u64>, RepoError> {
    let folder = layout::snapshot(id);
    let listed = store.list(&folder).await?;
    let name = |key: &str| key.strip_prefix(&folder).map(|name| name.trim_start_matches('/').to_owned());
    Ok(listed.into_iter().filter_map(|found| Some((name(&found.key)?, found.bytes))).collect())
}

fn not_as_written(key: String) -> RepoError {
    RepoError::corrupt(key, "what was read back is not what was written")
}

/// A file of a snapshot on its way; dropped unfinished, it is not part of the snapshot.
pub struct FileWriter {
    site: Arc<Site>,
    name: FileName,
    role: FileRole,
    upload: Upload,
    hasher: Hasher,
    frames: Vec<Frame>,
    stored_bytes: u64,
    plain_bytes: u64,
}

impl FileWriter {
    fn new(site: Arc<Site>, name: FileName, role: FileRole) -> Self {
        let upload = Upload::new(&site.store, site.key(name.as_str()));
        let (hasher, frames) = (Hasher::default(), Vec::new());
        Self { site, name, role, upload, hasher, frames, stored_bytes: 0, plain_bytes: 0 }
    }

    /// Appends a frame; for the roles `Data` and `Side`.
    pub async fn append(&mut self, frame: EncodedFrame) -> Result<(), RepoError> {
        if !is_framed(self.role) {
            return Err(self.not_storable("a file of this role has no frames"));
        }
        let EncodedFrame { stored, plain_bytes, rows, digest } = frame;
        let (offset, stored_bytes) = (self.stored_bytes, stored.len() as u64);
        self.frames.push(Frame { offset, stored_bytes, plain_bytes, rows, digest });
        self.plain_bytes += plain_bytes;
        self.take(stored).await
    }

    /// Appends bytes as they are; for the role `Plain`.
    pub async fn append_plain(&mut self, bytes: Bytes) -> Result<(), RepoError> {
        if self.role != FileRole::Plain {
            return Err(self.not_storable("a file of this role is made of frames"));
        }
        self.store(bytes).await
    }

    async fn store(&mut self, bytes: Bytes) -> Result<(), RepoError> {
        self.plain_bytes += bytes.len() as u64;
        self.take(bytes).await
    }

    fn not_storable(&self, why: &'static str) -> RepoError {
        RepoError::NotStorable { name: self.name.to_string(), why }
    }

    async fn take(&mut self, bytes: Bytes) -> Result<(), RepoError> {
        self.stored_bytes += bytes.len() as u64;
        if bytes.len() <= HASH_HERE_BYTES {
            self.hasher.update(&bytes);
        } else {
            let (mut hasher, again) = (std::mem::take(&mut self.hasher), bytes.clone());
            self.hasher = blocking(move || {
                hasher.update(&again);
                hasher
            })
            .await;
        }
        self.upload.push(bytes).await
    }

    /// Ends the file: it will be part of the snapshot.
    pub async fn finish(self) -> Result<FileRecord, RepoError> {
        let site = Arc::clone(&self.site);
        if site.entries(|entries| entries.closed) {
            return Err(self.not_storable("the snapshot is finished"));
        }
        let (record, frames) = self.complete().await?;
        site.entries(|entries| {
            if !frames.is_empty() {
                entries.frames.insert(record.name.clone(), frames);
            }
            entries.files.push(record.clone());
        });
        Ok(record)
    }

    async fn complete(self) -> Result<(FileRecord, Vec<Frame>), RepoError> {
        let Self { site: _, name, role, upload, hasher, frames, stored_bytes, plain_bytes } = self;
        upload.finish().await?;
        let digest = hasher.finish();
        let record = FileRecord { name, role, stored_bytes, plain_bytes, digest, frames: frames.len() as u64 };
        Ok((record, frames))
    }
}
