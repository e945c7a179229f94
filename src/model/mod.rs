//! Values that every other room speaks in.
//!
//! Invariant: a value that exists is valid; parsing is the only way in.
//! Absent: I/O, async, the clock.

pub mod cancel;
pub mod clock;
pub mod digest;
pub mod event;
pub mod evidence;
pub mod fingerprint;
pub mod frame;
pub mod identity;
pub mod manifest;
pub mod names;
pub mod outcome;
pub mod report;
pub mod retention;
pub mod watch;
