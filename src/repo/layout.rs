//! Where everything stands in a repository. Keys are relative to its root.

use crate::model::names::{DatabaseName, FileName, SnapshotId};

/// What the repository is: format, id, age.
pub(super) const REPOSITORY: &str = ".dbops/repository.json";
/// The file of a snapshot that names all others.
pub(super) const MANIFEST: &str = "manifest.json";
/// The file of a snapshot that lists its frames.
pub(super) const FRAMES: &str = "frames.jsonl";
/// The commit point of a snapshot.
pub(super) const SUMS: &str = "SHA256SUMS";

/// The folder of a snapshot.
pub(super) fn snapshot(id: &SnapshotId) -> String {
    format!("{}/{id}", id.database())
}

/// A data file of a snapshot.
pub(super) fn file(id: &SnapshotId, name: &FileName) -> String {
    in_snapshot(id, name.as_str())
}

/// One of a snapshot's own three files.
pub(super) fn in_snapshot(id: &SnapshotId, name: &str) -> String {
    format!("{}/{id}/{name}", id.database())
}

/// The folder with the generations of a database's lease.
pub(super) fn locks(database: &DatabaseName) -> String {
    format!(".dbops/locks/{database}")
}

/// One generation of a database's lease.
pub(super) fn lock(database: &DatabaseName, generation: u64) -> String {
    format!(".dbops/locks/{database}/{generation:06}")
}

/// The folder with the pins of a database's snapshots.
pub(super) fn pins(database: &DatabaseName) -> String {
    format!(".dbops/pins/{database}")
}

/// The folder with the pins of a snapshot.
pub(super) fn pins_of(id: &SnapshotId) -> String {
    format!(".dbops/pins/{}/{id}", id.database())
}

/// The mark of a snapshot that is being forgotten.
pub(super) fn tombstone(id: &SnapshotId) -> String {
    format!(".dbops/tombstones/{id}")
}

/// The folder with those marks.
pub(super) const TOMBSTONES: &str = ".dbops/tombstones";

/// The folder with a database's evidence.
pub(super) fn evidence(database: &DatabaseName) -> String {
    format!(".dbops/evidence/{database}")
}

/// One record of a database's evidence.
pub(super) fn evidence_record(database: &DatabaseName, number: u64) -> String {
    format!(".dbops/evidence/{database}/{number:06}.json")
}

/// The last part of a key.
pub(super) fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
