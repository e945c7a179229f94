//! Make a repository.

use chrono::{DateTime, Utc};

use super::OpsError;
use crate::model::outcome::Initialised;
use crate::repo::{Place, Repository};

/// Makes a repository at `place`; one that is there already is left alone and reported.
pub async fn init(place: Place, now: DateTime<Utc>) -> Result<Initialised, OpsError> {
    let repo = Repository::create(place, now).await?;
    Ok(Initialised { repository: repo.label().to_owned(), id: repo.id().to_owned() })
}
