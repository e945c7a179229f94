//! What operations say while they work; the terminal, the log and the tests listen.

/// What an operation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The engine copies a consistent state aside.
    Copy,
    /// The engine's own check of the source.
    CheckSource,
    /// The engine's own check of what was built.
    CheckResult,
    /// Rows are read and fingerprinted.
    Fingerprint,
    /// Plain bytes are compressed and stored.
    Store,
    /// Side files are copied.
    SideFiles,
    /// Stored bytes are read and proven.
    Verify,
    /// A state is built from stored bytes.
    Restore,
    /// The restored state is compared with the manifest.
    Compare,
    /// The live database is replaced.
    Replace,
    /// Something is deleted.
    Forget,
}

impl Phase {
    /// A few words for a line of progress, e.g. `storing`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Copy => "copying",
            Self::CheckSource => "checking the source",
            Self::CheckResult => "checking the result",
            Self::Fingerprint => "fingerprinting",
            Self::Store => "storing",
            Self::SideFiles => "side files",
            Self::Verify => "verifying",
            Self::Restore => "restoring",
            Self::Compare => "comparing",
            Self::Replace => "replacing",
            Self::Forget => "forgetting",
        }
    }
}

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A phase began.
    Began {
        /// Which.
        phase: Phase,
        /// Plain bytes that it will go through, where known.
        total_bytes: Option<u64>,
    },
    /// A phase went on.
    Advanced {
        /// Which.
        phase: Phase,
        /// Further plain bytes that it went through.
        plain_bytes: u64,
        /// Further rows.
        rows: u64,
    },
    /// A phase ended well.
    Ended {
        /// Which.
        phase: Phase,
    },
    /// Worth telling at once: a wait, a retry, leftovers that were removed.
    Note {
        /// One sentence, lower case, without a full stop.
        message: String,
    },
    /// A warning: the result will stand, but somebody should look.
    Warning {
        /// One sentence, lower case, without a full stop.
        message: String,
    },
}

/// Who listens to operations. Called from any thread; must be quick.
pub trait Observer: Send + Sync {
    /// Takes notice of an event.
    fn notice(&self, event: &Event);
}
