//! What long work carries along: who listens, what time it is, whether to stop.

use std::sync::Arc;

use super::cancel::{Cancel, Interrupted};
use super::clock::Clock;
use super::event::{Event, Observer, Phase};

/// The listeners of an operation; cheap to clone into threads.
#[derive(Clone)]
pub struct Watch {
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Who tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether somebody asked to stop.
    pub cancel: Cancel,
}

impl Watch {
    /// Tells that a phase began; ends it by [`Watch::ended`].
    pub fn began(&self, phase: Phase, total_bytes: Option<u64>) {
        self.observer.notice(&Event::Began { phase, total_bytes });
    }

    /// Tells how far a phase came, and asks whether to go on.
    pub fn advanced(&self, phase: Phase, plain_bytes: u64, rows: u64) -> Result<(), Interrupted> {
        self.observer.notice(&Event::Advanced { phase, plain_bytes, rows });
        self.cancel.check()
    }

    /// Tells that a phase ended well.
    pub fn ended(&self, phase: Phase) {
        self.observer.notice(&Event::Ended { phase });
    }

    /// Tells something worth knowing at once.
    pub fn note(&self, message: impl Into<String>) {
        self.observer.notice(&Event::Note { message: message.into() });
    }

    /// Tells a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.observer.notice(&Event::Warning { message: message.into() });
    }
}
