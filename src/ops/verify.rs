//! Prove the stored bytes of snapshots.

use std::collections::BTreeSet;

use super::evidence::Done;
use super::timing::millis_between;
use super::{Ctx, OpsError};
use crate::model::digest::Digest;
use crate::model::evidence::{LostRecord, Operation, Records};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{Verified, VerifiedSnapshot, VerifyDepth};
use crate::model::report::{Finding, Severity, worst};
use crate::repo::{Depth, RepoError};

/// Proves the stored bytes of each snapshot, one after the other, with `jobs` workers, and of the evidence about
/// them. Of several, one that is forgotten meanwhile is left out.
///
/// A full verification is recorded as evidence. `Presence` proves nothing, but what it finds damaged is.
pub async fn verify(ctx: &Ctx, ids: &[SnapshotId], depth: VerifyDepth, jobs: usize) -> Result<Verified, OpsError> {
    let mut snapshots: Vec<VerifiedSnapshot> = Vec::with_capacity(ids.len());
    let mut databases = BTreeSet::new();
    for id in ids {
        let mut verified = match verify_one(ctx, id, depth, jobs).await {
            Ok(verified) => verified,
            Err(OpsError::Repo(RepoError::NoSnapshot { .. } | RepoError::BeingForgotten { .. })) if ids.len() > 1 => {
                ctx.watch.note(format!("{id} was forgotten meanwhile"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if databases.insert(id.database()) {
            verified.findings.extend(lost_records(ctx, id.database()).await?);
            verified.findings.extend(lost_commits(ctx, id.database()).await?);
        }
        snapshots.push(verified);
    }
    let passed = !snapshots.is_empty() && snapshots.iter().all(|snapshot| snapshot.passed);
    Ok(Verified { snapshots, passed })
}

/// Warnings: what is lost is lost, and no snapshot is worse for it once it is proven again.
async fn lost_records(ctx: &Ctx, database: &DatabaseName) -> Result<Vec<Finding>, OpsError> {
    let Records { intact: _, lost } = ctx.repo.evidence(database).await?;
    let told = |LostRecord { number, why }: LostRecord| {
        let message = format!("the record is lost: {why}; what was verified before it counts no more");
        Finding::warning(ctx.repo.evidence_path(database, number), message)
    };
    Ok(lost.into_iter().map(told).collect())
}

/// Warnings about snapshots that nobody can list or name any more.
async fn lost_commits(ctx: &Ctx, database: &DatabaseName) -> Result<Vec<Finding>, OpsError> {
    let told = |id: SnapshotId| {
        let message = "was committed, but its SHA256SUMS is missing: put it back, or `dbops forget --orphans`";
        Finding::warning(ctx.repo.path_of(&id), message)
    };
    Ok(ctx.repo.lost_commits(database).await?.into_iter().map(told).collect())
}

async fn verify_one(ctx: &Ctx, id: &SnapshotId, depth: VerifyDepth, jobs: usize) -> Result<VerifiedSnapshot, OpsError> {
    let began = ctx.watch.clock.now();
    let how = match depth {
        VerifyDepth::Full => Depth::Full,
        VerifyDepth::Presence => Depth::Presence,
    };
    let check = ctx.repo.prove(id, &ctx.holder, jobs, how, &ctx.watch).await?;
    let mut verified = VerifiedSnapshot {
        id: id.clone(),
        path: ctx.repo.path_of(id),
        depth,
        passed: worst(&check.findings).is_none_or(|severity| severity < Severity::Failure),
        findings: check.findings,
        stored_bytes: check.stored_bytes,
        plain_bytes: check.plain_bytes,
        frames: check.frames,
        took_ms: millis_between(began, ctx.watch.clock.now()),
    };
    if depth == VerifyDepth::Full || !verified.passed {
        leave_evidence(ctx, &mut verified, check.manifest_digest).await;
    }
    Ok(verified)
}

/// Records the result. A proof that can't be recorded is still a proof: that is a warning, not a failure.
///
/// Without a manifest digest the manifest itself is damaged and there is nothing that a record could be about:
/// such a snapshot is unreadable wherever it is listed.
async fn leave_evidence(ctx: &Ctx, verified: &mut VerifiedSnapshot, manifest_digest: Option<Digest>) {
    let Some(manifest_digest) = manifest_digest else { return };
    let done = Done {
        operation: Operation::Verify,
        snapshot: &verified.id,
        manifest_digest,
        passed: verified.passed,
        findings: &verified.findings,
        took_ms: verified.took_ms,
    };
    if let Err(finding) = ctx.record(done).await {
        verified.findings.push(finding);
    }
}
