//! Delete what retention lets go, and what killed runs left.

use super::evidence::Done;
use super::list::{damage_or, manifests};
use super::timing::millis_between;
use super::{Ctx, OpsError};
use crate::model::event::Phase;
use crate::model::evidence::{Operation, Proof};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{Decided, Forgotten};
use crate::model::retention::{Candidate, Fate, Policy, plan};
use crate::repo::{Lease, RepoError};

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
    let decisions = decide(ctx, request).await?;
    ctx.watch.began(Phase::Forget, None);
    for decided in decisions.iter().filter(|decided| !decided.kept) {
        ctx.watch.cancel.check()?;
        delete(ctx, lease, decided).await?;
    }
    let orphans = match request.what {
        ForgetWhat::Orphans => ctx.repo.sweep(lease, &ctx.watch).await?,
        ForgetWhat::ByPolicy(_) | ForgetWhat::Named(_) => Vec::new(),
    };
    ctx.watch.ended(Phase::Forget);
    Ok(Forgotten { dry_run: false, decisions, orphans: orphans.into_iter().map(|orphan| orphan.folder).collect() })
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
    let good = |candidate: &&Candidate| candidate.proof.is_verified() && !candidate.source_damaged;
    let newest_verified = candidates.iter().filter(good).max_by_key(|candidate| candidate.taken_at);
    if let Some(newest) = newest_verified.filter(|newest| ids.contains(&newest.id)) {
        return Err(OpsError::MustStay { id: newest.id.clone(), why: "it is the newest verified snapshot".into() });
    }
    let named = |id: &SnapshotId| Decided { id: id.clone(), kept: false, reasons: vec!["named".into()] };
    Ok(ids.iter().map(named).collect())
}

/// Every snapshot as retention sees it; one that can't be read counts as damaged.
async fn candidates(ctx: &Ctx, database: &DatabaseName) -> Result<Vec<Candidate>, OpsError> {
    let (records, broken) = ctx.evidence(database).await?;
    let mut candidates = Vec::new();
    for (id, read) in manifests(ctx, database).await? {
        candidates.push(match read {
            Ok((manifest, digest)) => Candidate {
                taken_at: manifest.state.taken_at,
                proof: Proof::of(digest, &records),
                source_damaged: manifest.state.source_check.is_damaged(),
                pinned: None,
                id,
            },
            Err(error) => unreadable(ctx, id, damage_or(error)?),
        });
    }
    let unproven = |candidate: &&Candidate| candidate.proof == Proof::default();
    match (broken, candidates.iter().find(unproven)) {
        // What is unproven may only have lost its proof: nothing is decided on that.
        (Some(broken), Some(candidate)) => Err(OpsError::ProofLost { id: candidate.id.clone(), why: broken.message }),
        (Some(_), None) | (None, _) => Ok(candidates),
    }
}

/// Counts as damaged, except where only a newer dbops can read it: then it stays.
fn unreadable(ctx: &Ctx, id: SnapshotId, why: RepoError) -> Candidate {
    ctx.watch.warn(format!("{id} can't be read: {why}"));
    let newer = matches!(why, RepoError::NewerFormat { .. });
    let pinned = newer.then(|| "it was written by a newer dbops".to_owned());
    let proof = Proof { damaged_at: (!newer).then(|| ctx.watch.clock.now()), ..Proof::default() };
    Candidate { taken_at: id.instant(), proof, source_damaged: false, pinned, id }
}

async fn delete(ctx: &Ctx, lease: &Lease, decided: &Decided) -> Result<(), OpsError> {
    let began = ctx.watch.clock.now();
    let manifest_digest = match ctx.repo.manifest(&decided.id).await {
        Ok((_, digest)) => Some(digest),
        Err(error) => damage_or(error).map(|_| None)?,
    };
    ctx.repo.forget(lease, &decided.id, &ctx.watch).await?;
    ctx.watch.note(format!("forgot {}", decided.id));
    let Some(manifest_digest) = manifest_digest else { return Ok(()) };
    let done = Done {
        operation: Operation::Forget,
        snapshot: &decided.id,
        manifest_digest,
        passed: true,
        findings: &[],
        took_ms: millis_between(began, ctx.watch.clock.now()),
    };
    if let Err(finding) = ctx.record(done).await {
        ctx.watch.warn(format!("{}: {}", finding.subject, finding.message));
    }
    Ok(())
}
