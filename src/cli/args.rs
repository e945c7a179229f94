//! What may be written on the command line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser as Text;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::model::frame::Compression;

pub(super) const EXAMPLES: &str = "\
Examples:
  dbops init --repository /var/backups/dbops
  dbops backup --db ./agents.db --files workflows.json
  dbops verify latest
  dbops restore latest --into /tmp/agents-copy.db
  dbops forget --keep-daily 14 --keep-monthly 6 --dry-run

Exit codes: 0 done, 2 usage, 9 configuration, 10 no repository or snapshot,
11 busy, 20 corrupt, 22 a check failed, 24 refused, 30 database unreachable,
31 database refused, 40 storage failed, 130 interrupted; `dbops man` has them all";

/// Backups that are proven, restores that are rehearsed.
#[derive(Debug, Parser)]
#[command(name = "dbops", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Configuration file [default: dbops.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// File of KEY=value lines that ${...} in the configuration may use
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub env_file: Option<PathBuf>,
    /// Folder that holds the snapshots [default: the configuration's, else ./backups]
    #[arg(long, global = true, value_name = "FOLDER", value_parser = Text::new(), help_heading = "Global options")]
    pub repository: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Print nothing unless something fails
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Exit with 3 when there were warnings
    #[arg(long, global = true, help_heading = "Global options")]
    pub strict: bool,
    /// Answer yes to questions
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub yes: bool,
    /// How progress and news are written to stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto", help_heading = "Global options")]
    pub log_format: LogFormat,
}

/// How progress and news are written to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Bars on a terminal, else a line a phase
    Auto,
    /// One JSON object a line
    Json,
}

/// Which database.
#[derive(Debug, Args)]
pub(super) struct DatabaseArgs {
    /// The database: a configured name, a URL or a path [default: the only one configured, else $DATABASE_URL]
    #[arg(long, value_name = "DATABASE", value_parser = Text::new())]
    pub db: Option<String>,
    /// Name of its folder in the repository [default: the configured or the database's own name]
    #[arg(long, value_name = "NAME", value_parser = Text::new())]
    pub name: Option<String>,
}

/// Resources of long work.
#[derive(Debug, Args)]
pub(super) struct WorkArgs {
    /// Workers at once [default: the number of cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Folder for copies that are put aside meanwhile [default: $SQLITE_TMPDIR, $TMPDIR, /var/tmp]
    #[arg(long, value_name = "FOLDER")]
    pub temp_dir: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a repository
    Init,
    /// Take a snapshot, read it back and verify it
    Backup(BackupArgs),
    /// List snapshots with size, rows, release and proof
    List(DatabaseArgs),
    /// Show all that is known about a snapshot
    Show(ShowArgs),
    /// Prove the stored bytes of snapshots
    Verify(VerifyArgs),
    /// Build a snapshot's state at a place, proven before it is put there
    Restore(RestoreArgs),
    /// Delete what retention lets go, or what killed runs left
    Forget(ForgetArgs),
    /// See it work: backup, damage, verify, restore, in a temporary folder
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

impl Command {
    /// The operation, as the log names it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Backup(_) => "backup",
            Self::List(_) => "list",
            Self::Show(_) => "show",
            Self::Verify(_) => "verify",
            Self::Restore(_) => "restore",
            Self::Forget(_) => "forget",
            Self::Demo(_) => "demo",
            Self::Completions { .. } => "completions",
            Self::Man => "man",
        }
    }
}

/// A release's name, as `before:` asks for it again.
fn release(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("a release needs a name");
    }
    if text.chars().any(char::is_control) {
        return Err("a release's name has no control characters");
    }
    Ok(text.to_owned())
}

/// Of `backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dbops backup --db ./agents.db --files workflows.json
  dbops backup --db ./agents.db --tag v0.2.0    the state that v0.2.0 starts from
  dbops backup --files workflows.json           a JSON store without a database

The last line of stdout is the snapshot's path.")]
pub(super) struct BackupArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub work: WorkArgs,
    /// Side files of the same state; alone, without --db, they are the snapshot
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// The release that it is taken for: `restore before:TAG` gets it back
    #[arg(long, value_name = "TAG", value_parser = release)]
    pub tag: Option<String>,
    /// Free text, shown by `show`
    #[arg(long, value_name = "TEXT", value_parser = Text::new())]
    pub note: Option<String>,
    /// zstd:1 to zstd:19 or gzip:1 to gzip:9 [default: zstd:1]
    #[arg(long, value_name = "METHOD")]
    pub compress: Option<Compression>,
    /// How thoroughly the source is checked for damage [default: full]
    #[arg(long, value_name = "DEPTH")]
    pub source_check: Option<SourceCheckArg>,
    /// Store a damaged database all the same, marked; exits 22
    #[arg(long)]
    pub keep_damaged: bool,
    /// Record that the database does not exist yet, instead of failing
    #[arg(long)]
    pub absent_ok: bool,
}

/// How thoroughly the source is checked.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SourceCheckArg {
    /// integrity_check and foreign_key_check
    Full,
    /// quick_check and foreign_key_check: indexes are not compared
    Quick,
    /// Not at all; the snapshot says so
    None,
}

/// Of `show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub select: SelectArgs,
}

/// Which snapshot.
#[derive(Debug, Args)]
pub(super) struct SelectArgs {
    /// An id, its beginning, its folder, latest, latest-verified, latest-drilled, or before:RELEASE
    #[arg(default_value = "latest", value_parser = Text::new())]
    pub id: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Let `latest` be a snapshot of another source of the same name
    #[arg(long)]
    pub any_source: bool,
}

/// Of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dbops verify                     the newest snapshot
  dbops verify --all               every snapshot of the repository
  dbops verify exam_20261120       the one whose id begins so
  dbops verify --json | jq .passed")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    /// Every snapshot
    #[arg(long, conflicts_with_all = ["id", "any_source"])]
    pub all: bool,
    /// Only that the files are there with their sizes; proves nothing about their content
    #[arg(long)]
    pub quick: bool,
    /// Workers at once [default: the number of cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
}

/// Of `restore`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").args(["into", "files_into"]).required(true).multiple(true))]
#[command(after_help = "\
Examples:
  dbops restore latest --into /tmp/copy.db
  dbops restore before:v0.2.0 --into ./agents.db --replace

Side files go into the folder of the restored database, or --files-into.
--replace keeps what was there as NAME.before_DATE_TIME.")]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub work: WorkArgs,
    /// Where the database goes: a path or a URL
    #[arg(long, value_name = "TARGET", value_parser = Text::new())]
    pub into: Option<String>,
    /// Replace the database and side files that are there; they are kept aside
    #[arg(long)]
    pub replace: bool,
    /// Folder for side files [default: the folder of the restored database]
    #[arg(long, value_name = "FOLDER")]
    pub files_into: Option<PathBuf>,
    /// Leave side files out
    #[arg(long, conflicts_with = "files_into")]
    pub no_files: bool,
    /// Seconds to wait for others to let go of the database
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub wait: u32,
}

/// Of `forget`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dbops forget --dry-run                    what the configured retention would do, and why
  dbops forget --keep-last 7 --keep-daily 14 --keep-monthly 6
  dbops forget exam_20261120_030000         that one
  dbops forget --orphans                    what killed runs left

The newest snapshot, the newest verified and the newest drilled one always stay.")]
pub(super) struct ForgetArgs {
    /// Snapshots to forget by id, instead of by retention
    #[arg(value_name = "ID", value_parser = Text::new(), conflicts_with_all = ["orphans", "keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"])]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
    /// Only print what would go, what stays, and why
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what unfinished runs left
    #[arg(long, conflicts_with_all = ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"])]
    pub orphans: bool,
}

/// Rules of retention; any of them replaces the configured ones.
#[derive(Debug, Args)]
pub(super) struct KeepArgs {
    /// The newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u32>,
    /// One for each of the last N hours that have one
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<u32>,
    /// One for each of the last N days that have one
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u32>,
    /// One for each of the last N weeks that have one
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u32>,
    /// One for each of the last N months that have one
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u32>,
    /// One for each of the last N years that have one
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<u32>,
    /// Time zone of days, weeks, months and years [default: the configuration's, else UTC]
    #[arg(long, value_name = "ZONE", value_parser = Text::new())]
    pub time_zone: Option<String>,
}

/// Of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Folder to make it in; must not exist [default: a new one in the system's temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
}
