//! Leave a record of what was done.

use super::{Ctx, DBOPS_VERSION};
use crate::model::digest::Digest;
use crate::model::evidence::{Deed, Evidence, Operation};
use crate::model::names::SnapshotId;
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

/// Findings that a record keeps; bounds it far below what a repository reads of one. The rest is counted.
const FINDINGS_KEPT: usize = 100;
/// Letters of a finding's message that a record keeps.
const MESSAGE_LETTERS: usize = 1000;

/// The heaviest findings, in their order, as far as a record keeps them.
fn kept(findings: &[Finding]) -> Vec<Finding> {
    let mut ranked: Vec<(usize, &Finding)> = findings.iter().enumerate().collect();
    ranked.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
    ranked.truncate(FINDINGS_KEPT);
    ranked.sort_by_key(|(place, _)| *place);
    let cut = |finding: &Finding| {
        let message = finding.message.chars().take(MESSAGE_LETTERS).collect();
        Finding { message, ..finding.clone() }
    };
    let mut kept: Vec<Finding> = ranked.into_iter().map(|(_, finding)| cut(finding)).collect();
    if findings.len() > FINDINGS_KEPT {
        let message = format!("{} further findings are not recorded", findings.len() - FINDINGS_KEPT);
        kept.push(Finding::warning("evidence", message));
    }
    kept
}

impl Ctx {
    /// Records what was done. What can't be recorded was done all the same: that is a finding, not an error.
    pub(super) async fn record(&self, done: Done<'_>) -> Result<Evidence, Finding> {
        let Done { operation, snapshot, manifest_digest, passed, findings, took_ms } = done;
        let deed = Deed {
            at: self.watch.clock.now(),
            operation,
            snapshot: snapshot.clone(),
            manifest_digest,
            passed,
            findings: kept(findings),
            took_ms,
            host: self.holder.host.clone(),
            dbops_version: DBOPS_VERSION.to_owned(),
        };
        let recorded = self.repo.record(snapshot.database(), deed).await;
        recorded.map_err(|error| Finding::warning("evidence", format!("could not be recorded: {error}")))
    }
}
