//! A claim with an expiry, kept alive by rewriting it: what leases and pins have in common.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::RepoError;
use super::holder::Holder;
use super::layout;
use super::store::{Created, Store};
use crate::model::watch::Watch;

/// How long a claim holds without renewal; a killed run on another host blocks others for at most this long.
pub(super) const HOLD_TIME: TimeDelta = TimeDelta::seconds(60);
/// How often it is renewed: three renewals may fail before the claim is lost.
const RENEWAL: Duration = Duration::from_secs(15);
/// Bytes that a claim may have; anything larger is not ours.
pub(super) const CLAIM_BYTES: u64 = 64 << 10;

/// What stands in a lease's generation, in a pin and in the mark of a snapshot that is being forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) generation: u64,
    pub(super) holder: Holder,
    pub(super) operation: String,
    pub(super) taken_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    #[serde(default)]
    pub(super) released: bool,
}

impl Claim {
    pub(super) fn new(generation: u64, holder: &Holder, operation: &str, now: DateTime<Utc>) -> Self {
        Self {
            generation,
            holder: holder.clone(),
            operation: operation.to_owned(),
            taken_at: now,
            expires_at: now + HOLD_TIME,
            released: false,
        }
    }

    pub(super) fn bytes(&self) -> Result<Bytes, RepoError> {
        let json = serde_json::to_vec(self);
        json.map(Bytes::from).map_err(|error| RepoError::storage("write", "a claim", error))
    }

    /// The claim that stands there; `None` where there is none, or none that can be read.
    pub(super) async fn read(store: &Store, key: &str) -> Result<Option<Self>, RepoError> {
        match store.read(key, CLAIM_BYTES).await {
            Ok(bytes) => Ok(bytes.as_deref().and_then(Self::parse)),
            Err(RepoError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether somebody still stands behind it. `modified` is when the store says that it was written last.
    ///
    /// An expiry too far ahead was written by a clock that went wrong; only the store's time bounds it then.
    pub(super) fn is_live(&self, now: DateTime<Utc>, modified: DateTime<Utc>) -> bool {
        let sane = self.expires_at <= now + HOLD_TIME * 2;
        let expires_at = if sane { self.expires_at } else { modified + HOLD_TIME };
        !self.released && now < expires_at && !self.holder.is_provably_dead()
    }
}

/// Why a claim does not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Overtaken,
    Expired,
    Released,
}

/// A claim of this process.
pub(super) struct Hold {
    store: Store,
    watch: Watch,
    folder: String,
    key: String,
    state: Mutex<(Claim, Option<Lost>)>,
}

impl Hold {
    /// Claims `key` unless it is taken; then its bytes come back.
    pub(super) async fn take(
        store: &Store,
        watch: &Watch,
        folder: String,
        key: String,
        claim: Claim,
    ) -> Result<Result<Self, Bytes>, RepoError> {
        let created: Created = store.create(&key, claim.bytes()?).await?;
        if let Some(theirs) = created.known()? {
            return Ok(Err(theirs));
        }
        let state = Mutex::new((claim, None));
        Ok(Ok(Self { store: store.clone(), watch: watch.clone(), folder, key, state }))
    }

    fn state<T>(&self, deed: impl FnOnce(&mut (Claim, Option<Lost>)) -> T) -> T {
        deed(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn claim(&self) -> Claim {
        self.state(|(claim, _)| claim.clone())
    }

    /// Whether it still holds, by what is known here.
    pub(super) fn standing(&self) -> Result<(), Lost> {
        let now = self.watch.clock.now();
        self.state(|(claim, lost)| match *lost {
            Some(lost) => Err(lost),
            None if now >= claim.expires_at => Err(Lost::Expired),
            None => Ok(()),
        })
    }

    /// Whether it still holds, asked of the store; renews it.
    pub(super) async fn confirm(&self) -> Result<Result<(), Lost>, RepoError> {
        if let Err(lost) = self.standing() {
            return Ok(Err(lost));
        }
        let now = self.watch.clock.now();
        let renewed = Claim { expires_at: now + HOLD_TIME, ..self.claim() };
        self.store.put(&self.key, vec![renewed.bytes()?]).await?;
        if self.is_overtaken().await? {
            self.state(|(_, lost)| *lost = Some(Lost::Overtaken));
        } else {
            self.state(|(claim, _)| *claim = renewed);
        }
        Ok(self.standing())
    }

    /// A newer generation beside it means that somebody took this one for dead. Pins stand alone.
    async fn is_overtaken(&self) -> Result<bool, RepoError> {
        let mine = self.claim().generation;
        let listed = self.store.list(&self.folder).await?;
        Ok(mine > 0 && listed.iter().filter_map(|found| generation(&found.key)).any(|other| other > mine))
    }

    /// Says that it is over; does nothing when it was lost before.
    pub(super) async fn release(&self) -> Result<(), RepoError> {
        let standing = self.standing();
        let released = self.state(|(claim, lost)| {
            claim.released = true;
            lost.get_or_insert(Lost::Released);
            claim.clone()
        });
        match (standing, released.generation) {
            (_, 0) => self.store.delete(&self.key).await,
            (Ok(()), _) => self.store.put(&self.key, vec![released.bytes()?]).await,
            (Err(_), _) => Ok(()),
        }
    }
}

/// The generation that a key names.
pub(super) fn generation(key: &str) -> Option<u64> {
    layout::last(key).parse().ok()
}

/// The task that renews a hold until it is stopped; dropped, it ends at once.
pub(super) struct Renewal {
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Renewal {
    pub(super) fn start(hold: Arc<Hold>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    () = tokio::time::sleep(RENEWAL) => {}
                }
                match hold.confirm().await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(error) => hold.watch.note(format!("could not renew {}: {error}; trying again", hold.key)),
                }
            }
        });
        Self { stop: Some(stop), task: Some(task) }
    }

    /// Ends it after a renewal that may be under way, so that nothing is written behind a release.
    pub(super) async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
