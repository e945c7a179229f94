//! A load into the live database, through the backup API: never by renaming over a file that others have open.
//!
//! Invariant: from the moment at which the previous state is kept until the new one is committed, nobody else can
//! commit; so no commit is lost between the two. In the rollback modes an exclusive lock on the file does that, in
//! WAL mode the log's write lock, which the destination of a backup takes with its first page (sqlite3_backup_step
//! begins a write transaction). Readers see the old or the new state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::copy::{self, text};
use super::load::{self, hidden, with_ending};
use super::temp::{self, Draft, Workspace, disk};
use super::{connect, who};
use crate::blocking::blocking;
use crate::engine::{EngineError, Inlet, LoadPlan, Loaded};
use crate::model::cancel::Cancel;
use crate::model::event::Phase;
use crate::model::manifest::{Content, State};
use crate::model::watch::Watch;

use super::connect::{failure, patiently};

/// The live database, and what is to be put into it.
struct Live<'a> {
    path: &'a Path,
    patience: Duration,
    watch: &'a Watch,
}

/// Proves that `path` is a database that can be written.
pub(super) fn require_replaceable(path: &Path) -> Result<(), EngineError> {
    let refused = |why: &str, hint: &str| EngineError::TargetRefused {
        subject: path.display().to_string(),
        why: why.to_owned(),
        hint: Some(hint.to_owned()),
    };
    match std::fs::metadata(path) {
        Ok(entry) if entry.is_file() => {}
        Ok(_) => return Err(refused("it is no file", "give the path of a database file")),
        Err(_) => return Err(refused("there is nothing to replace", "restore without --replace")),
    }
    let connection = connect::reader(path)?;
    copy::lenient(&connection).map_err(|error| failure("open", path, error))?;
    let patience = connect::READ_PATIENCE;
    patiently(path, patience, &Cancel::default(), || copy::pin(&connection)).map_err(|error| match error {
        EngineError::Refused { why, .. } => {
            refused(&why, "move it out of the way, and restore to its path without --replace")
        }
        // A damaged database is the best reason to replace it.
        EngineError::Damaged { .. } => refused("it is too damaged to be opened", "move it out of the way first"),
        other => other,
    })?;
    match connection.is_readonly("main") {
        Ok(false) => Ok(()),
        Ok(true) => Err(refused("it can't be written", "it is frozen, or this user may not write it")),
        Err(error) => Err(failure("open", path, error)),
    }
}

/// Puts `state` into the live database at `path`.
pub(super) async fn into_live(
    path: &Path,
    state: &State,
    plan: &LoadPlan,
    inlet: Arc<dyn Inlet>,
    watch: &Watch,
) -> Result<Loaded, EngineError> {
    let patience = plan.busy_timeout;
    if state.content == Content::AbsentDatabase {
        let (target, watch) = (path.to_owned(), watch.clone());
        let previous = blocking(move || Live { path: &target, patience, watch: &watch }.move_aside()).await?;
        return Ok(load::loaded(path, state, Some(previous.display().to_string()), Vec::new()));
    }
    let (temp_dir, bytes, listener) = (plan.temp_dir.clone(), state.contract.plain_bytes, watch.clone());
    let (workspace, draft) = blocking(move || {
        let workspace = Workspace::new(&temp_dir, &listener)?;
        temp::require_room(workspace.folder(), bytes)?;
        let draft = Draft::new(workspace.file("built.db"))?;
        Ok::<_, EngineError>((workspace, Arc::new(draft)))
    })
    .await?;
    let findings = load::build(&draft, path, state, plan, inlet, watch).await?;
    let (target, watch) = (path.to_owned(), watch.clone());
    let previous = blocking(move || {
        let _kept_until_the_end = workspace;
        Live { path: &target, patience, watch: &watch }.replace(draft.path())
    })
    .await?;
    Ok(load::loaded(path, state, Some(previous.display().to_string()), findings))
}

impl Live<'_> {
    fn failed(&self, error: rusqlite::Error) -> EngineError {
        failure("replace", self.path, error)
    }

    fn open(&self) -> Result<Connection, EngineError> {
        let connection = connect::live(self.path)?;
        copy::lenient(&connection).map_err(|error| self.failed(error))?;
        Ok(connection)
    }

    fn wait_for<T>(&self, deed: impl FnMut() -> rusqlite::Result<T>) -> Result<T, EngineError> {
        patiently(self.path, self.patience, &self.watch.cancel, deed)
    }

    /// Keeps the previous state, then copies the file `built` over the live one. Gives where the previous state is.
    fn replace(&self, built: &Path) -> Result<PathBuf, EngineError> {
        let mut live = self.open()?;
        let mode = self.wait_for(|| text(&live, "PRAGMA journal_mode"))?;
        let (pages, page_bytes) = self.wait_for(|| copy::size(&live))?;
        let new = connect::still(built)?;
        let new_page_bytes = copy::size(&new).map_err(|error| self.failed(error))?.1;
        let new_bytes = std::fs::metadata(built).map_err(disk("read", built))?.len();
        // The previous state is kept, and a journal or log of the larger of the two is written.
        temp::require_room(temp::folder_of(self.path), pages * page_bytes + new_bytes.max(pages * page_bytes))?;
        drop(new);
        self.watch.began(Phase::Replace, Some(new_bytes));
        let previous = match mode.as_str() {
            "wal" if page_bytes == new_page_bytes => self.replace_logged(&mut live, built),
            "wal" => self.replace_unlogged(live, built),
            _ => self.replace_locked(live, built),
        }?;
        self.watch.ended(Phase::Replace);
        Ok(previous)
    }

    /// WAL mode: the backup's first step takes the write lock; the previous state is read beside it.
    fn replace_logged(&self, live: &mut Connection, built: &Path) -> Result<PathBuf, EngineError> {
        let new = connect::still(built)?;
        let page_bytes = copy::size(&new).map_err(|error| self.failed(error))?.1;
        let previous = {
            let backup = Backup::new(&new, live).map_err(|error| self.failed(error))?;
            let one_page = self.wait_for(|| step_once(&backup))?;
            let reader = self.open()?;
            self.wait_for(|| copy::pin(&reader))?;
            let previous = self.keep(&reader)?;
            drop(reader);
            if one_page == StepResult::More {
                let copied = copy::finish(&backup, page_bytes, self.path, Phase::Replace, self.watch);
                self.or_forget(&previous, copied)?;
            }
            previous
        };
        // The log now holds the whole database; others may be reading it, then their last one to close moves it.
        _ = live.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        Ok(previous)
    }

    /// WAL mode, another page size: the backup API refuses that, so the mode is changed meanwhile, which needs
    /// everybody else to be gone.
    fn replace_unlogged(&self, live: Connection, built: &Path) -> Result<PathBuf, EngineError> {
        self.wait_for(|| text(&live, "PRAGMA journal_mode = DELETE"))?;
        let previous = self.replace_locked(live, built);
        let live = self.open()?;
        self.wait_for(|| text(&live, "PRAGMA journal_mode = WAL"))?;
        previous
    }

    /// Rollback modes: exclusive locking keeps the file's lock after the transaction that took it, so that this
    /// connection can first be read from and then be written to while nobody else gets in (pager_unlock).
    fn replace_locked(&self, mut live: Connection, built: &Path) -> Result<PathBuf, EngineError> {
        let previous = self.under_lock(&mut live, built);
        // Gives the lock back, and removes the journal that exclusive locking leaves with an empty header.
        let tidy = "PRAGMA locking_mode = NORMAL; SELECT count(*) FROM sqlite_schema; \
            PRAGMA journal_mode = PERSIST; PRAGMA journal_mode = DELETE";
        _ = self.wait_for(|| live.execute_batch(tidy));
        previous
    }

    fn under_lock(&self, live: &mut Connection, built: &Path) -> Result<PathBuf, EngineError> {
        self.lock(live)?;
        let previous = self.keep(live)?;
        // The live database keeps its own journal mode; the copy to be put there is ours to change.
        copy::leave_wal_mode(built).map_err(disk("write", built))?;
        let new = connect::still(built)?;
        let copied = copy::copy_pages(&new, live, self.path, Phase::Replace, self.watch);
        self.or_forget(&previous, copied)?;
        Ok(previous)
    }

    /// Nobody else has the file open, and this process only once. What another starts may hold it for a moment,
    /// between fork and exec.
    fn is_alone(&self) -> rusqlite::Result<()> {
        let ours = |opener: &who::Opener| opener.pid == std::process::id() && opener.descriptors == 1;
        if who::openers(self.path).iter().all(ours) { Ok(()) } else { Err(busy_error()) }
    }

    /// Takes the exclusive lock of a database in a rollback mode, and keeps it after the transaction. The locking mode
    /// changes only once the lock is there: with it, a failed try would keep its shared lock, and wait for a writer
    /// that waits for that lock.
    fn lock(&self, live: &Connection) -> Result<(), EngineError> {
        self.wait_for(|| live.execute_batch("BEGIN EXCLUSIVE"))?;
        // In WAL mode the same words give no lock on the file, and commits could fall in between.
        if text(live, "PRAGMA journal_mode").map_err(|error| self.failed(error))? == "wal" {
            return Err(connect::busy(self.path));
        }
        let kept = live.execute_batch("PRAGMA locking_mode = EXCLUSIVE; ROLLBACK");
        kept.map_err(|error| self.failed(error))
    }

    /// Copies the state that `reader` sees to a neighbour of the live database, durably.
    fn keep(&self, reader: &Connection) -> Result<PathBuf, EngineError> {
        let draft = Draft::new(hidden(self.path, ".dbops-previous"))?;
        copy::copy_pages(reader, &mut connect::scrap(draft.path())?, draft.path(), Phase::Replace, self.watch)?;
        draft.sync()?;
        let mut place = self.previous_name(1);
        for number in 2.. {
            if std::fs::symlink_metadata(&place).is_err() {
                break;
            }
            place = self.previous_name(number);
        }
        draft.place(&place).map_err(disk("rename to", &place))?;
        self.watch.note(format!("kept the previous database as {}", place.display()));
        Ok(place)
    }

    /// `agents.db.before_20261120_030000`, then `…_2`.
    fn previous_name(&self, number: u32) -> PathBuf {
        let name = self.watch.clock.now().format(".before_%Y%m%d_%H%M%S").to_string();
        with_ending(self.path, &if number > 1 { format!("{name}_{number}") } else { name })
    }

    /// Removes the kept copy where the live database was surely left as it was; where the disk failed, it stays.
    fn or_forget(&self, previous: &Path, copied: Result<(), EngineError>) -> Result<(), EngineError> {
        if matches!(copied, Err(EngineError::Interrupted(_) | EngineError::Busy { .. } | EngineError::Refused { .. })) {
            _ = std::fs::remove_file(previous);
        }
        copied
    }

    /// Going back to a state without database: the file gets another name, once nobody else has it open.
    fn move_aside(&self) -> Result<PathBuf, EngineError> {
        let live = self.open()?;
        self.wait_for(|| text(&live, "PRAGMA journal_mode = DELETE"))?;
        self.lock(&live)?;
        self.wait_for(|| self.is_alone())?;
        let mut place = self.previous_name(1);
        for number in 2..100 {
            match temp::rename_anew(self.path, &place) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => place = self.previous_name(number),
                other => {
                    other.map_err(disk("rename", self.path))?;
                    temp::sync_folder(self.path).map_err(disk("write", self.path))?;
                    return Ok(place);
                }
            }
        }
        Err(connect::busy(&place))
    }
}

/// The first step of a backup, with BUSY as the error that it is.
fn step_once(backup: &Backup<'_, '_>) -> rusqlite::Result<StepResult> {
    match backup.step(1)? {
        StepResult::Busy | StepResult::Locked => Err(busy_error()),
        other => Ok(other),
    }
}

/// What SQLite says when somebody is in the way.
fn busy_error() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}
