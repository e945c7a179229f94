//! Readers against forget: a reader writes its pin and then looks for the mark of a forget; a forget writes its
//! mark and then looks for pins. Whoever comes second sees the other.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{RepoError, io_cause};
use super::hold::{CLAIM_BYTES, Claim, HOLD_TIME, Hold, Renewal};
use super::holder::Holder;
use super::store::{Listed, Store};
use super::{layout, lease};
use crate::model::names::SnapshotId;
use crate::model::watch::Watch;

/// A snapshot held back from forget until released; dropped, it expires.
pub(super) struct Pin(Option<(Arc<Hold>, Renewal)>);

impl Pin {
    pub(super) async fn take(
        store: &Store,
        id: &SnapshotId,
        holder: &Holder,
        watch: &Watch,
    ) -> Result<Self, RepoError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let claim = Claim::new(0, holder, "read", watch.clock.now());
        let folder = layout::pins_of(id);
        let key = format!("{folder}/{}-{}", holder.run, COUNT.fetch_add(1, Ordering::Relaxed));
        let pin = match Hold::take(store, watch, folder, key.clone(), claim).await {
            Ok(Ok(hold)) => {
                let hold = Arc::new(hold);
                Self(Some((Arc::clone(&hold), Renewal::start(hold))))
            }
            Ok(Err(_)) => return Err(RepoError::corrupt(key, "another run wrote it")),
            // A copy on read-only media must be readable, and nobody can forget anything there.
            Err(error) if is_read_only(&error) => {
                watch.warn(format!("could not pin {id} against deletion: the repository is not writable"));
                Self(None)
            }
            Err(error) => return Err(error),
        };
        match refuse_forgotten(store, id, watch).await {
            Ok(()) => Ok(pin),
            Err(error) => {
                let _ = pin.release().await;
                Err(error)
            }
        }
    }

    pub(super) async fn release(self) -> Result<(), RepoError> {
        let Some((hold, renewal)) = self.0 else { return Ok(()) };
        renewal.stop().await;
        hold.release().await
    }
}

fn is_read_only(error: &RepoError) -> bool {
    let kind = io_cause(error).map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied))
}

/// The mark of a forget that died is no obstacle.
async fn refuse_forgotten(store: &Store, id: &SnapshotId, watch: &Watch) -> Result<(), RepoError> {
    let Some(bytes) = store.read(&layout::tombstone(id), CLAIM_BYTES).await? else { return Ok(()) };
    let stale = match Claim::parse(&bytes) {
        Some(claim) => lease::is_stale(store, id.database(), &claim, watch).await?,
        None => false,
    };
    if stale { Ok(()) } else { Err(RepoError::BeingForgotten { snapshot: id.clone() }) }
}

/// The pins of a snapshot: who reads it, and the keys of pins that nobody stands behind any more.
pub(super) async fn pins(store: &Store, folder: &str, watch: &Watch) -> Result<(Vec<String>, Vec<String>), RepoError> {
    let (mut live, mut dead) = (Vec::new(), Vec::new());
    for listed in store.list(folder).await? {
        match reader_of(store, &listed, watch).await? {
            Some(who) => live.push(who),
            None => dead.push(listed.key),
        }
    }
    Ok((live, dead))
}

/// A pin that can't be read is judged by its age.
async fn reader_of(store: &Store, listed: &Listed, watch: &Watch) -> Result<Option<String>, RepoError> {
    let now = watch.clock.now();
    Ok(match Claim::read(store, &listed.key).await? {
        Some(claim) => {
            claim.is_live(now, listed.modified).then(|| format!("{} since {}", claim.holder, claim.taken_at))
        }
        None => (now < listed.modified + HOLD_TIME).then(|| format!("an unreadable pin, {}", listed.key)),
    })
}
