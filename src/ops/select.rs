//! From what a person writes to one snapshot.

use std::str::FromStr;

use super::list::damage_or;
use super::{Ctx, OpsError};
use crate::model::evidence::{Proof, Records};
use crate::model::identity::Identity;
use crate::model::manifest::Manifest;
use crate::model::names::{DatabaseName, SnapshotId};
use crate::repo::RepoError;

/// What a person may write for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The newest.
    Latest,
    /// The newest whose stored bytes are proven.
    LatestVerified,
    /// The newest that a drill restored.
    LatestDrilled,
    /// The state that a release started from: the newest snapshot taken for it.
    Before(String),
    /// An id or the beginning of one.
    Prefix(String),
}

impl FromStr for Selector {
    type Err = OpsError;

    fn from_str(text: &str) -> Result<Self, OpsError> {
        Ok(match text {
            "latest" => Self::Latest,
            "latest-verified" => Self::LatestVerified,
            "latest-drilled" => Self::LatestDrilled,
            "" => return Err(OpsError::Usage("an empty snapshot id".into())),
            _ => match text.split_once(':') {
                Some(("before", release)) if !release.is_empty() => Self::Before(release.to_owned()),
                Some(("tag", release)) => {
                    let advice =
                        format!("there is no selector tag:; before:{release} is the state before that release");
                    return Err(OpsError::Usage(advice));
                }
                Some(_) => return Err(OpsError::Usage(format!("{text:?} names no snapshot"))),
                None => Self::Prefix(text.to_owned()),
            },
        })
    }
}

/// Among which snapshots to look.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only this database's.
    pub database: Option<DatabaseName>,
    /// Where `latest` and its like must have been taken from; `None` accepts any source.
    pub source: Option<Identity>,
}

/// The one snapshot that `asked` names.
///
/// `latest` and its like refuse a snapshot of another source than `scope.source`, and a repository of several
/// databases when none is named: at three in the morning the wrong one is worse than an error. `latest` refuses to
/// pass over a newest snapshot that can't be read; the others pass over it, with a warning.
pub async fn select(ctx: &Ctx, asked: &str, scope: &Scope) -> Result<SnapshotId, OpsError> {
    let selector: Selector = asked.parse()?;
    match &selector {
        Selector::Prefix(prefix) => by_prefix(ctx, asked, prefix, scope).await,
        Selector::Latest | Selector::LatestVerified | Selector::LatestDrilled | Selector::Before(_) => {
            let database = the_database(ctx, asked, scope).await?;
            newest(ctx, asked, &database, &selector, scope).await
        }
    }
}

async fn by_prefix(ctx: &Ctx, asked: &str, prefix: &str, scope: &Scope) -> Result<SnapshotId, OpsError> {
    let mut matches = Vec::new();
    for database in databases(ctx, scope).await? {
        let ids = ctx.repo.snapshots(&database).await?;
        matches.extend(ids.into_iter().filter(|id| id.to_string().starts_with(prefix)));
    }
    let exact = matches.iter().position(|id| id.to_string() == prefix);
    match (exact, matches.len()) {
        (Some(at), _) => Ok(matches.swap_remove(at)),
        (None, 1) => Ok(matches.swap_remove(0)),
        (None, 0) => Err(no_match(ctx, asked)),
        (None, _) => Err(OpsError::Ambiguous { asked: asked.to_owned(), matches }),
    }
}

async fn databases(ctx: &Ctx, scope: &Scope) -> Result<Vec<DatabaseName>, OpsError> {
    match &scope.database {
        Some(database) => Ok(vec![database.clone()]),
        None => Ok(ctx.repo.databases().await?),
    }
}

async fn the_database(ctx: &Ctx, asked: &str, scope: &Scope) -> Result<DatabaseName, OpsError> {
    let mut databases = databases(ctx, scope).await?;
    if databases.len() > 1 {
        databases = with_snapshots(ctx, databases).await?;
    }
    match databases.len() {
        0 => Err(no_match(ctx, asked)),
        1 => Ok(databases.swap_remove(0)),
        _ => Err(OpsError::WhichDatabase { asked: asked.to_owned(), databases }),
    }
}

/// A folder that holds no snapshot (any more) is no reason to ask which one is meant.
async fn with_snapshots(ctx: &Ctx, databases: Vec<DatabaseName>) -> Result<Vec<DatabaseName>, OpsError> {
    let mut with = Vec::with_capacity(databases.len());
    for database in databases {
        if !ctx.repo.snapshots(&database).await?.is_empty() {
            with.push(database);
        }
    }
    Ok(with)
}

async fn newest(
    ctx: &Ctx,
    asked: &str,
    database: &DatabaseName,
    selector: &Selector,
    scope: &Scope,
) -> Result<SnapshotId, OpsError> {
    let records = match selector {
        // Neither asks for proof: they work whatever became of the evidence.
        Selector::Latest | Selector::Before(_) | Selector::Prefix(_) => Records::default(),
        Selector::LatestVerified | Selector::LatestDrilled => ctx.repo.evidence(database).await?,
    };
    for id in ctx.repo.snapshots(database).await?.into_iter().rev() {
        let (manifest, digest) = match ctx.repo.manifest(&id).await {
            Ok(found) => found,
            Err(RepoError::NoSnapshot { .. }) => continue,
            // Nobody may take an older one for the latest; what asks for proof goes on to what has it.
            Err(error) if *selector == Selector::Latest => return Err(error.into()),
            Err(error) => {
                ctx.watch.warn(format!("{id} is passed over: {}", damage_or(error)?));
                continue;
            }
        };
        if fits(selector, &manifest, records.proof(digest)) {
            return of_that_source(id, &manifest, scope);
        }
    }
    Err(no_match(ctx, asked))
}

fn fits(selector: &Selector, manifest: &Manifest, proof: Proof) -> bool {
    match selector {
        Selector::Latest => true,
        Selector::LatestVerified => proof.is_verified() && !manifest.state.source_check.is_damaged(),
        Selector::LatestDrilled => proof.drilled_at.is_some() && proof.damaged_at.is_none(),
        Selector::Before(release) => manifest.release.as_ref() == Some(release),
        Selector::Prefix(_) => false,
    }
}

fn of_that_source(id: SnapshotId, manifest: &Manifest, scope: &Scope) -> Result<SnapshotId, OpsError> {
    match &scope.source {
        Some(ours) if !ours.is_same_source(&manifest.state.source) => {
            let (theirs, ours) = (manifest.state.source.to_string(), ours.to_string());
            Err(OpsError::OtherSource { id, theirs, ours })
        }
        Some(_) | None => Ok(id),
    }
}

fn no_match(ctx: &Ctx, asked: &str) -> OpsError {
    OpsError::NoMatch { asked: asked.to_owned(), place: ctx.repo.label().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_parse() {
        for (text, expected) in [
            ("latest", Selector::Latest),
            ("latest-verified", Selector::LatestVerified),
            ("latest-drilled", Selector::LatestDrilled),
            ("before:v0.2.0", Selector::Before("v0.2.0".into())),
            ("exam_2026", Selector::Prefix("exam_2026".into())),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap(), expected);
        }
    }

    #[test]
    fn what_could_be_read_the_wrong_way_round_is_refused() {
        for text in ["", "tag:v1", "before:", "after:v1"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }
}
