//! The clock as a value: only `cli` reads the system's.

use chrono::{DateTime, Utc};

/// Tells the time to operations that must record it.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;
}
