//! SQLite files: dumped through the backup API while others write, restored beside or into the live file.
//!
//! Invariants: a dump is one state that was whole at one instant; a live database is opened through SQLite only,
//! and overwritten only after its previous state was kept. Absent: the repository, migrations.

mod board;
mod check;
mod connect;
mod contract;
mod copy;
mod dump;
mod halt;
mod load;
mod pages;
mod replace;
mod rows;
mod script;
mod tables;
mod temp;
mod who;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Confirmed, DumpPlan, Engine, EngineError, Fresh, IfDamaged, Inlet, LoadPlan, Loaded, Outlet, Replace, Target,
};
use crate::blocking::blocking;
use crate::engine::place::file_identity;
use crate::model::event::Phase;
use crate::model::identity::Identity;
use crate::model::manifest::{Content, State, TableRecord};
use crate::model::report::Finding;
use crate::model::watch::Watch;

pub use script::create_from_script;

/// A database file, there or not yet.
#[derive(Debug, Clone)]
pub struct SqliteEngine {
    path: PathBuf,
    host: String,
}

impl SqliteEngine {
    /// The database at `path` on this machine, which is called `host`.
    #[must_use]
    pub const fn new(path: PathBuf, host: String) -> Self {
        Self { path, host }
    }

    /// The path with symbolic links resolved, so that the hidden neighbours lie beside the real file.
    fn place(&self) -> Result<PathBuf, EngineError> {
        canonical(&self.path).map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &io::Error) -> EngineError {
        EngineError::Unreachable {
            subject: self.path.display().to_string(),
            why: error.to_string(),
            hint: Some("check the path; its folder must exist".to_owned()),
        }
    }
}

fn canonical(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            Ok(fs::canonicalize(temp::folder_of(path))?.join(name))
        }
        other => other,
    }
}

/// Name and version of the library that reads.
pub(in crate::engine::sqlite) fn engine_version() -> String {
    format!("SQLite {}", rusqlite::version())
}

/// Every table of the file at `path` with its fingerprint, read with `jobs` workers. Blocks.
///
/// Nobody may have the file open for writing: it is read without locks.
pub fn fingerprints(path: &Path, jobs: usize, watch: &Watch) -> Result<Vec<TableRecord>, EngineError> {
    let halt = halt::Halt::new(&watch.cancel);
    let found = rows::fingerprints(path, jobs, IfDamaged::Refuse, Phase::Fingerprint, &halt, watch)?;
    Ok(found.tables)
}

#[async_trait]
impl Engine for SqliteEngine {
    fn label(&self) -> String {
        format!("SQLite database {} on {}", self.path.display(), self.host)
    }

    async fn identify(&self) -> Result<Identity, EngineError> {
        let identity = file_identity(&self.place()?, &self.host);
        identity.map(Identity::Sqlite).map_err(|error| self.unreachable(&error))
    }

    async fn dump(&self, plan: &DumpPlan, outlet: Arc<dyn Outlet>, watch: &Watch) -> Result<State, EngineError> {
        let identity = self.identify().await?;
        dump::dump(self.place()?, identity, plan, outlet, watch).await
    }

    async fn fresh(&self) -> Result<Fresh, EngineError> {
        load::require_fresh(&self.path)?;
        Ok(Fresh::proven())
    }

    async fn replace(&self, confirmed: Confirmed) -> Result<Replace, EngineError> {
        let path = self.place()?;
        blocking(move || replace::require_replaceable(&path)).await?;
        Ok(Replace::proven(confirmed))
    }

    async fn load(
        &self,
        target: Target,
        state: &State,
        plan: &LoadPlan,
        inlet: Arc<dyn Inlet>,
        watch: &Watch,
    ) -> Result<Loaded, EngineError> {
        let path = self.place()?;
        match (target, state.content) {
            (_, Content::FilesOnly) => {
                Ok(load::loaded(&path, state, None, vec![Finding::warning("database", "the snapshot holds none")]))
            }
            (Target::Fresh(_), Content::AbsentDatabase) => {
                load::require_fresh(&path)?;
                let told = "there was none when the snapshot was taken, and none was made";
                Ok(load::loaded(&path, state, None, vec![Finding::warning("database", told)]))
            }
            (Target::Fresh(_), Content::Database) => load::into_new(&path, state, plan, inlet, watch).await,
            (Target::Replace(_), Content::Database | Content::AbsentDatabase) => {
                replace::into_live(&path, state, plan, inlet, watch).await
            }
        }
    }
}
