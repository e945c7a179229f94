//! Deleting a snapshot that nobody reads.

use super::error::RepoError;
use super::folder::Leftovers;
use super::hold::Claim;
use super::lease::{Grant, Lease};
use super::pin;
use super::survey::{CommitPoint, commit_point};
use super::{Repository, layout, sweep};
use crate::model::names::SnapshotId;
use crate::model::watch::Watch;

impl Repository {
    /// Deletes a snapshot; [`RepoError::Pinned`] while somebody reads it.
    ///
    /// Its commit point goes first, so that whatever happens in between it is whole or gone.
    pub async fn forget(&self, lease: &Lease, id: &SnapshotId, watch: &Watch) -> Result<(), RepoError> {
        let grant = lease.grant();
        grant.covers(id.database())?;
        self.store().check_tree(&layout::snapshot(id)).await?;
        if commit_point(self.store(), id).await? != CommitPoint::Stands {
            return Err(RepoError::NoSnapshot { snapshot: id.clone() });
        }
        self.mark(grant, id, watch).await?;
        let (live, _) = pin::pins(self.store(), &layout::pins_of(id), watch).await?;
        if !live.is_empty() {
            self.store().delete(&layout::tombstone(id)).await?;
            return Err(RepoError::Pinned { snapshot: id.clone(), who: live.join(", ") });
        }
        grant.confirm().await?;
        self.store().delete_for_good(&layout::in_snapshot(id, layout::SUMS)).await?;
        sweep::delete_all(self.store(), &layout::snapshot(id)).await?;
        sweep::delete_all(self.store(), &layout::pins_of(id)).await?;
        self.store().delete(&layout::tombstone(id)).await?;
        self.store().tidy(&layout::snapshot(id), Leftovers::All).await
    }

    /// Warns readers off. A mark that stands already is of a forget that died, since the lease is ours.
    async fn mark(&self, grant: &Grant, id: &SnapshotId, watch: &Watch) -> Result<(), RepoError> {
        let claim = Claim { operation: "forget".to_owned(), taken_at: watch.clock.now(), ..grant.claim() };
        let (key, bytes) = (layout::tombstone(id), claim.bytes()?);
        match self.store().create(&key, bytes.clone()).await?.known()? {
            None => Ok(()),
            Some(_) => self.store().put(&key, vec![bytes]).await,
        }
    }
}
