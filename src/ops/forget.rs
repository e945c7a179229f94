//! Delete what retention lets go, and what killed runs left.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::StreamExt;

use super::evidence::Done;
use super::list::damage_or;
use super::timing::millis_between;
use super::{Ctx, OpsError};
use crate::model::event::Phase;
use crate::model::evidence::{LostRecord, Operation, Proof};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{Decided, Forgotten};
use crate::model::retention::{Candidate, Fate, Policy, plan};
use crate::repo::{Lease, RepoError, Sweep};

/// What to forget of one database.
pub struct ForgetRequest {
    /// The database.
    pub database: DatabaseName,
    /// Which of its snapshots.
    pub what: ForgetWhat,
    /// Only tell what would happen.
    pub dry_run: bool,
}

/// Which snapshots go.
pub enum ForgetWhat {
    /// Those that the policy does not keep.
    ByPolicy(Policy),
    /// Those named; the newest proven one is refused all the same.
    Named(Vec<SnapshotId>),
    /// None: only what unfinished runs left.
    Orphans,
}

/// Forgets. Deletes under the database's lease; a snapshot that somebody reads is refused, never cut from under them.
pub async fn forget(ctx: &Ctx, request: &ForgetRequest) -> Result<Forgotten, OpsError> {
    if request.dry_run {
        let orphans = ctx.repo.orphans(&request.database).await?.into_iter().map(|orphan| orphan.folder).collect();
        return Ok(Forgotten { dry_run: true, decisions: decide(ctx, request).await?, orphans });
    }
    let lease = ctx.repo.lease(&request.database, "forget", &ctx.holder, &ctx.watch).await?;
    let forgotten = under_lease(ctx, request, &lease).await;
    if let Err(error) = lease.release().await {
        ctx.watch.warn(format!("the lease could not be released, it runs out by itself: {error}"));
    }
    forgotten
}

async fn under_lease(ctx: &Ctx, request: &ForgetRequest, lease: &Lease) -> Result<Forgotten, OpsError> {
    let mut plan = Plan::make(ctx, request).await?;
    ctx.watch.began(Phase::Forget, None);
    while let Some(place) = plan.next() {
        ctx.watch.cancel.check()?;
        plan.take_notice(ctx, request).await?;
        plan.carry_out(ctx, request, lease, place).await?;
    }
    let orphans = match request.what {
        ForgetWhat::Orphans => ctx.repo.sweep(lease, Sweep::All, &ctx.watch).await?,
        ForgetWhat::ByPolicy(_) | ForgetWhat::Named(_) => Vec::new(),
    };
    ctx.watch.ended(Phase::Forget);
    let orphans = orphans.into_iter().map(|orphan| orphan.folder).collect();
    Ok(Forgotten { dry_run: false, decisions: plan.decisions, orphans })
}

/// What was decided, how far it is carried out, and up to which record the decisions know the evidence.
struct Plan {
    decisions: Vec<Decided>,
    gone: BTreeSet<SnapshotId>,
    evidence_end: u64,
}

impl Plan {
    async fn make(ctx: &Ctx, request: &ForgetRequest) -> Result<Self, OpsError> {
        let evidence_end = ctx.repo.evidence_end(&request.database).await?;
        Ok(Self { decisions: decide(ctx, request).await?, gone: BTreeSet::new(), evidence_end })
    }

    /// The place of the next snapshot to go: the oldest first, so that whatever stops this leaves the newer ones.
    fn next(&self) -> Option<usize> {
        self.decisions.iter().rposition(|decided| !decided.kept && !self.gone.contains(&decided.id))
    }

    /// Decides again when something was recorded meanwhile: a verification needs no lease, and may have found that
    /// what was to stay is damaged.
    async fn take_notice(&mut self, ctx: &Ctx, request: &ForgetRequest) -> Result<(), OpsError> {
        let end = ctx.repo.evidence_end(&request.database).await?;
        if end == self.evidence_end {
            return Ok(());
        }
        let anew = decide(ctx, request).await?;
        for decided in self.decisions.iter_mut().filter(|decided| !self.gone.contains(&decided.id)) {
            if let Some(new) = anew.iter().find(|new| new.id == decided.id) {
                decided.clone_from(new);
            }
        }
        self.evidence_end = end;
        Ok(())
    }

    async fn carry_out(
        &mut self,
        ctx: &Ctx,
        request: &ForgetRequest,
        lease: &Lease,
        place: usize,
    ) -> Result<(), OpsError> {
        let decided = &mut self.decisions[place];
        if decided.kept {
            return Ok(());
        }
        match (delete(ctx, lease, &decided.id).await, &request.what) {
            (Ok(recorded), _) => {
                self.gone.insert(decided.id.clone());
                // Own records change no decision; one of somebody else in between leaves a gap here.
                let own = recorded.filter(|number| *number == self.evidence_end + 1);
                self.evidence_end = own.unwrap_or(self.evidence_end);
                Ok(())
            }
            (Err(OpsError::Repo(error @ RepoError::Pinned { .. })), ForgetWhat::ByPolicy(_)) => {
                ctx.watch.note(error.to_string());
                *decided = Decided { kept: true, reasons: vec![format!("pinned: {error}")], ..decided.clone() };
                Ok(())
            }
            (Err(error), _) => Err(error),
        }
    }
}

async fn decide(ctx: &Ctx, request: &ForgetRequest) -> Result<Vec<Decided>, OpsError> {
    match &request.what {
        ForgetWhat::Orphans => Ok(Vec::new()),
        ForgetWhat::ByPolicy(policy) => {
            let candidates = candidates(ctx, &request.database).await?;
            let decisions = plan(&candidates, policy, ctx.watch.clock.now());
            Ok(decisions.into_iter().map(|decision| decided(decision.id, decision.fate)).collect())
        }
        ForgetWhat::Named(ids) => decide_named(ctx, &request.database, ids).await,
    }
}

fn decided(id: SnapshotId, fate: Fate) -> Decided {
    match fate {
        Fate::Keep(reasons) => Decided { id, kept: true, reasons: reasons.iter().map(ToString::to_string).collect() },
        Fate::Forget(why) => Decided { id, kept: false, reasons: vec![why.to_string()] },
    }
}

async fn decide_named(ctx: &Ctx, database: &DatabaseName, ids: &[SnapshotId]) -> Result<Vec<Decided>, OpsError> {
    let candidates = candidates(ctx, database).await?;
    let verified = candidates.iter().filter(|candidate| candidate.is_verified());
    let must_stay = match verified.max_by_key(|candidate| candidate.taken_at) {
        Some(newest) => Some((newest, "it is the newest verified snapshot".to_owned())),
        // While nothing is verified, each that was before its proof was lost may be the best there is.
        None => candidates.iter().filter(|one| ids.contains(&one.id)).find_map(|one| Some((one, one.pinned.clone()?))),
    };
    if let Some((candidate, why)) = must_stay.filter(|(candidate, _)| ids.contains(&candidate.id)) {
        return Err(OpsError::MustStay { id: candidate.id.clone(), why });
    }
    let named = |id: &SnapshotId| Decided { id: id.clone(), kept: false, reasons: vec!["named".into()] };
    Ok(ids.iter().map(named).collect())
}

/// Every snapshot as retention sees it; one that can't be read counts as damaged.
async fn candidates(ctx: &Ctx, database: &DatabaseName) -> Result<Vec<Candidate>, OpsError> {
    let records = ctx.repo.evidence(database).await?;
    let ids = ctx.repo.snapshots(database).await?;
    let mut candidates = Vec::with_capacity(ids.len());
    let mut manifests = pin!(ctx.repo.manifests(ids));
    while let Some((id, manifest)) = manifests.next().await {
        candidates.push(match manifest {
            Ok((manifest, digest)) => Candidate {
                taken_at: manifest.state.taken_at,
                proof: records.proof(digest),
                source_damaged: manifest.state.source_check.is_damaged(),
                pinned: records.doubt(digest).map(|lost| doubtful(ctx, database, lost)),
                id,
            },
            Err(RepoError::NoSnapshot { .. }) => continue,
            Err(error) => unreadable(ctx, id, damage_or(error)?),
        });
    }
    Ok(candidates)
}

/// What a lost record said may be that this snapshot, or the one that retention would keep instead, is damaged.
fn doubtful(ctx: &Ctx, database: &DatabaseName, lost: &LostRecord) -> String {
    format!("{} is lost, verify it again", ctx.repo.evidence_path(database, lost.number))
}

/// Counts as damaged, except where it can be neither judged nor deleted: then it stays.
fn unreadable(ctx: &Ctx, id: SnapshotId, why: RepoError) -> Candidate {
    ctx.watch.warn(format!("{id} can't be read: {why}"));
    let newer = matches!(why, RepoError::NewerFormat { .. });
    let pinned = match why {
        RepoError::NewerFormat { .. } => Some("it was written by a newer dbops".to_owned()),
        RepoError::Unsafe { path } => Some(format!("{path} leads out of the repository")),
        _ => None,
    };
    let damaged_at = (!newer).then(|| ctx.watch.clock.now());
    Candidate {
        taken_at: id.instant(),
        proof: Proof { damaged_at, ..Proof::default() },
        source_damaged: false,
        pinned,
        id,
    }
}

/// Deletes a snapshot; the number of the record about that, where one could be left.
async fn delete(ctx: &Ctx, lease: &Lease, id: &SnapshotId) -> Result<Option<u64>, OpsError> {
    let began = ctx.watch.clock.now();
    let manifest_digest = match ctx.repo.manifest(id).await {
        Ok((_, digest)) => Some(digest),
        Err(error) => damage_or(error).map(|_| None)?,
    };
    ctx.repo.forget(lease, id, &ctx.watch).await?;
    ctx.watch.note(format!("forgot {id}"));
    let Some(manifest_digest) = manifest_digest else { return Ok(None) };
    let done = Done {
        operation: Operation::Forget,
        snapshot: id,
        manifest_digest,
        passed: true,
        findings: &[],
        took_ms: millis_between(began, ctx.watch.clock.now()),
    };
    match ctx.record(done).await {
        Ok(record) => Ok(Some(record.number)),
        Err(finding) => {
            ctx.watch.warn(format!("{}: {}", finding.subject, finding.message));
            Ok(None)
        }
    }
}
