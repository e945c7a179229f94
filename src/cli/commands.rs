//! One function a command: arguments to a request, a request to its operation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;

use super::args::{
    BackupArgs, Cli, Command, ForgetArgs, RestoreArgs, SelectArgs, ShowArgs, SourceCheckArg, VerifyArgs,
};
use super::confirm::{can_ask, confirm};
use super::demo;
use super::error::CliError;
use super::man;
use super::ui::Ui;
use super::wire::{Database, Narrowed, Wire, side_files};
use crate::engine::{DumpPlan, Engine, IfAbsent, IfDamaged, LoadPlan};
use crate::model::cancel::Cancel;
use crate::model::manifest::CheckDepth;
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{Forgotten, Outcome, VerifyDepth};
use crate::model::retention::Policy;
use crate::ops::{self, BackupRequest, Ctx, Existing, ForgetRequest, ForgetWhat, RestoreRequest, Scope, Selector};
use crate::report::Other;

/// Runs a command; `None` when it has printed its answer itself.
pub(super) async fn run(cli: Cli, ui: Ui, cancel: Cancel) -> Result<Option<Outcome>, CliError> {
    let Cli { global, command } = cli;
    match command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dbops", &mut script);
            ui.other(&Other::Completions { text: String::from_utf8_lossy(&script).into_owned() })?;
            Ok(None)
        }
        Command::Man => manual(ui).map(|()| None),
        Command::Demo(arguments) => {
            let played = demo::run(arguments, ui, cancel).await?;
            ui.other(&played).map(|()| None)
        }
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
    let rendered = man::page();
    let page = rendered.map_err(|source| CliError::Local { deed: "render", path: "the manual page".into(), source })?;
    ui.other(&Other::Man { text: String::from_utf8_lossy(&page).into_owned() })
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
    if let Some(name) = wire.configured_as(&arguments.database, &database) {
        ui.subject(&format!("that file is configured as {name}: --db {name} uses its name, side files and retention"));
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
///
/// An id names its database itself: what the configuration or the environment says narrows `latest` and its like only.
async fn selected(wire: &Wire, operation: &'static str, select: &SelectArgs) -> Result<(Ctx, SnapshotId), CliError> {
    let (repo, asked) = wire.open_for(&select.id).await?;
    let by_id = matches!(asked.parse::<Selector>()?, Selector::Prefix(_));
    if by_id {
        let folder = wire.named_folder(&select.database)?;
        let ctx = wire.ctx(repo, operation, folder.as_ref());
        let id = ops::select(&ctx, &asked, &Scope { database: folder, source: None }).await?;
        return Ok((ctx, id));
    }
    let Narrowed { folder, engine, by } = wire.narrowed(&select.database)?;
    let ctx = wire.ctx(repo, operation, folder.as_ref());
    let source = match engine.filter(|_| !select.any_source) {
        Some(engine) => Some(engine.identify().await.map_err(ops::OpsError::from)?),
        None => None,
    };
    let scope = Scope { database: folder.clone(), source };
    match (ops::select(&ctx, &asked, &scope).await, folder) {
        (Err(ops::OpsError::NoMatch { asked, place }), Some(folder)) => {
            Err(CliError::NoneOf { database: folder.to_string(), asked, place, by })
        }
        (selected, _) => Ok((ctx, selected?)),
    }
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
    let existing = agreed(
        wire,
        ui,
        &arguments,
        &Restoring { id: &id, engine: engine.as_deref(), side: side_files_into.as_deref() },
    )
    .await?;
    let plan = LoadPlan {
        jobs: wire.jobs(arguments.work.jobs),
        temp_dir: wire.temp_dir(arguments.work.temp_dir.as_deref()),
        busy_timeout: Duration::from_secs(u64::from(arguments.wait)),
    };
    let request = RestoreRequest { id, engine, existing, side_files_into, plan };
    Ok(Outcome::Restore(ops::restore(&ctx, request).await?))
}

/// What a restore is about to write.
struct Restoring<'a> {
    id: &'a SnapshotId,
    engine: Option<&'a dyn Engine>,
    side: Option<&'a Path>,
}

/// Names what is about to be written or replaced, and asks where something is replaced.
async fn agreed(wire: &Wire, ui: Ui, arguments: &RestoreArgs, what: &Restoring<'_>) -> Result<Existing, CliError> {
    let Restoring { id, engine, side } = what;
    let side = side.map(|folder| format!("side files in {}", folder.display()));
    let place = match (engine, side) {
        (Some(engine), Some(side)) if arguments.replace => format!("{} and {side}", engine.label()),
        (Some(engine), _) => engine.label(),
        (None, Some(side)) => side,
        (None, None) => "nothing".to_owned(),
    };
    if !arguments.replace {
        ui.subject(&format!("restoring {id} into {place}"));
        return Ok(Existing::Refuse);
    }
    let replacing = format!("replacing {place} by {id}, keeping what is there aside");
    if wire.yes() || !can_ask() {
        ui.subject(&replacing);
    }
    Ok(Existing::Replace(confirm(&replacing, wire.yes(), wire.cancel()).await?))
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
    forget_agreed(wire, ui, &ctx, &requests).await?;
    let mut all = Forgotten { dry_run: arguments.dry_run, decisions: Vec::new(), orphans: Vec::new() };
    for request in &requests {
        let forgotten = ops::forget(&ctx, request).await?;
        all.decisions.extend(forgotten.decisions);
        all.orphans.extend(forgotten.orphans);
    }
    Ok(Outcome::Forget(all))
}

/// Names what is about to be deleted. Ids need a yes; rules are one themselves, and are asked about on a terminal only.
async fn forget_agreed(wire: &Wire, ui: Ui, ctx: &Ctx, requests: &[ForgetRequest]) -> Result<(), CliError> {
    let place = ctx.repo.label();
    let (mut going, mut by_rule) = (Vec::new(), false);
    for request in requests {
        let database = &request.database;
        match &request.what {
            ForgetWhat::Named(ids) if !request.dry_run => going.extend(ids.iter().cloned()),
            ForgetWhat::Named(_) => ui.subject(&format!("what forgetting in {place} would do")),
            ForgetWhat::Orphans => ui.subject(&format!("unfinished remains of {database} in {place}")),
            ForgetWhat::ByPolicy(policy) => {
                ui.subject(&format!("retention of {database} in {place}"));
                if !request.dry_run && can_ask() && !wire.yes() {
                    by_rule = true;
                    going.extend(would_go(ctx, database, *policy).await?);
                }
            }
        }
    }
    if going.is_empty() {
        return Ok(());
    }
    let names = going.iter().map(SnapshotId::to_string).collect::<Vec<_>>().join(", ");
    let count = if by_rule { format!("{} snapshots: ", going.len()) } else { String::new() };
    let what = format!("forgetting {count}{names} in {place} on {}", wire.host());
    if wire.yes() {
        ui.subject(&what);
    }
    confirm(&what, wire.yes(), wire.cancel()).await?;
    Ok(())
}

async fn would_go(ctx: &Ctx, database: &DatabaseName, policy: Policy) -> Result<Vec<SnapshotId>, CliError> {
    let what = ForgetWhat::ByPolicy(policy);
    let plan = ops::forget(ctx, &ForgetRequest { database: database.clone(), what, dry_run: true }).await?;
    Ok(plan.decisions.into_iter().filter(|decided| !decided.kept).map(|decided| decided.id).collect())
}

async fn forget_requests(
    wire: &Wire,
    ctx: &Ctx,
    arguments: &ForgetArgs,
    named: Option<DatabaseName>,
) -> Result<Vec<ForgetRequest>, CliError> {
    let scope = Scope { database: named, source: None };
    let dry_run = arguments.dry_run;
    // Every id is found before the first goes.
    let mut named: BTreeMap<DatabaseName, Vec<SnapshotId>> = BTreeMap::new();
    for asked in &arguments.ids {
        let id = ops::select(ctx, asked, &scope).await?;
        let ids = named.entry(id.database().clone()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if !arguments.ids.is_empty() {
        let request = |(database, ids)| ForgetRequest { database, what: ForgetWhat::Named(ids), dry_run };
        return Ok(named.into_iter().map(request).collect());
    }
    let mut requests = Vec::new();
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
        requests.push(ForgetRequest { database, what, dry_run });
    }
    Ok(requests)
}
