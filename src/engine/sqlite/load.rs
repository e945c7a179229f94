//! A load into a new file: build it beside, compare it with what was dumped, then give it its name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;

use super::halt::{Halt, first_cause};
use super::temp::{self, Draft, disk};
use super::{check, connect, rows, who};
use crate::blocking::blocking;
use crate::engine::{EngineError, IfDamaged, Inlet, LoadPlan, Loaded};
use crate::model::event::Phase;
use crate::model::manifest::{CheckDepth, SourceCheck, State, TableRecord};
use crate::model::names::FileName;
use crate::model::report::Finding;
use crate::model::watch::Watch;

/// Endings of the files that SQLite keeps beside a database; one left over would be taken for the new one's.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// `path` with `ending` after its name.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A hidden neighbour of `path`: `.agents.db.dbops-restore`.
pub(super) fn hidden(path: &Path, ending: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    temp::folder_of(path).join(name)
}

/// Proves that nothing is at `path`, or an empty file, and that one may be put there.
pub(super) fn require_fresh(path: &Path) -> Result<(), EngineError> {
    let refused = |why: String, hint: &str| EngineError::TargetRefused {
        subject: path.display().to_string(),
        why,
        hint: Some(hint.to_owned()),
    };
    let replace = "choose another path, or --replace to put the snapshot in its place";
    match fs::symlink_metadata(path) {
        Ok(entry) if entry.is_file() && entry.len() == 0 => {}
        Ok(_) => return Err(refused("it exists".to_owned(), replace)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error.to_string(), "check the path")),
    }
    for companion in COMPANIONS.map(|ending| with_ending(path, ending)) {
        if fs::symlink_metadata(&companion).is_ok() {
            let hint = "it belonged to a database that was there before, and SQLite would mix it into the restored one";
            return Err(refused(format!("{} exists", companion.display()), hint));
        }
    }
    let folder = temp::folder_of(path);
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|error| {
        refused(format!("{} can't be written: {error}", folder.display()), "create the folder, or choose another")
    })
}

/// Builds `state` at `path`, where nothing is.
pub(super) async fn into_new(
    path: &Path,
    state: &State,
    plan: &LoadPlan,
    inlet: Arc<dyn Inlet>,
    watch: &Watch,
) -> Result<Loaded, EngineError> {
    let (target, bytes) = (path.to_owned(), state.contract.plain_bytes);
    let draft = blocking(move || {
        require_fresh(&target)?;
        temp::require_room(temp::folder_of(&target), bytes)?;
        Draft::new(hidden(&target, ".dbops-restore")).map(Arc::new)
    })
    .await?;
    let findings = build(&draft, path, state, plan, inlet, watch).await?;
    let target = path.to_owned();
    blocking(move || {
        draft.sync()?;
        let draft = Arc::into_inner(draft).ok_or_else(|| connect::busy(&target))?;
        put_in_place(draft, &target)
    })
    .await?;
    Ok(loaded(path, state, None, findings))
}

/// What a load says of itself.
pub(super) fn loaded(path: &Path, state: &State, previous: Option<String>, findings: Vec<Finding>) -> Loaded {
    Loaded {
        location: path.display().to_string(),
        previous,
        tables_compared: state.tables.len() as u64,
        rows: state.rows(),
        findings,
    }
}

/// Gives the built file its name. An empty file that was there is exchanged, looked at again, and only then removed.
fn put_in_place(draft: Draft, target: &Path) -> Result<(), EngineError> {
    require_fresh(target)?;
    if !fs::exists(target).unwrap_or(true) {
        return draft.place(target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => EngineError::TargetRefused {
                subject: target.display().to_string(),
                why: "it came into being meanwhile".to_owned(),
                hint: None,
            },
            _ => disk("rename to", target)(error),
        });
    }
    if !who::openers(target).is_empty() {
        return Err(connect::busy(target));
    }
    exchange(draft.path(), target)?;
    if fs::metadata(draft.path()).is_ok_and(|entry| entry.len() > 0) {
        exchange(draft.path(), target)?;
        return Err(connect::busy(target));
    }
    fs::remove_file(draft.path()).map_err(disk("remove", draft.path()))?;
    draft.placed();
    temp::sync_folder(target).map_err(disk("write", target))
}

fn exchange(a: &Path, b: &Path) -> Result<(), EngineError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(|error| disk("rename to", b)(error.into()))
}

/// Writes the stored bytes to `draft` and compares what came out with `state`. Gives what is worth knowing.
pub(super) async fn build(
    draft: &Arc<Draft>,
    target: &Path,
    state: &State,
    plan: &LoadPlan,
    inlet: Arc<dyn Inlet>,
    watch: &Watch,
) -> Result<Vec<Finding>, EngineError> {
    fill(draft, target, state, plan.jobs, inlet, watch).await?;
    let (found, checked) = examine(draft, state.source_check.depth, plan.jobs, watch).await?;
    let (failures, warnings) = compare(state, &found.tables, &found.damage, &checked);
    match failures.is_empty() {
        true => Ok(warnings),
        false => Err(EngineError::Unequal { subject: target.display().to_string(), findings: failures }),
    }
}

/// The stored file of `state`.
fn stored_file(state: &State, target: &Path) -> Result<FileName, EngineError> {
    let name = state.contract.details.get("file").and_then(|name| name.as_str());
    name.and_then(|name| name.parse().ok()).ok_or_else(|| EngineError::Refused {
        deed: "restore",
        subject: target.display().to_string(),
        why: "the snapshot does not say in which file its database is".to_owned(),
        hint: None,
    })
}

async fn fill(
    draft: &Arc<Draft>,
    target: &Path,
    state: &State,
    jobs: usize,
    inlet: Arc<dyn Inlet>,
    watch: &Watch,
) -> Result<(), EngineError> {
    watch.began(Phase::Restore, Some(state.contract.plain_bytes));
    let name = stored_file(state, target)?;
    let fetch = |index| {
        let (inlet, name) = (Arc::clone(&inlet), name.clone());
        async move { inlet.frame(&name, index).await }
    };
    let mut frames = stream::iter(0..inlet.frames(&name)).map(fetch).buffered(jobs.max(1));
    let mut at = 0;
    while let Some(plain) = frames.next().await {
        let plain = plain?;
        let plain_bytes = plain.len() as u64;
        write(draft, plain, at).await?;
        at += plain_bytes;
        watch.advanced(Phase::Restore, plain_bytes, 0)?;
    }
    watch.ended(Phase::Restore);
    if at == state.contract.plain_bytes {
        return Ok(());
    }
    let message = format!("{at} bytes instead of {}", state.contract.plain_bytes);
    let findings = vec![Finding::failure(name.as_str(), message)];
    Err(EngineError::Unequal { subject: target.display().to_string(), findings })
}

async fn write(draft: &Arc<Draft>, plain: Bytes, at: u64) -> Result<(), EngineError> {
    let draft = Arc::clone(draft);
    blocking(move || {
        let file: &File = draft.file();
        file.write_all_at(&plain, at).map_err(disk("write", draft.path()))
    })
    .await
}

/// Fingerprints and checks what was built, side by side.
async fn examine(
    draft: &Arc<Draft>,
    depth: CheckDepth,
    jobs: usize,
    watch: &Watch,
) -> Result<(rows::Found, SourceCheck), EngineError> {
    let halt = Halt::new(&watch.cancel);
    let (file, part, listener) = (Arc::clone(draft), halt.clone(), watch.clone());
    // Damage is to be a finding here: it is compared with what the source had.
    let found = blocking(move || {
        let found = rows::fingerprints(file.path(), jobs, IfDamaged::Keep, Phase::Compare, &part, &listener);
        part.on_failure(found)
    });
    let (file, part, listener) = (Arc::clone(draft), halt, watch.clone());
    let checked =
        blocking(move || part.on_failure(check::check(file.path(), depth, Phase::CheckResult, &part, &listener)));
    match futures::join!(found, checked) {
        (Ok(found), Ok(checked)) => Ok((found, checked)),
        (found, checked) => {
            let errors = [found.err(), checked.err()].into_iter().flatten();
            Err(first_cause(errors).unwrap_or(EngineError::Interrupted(crate::model::cancel::Interrupted)))
        }
    }
}

/// What is not as it was dumped, and what is worth knowing although it is.
fn compare(
    state: &State,
    tables: &[TableRecord],
    damage: &[String],
    checked: &SourceCheck,
) -> (Vec<Finding>, Vec<Finding>) {
    let was_damaged = state.source_check.is_damaged();
    let mut failures = unequal_tables(&state.tables, tables, was_damaged);
    let mut warnings = Vec::new();
    if was_damaged {
        warnings.push(Finding::warning(
            "database",
            "it was damaged already when it was dumped; only its tables' fingerprints were compared",
        ));
        return (failures, warnings);
    }
    if state.source_check.depth == CheckDepth::None {
        warnings.push(Finding::warning("database", "it was not checked when it was dumped, and was not now"));
    }
    failures.extend(damage.iter().chain(&checked.damage).map(|message| Finding::failure("database", message)));
    let (then, now) = (state.source_check.foreign_key_violations, checked.foreign_key_violations);
    if then != now {
        let message = format!("{now} rows break a foreign key instead of {then}");
        failures.push(Finding::failure("database", message));
    }
    (failures, warnings)
}

fn unequal_tables(stored: &[TableRecord], built: &[TableRecord], was_damaged: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for was in stored {
        let message = match built.iter().find(|now| now.table == was.table) {
            None => "is missing".to_owned(),
            Some(now) if now.columns != was.columns => "has other columns".to_owned(),
            Some(now) if now.fingerprint.rows != was.fingerprint.rows => {
                format!("has {} rows instead of {}", now.fingerprint.rows, was.fingerprint.rows)
            }
            Some(now) if now.fingerprint != was.fingerprint => "has other rows".to_owned(),
            Some(_) => continue,
        };
        findings.push(Finding::failure(was.table.to_string(), message));
    }
    // Of a damaged database not every table could be recorded.
    let extra = built.iter().filter(|now| !was_damaged && stored.iter().all(|was| was.table != now.table));
    findings.extend(extra.map(|now| Finding::failure(now.table.to_string(), "was not dumped")));
    findings
}
