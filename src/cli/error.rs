//! Why a command failed, with what to do about it.

use std::error::Error;
use std::io;

use crate::config::ConfigError;
use crate::model::cancel::Interrupted;
use crate::ops::{Hint, OpsError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Ops(#[from] OpsError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the configuration {path} is not valid")]
    InConfig {
        path: String,
        #[source]
        source: ConfigError,
    },
    #[error("{0}")]
    Usage(String),
    /// clap's own message, already whole.
    #[error("{0}")]
    Arguments(String),
    #[error("{what} needs a yes, and there is no terminal to ask on")]
    NotConfirmed { what: String },
    #[error("{what}: not confirmed, nothing was changed")]
    Declined { what: String },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A path that was given for a snapshot, and is something else.
    #[error("{path} is no snapshot of dbops: {why}")]
    NoSnapshot { path: String, why: &'static str },
    #[error("there is no snapshot at {path}: no such file or folder")]
    NoSuchPath { path: String },
    /// Nothing matches among the snapshots of the one database that `by` names.
    #[error("no snapshot of {database} matches {asked:?} in {place}; {by} names {database}")]
    NoneOf { database: String, asked: String, place: String, by: &'static str },
    #[error("done, but the answer could not be written to stdout")]
    Answer {
        #[source]
        source: io::Error,
    },
    #[error("{name} is protected in the configuration: restore does not replace it")]
    Protected { name: String },
    #[error("{0} is not supported by this version")]
    Unsupported(String),
    #[error("could not read {path}")]
    ReadConfig {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("could not {deed} {path}")]
    Local {
        deed: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the demo did not go as it should: {why}")]
    DemoFailed { why: String },
}

impl CliError {
    /// What to do, where something can be done.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Ops(error) => error.hint(),
            Self::NotConfirmed { .. } => Some("--yes says it".into()),
            Self::Protected { .. } => Some("restore into another path, check it, and swap by hand".into()),
            Self::Usage(_) => Some("`dbops help COMMAND` shows what there is".into()),
            Self::NoSnapshot { .. } => Some(
                "`dbops list` shows what there is; reading dumps of other tools is not supported by this version"
                    .into(),
            ),
            Self::NoSuchPath { .. } => Some("`dbops list` shows what there is".into()),
            Self::NoneOf { .. } => Some("--name chooses another one; `dbops list` shows what there is".into()),
            Self::Answer { .. } => Some("what the command did stands; `dbops list` shows it".into()),
            Self::DemoFailed { .. } => Some("that is a bug: please report it".into()),
            Self::Declined { .. }
            | Self::Interrupted(_)
            | Self::Config(_)
            | Self::InConfig { .. }
            | Self::Arguments(_)
            | Self::Unsupported(_)
            | Self::ReadConfig { .. }
            | Self::Local { .. } => None,
        }
    }

    /// The causes behind the message, outermost first, each said once.
    pub(super) fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut said = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                said.clone_from(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }
}
