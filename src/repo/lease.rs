//! One writer a database: leases as generations.
//!
//! Stores lack compare-and-swap, so a lease is a number: who creates the next one holds it. The highest is never
//! deleted, and a released or expired one is overtaken by creating its successor; of two who try, one fails.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::error::RepoError;
use super::hold::{Claim, HOLD_TIME, Hold, Lost, Renewal, generation};
use super::holder::Holder;
use super::store::{Listed, Store};
use super::{Repository, layout};
use crate::model::names::DatabaseName;
use crate::model::watch::Watch;

/// The right to change a database's snapshots, renewed in the background until released or dropped.
pub struct Lease {
    grant: Grant,
    renewal: Renewal,
}

/// What a lease gives to those who work under it.
#[derive(Clone)]
pub(super) struct Grant {
    database: DatabaseName,
    hold: Arc<Hold>,
}

impl Repository {
    /// Takes the lease of `database` for `operation`; [`RepoError::Locked`] while another run holds it.
    pub async fn lease(
        &self,
        database: &DatabaseName,
        operation: &str,
        holder: &Holder,
        watch: &Watch,
    ) -> Result<Lease, RepoError> {
        let store = self.store();
        let standing = generations(store, database).await?;
        if let Some((_, listed)) = standing.last() {
            refuse_live(store, database, listed, watch).await?;
        }
        let next = standing.last().map_or(0, |(number, _)| *number) + 1;
        let claim = Claim::new(next, holder, operation, watch.clock.now());
        let (folder, key) = (layout::locks(database), layout::lock(database, next));
        let hold = match Hold::take(store, watch, folder, key.clone(), claim).await? {
            Ok(hold) => Arc::new(hold),
            Err(theirs) => return Err(locked(database, &key, Claim::parse(&theirs), watch.clock.now())),
        };
        if let Err(error) = settle(store, database, &hold, watch).await {
            let _ = hold.release().await;
            return Err(error);
        }
        let renewal = Renewal::start(Arc::clone(&hold));
        Ok(Lease { grant: Grant { database: database.clone(), hold }, renewal })
    }
}

/// Our generation may be one that others took, released and deleted since we listed: then a higher one stands.
/// Otherwise the lower ones have no more use; what can't be deleted now, the next taker deletes.
async fn settle(store: &Store, database: &DatabaseName, hold: &Hold, watch: &Watch) -> Result<(), RepoError> {
    let mine = hold.claim().generation;
    let standing = generations(store, database).await?;
    if let Some((_, newer)) = standing.last().filter(|(number, _)| *number > mine) {
        let claim = Claim::read(store, &newer.key).await?;
        return Err(locked(database, &newer.key, claim, watch.clock.now()));
    }
    for (_, older) in standing.iter().filter(|(number, _)| *number < mine) {
        let _ = store.delete(&older.key).await;
    }
    Ok(())
}

async fn generations(store: &Store, database: &DatabaseName) -> Result<Vec<(u64, Listed)>, RepoError> {
    let listed = store.list(&layout::locks(database)).await?;
    let mut numbered: Vec<_> = listed.into_iter().filter_map(|found| Some((generation(&found.key)?, found))).collect();
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered)
}

/// A record that can't be read is judged by its age: it holds as long as a readable one would have at most.
async fn refuse_live(store: &Store, database: &DatabaseName, listed: &Listed, watch: &Watch) -> Result<(), RepoError> {
    let now = watch.clock.now();
    match Claim::read(store, &listed.key).await? {
        Some(claim) if !claim.is_live(now, listed.modified) => Ok(()),
        None if now >= listed.modified + HOLD_TIME => Ok(()),
        claim => Err(locked(database, &listed.key, claim, listed.modified)),
    }
}

/// Who holds the lease, as far as its record can be read.
fn locked(database: &DatabaseName, key: &str, claim: Option<Claim>, modified: DateTime<Utc>) -> RepoError {
    let database = database.clone();
    match claim {
        Some(Claim { holder, operation, taken_at, expires_at, .. }) => {
            RepoError::Locked { database, holder: holder.to_string(), operation, since: taken_at, expires: expires_at }
        }
        None => RepoError::Locked {
            database,
            holder: format!("an unreadable record, {key}"),
            operation: "an operation".to_owned(),
            since: modified,
            expires: modified + HOLD_TIME,
        },
    }
}

/// Whether the lease in whose name `claim` was made does not stand any more.
pub(super) async fn is_stale(
    store: &Store,
    database: &DatabaseName,
    claim: &Claim,
    watch: &Watch,
) -> Result<bool, RepoError> {
    if claim.holder.is_provably_dead() {
        return Ok(true);
    }
    let standing = generations(store, database).await?;
    let Some((number, listed)) = standing.last() else { return Ok(true) };
    if *number != claim.generation {
        return Ok(true);
    }
    let lease = Claim::read(store, &listed.key).await?;
    Ok(lease.is_some_and(|lease| !lease.is_live(watch.clock.now(), listed.modified)))
}

impl Lease {
    /// The database that it is for.
    #[must_use]
    pub const fn database(&self) -> &DatabaseName {
        &self.grant.database
    }

    /// `Err` once it was lost, by what is known without asking the store.
    pub fn check(&self) -> Result<(), RepoError> {
        self.grant.check()
    }

    /// Lets the next run in.
    pub async fn release(self) -> Result<(), RepoError> {
        let Self { grant, renewal } = self;
        renewal.stop().await;
        grant.hold.release().await
    }

    pub(super) const fn grant(&self) -> &Grant {
        &self.grant
    }
}

impl Grant {
    pub(super) fn check(&self) -> Result<(), RepoError> {
        self.hold.standing().map_err(|lost| self.lost(lost))
    }

    /// Asks the store, and renews: right before what can't be undone.
    pub(super) async fn confirm(&self) -> Result<(), RepoError> {
        self.hold.confirm().await?.map_err(|lost| self.lost(lost))
    }

    /// A claim in the name of this lease.
    pub(super) fn claim(&self) -> Claim {
        self.hold.claim()
    }

    /// `Err` where the lease is for another database.
    pub(super) fn covers(&self, database: &DatabaseName) -> Result<(), RepoError> {
        if *database == self.database {
            return self.check();
        }
        Err(RepoError::LostLease { database: database.clone(), why: format!("it is for {}", self.database) })
    }

    pub(super) const fn database(&self) -> &DatabaseName {
        &self.database
    }

    fn lost(&self, lost: Lost) -> RepoError {
        let why = match lost {
            Lost::Overtaken => "another run took it over",
            Lost::Expired => "it expired before it could be renewed",
            Lost::Released => "it was released",
        };
        RepoError::LostLease { database: self.database.clone(), why: why.to_owned() }
    }
}
