//! One file a verb: the operations that tie an engine to the repository.
//!
//! Invariant: a failed check is `Ok` with findings; `Err` means that it could not be found out or done.
//! Absent: clap, the terminal, the environment, the system's clock.

mod backup;
mod error;
mod evidence;
mod forget;
mod init;
mod list;
mod restore;
mod seam;
mod select;
mod timing;
mod verify;

pub use backup::{BackupRequest, Naming, backup};
pub use error::{Hint, OpsError};
pub use forget::{ForgetRequest, ForgetWhat, forget};
pub use init::init;
pub use list::{list, show};
pub use restore::{Existing, RestoreRequest, restore};
pub use select::{Scope, Selector, select};
pub use verify::verify;

use crate::model::watch::Watch;
use crate::repo::{Holder, Repository};

/// What every operation is given first: the repository, who listens, and in whose name it acts.
pub struct Ctx {
    /// The repository.
    pub repo: Repository,
    /// Who listens, what time it is, whether to stop.
    pub watch: Watch,
    /// This run, as leases, pins and evidence name it.
    pub holder: Holder,
}

/// The version that manifests and evidence record.
const DBOPS_VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
