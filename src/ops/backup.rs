//! Take a snapshot: dump, read back, commit, leave evidence.

use std::path::PathBuf;
use std::sync::Arc;

use super::evidence::Done;
use super::list::{damage_or, summary};
use super::seam::WriterOutlet;
use super::timing::{Timing, millis_between};
use super::{Ctx, DBOPS_VERSION, OpsError};
use crate::engine::side::{self, SidePlan};
use crate::engine::{DumpPlan, Engine, EngineError, Outlet};
use crate::model::evidence::{Operation, Proof};
use crate::model::identity::Identity;
use crate::model::manifest::{CheckDepth, Content, Contract, SideFile, SourceCheck, State};
use crate::model::names::DatabaseName;
use crate::model::outcome::{BackedUp, Snapshot};
use crate::model::report::Finding;
use crate::model::watch::Watch;
use crate::repo::{Committed, Draft, Lease, SnapshotWriter, Sweep};

/// What to take a snapshot of, and how.
pub struct BackupRequest {
    /// The folder that it goes into.
    pub database: DatabaseName,
    /// Who chose that name.
    pub naming: Naming,
    /// The database; `None` takes side files alone.
    pub engine: Option<Arc<dyn Engine>>,
    /// Side files of the same state.
    pub side_files: Vec<PathBuf>,
    /// The folder that side files are named from; files outside go by their own name.
    pub side_base: PathBuf,
    /// This host's name, for the identity of side files.
    pub host: String,
    /// How to dump.
    pub plan: DumpPlan,
    /// The release that it is taken for.
    pub release: Option<String>,
    /// Free text.
    pub note: Option<String>,
}

/// Who chose the name of a database's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The user, by configuration or `--name`: several sources may share the folder.
    Chosen,
    /// dbops, from the database's own name: the folder belongs to one source.
    Derived,
}

/// Takes a snapshot. When this returns `Ok`, every stored byte was read back and proven, and it is committed.
///
/// Whatever fails, earlier snapshots are as they were and nothing partial is listed.
pub async fn backup(ctx: &Ctx, request: &BackupRequest) -> Result<BackedUp, OpsError> {
    let began = ctx.watch.clock.now();
    let (timing, watch) = Timing::listen(&ctx.watch);
    let lease = ctx.repo.lease(&request.database, "backup", &ctx.holder, &watch).await?;
    let taken = under_lease(ctx, request, &lease, &watch).await;
    if let Err(error) = lease.release().await {
        watch.warn(format!("the lease could not be released, it runs out by itself: {error}"));
    }
    let (committed, mut findings) = taken?;
    let took_ms = millis_between(began, watch.clock.now());
    let snapshot = leave_evidence(ctx, &committed, took_ms, &mut findings).await;
    Ok(BackedUp { snapshot, took_ms, phases: timing.phases(), findings })
}

async fn under_lease(
    ctx: &Ctx,
    request: &BackupRequest,
    lease: &Lease,
    watch: &Watch,
) -> Result<(Committed, Vec<Finding>), OpsError> {
    for orphan in ctx.repo.sweep(lease, Sweep::Unfinished, watch).await? {
        watch.note(format!("removed what an unfinished run had left: {}", orphan.folder));
    }
    known_source(ctx, request, watch).await?;
    let writer = Arc::new(ctx.repo.begin(lease, request.plan.compression, watch).await?);
    let state = take(request, &writer, watch).await;
    let writer = Arc::into_inner(writer).ok_or(OpsError::Bug("a worker outlived its dump"))?;
    match state {
        Ok(state) => prove_and_commit(request, writer, state, watch).await,
        Err(error) => {
            writer.abandon().await;
            Err(error)
        }
    }
}

/// Refuses a folder that another source was put into, unless the user chose its name.
async fn known_source(ctx: &Ctx, request: &BackupRequest, watch: &Watch) -> Result<(), OpsError> {
    let Some(theirs) = newest_source(ctx, &request.database).await? else { return Ok(()) };
    let ours = identity(request).await?;
    if ours.is_same_source(&theirs) {
        return Ok(());
    }
    let (theirs, ours) = (theirs.to_string(), ours.to_string());
    match request.naming {
        Naming::Derived => Err(OpsError::ForeignFolder { database: request.database.clone(), theirs, ours }),
        Naming::Chosen => {
            watch.warn(format!("the last snapshot of {} was taken from {theirs}; this is {ours}", request.database));
            Ok(())
        }
    }
}

async fn identity(request: &BackupRequest) -> Result<Identity, OpsError> {
    match (&request.engine, request.side_files.first()) {
        (Some(engine), _) => Ok(engine.identify().await?),
        (None, Some(path)) => Ok(side::identify(path, &request.host).await?),
        (None, None) => Err(OpsError::Usage("neither a database nor a side file was named".into())),
    }
}

async fn newest_source(ctx: &Ctx, database: &DatabaseName) -> Result<Option<Identity>, OpsError> {
    for id in ctx.repo.snapshots(database).await?.into_iter().rev() {
        match ctx.repo.manifest(&id).await {
            Ok((manifest, _)) => return Ok(Some(manifest.state.source)),
            Err(error) => ctx.watch.warn(format!("{id} can't be read: {}", damage_or(error)?)),
        }
    }
    Ok(None)
}

async fn take(request: &BackupRequest, writer: &Arc<SnapshotWriter>, watch: &Watch) -> Result<State, OpsError> {
    no_side_file_is_the_database(request).await?;
    let outlet = WriterOutlet::new(Arc::clone(writer));
    let dyn_outlet: Arc<dyn Outlet> = outlet.clone();
    // Side files first: they are small, and the view follows at once, so that the gap stays small.
    let plans = side_plans(request)?;
    let stored = store_side_files(request, &plans, &dyn_outlet, watch).await;
    let side_files = stored.map_err(|error| outlet.explain(error))?;
    let mut state = match &request.engine {
        Some(engine) => engine.dump(&request.plan, dyn_outlet, watch).await.map_err(|error| outlet.explain(error))?,
        None => files_only(identity(request).await?, &side_files, watch),
    };
    state.side_files = side_files;
    for side in &mut state.side_files {
        side.gap_ms = (side.taken_at - state.taken_at).num_milliseconds();
    }
    Ok(state)
}

async fn store_side_files(
    request: &BackupRequest,
    plans: &[SidePlan],
    outlet: &Arc<dyn Outlet>,
    watch: &Watch,
) -> Result<Vec<SideFile>, EngineError> {
    let mut stored = Vec::with_capacity(plans.len());
    for (path, plan) in request.side_files.iter().zip(plans) {
        stored.push(side::store(path, plan, None, outlet, watch).await?);
    }
    Ok(stored)
}

/// What SQLite keeps beside a database's file.
const KEPT_BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Refuses the database's own files among the side files: a copy of one of them alone is worth nothing.
async fn no_side_file_is_the_database(request: &BackupRequest) -> Result<(), OpsError> {
    let Some(engine) = &request.engine else { return Ok(()) };
    let Identity::Sqlite(database) = engine.identify().await? else { return Ok(()) };
    for path in &request.side_files {
        let Identity::Files(side) = side::identify(path, &request.host).await? else { continue };
        let is_the_file = side.file_id.is_some() && side.file_id == database.file_id;
        if is_the_file || KEPT_BESIDE.iter().any(|ending| side.path == format!("{}{ending}", database.path)) {
            return Err(OpsError::SideFileIsDatabase { path: path.display().to_string() });
        }
    }
    Ok(())
}

/// A plan a side file; two that a restore would give one name are refused.
fn side_plans(request: &BackupRequest) -> Result<Vec<SidePlan>, OpsError> {
    let DumpPlan { compression, temp_dir, .. } = &request.plan;
    let mut plans: Vec<SidePlan> = Vec::with_capacity(request.side_files.len());
    for path in &request.side_files {
        let plan = SidePlan::new(path, &request.side_base, *compression, temp_dir)?;
        if plans.iter().any(|other| other.restore_as == plan.restore_as) {
            let message = format!("two side files would both be restored as {}", plan.restore_as);
            return Err(OpsError::Usage(message));
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn files_only(source: Identity, side_files: &[SideFile], watch: &Watch) -> State {
    let plain_bytes = side_files.iter().map(|side| side.plain_bytes).sum();
    State {
        source,
        engine_version: "side files only".into(),
        content: Content::FilesOnly,
        taken_at: side_files.first().map_or_else(|| watch.clock.now(), |side| side.taken_at),
        tables: Vec::new(),
        ledger: None,
        side_files: Vec::new(),
        contract: Contract { plain_bytes, ..Contract::default() },
        source_check: SourceCheck::default(),
    }
}

/// Reads back every stored byte, and only then commits.
async fn prove_and_commit(
    request: &BackupRequest,
    writer: SnapshotWriter,
    state: State,
    watch: &Watch,
) -> Result<(Committed, Vec<Finding>), OpsError> {
    let findings = match writer.read_back(watch, request.plan.jobs).await {
        Ok(findings) => findings,
        Err(error) => {
            writer.abandon().await;
            return Err(error.into());
        }
    };
    if !findings.is_empty() {
        writer.abandon().await;
        return Err(OpsError::ReadBack { findings });
    }
    let findings = worth_knowing(&state);
    let draft = Draft {
        state,
        release: request.release.clone(),
        note: request.note.clone(),
        dbops_version: DBOPS_VERSION.to_owned(),
    };
    Ok((writer.commit(draft, watch).await?, findings))
}

fn worth_knowing(state: &State) -> Vec<Finding> {
    let check = &state.source_check;
    let damage = check.damage.iter().map(|damage| Finding::failure("source", damage.clone()));
    let mut findings: Vec<Finding> = damage.collect();
    if check.foreign_key_violations > 0 {
        let message = format!("{} rows break a foreign key; they are stored as they are", check.foreign_key_violations);
        findings.push(Finding::warning("source", message));
    }
    if check.depth == CheckDepth::None && state.content == Content::Database {
        findings.push(Finding::warning("source", "was not checked for damage"));
    }
    for absent in state.side_files.iter().filter(|side| side.file.is_none()) {
        findings.push(Finding::warning(&absent.source_path, "does not exist; recorded as absent"));
    }
    findings
}

/// Records the backup. The snapshot stands without that record, only its proof does not show: a warning.
async fn leave_evidence(ctx: &Ctx, committed: &Committed, took_ms: u64, findings: &mut Vec<Finding>) -> Snapshot {
    let passed = !committed.manifest.state.source_check.is_damaged();
    let done = Done {
        operation: Operation::Backup,
        snapshot: &committed.id,
        manifest_digest: committed.manifest_digest,
        passed,
        findings,
        took_ms,
    };
    let mut snapshot = summary(&ctx.repo, &committed.manifest, Proof::default());
    match ctx.record(done).await {
        Ok(record) => snapshot.proof = Proof::of(committed.manifest_digest, &[record]),
        Err(finding) => findings.push(finding),
    }
    snapshot
}
