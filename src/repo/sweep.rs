//! What killed runs left, found and removed.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;

use super::error::RepoError;
use super::folder::Leftovers;
use super::hold::Claim;
use super::lease::{Grant, Lease};
use super::store::{Listed, Store};
use super::survey::{CommitPoint, at_once, folders, survey};
use super::{Repository, layout, pin, sums};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::watch::Watch;

/// How long a tombstone stands: a writer paused for longer has lost its lease many times over.
const TOMBSTONE_AGE: TimeDelta = TimeDelta::hours(24);
/// Age of leftovers beside records that others may be writing at this moment.
const LEFTOVER_AGE: TimeDelta = TimeDelta::hours(1);

/// How much a sweep removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// What never was a snapshot, or was being forgotten. What the evidence calls committed stays: somebody lost
    /// its commit point, and may find it again.
    Unfinished,
    /// That too.
    All,
}

/// A folder with a snapshot's name that is none: never finished, or half forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The folder, `<database>/<id>`.
    pub folder: String,
    /// Objects in it.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest of them was written.
    pub newest: Option<DateTime<Utc>>,
}

impl Orphan {
    fn of(id: &SnapshotId, objects: &[Listed]) -> Self {
        Self {
            folder: layout::snapshot(id),
            objects: objects.len() as u64,
            bytes: objects.iter().map(|object| object.bytes).sum(),
            newest: objects.iter().map(|object| object.modified).max(),
        }
    }
}

impl Repository {
    /// The orphans of a database. While a backup runs its snapshot looks like one: only who holds the lease
    /// knows better.
    pub async fn orphans(&self, database: &DatabaseName) -> Result<Vec<Orphan>, RepoError> {
        let mut orphans = Vec::new();
        for (id, commit) in survey(self.store(), database).await? {
            match commit {
                CommitPoint::Stands => continue,
                CommitPoint::Absent | CommitPoint::Tombstone(_) => {}
            }
            let objects = leftovers(self.store(), &id).await?;
            let swept = commit != CommitPoint::Absent && objects.is_empty();
            if !swept {
                orphans.push(Orphan::of(&id, &objects));
            }
        }
        Ok(orphans)
    }

    /// Removes the orphans of the leased database, and what else killed runs left of it.
    pub async fn sweep(&self, lease: &Lease, sweep: Sweep, watch: &Watch) -> Result<Vec<Orphan>, RepoError> {
        let (grant, store) = (lease.grant(), self.store());
        grant.confirm().await?;
        let mut swept = Vec::new();
        let surveyed = survey(store, grant.database()).await?;
        let bereft = match sweep {
            Sweep::Unfinished => self.bereft(grant.database(), &surveyed).await?,
            Sweep::All => BTreeSet::new(),
        };
        for (id, commit) in surveyed {
            watch.cancel.check()?;
            if bereft.contains(&id) {
                watch
                    .warn(format!("{id} lost its SHA256SUMS; what is left of it stays until `dbops forget --orphans`"));
                continue;
            }
            swept.extend(sweep_one(store, grant, &id, &commit, watch).await?);
        }
        sweep_marks(store, grant.database()).await?;
        let (_, dead) = pin::pins(store, &layout::pins(grant.database()), watch).await?;
        delete_keys(store, dead).await?;
        for id in folders(store, grant.database()).await? {
            match store.tidy(&layout::snapshot(&id), Leftovers::All).await {
                // One snapshot that somebody tampered with is no reason to take no others.
                Err(error @ RepoError::Unsafe { .. }) => watch.warn(format!("{id} was left as it is: {error}")),
                tidied => tidied?,
            }
        }
        let old = Leftovers::Before(watch.clock.now() - LEFTOVER_AGE);
        for folder in [layout::locks, layout::evidence, layout::pins] {
            store.tidy(&folder(grant.database()), old).await?;
        }
        Ok(swept)
    }

    /// Snapshots that lost their commit point: they were committed, nobody forgot them, and they are not listed.
    pub async fn lost_commits(&self, database: &DatabaseName) -> Result<Vec<SnapshotId>, RepoError> {
        let surveyed = survey(self.store(), database).await?;
        Ok(self.bereft(database, &surveyed).await?.into_iter().collect())
    }

    /// Folders without a commit point that had one: they were committed, and nobody began to forget them.
    async fn bereft(
        &self,
        database: &DatabaseName,
        surveyed: &[(SnapshotId, CommitPoint)],
    ) -> Result<BTreeSet<SnapshotId>, RepoError> {
        let absent = surveyed.iter().filter(|(_, commit)| *commit == CommitPoint::Absent);
        let mut bereft: BTreeSet<SnapshotId> = absent.map(|(id, _)| id.clone()).collect();
        if bereft.is_empty() {
            return Ok(bereft);
        }
        let records = self.evidence(database).await?;
        bereft.retain(|id| records.was_committed(id));
        for mark in self.store().list(layout::TOMBSTONES).await? {
            bereft.retain(|id| mark.key != layout::tombstone(id));
        }
        Ok(bereft)
    }
}

async fn sweep_one(
    store: &Store,
    grant: &Grant,
    id: &SnapshotId,
    commit: &CommitPoint,
    watch: &Watch,
) -> Result<Option<Orphan>, RepoError> {
    match commit {
        CommitPoint::Stands => return Ok(None),
        CommitPoint::Absent => {
            if !claim_commit_point(store, grant, id, watch).await? {
                return Ok(None);
            }
        }
        CommitPoint::Tombstone(claim) => {
            let objects = leftovers(store, id).await?;
            if objects.is_empty() {
                return drop_old_tombstone(store, id, claim.as_ref(), watch).await.map(|()| None);
            }
        }
    }
    let objects = leftovers(store, id).await?;
    delete_keys(store, objects.iter().map(|object| object.key.clone()).collect()).await?;
    Ok(Some(Orphan::of(id, &objects)))
}

/// Puts a tombstone where a paused writer would commit; `false` when it was faster, and the snapshot exists.
async fn claim_commit_point(store: &Store, grant: &Grant, id: &SnapshotId, watch: &Watch) -> Result<bool, RepoError> {
    let claim = Claim { operation: "sweep".to_owned(), taken_at: watch.clock.now(), ..grant.claim() };
    let key = layout::in_snapshot(id, layout::SUMS);
    let theirs = store.create(&key, sums::tombstone(&claim)?).await?.known()?;
    Ok(theirs.is_none_or(|bytes| sums::is_tombstone(&bytes)))
}

/// A tombstone that can't be read any more goes by the store's own time.
async fn drop_old_tombstone(
    store: &Store,
    id: &SnapshotId,
    claim: Option<&Claim>,
    watch: &Watch,
) -> Result<(), RepoError> {
    let key = layout::in_snapshot(id, layout::SUMS);
    let since = match claim {
        Some(claim) => Some(claim.taken_at),
        None => store.list(&layout::snapshot(id)).await?.first().map(|object| object.modified),
    };
    match since {
        Some(since) if watch.clock.now() < since + TOMBSTONE_AGE => Ok(()),
        Some(_) | None => store.delete(&key).await,
    }
}

/// Marks of forgets that died: the lease is ours, so nobody forgets anything.
async fn sweep_marks(store: &Store, database: &DatabaseName) -> Result<(), RepoError> {
    let marks = store.list(layout::TOMBSTONES).await?;
    let ours = |key: &str| layout::last(key).parse::<SnapshotId>().is_ok_and(|id| id.database() == database);
    delete_keys(store, marks.into_iter().map(|mark| mark.key).filter(|key| ours(key)).collect()).await
}

/// Everything in a snapshot's folder but what stands at its commit point.
async fn leftovers(store: &Store, id: &SnapshotId) -> Result<Vec<Listed>, RepoError> {
    let commit = layout::in_snapshot(id, layout::SUMS);
    let mut objects = store.list(&layout::snapshot(id)).await?;
    objects.retain(|object| object.key != commit);
    Ok(objects)
}

pub(super) async fn delete_all(store: &Store, folder: &str) -> Result<(), RepoError> {
    let objects = store.list(folder).await?;
    delete_keys(store, objects.into_iter().map(|object| object.key).collect()).await
}

async fn delete_keys(store: &Store, keys: Vec<String>) -> Result<(), RepoError> {
    at_once(keys.iter().map(|key| store.delete(key).boxed())).await.map(|_| ())
}
