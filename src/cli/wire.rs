//! From arguments, configuration and environment to engines and a repository. The one place that reads the
//! system's clock, its name and its environment.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::args::{DatabaseArgs, Global, KeepArgs};
use super::error::CliError;
use super::progress::{self, About};
use super::signals::stop_cleanly_from_now;
use super::ui::Ui;
use crate::config::{Config, DatabaseConfig, DatabaseUrl, parse_env_file};
use crate::engine::Engine;
use crate::engine::sqlite::SqliteEngine;
use crate::model::cancel::Cancel;
use crate::model::clock::Clock;
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::retention::Policy;
use crate::model::watch::Watch;
use crate::ops::{Ctx, Naming, OpsError};
use crate::repo::{Holder, Place, RepoError, Repository};

/// Reads the system's clock.
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Arguments, configuration and environment, read once.
pub(super) struct Wire {
    global: Global,
    config: Config,
    place: PathBuf,
    /// Whether the repository's place was chosen by the user rather than by default.
    place_chosen: bool,
    host: String,
    cancel: Cancel,
}

/// A database as a command sees it.
pub(super) struct Database {
    /// Its folder in the repository.
    pub name: DatabaseName,
    /// Who chose that name.
    pub naming: Naming,
    /// The engine; `None` for side files alone.
    pub engine: Option<Arc<dyn Engine>>,
    /// What the configuration says about it; defaults where it says nothing.
    pub settings: DatabaseConfig,
    /// The file, where it is one.
    path: Option<PathBuf>,
}

impl Database {
    /// The folder that holds its file.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.as_deref().and_then(Path::parent)
    }
}

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "dbops.toml";

impl Wire {
    pub(super) fn new(global: Global, cancel: Cancel) -> Result<Self, CliError> {
        let folder = current_folder()?;
        let configured = read_config(&global, &folder)?;
        let place_chosen = global.repository.is_some() || configured.is_some();
        let config = configured.unwrap_or_else(|| Config::without_file(&folder));
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let place = place(global.repository.as_deref(), &config)?;
        stop_cleanly_from_now(&cancel);
        Ok(Self { global, config, place, place_chosen, host, cancel })
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn yes(&self) -> bool {
        self.global.yes
    }

    /// Where the repository is.
    pub(super) fn place(&self) -> Place {
        Place::Folder(self.place.clone())
    }

    pub(super) const fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(super) async fn open(&self) -> Result<Repository, CliError> {
        Ok(Repository::open(self.place()).await.map_err(OpsError::from)?)
    }

    /// Opens the repository. Makes it only where nobody chose the place: a place that was chosen and holds none
    /// is more often a disk that is not mounted.
    pub(super) async fn open_or_make(&self, ui: Ui) -> Result<Repository, CliError> {
        match Repository::open(self.place()).await {
            Err(RepoError::NoRepository { .. }) if !self.place_chosen => {
                let repo = Repository::create(self.place(), self.now()).await.map_err(OpsError::from)?;
                ui.subject(&format!("made a repository in {}", repo.label()));
                Ok(repo)
            }
            opened => Ok(opened.map_err(OpsError::from)?),
        }
    }

    /// The repository for `asked`, and what is asked of it: a snapshot's own folder names both.
    pub(super) async fn open_for(&self, asked: &str) -> Result<(Repository, String), CliError> {
        match located(asked)? {
            Some((root, id)) => {
                let repo = Repository::open(Place::Folder(root)).await.map_err(OpsError::from)?;
                Ok((repo, id.to_string()))
            }
            None => Ok((self.open().await?, asked.to_owned())),
        }
    }

    /// What every operation is given first; `database` is the one that it is about, where it is one.
    pub(super) fn ctx(&self, repo: Repository, operation: &'static str, database: Option<&DatabaseName>) -> Ctx {
        let clock = Arc::new(SystemClock);
        let holder = Holder::this_process(clock.now());
        let database = database.map(ToString::to_string).unwrap_or_default();
        let about = About { operation, run_id: holder.run.clone(), database };
        let observer = progress::observer(&self.global, about);
        Ctx { repo, watch: Watch { observer, clock, cancel: self.cancel.clone() }, holder }
    }

    /// Workers: as asked, as configured, else as many as there are cores.
    pub(super) fn jobs(&self, asked: Option<u16>) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        asked.map(usize::from).or(self.config.jobs.map(NonZeroUsize::get)).unwrap_or_else(cores)
    }

    /// Where copies are put aside: as asked, as configured, else where SQLite itself would.
    pub(super) fn temp_dir(&self, asked: Option<&Path>) -> PathBuf {
        let environment = || ["SQLITE_TMPDIR", "TMPDIR"].iter().find_map(std::env::var_os);
        asked
            .map(Path::to_owned)
            .or_else(|| self.config.temp_dir.clone())
            .or_else(|| environment().filter(|folder| !folder.is_empty()).map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("/var/tmp"))
    }

    /// The rules of retention for a database; a command without any, on either side, is a usage error.
    pub(super) fn policy(&self, database: &DatabaseName, keep: &KeepArgs) -> Result<Policy, CliError> {
        let KeepArgs { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, time_zone } = keep;
        let mut time_zone_of = self.config.time_zone;
        if let Some(name) = time_zone {
            time_zone_of = name.parse().map_err(|_| CliError::Usage(format!("{name:?} is no time zone")))?;
        }
        let configured = self.config.databases.get(database).map(|settings| &settings.retention);
        let asked = [keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly];
        if asked.iter().all(|rule| rule.is_none()) {
            let policy = configured.filter(|policy| !policy.keeps_everything()).ok_or_else(|| {
                CliError::Usage(format!("no retention for {database}: configure it, or give --keep-daily and the like"))
            })?;
            return Ok(Policy { time_zone: time_zone_of, ..*policy });
        }
        let [keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly] =
            asked.map(|rule| rule.unwrap_or(0));
        let time_zone = time_zone_of;
        if asked.iter().all(|rule| rule.unwrap_or(0) == 0) {
            return Err(CliError::Usage(
                "every rule is 0; to forget snapshots whatever their age, give their ids".into(),
            ));
        }
        Ok(Policy { keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly, time_zone })
    }

    /// The folder that the arguments name outright; what the environment or the configuration names does not narrow.
    pub(super) fn named_folder(&self, arguments: &DatabaseArgs) -> Result<Option<DatabaseName>, CliError> {
        match (&arguments.name, &arguments.db) {
            (Some(name), _) => Ok(Some(folder_name(name)?)),
            (None, Some(_)) => Ok(Some(self.database(arguments)?.name)),
            (None, None) => Ok(None),
        }
    }

    /// The database of a backup: side files alone when files are named and no database is.
    pub(super) fn to_back_up(&self, arguments: &DatabaseArgs, files: &[PathBuf]) -> Result<Database, CliError> {
        let files_alone = arguments.db.is_none() && self.config.databases.is_empty() && !files.is_empty();
        match files.first().filter(|_| files_alone && environment_url().is_none()) {
            Some(first) => self.files_alone(arguments, first),
            None => self.database(arguments),
        }
    }

    fn files_alone(&self, arguments: &DatabaseArgs, first: &Path) -> Result<Database, CliError> {
        let stem = first.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (name, naming) = match &arguments.name {
            Some(name) => (folder_name(name)?, Naming::Chosen),
            None => (escaped(&stem)?, Naming::Derived),
        };
        let settings = DatabaseConfig::unconfigured(None, self.config.time_zone);
        let path = std::path::absolute(first).ok();
        Ok(Database { name, naming, engine: None, settings, path })
    }

    /// The database that the arguments name, else the only one configured, else `DATABASE_URL`.
    pub(super) fn database(&self, arguments: &DatabaseArgs) -> Result<Database, CliError> {
        let mut configured = self.config.databases.iter();
        match (&arguments.db, configured.next(), configured.next()) {
            (Some(given), _, _) => {
                self.mistyped(given)?;
                self.named(given, arguments.name.as_deref())
            }
            (None, Some((name, _)), None) => self.named(name.as_str(), arguments.name.as_deref()),
            (None, Some(_), Some(_)) => Err(CliError::Usage(format!(
                "which database? configured are {}; name one with --db",
                self.config.databases.keys().map(DatabaseName::as_str).collect::<Vec<_>>().join(", ")
            ))),
            (None, None, _) => match environment_url() {
                Some(url) => self.named(&url, arguments.name.as_deref()),
                None => Err(CliError::Usage("no database: name one with --db, or set DATABASE_URL".into())),
            },
        }
    }

    /// A word that is neither configured nor a file, where names are configured, is one mistyped.
    fn mistyped(&self, given: &str) -> Result<(), CliError> {
        let names = &self.config.databases;
        let is_name = DatabaseName::escape(given).is_ok_and(|name| names.contains_key(&name));
        let is_word = given.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if names.is_empty() || is_name || !is_word || Path::new(given).exists() {
            return Ok(());
        }
        let known = names.keys().map(DatabaseName::as_str).collect::<Vec<_>>().join(", ");
        Err(CliError::Usage(format!(
            "no database {given} is configured, and no such file is here; configured: {known}"
        )))
    }

    /// The one database whose snapshots `latest` and its like are looked for among, and who names it.
    pub(super) fn narrowed(&self, arguments: &DatabaseArgs) -> Result<Narrowed, CliError> {
        let DatabaseArgs { db, name } = arguments;
        let folder = self.named_folder(arguments)?;
        let environment = environment_url().filter(|_| self.config.databases.is_empty() && name.is_none());
        let by = match (db, self.config.databases.len(), environment) {
            (Some(_), _, _) => "--db",
            (None, 1, _) => "the configuration",
            // A database that this version can't open still tells which snapshots are meant.
            (None, _, Some(url)) => match DatabaseUrl::parse(&url, &current_folder()?)? {
                other @ DatabaseUrl::Postgres(_) => {
                    return Ok(Narrowed { folder: Some(other.default_name()?), engine: None, by: "DATABASE_URL" });
                }
                DatabaseUrl::Sqlite(_) => "DATABASE_URL",
            },
            (None, _, None) => return Ok(Narrowed { folder, engine: None, by: "--name" }),
        };
        let database = self.database(arguments)?;
        Ok(Narrowed { folder: Some(folder.unwrap_or(database.name)), engine: database.engine, by })
    }

    /// The configured name of a database that was given by its file: `--db NAME` would use what is configured.
    pub(super) fn configured_as(&self, arguments: &DatabaseArgs, database: &Database) -> Option<&DatabaseName> {
        let given = arguments.db.as_ref().filter(|_| arguments.name.is_none())?;
        let by_name = DatabaseName::escape(given).is_ok_and(|name| self.config.databases.contains_key(&name));
        let mut configured = self.config.databases.iter().filter(|_| !by_name);
        configured
            .find(|(_, settings)| same_file(settings.url.as_ref(), database.path.as_deref()))
            .map(|(name, _)| name)
    }

    /// Where a restore goes. A database that the configuration protects is refused.
    pub(super) fn target(&self, into: &str) -> Result<Database, CliError> {
        let target = self.named(into, None)?;
        for (name, settings) in &self.config.databases {
            if settings.protected && same_file(settings.url.as_ref(), target.path.as_deref()) {
                return Err(CliError::Protected { name: name.to_string() });
            }
        }
        Ok(target)
    }

    /// A configured name, a URL or a path.
    fn named(&self, given: &str, folder: Option<&str>) -> Result<Database, CliError> {
        let configured = DatabaseName::escape(given).ok().and_then(|name| self.config.databases.get(&name));
        let unconfigured = || DatabaseConfig::unconfigured(None, self.config.time_zone);
        let settings = configured.cloned().unwrap_or_else(unconfigured);
        let url = match &settings.url {
            Some(url) => url.clone(),
            None if configured.is_some() => return configured_files(given, settings),
            None => DatabaseUrl::parse(given, &current_folder()?)?,
        };
        let (name, naming) = match (folder, configured) {
            (Some(folder), _) => (folder_name(folder)?, Naming::Chosen),
            (None, Some(_)) => (escaped(given)?, Naming::Chosen),
            (None, None) => (url.default_name()?, Naming::Derived),
        };
        match url {
            DatabaseUrl::Sqlite(path) => {
                let engine: Arc<dyn Engine> = Arc::new(SqliteEngine::new(path.clone(), self.host.clone()));
                Ok(Database { name, naming, engine: Some(engine), settings, path: Some(path) })
            }
            DatabaseUrl::Postgres(url) => Err(CliError::Unsupported(format!("PostgreSQL ({url})"))),
        }
    }
}

/// A configured name without a URL: side files alone.
fn configured_files(name: &str, settings: DatabaseConfig) -> Result<Database, CliError> {
    let path = settings.files.first().cloned();
    Ok(Database { name: escaped(name)?, naming: Naming::Chosen, engine: None, settings, path })
}

/// The side files of a backup: those named, else the configured ones.
pub(super) fn side_files(named: &[PathBuf], database: &Database) -> Vec<PathBuf> {
    let files = if named.is_empty() { &database.settings.files } else { named };
    files.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect()
}

fn same_file(url: Option<&DatabaseUrl>, path: Option<&Path>) -> bool {
    match (url, path) {
        (Some(DatabaseUrl::Sqlite(protected)), Some(path)) => {
            let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
            place(protected) == place(path)
        }
        (Some(DatabaseUrl::Sqlite(_) | DatabaseUrl::Postgres(_)) | None, _) => false,
    }
}

/// What a snapshot asked for without an id is looked for among.
pub(super) struct Narrowed {
    /// The folder in the repository.
    pub folder: Option<DatabaseName>,
    /// The database itself, to compare its identity.
    pub engine: Option<Arc<dyn Engine>>,
    /// Who names it.
    pub by: &'static str,
}

/// The repository's folder: a path or a `file:` URL.
fn place(asked: Option<&str>, config: &Config) -> Result<PathBuf, CliError> {
    let Some(asked) = asked else { return Ok(config.repository.clone()) };
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|source| CliError::Local {
            deed: "find",
            path: path.display().to_string(),
            source,
        })
    };
    match asked.split_once(':') {
        Some(("file", _)) => match DatabaseUrl::parse(asked, &current_folder()?)? {
            DatabaseUrl::Sqlite(path) => Ok(path),
            DatabaseUrl::Postgres(url) => Err(CliError::Unsupported(format!("a repository in {url}"))),
        },
        Some((scheme, rest)) if rest.starts_with("//") => {
            Err(CliError::Unsupported(format!("a repository in {scheme}://")))
        }
        Some(_) | None => absolute(Path::new(asked)),
    }
}

/// A snapshot's folder as `backup` prints it, however it is written: its repository and its id. `None` for what
/// is no path: an id, `latest` and their like.
fn located(asked: &str) -> Result<Option<(PathBuf, SnapshotId)>, CliError> {
    let path = Path::new(asked);
    let is_path = asked.contains('/') || asked == "." || asked == "..";
    let Ok(found) = path.canonicalize() else {
        let no_such = || CliError::NoSuchPath { path: asked.to_owned() };
        return if is_path { Err(no_such()) } else { Ok(None) };
    };
    let id: Option<SnapshotId> = found.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let root = found.parent().and_then(Path::parent);
    match (id, root) {
        (Some(id), Some(root)) if found.is_dir() => Ok(Some((root.to_owned(), id))),
        _ if found.is_dir() && !is_path => Ok(None),
        _ => {
            let why = if found.is_dir() { "a folder of another kind" } else { "a file" };
            Err(CliError::NoSnapshot { path: found.display().to_string(), why })
        }
    }
}

/// A folder's name as the user knows the database, or as `list` shows it, escaped already.
fn folder_name(name: &str) -> Result<DatabaseName, CliError> {
    match name.parse::<DatabaseName>() {
        Ok(folder) if is_escaped(name) => Ok(folder),
        Ok(_) | Err(_) => escaped(name),
    }
}

/// Whether every `=` begins the two digits of an escaped byte.
fn is_escaped(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'A'..=b'F');
    let mut parts = name.split('=');
    let first = parts.next();
    first.is_some() && parts.all(|part| part.len() >= 2 && part.bytes().take(2).all(is_digit))
}

fn escaped(name: &str) -> Result<DatabaseName, CliError> {
    DatabaseName::escape(name).map_err(|error| CliError::Usage(error.to_string()))
}

/// `DATABASE_URL`, where it is set to something.
fn environment_url() -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty())
}

fn current_folder() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(|source| CliError::Local {
        deed: "find",
        path: "the current folder".into(),
        source,
    })
}

/// What the configuration file says; `None` where there is none and none was named.
fn read_config(global: &Global, current: &Path) -> Result<Option<Config>, CliError> {
    let named = global.config.as_deref();
    let Some(path) = named.or_else(|| Some(Path::new(CONFIG_FILE)).filter(|path| path.exists())) else {
        return Ok(None);
    };
    let text = read(path)?;
    let from_file = match &global.env_file {
        Some(path) => parse_env_file(&read(path)?)?,
        None => std::collections::BTreeMap::new(),
    };
    let environment = |name: &str| from_file.get(name).cloned().or_else(|| std::env::var(name).ok());
    let path = current.join(path);
    let parsed = Config::parse(&text, &environment, path.parent().unwrap_or(current));
    parsed.map(Some).map_err(|source| CliError::InConfig { path: path.display().to_string(), source })
}

fn read(path: &Path) -> Result<String, CliError> {
    let unreadable = |source| CliError::ReadConfig { path: path.display().to_string(), source };
    std::fs::read_to_string(path).map_err(unreadable)
}
