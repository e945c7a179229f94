//! What is in the repository: databases, snapshots, and folders that are none.

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::error::RepoError;
use super::hold::{CLAIM_BYTES, Claim};
use super::store::Store;
use super::{Repository, layout, sums};
use crate::model::names::{DatabaseName, SnapshotId};

/// Small objects that are read at once.
pub(super) const AT_ONCE: usize = 16;

/// What stands at the commit point of a snapshot's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommitPoint {
    /// Nothing: never finished, or about to be.
    Absent,
    /// A SHA256SUMS: the snapshot exists.
    Stands,
    /// A tombstone: it will never exist.
    Tombstone(Option<Claim>),
}

impl Repository {
    /// The databases that have snapshots or did; sorted.
    pub async fn databases(&self) -> Result<Vec<DatabaseName>, RepoError> {
        let names = self.store().folders("").await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The snapshots that exist, oldest first.
    pub async fn snapshots(&self, database: &DatabaseName) -> Result<Vec<SnapshotId>, RepoError> {
        let all = survey(self.store(), database).await?;
        Ok(all.into_iter().filter(|(_, commit)| *commit == CommitPoint::Stands).map(|(id, _)| id).collect())
    }
}

/// Every folder of `database` that has a snapshot's name, with its commit point; oldest first.
pub(super) async fn survey(
    store: &Store,
    database: &DatabaseName,
) -> Result<Vec<(SnapshotId, CommitPoint)>, RepoError> {
    let ids = folders(store, database).await?;
    at_once(ids.into_iter().map(|id| {
        async move {
            let commit = commit_point(store, &id).await?;
            Ok((id, commit))
        }
        .boxed()
    }))
    .await
}

/// The ids that folders of `database` have, oldest first.
pub(super) async fn folders(store: &Store, database: &DatabaseName) -> Result<Vec<SnapshotId>, RepoError> {
    let names = store.folders(database.as_str()).await?;
    let ids = names.iter().filter_map(|name| name.parse::<SnapshotId>().ok());
    let mut ids: Vec<_> = ids.filter(|id| id.database() == database).collect();
    ids.sort();
    Ok(ids)
}

/// Only small objects can be tombstones, so a large one is not read. What leads out of the repository is no
/// tombstone either: it is listed, so that reading it tells, and never swept.
pub(super) async fn commit_point(store: &Store, id: &SnapshotId) -> Result<CommitPoint, RepoError> {
    match store.read(&layout::in_snapshot(id, layout::SUMS), CLAIM_BYTES).await {
        Ok(None) => Ok(CommitPoint::Absent),
        Ok(Some(bytes)) if sums::is_tombstone(&bytes) => Ok(CommitPoint::Tombstone(sums::tombstone_claim(&bytes))),
        Ok(Some(_)) | Err(RepoError::TooLarge { .. } | RepoError::Unsafe { .. }) => Ok(CommitPoint::Stands),
        Err(error) => Err(error),
    }
}

/// Drives small reads, a bounded number at once; results in order, the first error ends it.
pub(super) async fn at_once<'a, T: Send + 'a>(
    reads: impl Iterator<Item = BoxFuture<'a, Result<T, RepoError>>> + Send,
) -> Result<Vec<T>, RepoError> {
    stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await
}
