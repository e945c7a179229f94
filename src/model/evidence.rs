//! The records that operations leave in the repository, and what they prove about a snapshot.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::digest::Digest;
use super::names::SnapshotId;
use super::report::Finding;

/// One record, numbered in its database's chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Place in the chain, from 1.
    pub number: u64,
    /// SHA-256 of the predecessor's bytes; absent in the first.
    pub previous: Option<Digest>,
    /// What happened.
    #[serde(flatten)]
    pub deed: Deed,
    /// Fields of newer minor versions, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What happened, when, to which snapshot, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// The operation.
    pub operation: Operation,
    /// The snapshot that it was about.
    pub snapshot: SnapshotId,
    /// SHA-256 of that snapshot's manifest: proof is about bytes, not about a name.
    pub manifest_digest: Digest,
    /// Whether all that was checked held.
    pub passed: bool,
    /// What it found.
    pub findings: Vec<Finding>,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// Host on which it ran.
    pub host: String,
    /// Version of dbops that ran it.
    pub dbops_version: String,
}

/// Operations that leave evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Took the snapshot.
    Backup,
    /// Proved the stored bytes.
    Verify,
    /// Restored it.
    Restore,
    /// Restored it into scratch and checked it.
    Drill,
    /// Deleted it.
    Forget,
}

/// What the evidence says about one snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Proof {
    /// Last time that its stored bytes were proven.
    pub verified_at: Option<DateTime<Utc>>,
    /// Last time that a drill of it passed.
    pub drilled_at: Option<DateTime<Utc>>,
    /// Set while its last verification failed.
    pub damaged_at: Option<DateTime<Utc>>,
}

/// The records about a database, oldest first, as far as they can be trusted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// Those that are as they were written.
    pub intact: Vec<Evidence>,
    /// Those that are missing or damaged, in the order of the chain.
    pub lost: Vec<LostRecord>,
}

/// A place in the chain where a record is missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecord {
    /// Its number; of several missing ones in a row, the last one's.
    pub number: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Records {
    /// What the records say about the snapshot whose manifest has `digest`.
    ///
    /// A lost record may have said that the snapshot is damaged: what was verified before it counts no more, until
    /// a later record says so again. That it was found damaged, or passed a drill, stands.
    #[must_use]
    pub fn proof(&self, digest: Digest) -> Proof {
        let proof = Proof::of(digest, &self.intact);
        match self.doubt(digest) {
            Some(_) => Proof { verified_at: None, ..proof },
            None => proof,
        }
    }

    /// Whether they say that the snapshot was committed, and nothing of its having been forgotten.
    #[must_use]
    pub fn was_committed(&self, id: &SnapshotId) -> bool {
        let about = |operation: Operation| {
            self.intact.iter().any(|Evidence { deed, .. }| deed.operation == operation && deed.snapshot == *id)
        };
        about(Operation::Backup) && !about(Operation::Forget)
    }

    /// The lost record that may have said something else about that snapshot than the ones before it; `None` once
    /// a later one speaks of its stored bytes.
    #[must_use]
    pub fn doubt(&self, digest: Digest) -> Option<&LostRecord> {
        let last = self.lost.last()?;
        let speaks = |record: &&Evidence| record.deed.manifest_digest == digest && record.deed.is_about_bytes();
        let spoke = self.intact.iter().rev().find(speaks);
        spoke.is_none_or(|record| record.number < last.number).then_some(last)
    }
}

impl Deed {
    /// Whether it says if the stored bytes are good.
    const fn is_about_bytes(&self) -> bool {
        match self.operation {
            Operation::Backup | Operation::Verify => true,
            Operation::Restore | Operation::Drill | Operation::Forget => false,
        }
    }
}

impl Proof {
    /// Reads the records about the snapshot whose manifest has `digest`, oldest first.
    #[must_use]
    pub fn of(digest: Digest, records: &[Evidence]) -> Self {
        let mut proof = Self::default();
        for deed in records.iter().map(|record| &record.deed).filter(|deed| deed.manifest_digest == digest) {
            match (deed.operation, deed.passed) {
                // A backup that passed has read back and proven what it stored.
                (Operation::Backup | Operation::Verify, true) => {
                    proof.verified_at = Some(deed.at);
                    proof.damaged_at = None;
                }
                // A restore is recorded as failed where it met damaged bytes, and only there.
                (Operation::Verify | Operation::Restore, false) => proof.damaged_at = Some(deed.at),
                (Operation::Drill, true) => proof.drilled_at = Some(deed.at),
                (Operation::Backup | Operation::Drill, false) | (Operation::Restore, true) | (Operation::Forget, _) => {
                }
            }
        }
        proof
    }

    /// Whether it is known to be good: verified, and not found damaged since.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.verified_at.is_some() && self.damaged_at.is_none()
    }
}
