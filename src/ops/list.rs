//! Show what there is.

use std::pin::pin;

use futures::StreamExt;
use serde_json::Value;

use super::{Ctx, OpsError};
use crate::model::evidence::{LostRecord, Proof, Records};
use crate::model::manifest::{FileRecord, FileRole, Manifest};
use crate::model::names::{DatabaseName, SnapshotId};
use crate::model::outcome::{Listed, Shown, Snapshot, Unreadable};
use crate::repo::{RepoError, Repository};

/// All snapshots of `database`, or of every database; one that can't be read is named, never left out.
pub async fn list(ctx: &Ctx, database: Option<&DatabaseName>) -> Result<Listed, OpsError> {
    let databases = match database {
        Some(database) => vec![database.clone()],
        None => ctx.repo.databases().await?,
    };
    let repository = ctx.repo.label().to_owned();
    let mut listed = Listed { repository, snapshots: Vec::new(), unreadable: Vec::new(), orphans: Vec::new() };
    for database in &databases {
        list_database(ctx, database, &mut listed).await?;
    }
    Ok(listed)
}

async fn list_database(ctx: &Ctx, database: &DatabaseName, listed: &mut Listed) -> Result<(), OpsError> {
    let records = ctx.repo.evidence(database).await?;
    let ids = ctx.repo.snapshots(database).await?;
    let mut in_doubt = 0;
    let mut manifests = pin!(ctx.repo.manifests(ids));
    while let Some((id, manifest)) = manifests.next().await {
        match manifest {
            Ok((manifest, digest)) => {
                in_doubt += usize::from(records.doubt(digest).is_some());
                listed.snapshots.push(summary(&ctx.repo, &manifest, records.proof(digest)));
            }
            // Forgotten since it was listed.
            Err(RepoError::NoSnapshot { .. }) => {}
            Err(error) => listed.unreadable.push(Unreadable { id, why: damage_or(error)?.to_string() }),
        }
    }
    if in_doubt > 0 {
        warn_of_doubt(ctx, database, &records, in_doubt);
    }
    let orphans = ctx.repo.orphans(database).await?;
    listed.orphans.extend(orphans.into_iter().map(|orphan| orphan.folder));
    Ok(())
}

fn warn_of_doubt(ctx: &Ctx, database: &DatabaseName, records: &Records, in_doubt: usize) {
    for LostRecord { number, why } in &records.lost {
        ctx.watch.warn(format!("{} is lost: {why}", ctx.repo.evidence_path(database, *number)));
    }
    ctx.watch
        .warn(format!("{in_doubt} snapshots of {database} count as unverified; `dbops verify --all` proves them anew"));
}

/// The error again if it is about this one manifest; `Err` if the repository as a whole can't be read.
pub(super) fn damage_or(error: RepoError) -> Result<RepoError, RepoError> {
    let about_one = matches!(
        error,
        RepoError::Corrupt { .. }
            | RepoError::TooLarge { .. }
            | RepoError::Unsafe { .. }
            | RepoError::NewerFormat { .. }
    );
    if about_one { Ok(error) } else { Err(error) }
}

/// One snapshot with all that its manifest and the evidence say.
pub async fn show(ctx: &Ctx, id: &SnapshotId) -> Result<Shown, OpsError> {
    let (manifest, digest) = ctx.repo.manifest(id).await?;
    let records = ctx.repo.evidence(id.database()).await?;
    let snapshot = summary(&ctx.repo, &manifest, records.proof(digest));
    let evidence = records.intact.iter().filter(|record| record.deed.manifest_digest == digest).map(as_value).collect();
    let files = manifest.files.iter().map(as_value).collect();
    let Manifest { dbops_version, state, .. } = manifest;
    Ok(Shown {
        snapshot,
        engine_version: state.engine_version,
        dbops_version,
        tables: state.tables,
        side_files: state.side_files,
        ledger: state.ledger,
        contract: state.contract,
        files,
        evidence,
    })
}

fn as_value(part: &impl serde::Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

pub(super) fn summary(repo: &Repository, manifest: &Manifest, proof: Proof) -> Snapshot {
    let state = &manifest.state;
    let content = |file: &&FileRecord| file.role != FileRole::Frames;
    Snapshot {
        id: manifest.id.clone(),
        database: manifest.id.database().clone(),
        path: repo.path_of(&manifest.id),
        source: state.source.clone(),
        content: state.content,
        taken_at: state.taken_at,
        plain_bytes: manifest.files.iter().filter(content).map(|file| file.plain_bytes).sum(),
        stored_bytes: manifest.stored_bytes(),
        tables: state.tables.len() as u64,
        rows: state.rows(),
        side_files: state.side_files.len() as u64,
        release: manifest.release.clone(),
        note: manifest.note.clone(),
        source_check: state.source_check.depth,
        source_damaged: state.source_check.is_damaged(),
        proof,
    }
}
