//! One function a command: arguments to a request, a request to its operation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;

use super::args::{
    BackupArgs, Cli, Command, ForgetArgs, RestoreArgs, SelectArgs, ShowArgs, SourceCheckArg, VerifyArgs,
};
use super::confirm::confirm;
use super::demo;
use super::error::CliError;
use super::ui::Ui;
use super::wire::{Database, Wire, side_files};
use crate::engine::{DumpPlan, IfAbsent, IfDamaged, LoadPlan};
use crate::model::cancel::Cancel;
use crate::model::manifest::CheckDepth;
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{Forgotten, Outcome, VerifyDepth};
use crate::ops::{self, BackupRequest, Ctx, Existing, ForgetRequest, ForgetWhat, RestoreRequest, Scope};

/// Runs a command; `None` when it has printed its answer itself.
pub(super) async fn run(cli: Cli, ui: Ui, cancel: Cancel) -> Result<Option<Outcome>, CliError> {
    let Cli { global, command } = cli;
    match command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dbops", &mut script);
            ui.text(&script);
            Ok(None)
        }
        Command::Man => manual(ui).map(|()| None),
        Command::Demo(arguments) => demo::run(arguments, ui, cancel).await.map(|()| None),
        Command::Init => init(&Wire::new(global, cancel)?).await.map(Some),
        Command::Backup(arguments) => backup(&Wire::new(global, cancel)?, ui, arguments).await.map(Some),
        Command::List(arguments) => {
            let wire = Wire::new(global, cancel)?;
            let name = wire.named_folder(&arguments)?;
            let ctx = wire.ctx(wire.open().await?, "list", name.as_ref());
            Ok(Some(Outcome::List(ops::list(&ctx, name.as_ref()).await?)))
        }
        Command::Show(arguments) => show(&Wire::new(global, cancel)?, arguments).await.map(Some),
        Command::Verify(arguments) => verify(&Wire::new(global, cancel)?, arguments).await.map(Some),
        Command::Restore(arguments) => restore(&Wire::new(global, cancel)?, ui, arguments).await.map(Some),
        Command::Forget(arguments) => forget(&Wire::new(global, cancel)?, ui, arguments).await.map(Some),
    }
}

fn manual(ui: Ui) -> Result<(), CliError> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
    rendered.map_err(|source| CliError::Local { deed: "render", path: "the manual page".into(), source })?;
    ui.text(&page);
    Ok(())
}

async fn init(wire: &Wire) -> Result<Outcome, CliError> {
    Ok(Outcome::Init(ops::init(wire.place(), wire.now()).await?))
}

async fn backup(wire: &Wire, ui: Ui, arguments: BackupArgs) -> Result<Outcome, CliError> {
    let database = wire.to_back_up(&arguments.database, &arguments.files)?;
    let ctx = wire.ctx(wire.open_or_make(ui).await?, "backup", Some(&database.name));
    if let Some(engine) = &database.engine {
        ui.subject(&format!("backing up {}", engine.label()));
    }
    let plan = dump_plan(wire, &arguments, &database);
    let side_files = side_files(&arguments.files, &database);
    let side_base = database.folder().map(Path::to_owned).unwrap_or_default();
    let Database { name, naming, engine, .. } = database;
    let BackupArgs { tag: release, note, .. } = arguments;
    let host = wire.host().to_owned();
    let request = BackupRequest { database: name, naming, engine, side_files, side_base, host, plan, release, note };
    Ok(Outcome::Backup(Box::new(ops::backup(&ctx, &request).await?)))
}

fn dump_plan(wire: &Wire, arguments: &BackupArgs, database: &Database) -> DumpPlan {
    let check = match arguments.source_check {
        Some(SourceCheckArg::Full) => Some(CheckDepth::Full),
        Some(SourceCheckArg::Quick) => Some(CheckDepth::Quick),
        Some(SourceCheckArg::None) => Some(CheckDepth::None),
        None => None,
    };
    let absent_ok = arguments.absent_ok || database.settings.absent_ok;
    DumpPlan {
        compression: arguments.compress.unwrap_or(database.settings.compression),
        jobs: wire.jobs(arguments.work.jobs),
        temp_dir: wire.temp_dir(arguments.work.temp_dir.as_deref()),
        check: check.unwrap_or(database.settings.check),
        damaged: if arguments.keep_damaged { IfDamaged::Keep } else { IfDamaged::Refuse },
        absent: if absent_ok { IfAbsent::Record } else { IfAbsent::Refuse },
    }
}

/// The repository, and the snapshot in it, that the arguments name.
async fn selected(wire: &Wire, operation: &'static str, select: &SelectArgs) -> Result<(Ctx, SnapshotId), CliError> {
    let database = wire.database_if_known(&select.database)?;
    let named = wire.named_folder(&select.database)?;
    let (repo, asked) = wire.open_for(&select.id).await?;
    let folder = named.or(database.as_ref().map(|database| database.name.clone()));
    let ctx = wire.ctx(repo, operation, folder.as_ref());
    let source = match &database {
        Some(Database { engine: Some(engine), .. }) if !select.any_source => {
            Some(engine.identify().await.map_err(ops::OpsError::from)?)
        }
        Some(_) | None => None,
    };
    let scope = Scope { database: folder, source };
    let id = ops::select(&ctx, &asked, &scope).await?;
    Ok((ctx, id))
}

async fn show(wire: &Wire, arguments: ShowArgs) -> Result<Outcome, CliError> {
    let (ctx, id) = selected(wire, "show", &arguments.select).await?;
    Ok(Outcome::Show(Box::new(ops::show(&ctx, &id).await?)))
}

async fn verify(wire: &Wire, arguments: VerifyArgs) -> Result<Outcome, CliError> {
    let depth = if arguments.quick { VerifyDepth::Presence } else { VerifyDepth::Full };
    let (ctx, ids) = if arguments.all {
        let named = wire.named_folder(&arguments.select.database)?;
        let ctx = wire.ctx(wire.open().await?, "verify", named.as_ref());
        let ids = every_snapshot(&ctx, named).await?;
        (ctx, ids)
    } else {
        let (ctx, id) = selected(wire, "verify", &arguments.select).await?;
        (ctx, vec![id])
    };
    Ok(Outcome::Verify(ops::verify(&ctx, &ids, depth, wire.jobs(arguments.jobs)).await?))
}

async fn every_snapshot(ctx: &Ctx, named: Option<DatabaseName>) -> Result<Vec<SnapshotId>, CliError> {
    let databases = match named {
        Some(database) => vec![database],
        None => ctx.repo.databases().await.map_err(ops::OpsError::from)?,
    };
    let mut ids = Vec::new();
    for database in &databases {
        ids.extend(ctx.repo.snapshots(database).await.map_err(ops::OpsError::from)?);
    }
    if ids.is_empty() {
        let place = ctx.repo.label().to_owned();
        return Err(ops::OpsError::NoMatch { asked: "--all".into(), place }.into());
    }
    Ok(ids)
}

async fn restore(wire: &Wire, ui: Ui, arguments: RestoreArgs) -> Result<Outcome, CliError> {
    let target = arguments.into.as_deref().map(|into| wire.target(into)).transpose()?;
    let (ctx, id) = selected(wire, "restore", &arguments.select).await?;
    let engine = target.as_ref().and_then(|target| target.engine.clone());
    let side_files_into = side_folder(&arguments, target.as_ref().and_then(Database::folder));
    let what = engine.as_ref().map_or_else(|| "side files".to_owned(), |engine| engine.label());
    let existing = if arguments.replace {
        Existing::Replace(confirm(&format!("replacing {what} by {id}"), wire.yes(), wire.cancel()).await?)
    } else {
        ui.subject(&format!("restoring {id} into {what}"));
        Existing::Refuse
    };
    let plan = LoadPlan {
        jobs: wire.jobs(arguments.work.jobs),
        temp_dir: wire.temp_dir(arguments.work.temp_dir.as_deref()),
        busy_timeout: Duration::from_secs(u64::from(arguments.wait)),
    };
    let request = RestoreRequest { id, engine, existing, side_files_into, plan };
    Ok(Outcome::Restore(ops::restore(&ctx, request).await?))
}

fn side_folder(arguments: &RestoreArgs, beside: Option<&Path>) -> Option<PathBuf> {
    if arguments.no_files {
        return None;
    }
    arguments.files_into.clone().or_else(|| beside.map(Path::to_owned))
}

async fn forget(wire: &Wire, ui: Ui, arguments: ForgetArgs) -> Result<Outcome, CliError> {
    let repo = wire.open().await?;
    let named = wire.named_folder(&arguments.database)?;
    let ctx = wire.ctx(repo, "forget", named.as_ref());
    let requests = forget_requests(wire, &ctx, &arguments, named).await?;
    let mut all = Forgotten { dry_run: arguments.dry_run, decisions: Vec::new(), orphans: Vec::new() };
    for (database, what) in requests {
        if let (ForgetWhat::Named(ids), false) = (&what, arguments.dry_run) {
            let names = ids.iter().map(SnapshotId::to_string).collect::<Vec<_>>().join(", ");
            confirm(&format!("forgetting {names} in {}", ctx.repo.label()), wire.yes(), wire.cancel()).await?;
        } else {
            ui.subject(&format!("retention of {database} in {}", ctx.repo.label()));
        }
        let request = ForgetRequest { database, what, dry_run: arguments.dry_run };
        let forgotten = ops::forget(&ctx, &request).await?;
        all.decisions.extend(forgotten.decisions);
        all.orphans.extend(forgotten.orphans);
    }
    Ok(Outcome::Forget(all))
}

async fn forget_requests(
    wire: &Wire,
    ctx: &Ctx,
    arguments: &ForgetArgs,
    named: Option<DatabaseName>,
) -> Result<Vec<(DatabaseName, ForgetWhat)>, CliError> {
    let scope = Scope { database: named, source: None };
    let mut requests = Vec::new();
    for asked in &arguments.ids {
        let id = ops::select(ctx, asked, &scope).await?;
        requests.push((id.database().clone(), ForgetWhat::Named(vec![id])));
    }
    if !arguments.ids.is_empty() {
        return Ok(requests);
    }
    let databases = match scope.database {
        Some(database) => vec![database],
        None => ctx.repo.databases().await.map_err(ops::OpsError::from)?,
    };
    for database in databases {
        let what = if arguments.orphans {
            ForgetWhat::Orphans
        } else {
            ForgetWhat::ByPolicy(wire.policy(&database, &arguments.keep)?)
        };
        requests.push((database, what));
    }
    Ok(requests)
}
