//! Build a stored state at a target, proven before it is put in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::evidence::Done;
use super::seam::ReaderInlet;
use super::timing::millis_between;
use super::{Ctx, OpsError};
use crate::engine::side::{self, Prepared};
use crate::engine::{Confirmed, Engine, EngineError, Inlet, LoadPlan, Loaded, Target};
use crate::model::digest::Digest;
use crate::model::evidence::Operation;
use crate::model::manifest::{Content, State};
use crate::model::names::SnapshotId;
use crate::model::outcome::Restored;
use crate::model::report::Finding;
use crate::repo::{RepoError, SnapshotReader};

/// What to restore, and where.
pub struct RestoreRequest {
    /// The snapshot.
    pub id: SnapshotId,
    /// The target; `None` restores side files alone.
    pub engine: Option<Arc<dyn Engine>>,
    /// What to do with a database and side files that are there.
    pub existing: Existing,
    /// The folder for side files; `None` leaves them out.
    pub side_files_into: Option<PathBuf>,
    /// How to load.
    pub plan: LoadPlan,
}

/// What to do with what is at the target.
#[derive(Debug)]
pub enum Existing {
    /// Refuse: restore only where nothing is.
    Refuse,
    /// Keep it aside and put the restored state in its place; its owner agreed.
    Replace(Confirmed),
}

/// Restores a snapshot. The target is touched only after every stored byte and every table was proven.
pub async fn restore(ctx: &Ctx, request: RestoreRequest) -> Result<Restored, OpsError> {
    let began = ctx.watch.clock.now();
    let reader = Arc::new(ctx.repo.reader(&request.id, &ctx.holder, &ctx.watch).await?);
    let id = request.id.clone();
    let digest = reader.manifest_digest();
    let restored = under_pin(ctx, request, &reader).await;
    let released = match Arc::into_inner(reader) {
        Some(reader) => reader.release().await,
        None => Ok(()),
    };
    if let Err(error) = released {
        ctx.watch.warn(format!("the pin could not be released, it runs out by itself: {error}"));
    }
    let took_ms = millis_between(began, ctx.watch.clock.now());
    match restored {
        Ok(mut restored) => {
            restored.took_ms = took_ms;
            leave_evidence(ctx, &id, digest, &mut restored).await;
            Ok(restored)
        }
        Err(error) => {
            leave_evidence_of_damage(ctx, &id, digest, took_ms, &error).await;
            Err(error)
        }
    }
}

async fn under_pin(ctx: &Ctx, request: RestoreRequest, reader: &Arc<SnapshotReader>) -> Result<Restored, OpsError> {
    let RestoreRequest { id, engine, existing, side_files_into, plan } = request;
    let state = reader.manifest().state.clone();
    let inlet = ReaderInlet::new(Arc::clone(reader));
    let explain = |error| inlet.explain(error);
    let dyn_inlet: Arc<dyn Inlet> = inlet.clone();
    let keep_aside = matches!(existing, Existing::Replace(_));
    let target = prove_target(engine.as_deref(), existing, state.content).await?;
    let side_files = match &side_files_into {
        Some(folder) => prepare_side_files(ctx, &state, folder, keep_aside, &dyn_inlet).await.map_err(explain)?,
        None => Vec::new(),
    };
    let loaded = match (engine, target) {
        (Some(engine), Some(target)) => {
            Some(engine.load(target, &state, &plan, dyn_inlet, &ctx.watch).await.map_err(explain)?)
        }
        (_, None) | (None, _) => None,
    };
    let mut restored = answer(id, loaded);
    for prepared in side_files {
        let placed = prepared.put_in_place(&ctx.watch).await;
        let placed = placed.map_err(|source| match restored.location.clone() {
            Some(location) => OpsError::SideFilesLeft { location, source },
            None => OpsError::Engine(source),
        })?;
        restored.side_files.push(placed.path.display().to_string());
        restored.previous.extend(placed.previous.map(|path| path.display().to_string()));
    }
    Ok(restored)
}

async fn prove_target(
    engine: Option<&dyn Engine>,
    existing: Existing,
    content: Content,
) -> Result<Option<Target>, OpsError> {
    match (engine, content, existing) {
        (_, Content::FilesOnly, _) => Ok(None),
        (None, _, _) => Err(OpsError::Usage("the snapshot holds a database: say where it goes with --into".into())),
        (Some(engine), _, Existing::Refuse) => Ok(Some(Target::Fresh(engine.fresh().await?))),
        (Some(engine), _, Existing::Replace(confirmed)) => Ok(Some(Target::Replace(engine.replace(confirmed).await?))),
    }
}

async fn prepare_side_files(
    ctx: &Ctx,
    state: &State,
    folder: &Path,
    keep_aside: bool,
    inlet: &Arc<dyn Inlet>,
) -> Result<Vec<Prepared>, EngineError> {
    let existing = if keep_aside { side::Existing::KeepAside } else { side::Existing::Refuse };
    let mut prepared = Vec::with_capacity(state.side_files.len());
    for file in &state.side_files {
        prepared.push(side::prepare(file, folder, existing, inlet, &ctx.watch).await?);
    }
    Ok(prepared)
}

fn answer(id: SnapshotId, loaded: Option<Loaded>) -> Restored {
    let mut restored = Restored {
        id,
        location: None,
        previous: Vec::new(),
        side_files: Vec::new(),
        tables_compared: 0,
        rows: 0,
        took_ms: 0,
        findings: Vec::new(),
    };
    if let Some(Loaded { location, previous, tables_compared, rows, findings }) = loaded {
        restored.location = Some(location);
        restored.previous.extend(previous);
        (restored.tables_compared, restored.rows, restored.findings) = (tables_compared, rows, findings);
    }
    restored
}

async fn leave_evidence(ctx: &Ctx, id: &SnapshotId, manifest_digest: Digest, restored: &mut Restored) {
    let done = Done {
        operation: Operation::Restore,
        snapshot: id,
        manifest_digest,
        passed: true,
        findings: &restored.findings,
        took_ms: restored.took_ms,
    };
    if let Err(finding) = ctx.record(done).await {
        restored.findings.push(finding);
    }
}

/// Nobody may take a snapshot for verified whose bytes a restore found damaged. Other failures say nothing about it.
async fn leave_evidence_of_damage(ctx: &Ctx, id: &SnapshotId, manifest_digest: Digest, took_ms: u64, error: &OpsError) {
    let OpsError::Repo(RepoError::Corrupt { .. } | RepoError::Codec { .. } | RepoError::TooLarge { .. }) = error else {
        return;
    };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let findings = [Finding::corrupt("restore", format!("{error}{cause}"))];
    let (operation, passed) = (Operation::Restore, false);
    let done = Done { operation, snapshot: id, manifest_digest, passed, findings: &findings, took_ms };
    if let Err(finding) = ctx.record(done).await {
        ctx.watch.warn(format!("{}: {}", finding.subject, finding.message));
    }
}
