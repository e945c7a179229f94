//! See it work: a small application's database is backed up, proven, damaged on a copy, and restored.
//!
//! Every step runs what its command line runs, and fails the demo where it does not end as it must.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::DemoArgs;
use super::error::CliError;
use super::signals::stop_cleanly_from_now;
use super::ui::Ui;
use super::wire::SystemClock;
use crate::blocking::blocking;
use crate::engine::sqlite::{self, SqliteEngine};
use crate::engine::{DumpPlan, Engine, IfAbsent, IfDamaged, LoadPlan};
use crate::model::cancel::Cancel;
use crate::model::event::{Event, Observer};
use crate::model::frame::Compression;
use crate::model::manifest::{CheckDepth, TableRecord};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{BackedUp, Outcome, VerifyDepth};
use crate::model::watch::Watch;
use crate::ops::{self, BackupRequest, Ctx, Existing, Naming, OpsError, RestoreRequest};
use crate::repo::{Holder, Place, Repository};
use crate::report::{self, Other};

const APPLICATION: &str = include_str!("../../fixtures/demo.sql");
const WORKFLOWS: &str = include_str!("../../fixtures/workflows.json");

/// The workers of a database this small.
const JOBS: usize = 2;

struct Silent;

impl Observer for Silent {
    fn notice(&self, _: &Event) {}
}

/// The demo's folder and how it speaks.
struct Demo {
    folder: PathBuf,
    host: String,
    watch: Watch,
    ui: Ui,
    /// Titles of what was done, for the JSON document.
    steps: RefCell<Vec<String>>,
}

/// Plays the demo and prints it; the files stay for the user to look at.
pub(super) async fn run(arguments: DemoArgs, ui: Ui, cancel: Cancel) -> Result<Other, CliError> {
    stop_cleanly_from_now(&cancel);
    let folder = make_folder(arguments.into)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let watch = Watch { observer: Arc::new(Silent), clock: Arc::new(SystemClock), cancel };
    let demo = Demo { folder, host, watch, ui, steps: RefCell::default() };
    demo.play().await
}

impl Demo {
    async fn play(&self) -> Result<Other, CliError> {
        self.ui.line(&format!("The demo is played in {}", self.folder.display()));
        self.step("An application's database, agents.db, and a side file, workflows.json");
        self.make_application().await?;

        self.step("dbops backup --db agents.db --files workflows.json");
        let backup = self.back_up().await?;
        let id = backup.snapshot.id.clone();
        self.show(&Outcome::Backup(Box::new(backup)));

        self.step("dbops verify latest");
        self.verify(&self.repository(), &id, true).await?;

        self.step("One byte of a copy of the repository is changed; verify must notice");
        let copy = self.folder.join("damaged-copy");
        self.damage_copy(&copy, &id)?;
        self.verify(&copy, &id, false).await?;

        self.step("dbops restore latest --into restored/agents.db");
        self.restore(&id).await?;
        self.compare().await?;
        self.closing(&id);
        Ok(Other::Demo { folder: self.folder.display().to_string(), snapshot: id, steps: self.steps.take() })
    }

    fn step(&self, title: &str) {
        self.steps.borrow_mut().push(title.to_owned());
        self.ui.line("");
        self.ui.line(&format!("> {title}"));
    }

    fn show(&self, outcome: &Outcome) {
        report::outcome(outcome).iter().for_each(|line| self.ui.line(&format!("  {line}")));
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("backups")
    }

    fn database(&self) -> PathBuf {
        self.folder.join("agents.db")
    }

    fn restored(&self) -> PathBuf {
        self.folder.join("restored").join("agents.db")
    }

    async fn make_application(&self) -> Result<(), CliError> {
        sqlite::create_from_script(&self.database(), APPLICATION).await.map_err(OpsError::from)?;
        let workflows = self.folder.join("workflows.json");
        fs::write(&workflows, WORKFLOWS).map_err(local("write", &workflows))?;
        let place = Place::Folder(self.repository());
        ops::init(place, self.watch.clock.now()).await?;
        Ok(())
    }

    async fn ctx(&self, repository: &Path) -> Result<Ctx, CliError> {
        let repo = Repository::open(Place::Folder(repository.to_owned())).await.map_err(OpsError::from)?;
        let holder = Holder::this_process(self.watch.clock.now());
        Ok(Ctx { repo, watch: self.watch.clone(), holder })
    }

    async fn back_up(&self) -> Result<BackedUp, CliError> {
        let database = DatabaseName::escape("agents").map_err(|error| failed(error.to_string()))?;
        let engine: Arc<dyn Engine> = Arc::new(SqliteEngine::new(self.database(), self.host.clone()));
        let request = BackupRequest {
            database,
            naming: Naming::Derived,
            engine: Some(engine),
            side_files: vec![self.folder.join("workflows.json")],
            side_base: self.folder.clone(),
            host: self.host.clone(),
            plan: DumpPlan {
                compression: Compression::default(),
                jobs: JOBS,
                temp_dir: self.folder.clone(),
                check: CheckDepth::Full,
                damaged: IfDamaged::Refuse,
                absent: IfAbsent::Refuse,
            },
            release: Some("v0.2.0".into()),
            note: Some("made by the demo".into()),
        };
        Ok(ops::backup(&self.ctx(&self.repository()).await?, &request).await?)
    }

    async fn verify(&self, repository: &Path, id: &SnapshotId, good: bool) -> Result<(), CliError> {
        let ctx = self.ctx(repository).await?;
        let verified = ops::verify(&ctx, std::slice::from_ref(id), VerifyDepth::Full, JOBS).await?;
        let passed = verified.passed;
        self.show(&Outcome::Verify(verified));
        match (good, passed) {
            (true, true) | (false, false) => Ok(()),
            (true, false) => Err(failed("a good snapshot did not verify")),
            (false, true) => Err(failed("verify did not notice the damage")),
        }
    }

    fn damage_copy(&self, copy: &Path, id: &SnapshotId) -> Result<(), CliError> {
        copy_folder(&self.repository(), copy)?;
        let snapshot = copy.join(id.database().as_str()).join(id.to_string());
        let file = snapshot.join("agents.db.zst");
        let mut bytes = fs::read(&file).map_err(local("read", &file))?;
        let middle = bytes.len() / 2;
        let byte = bytes.get_mut(middle).ok_or_else(|| failed("the stored file is empty"))?;
        *byte ^= 1;
        fs::write(&file, bytes).map_err(local("write", &file))
    }

    async fn restore(&self, id: &SnapshotId) -> Result<(), CliError> {
        let into = self.folder.join("restored");
        fs::create_dir(&into).map_err(local("make", &into))?;
        let request = RestoreRequest {
            id: id.clone(),
            engine: Some(Arc::new(SqliteEngine::new(self.restored(), self.host.clone()))),
            existing: Existing::Refuse,
            side_files_into: Some(into),
            plan: LoadPlan { jobs: JOBS, temp_dir: self.folder.clone(), busy_timeout: Duration::from_secs(5) },
        };
        let restored = ops::restore(&self.ctx(&self.repository()).await?, request).await?;
        self.show(&Outcome::Restore(restored));
        Ok(())
    }

    /// Compares source and restored database once more, from outside of backup and restore.
    async fn compare(&self) -> Result<(), CliError> {
        self.step("Every table of agents.db against restored/agents.db");
        let [source, restored] = [self.fingerprints(self.database()).await?, self.fingerprints(self.restored()).await?];
        for table in &source {
            let equal = restored.contains(table);
            let verdict = if equal { "equal" } else { "DIFFERENT" };
            let name = table.table.name();
            self.ui.line(&format!("  {name:24} {:>6} rows  {verdict}", table.fingerprint.rows));
            if !equal {
                return Err(failed(format!("table {name} did not come back as it was")));
            }
        }
        if source.len() == restored.len() { Ok(()) } else { Err(failed("tables were added")) }
    }

    async fn fingerprints(&self, database: PathBuf) -> Result<Vec<TableRecord>, CliError> {
        let watch = self.watch.clone();
        let tables = blocking(move || sqlite::fingerprints(&database, JOBS, &watch)).await;
        Ok(tables.map_err(OpsError::from)?)
    }

    fn closing(&self, id: &SnapshotId) {
        let snapshot = self.repository().join(id.database().as_str()).join(id.to_string());
        let snapshot = snapshot.display();
        self.step("Without dbops, the same with stock tools");
        self.ui.line(&format!("  cd {snapshot}"));
        self.ui.line("  sha256sum -c SHA256SUMS");
        self.ui.line("  zstd -d agents.db.zst -o /tmp/agents.db");
        self.ui.line("  sqlite3 /tmp/agents.db 'PRAGMA integrity_check'");
        self.ui.line("");
        self.ui.line(&format!("All of it went as it should. Files: {}", self.folder.display()));
    }
}

fn make_folder(into: Option<PathBuf>) -> Result<PathBuf, CliError> {
    match into {
        Some(folder) => {
            fs::create_dir(&folder).map_err(local("make", &folder))?;
            std::path::absolute(&folder).map_err(local("find", &folder))
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("dbops-demo-").tempdir();
            Ok(temporary.map_err(local("make a folder in", &std::env::temp_dir()))?.keep())
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), CliError> {
    fs::create_dir(to).map_err(local("make", to))?;
    for entry in fs::read_dir(from).map_err(local("read", from))? {
        let entry = entry.map_err(local("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(local("copy", &source))?;
        }
    }
    Ok(())
}

fn local(deed: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let path = path.display().to_string();
    move |source| CliError::Local { deed, path, source }
}

fn failed(why: impl Into<String>) -> CliError {
    CliError::DemoFailed { why: why.into() }
}
