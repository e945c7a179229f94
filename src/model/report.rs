//! What an operation found: a failed check is a report with findings, not an error.

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Severity {
    /// Worth knowing; the result stands.
    Warning,
    /// A check failed.
    Failure,
    /// Stored bytes are not what was stored.
    Corrupt,
}

/// One thing that an operation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about: a file, a frame, a table.
    pub subject: String,
    /// What is wrong with it.
    pub message: String,
}

impl Finding {
    /// Worth knowing; the result stands.
    pub fn warning(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, subject: subject.into(), message: message.into() }
    }

    /// A check failed.
    pub fn failure(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Failure, subject: subject.into(), message: message.into() }
    }

    /// Stored bytes are not what was stored.
    pub fn corrupt(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Corrupt, subject: subject.into(), message: message.into() }
    }
}

/// The heaviest finding; `None` when there is none at all.
#[must_use]
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
