//! A dump: copy the state aside, then store, fingerprint and check that copy side by side.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::connect::{self, failure};
use super::copy::{self, Copied};
use super::halt::{Halt, first_cause};
use super::pages::{self, Pages};
use super::rows::{self, Found};
use super::temp::Workspace;
use super::{check, contract};
use crate::blocking::blocking;
use crate::engine::{DumpPlan, EngineError, FileOutlet, IfAbsent, IfDamaged, Outlet};
use crate::model::event::Phase;
use crate::model::frame::Compression;
use crate::model::identity::Identity;
use crate::model::manifest::{CheckDepth, Content, Contract, FileRole, SourceCheck, State};
use crate::model::names::FileName;
use crate::model::watch::Watch;

/// The state as it was put aside.
struct Aside {
    workspace: Workspace,
    copied: Copied,
    pages: Arc<Pages>,
}

impl Aside {
    fn path(&self) -> PathBuf {
        copy_in(&self.workspace)
    }
}

fn copy_in(workspace: &Workspace) -> PathBuf {
    workspace.file("copy.db")
}

/// Dumps the database at `source`.
pub(super) async fn dump(
    source: PathBuf,
    identity: Identity,
    plan: &DumpPlan,
    outlet: Arc<dyn Outlet>,
    watch: &Watch,
) -> Result<State, EngineError> {
    if !exists(&source, plan.absent)? {
        return Ok(absent(identity, watch));
    }
    let file = stored_name(&source, plan.compression)?;
    let aside = {
        let (source, plan, watch) = (source.clone(), plan.clone(), watch.clone());
        Arc::new(blocking(move || put_aside(&source, &plan, &watch)).await?)
    };
    let mut stored = outlet.begin(&file, FileRole::Data).await?;
    let (found, mut source_check) = side_by_side(&aside, &mut stored, plan, watch).await?;
    source_check.damage.extend(found.damage);
    source_check.damage.truncate(check::DAMAGE_MAX);
    if source_check.is_damaged() && plan.damaged == IfDamaged::Refuse {
        return Err(EngineError::Damaged { subject: source.display().to_string(), damage: source_check.damage });
    }
    let copied = aside.copied.clone();
    let (contract, ledger) = blocking(move || describe(&aside, &file)).await?;
    watch.cancel.check()?;
    stored.finish().await?;
    Ok(State {
        source: identity,
        engine_version: super::engine_version(),
        content: Content::Database,
        taken_at: copied.taken_at,
        tables: found.tables,
        ledger,
        side_files: Vec::new(),
        contract,
        source_check,
    })
}

/// Whether there is a database to dump. Looks at names and sizes only, never into the file.
fn exists(source: &Path, absent: IfAbsent) -> Result<bool, EngineError> {
    let refused = |why: &str, hint: &str| EngineError::Refused {
        deed: "read",
        subject: source.display().to_string(),
        why: why.to_owned(),
        hint: Some(hint.to_owned()),
    };
    let unreachable = |why: String, hint: Option<&str>| EngineError::Unreachable {
        subject: source.display().to_string(),
        why,
        hint: hint.map(str::to_owned),
    };
    match fs::metadata(source) {
        Ok(entry) if entry.is_dir() => Err(refused("it is a folder", "give the path of the database file in it")),
        Ok(entry) if !entry.is_file() => Err(refused("it is no regular file", "give the path of a database file")),
        Ok(entry) if entry.len() == 0 => Err(refused(
            "the file is empty",
            "a program made it and never wrote a table; remove it, and --absent-ok records that there is none yet",
        )),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match absent {
            IfAbsent::Record => Ok(false),
            IfAbsent::Refuse => {
                let hint = "check the path; --absent-ok records that there is no database yet";
                Err(unreachable("no such file".to_owned(), Some(hint)))
            }
        },
        Err(error) => Err(unreachable(error.to_string(), None)),
    }
}

fn absent(source: Identity, watch: &Watch) -> State {
    State {
        source,
        engine_version: super::engine_version(),
        content: Content::AbsentDatabase,
        taken_at: watch.clock.now(),
        tables: Vec::new(),
        ledger: None,
        side_files: Vec::new(),
        contract: Contract { minimum_version: "3".to_owned(), ..Contract::default() },
        source_check: SourceCheck { depth: CheckDepth::None, ..SourceCheck::default() },
    }
}

/// `agents.db.zst`: what is left of it after `zstd -d` is the database file.
fn stored_name(source: &Path, compression: Compression) -> Result<FileName, EngineError> {
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    // Leaves room for endings within the 200 bytes that a part of a stored file's path may have.
    let name: String = name.chars().take(150).map(safe).collect();
    let name = format!("{name}.{}", compression.extension());
    name.parse().map_err(|error: crate::model::names::InvalidName| EngineError::Refused {
        deed: "name the stored file of",
        subject: source.display().to_string(),
        why: error.to_string(),
        hint: None,
    })
}

fn put_aside(source: &Path, plan: &DumpPlan, watch: &Watch) -> Result<Aside, EngineError> {
    let workspace = Workspace::new(&plan.temp_dir, watch)?;
    let path = copy_in(&workspace);
    let copied = copy::take(source, &path, plan.damaged, watch)?;
    let pages = Arc::new(Pages::open(&path, plan.compression)?);
    Ok(Aside { workspace, copied, pages })
}

/// Stores, fingerprints and checks the copy. All three end before this returns, and hold the copy until they do.
async fn side_by_side(
    aside: &Arc<Aside>,
    stored: &mut Box<dyn FileOutlet>,
    plan: &DumpPlan,
    watch: &Watch,
) -> Result<(Found, SourceCheck), EngineError> {
    let halt = Halt::new(&watch.cancel);
    let DumpPlan { jobs, damaged, check: depth, .. } = *plan;
    let found = beside(aside, &halt, watch, move |path, halt, watch| {
        rows::fingerprints(path, jobs, damaged, Phase::Fingerprint, halt, watch)
    });
    let checked = beside(aside, &halt, watch, move |path, halt, watch| {
        let checked = check::check(path, depth, Phase::CheckSource, halt, watch)?;
        match damaged {
            // What else is under way can stop: nothing of it will be kept.
            IfDamaged::Refuse if checked.is_damaged() => {
                Err(EngineError::Damaged { subject: String::new(), damage: checked.damage })
            }
            _ => Ok(checked),
        }
    });
    let pages = async { halt.on_failure(pages::store(Arc::clone(&aside.pages), stored, jobs, &halt, watch).await) };
    match futures::join!(checked, found, pages) {
        (Ok(checked), Ok(found), Ok(())) => Ok((found, checked)),
        // The check comes first: it says best what is wrong with a damaged database.
        (Err(EngineError::Damaged { damage, .. }), ..) => {
            Ok((Found::default(), SourceCheck { depth, damage, foreign_key_violations: 0 }))
        }
        (checked, found, pages) => {
            let errors = [checked.err(), found.err(), pages.err()].into_iter().flatten();
            Err(first_cause(errors).unwrap_or(EngineError::Interrupted(crate::model::cancel::Interrupted)))
        }
    }
}

/// Blocking work on the copy, which stays until it ends.
async fn beside<T: Send + 'static>(
    aside: &Arc<Aside>,
    halt: &Halt,
    watch: &Watch,
    work: impl FnOnce(&Path, &Halt, &Watch) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let (aside, halt, watch) = (Arc::clone(aside), halt.clone(), watch.clone());
    blocking(move || halt.on_failure(work(&aside.path(), &halt, &watch))).await
}

/// What a target must offer, and the ledger as it stood.
fn describe(aside: &Aside, file: &FileName) -> Result<(Contract, Option<serde_json::Value>), EngineError> {
    let path = aside.path();
    let connection = connect::still(&path)?;
    let contract = contract::contract(&connection, &aside.copied, file);
    let ledger = contract::ledger(&connection);
    match (contract, ledger) {
        (Ok(contract), Ok(ledger)) => Ok((contract, ledger)),
        (Err(error), _) | (_, Err(error)) => Err(failure("read", &path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_are_safe() {
        for (path, name) in
            [("/srv/agents.db", "agents.db.zst"), ("a b/ü\n?.db", "___.db.zst"), ("/x/.hidden", ".hidden.zst")]
        {
            assert_eq!(stored_name(Path::new(path), Compression::Zstd(3)).unwrap().as_str(), name);
        }
        let long = stored_name(Path::new(&"é".repeat(120)), Compression::Gzip(6)).unwrap();
        assert_eq!(long.as_str().len(), 120 + 3);
    }
}
