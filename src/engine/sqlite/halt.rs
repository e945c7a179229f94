//! Work side by side on one task: when one part fails, the others stop soon, and the failure is what is told.

use crate::engine::EngineError;
use crate::model::cancel::{Cancel, Interrupted};

/// The user's wish to stop, and the failure of a part.
#[derive(Debug, Clone)]
pub(super) struct Halt {
    user: Cancel,
    failure: Cancel,
}

impl Halt {
    /// No part failed yet.
    pub(super) fn new(user: &Cancel) -> Self {
        Self { user: user.clone(), failure: Cancel::default() }
    }

    /// Whether to stop.
    pub(super) fn is_set(&self) -> bool {
        self.user.is_cancelled() || self.failure.is_cancelled()
    }

    /// `Err` once it is time to stop.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        if self.is_set() { Err(Interrupted) } else { Ok(()) }
    }

    /// Passes a part's result on; a failure makes the other parts stop.
    pub(super) fn on_failure<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if result.is_err() {
            self.failure.cancel();
        }
        result
    }
}

/// Of the errors of parts, the one that made the others stop.
pub(super) fn first_cause(errors: impl IntoIterator<Item = EngineError>) -> Option<EngineError> {
    let (interrupted, causes): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|error| matches!(error, EngineError::Interrupted(_)));
    causes.into_iter().chain(interrupted).next()
}
