//! The repository: the place and the format, version 1, that holds snapshots. `docs/format.md` is its
//! specification.
//!
//! Invariant: a snapshot exists if and only if its SHA256SUMS does (and is no tombstone); that file is written
//! last, create-if-absent, after everything it names was read back.
//! Absent: SQL, what is in the files, the system clock.

mod check;
mod error;
mod evidence;
mod folder;
mod forget;
mod frames;
mod hold;
mod holder;
mod layout;
mod lease;
mod manifest;
mod pin;
mod place;
mod proof;
mod reader;
mod sealed;
mod store;
mod sums;
mod survey;
mod sweep;
mod upload;
mod writer;

#[cfg(test)]
mod tests;

pub use check::{CheckReport, Depth};
pub use error::{Cause, RepoError};
pub use holder::Holder;
pub use lease::Lease;
pub use place::{Place, Repository};
pub use reader::SnapshotReader;
pub use sweep::{Orphan, Sweep};
pub use writer::{Committed, Draft, FileWriter, SnapshotWriter};
