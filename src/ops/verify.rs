//! Prove the stored bytes of snapshots.

use super::evidence::Done;
use super::timing::millis_between;
use super::{Ctx, OpsError};
use crate::model::digest::Digest;
use crate::model::evidence::Operation;
use crate::model::names::SnapshotId;
use crate::model::outcome::{Verified, VerifiedSnapshot, VerifyDepth};
use crate::model::report::{Severity, worst};
use crate::repo::{CheckReport, Depth, RepoError};

/// Proves the stored bytes of each snapshot, one after the other, with `jobs` workers.
///
/// A full verification is recorded as evidence; `Presence` proves nothing and leaves none.
pub async fn verify(ctx: &Ctx, ids: &[SnapshotId], depth: VerifyDepth, jobs: usize) -> Result<Verified, OpsError> {
    let mut snapshots = Vec::with_capacity(ids.len());
    for id in ids {
        snapshots.push(verify_one(ctx, id, depth, jobs).await?);
    }
    let passed = !snapshots.is_empty() && snapshots.iter().all(|snapshot| snapshot.passed);
    Ok(Verified { snapshots, passed })
}

async fn verify_one(ctx: &Ctx, id: &SnapshotId, depth: VerifyDepth, jobs: usize) -> Result<VerifiedSnapshot, OpsError> {
    let began = ctx.watch.clock.now();
    let how = match depth {
        VerifyDepth::Full => Depth::Full,
        VerifyDepth::Presence => Depth::Presence,
    };
    let check = check(ctx, id, jobs, how).await?;
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
    if depth == VerifyDepth::Full {
        leave_evidence(ctx, &mut verified, check.manifest_digest).await;
    }
    Ok(verified)
}

/// Checks under a pin, so that nothing is deleted meanwhile. What is too damaged to be pinned as a snapshot is checked
/// without.
async fn check(ctx: &Ctx, id: &SnapshotId, jobs: usize, depth: Depth) -> Result<CheckReport, OpsError> {
    match ctx.repo.reader(id, &ctx.holder, &ctx.watch).await {
        Ok(reader) => {
            let report = reader.check(jobs, depth, &ctx.watch).await;
            if let Err(error) = reader.release().await {
                ctx.watch.warn(format!("the pin could not be released, it runs out by itself: {error}"));
            }
            Ok(report?)
        }
        Err(RepoError::Corrupt { .. } | RepoError::TooLarge { .. } | RepoError::Codec { .. }) => {
            Ok(ctx.repo.check(id, jobs, depth, &ctx.watch).await?)
        }
        Err(error) => Err(error.into()),
    }
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
