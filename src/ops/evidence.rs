//! Leave a record of what was done.

use super::{Ctx, DBOPS_VERSION, OpsError};
use crate::model::digest::Digest;
use crate::model::evidence::{Deed, Evidence, Operation};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::report::Finding;

/// What a record says, besides who, when and where.
pub(super) struct Done<'a> {
    pub operation: Operation,
    pub snapshot: &'a SnapshotId,
    pub manifest_digest: Digest,
    pub passed: bool,
    pub findings: &'a [Finding],
    pub took_ms: u64,
}

impl Ctx {
    /// The records that prove something about a database's snapshots. Where the chain is broken, what was proven
    /// before the break counts as unproven; that is told as a warning, and given as a finding.
    pub(super) async fn evidence(&self, database: &DatabaseName) -> Result<(Vec<Evidence>, Option<Finding>), OpsError> {
        let chain = self.repo.evidence(database).await?;
        let told = "what was proven before it counts as unproven; `dbops verify --all` proves it again";
        let broken = chain.broken.map(|at| Finding::warning("evidence", format!("damaged at {at}; {told}")));
        Ok((chain.records, broken))
    }

    /// Records what was done. What can't be recorded was done all the same: that is a finding, not an error.
    pub(super) async fn record(&self, done: Done<'_>) -> Result<Evidence, Finding> {
        let Done { operation, snapshot, manifest_digest, passed, findings, took_ms } = done;
        let deed = Deed {
            at: self.watch.clock.now(),
            operation,
            snapshot: snapshot.clone(),
            manifest_digest,
            passed,
            findings: findings.to_vec(),
            took_ms,
            host: self.holder.host.clone(),
            dbops_version: DBOPS_VERSION.to_owned(),
        };
        let recorded = self.repo.record(snapshot.database(), deed).await;
        recorded.map_err(|error| Finding::warning("evidence", format!("could not be recorded: {error}")))
    }
}
