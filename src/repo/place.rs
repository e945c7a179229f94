//! Where a repository is; how one begins and is opened.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use serde_json::{Map, Value, json};

use super::error::RepoError;
use super::folder::Folder;
use super::holder::random_id;
use super::layout;
use super::sealed::{Seal, seal, unseal};
use super::store::Store;
use crate::blocking::blocking;
use crate::model::manifest::FORMAT;
use crate::model::names::SnapshotId;

/// Bytes that `.dbops/repository.json` may have.
const REPOSITORY_BYTES: u64 = 64 << 10;

/// Where a repository is, or is to be.
#[derive(Debug, Clone)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// This process's memory: gone when the last [`Repository`] of it is dropped.
    Memory,
    /// An object store.
    Store {
        /// The store.
        store: Arc<dyn ObjectStore>,
        /// Under which prefix; empty for the whole store.
        prefix: String,
        /// What to call it to people; never a secret.
        label: String,
    },
}

/// A repository that was found to be one, in a format that this build reads. Cheap to clone.
#[derive(Clone)]
pub struct Repository(Arc<Opened>);

struct Opened {
    store: Store,
    label: String,
    id: String,
}

impl Repository {
    /// Makes a new repository; [`RepoError::AlreadyExists`] where there is one.
    pub async fn create(place: Place, now: DateTime<Utc>) -> Result<Self, RepoError> {
        let (store, label) = reach(place, Absent::Make).await?;
        let id = random_id(now);
        let bytes = describe(&id, now)?;
        match store.create(layout::REPOSITORY, bytes).await?.known()? {
            None => Ok(Self(Arc::new(Opened { store, label, id }))),
            Some(_) => Err(RepoError::AlreadyExists { place: label }),
        }
    }

    /// Opens a repository; [`RepoError::NoRepository`] where there is none.
    pub async fn open(place: Place) -> Result<Self, RepoError> {
        let (store, label) = reach(place, Absent::Refuse).await?;
        match store.read(layout::REPOSITORY, REPOSITORY_BYTES).await? {
            Some(bytes) => {
                let id = read_description(&label, &bytes)?;
                Ok(Self(Arc::new(Opened { store, label, id })))
            }
            None => Err(RepoError::NoRepository { place: label }),
        }
    }

    /// Its random id, the same for as long as it exists.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Where it is, for people.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// Where a snapshot is, for people: in a folder, its path.
    #[must_use]
    pub fn path_of(&self, snapshot: &SnapshotId) -> String {
        let key = layout::snapshot(snapshot);
        match self.0.store.folder() {
            Some(folder) => folder.path(&key).display().to_string(),
            None => format!("{}/{key}", self.0.label.trim_end_matches('/')),
        }
    }

    /// Bytes that still fit in; `None` where that can't be known.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        self.0.store.folder().and_then(Folder::free_bytes)
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The same repository through another store.
    #[cfg(test)]
    pub(super) fn through(&self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        let Opened { store, label, id } = &*self.0;
        Self(Arc::new(Opened { store: store.through(wrap), label: label.clone(), id: id.clone() }))
    }
}

/// What to do about a folder that is not there.
#[derive(Clone, Copy)]
enum Absent {
    Make,
    Refuse,
}

async fn reach(place: Place, absent: Absent) -> Result<(Store, String), RepoError> {
    match place {
        Place::Folder(path) => {
            let label = path.display().to_string();
            Ok((blocking(move || reach_folder(path, absent)).await?, label))
        }
        Place::Memory => Ok((Store::new(Arc::new(InMemory::new()), "", None), "memory".to_owned())),
        Place::Store { store, prefix, label } => Ok((Store::new(store, &prefix, None), label)),
    }
}

fn reach_folder(path: PathBuf, absent: Absent) -> Result<Store, RepoError> {
    let label = path.display().to_string();
    let folder = Folder::new(path.clone());
    match absent {
        Absent::Make => folder.make().map_err(|error| RepoError::storage("make the folder", &label, error))?,
        Absent::Refuse => match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Err(error) if !is_absence(&error) => return Err(RepoError::storage("open", label, error)),
            Ok(_) | Err(_) => return Err(RepoError::NoRepository { place: label }),
        },
    }
    let objects = LocalFileSystem::new_with_prefix(&path);
    let objects = objects.map_err(|error| RepoError::storage("open", label, error))?.with_fsync(true);
    Ok(Store::new(Arc::new(objects), "", Some(folder)))
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn describe(id: &str, now: DateTime<Utc>) -> Result<Bytes, RepoError> {
    let mut fields = Map::new();
    fields.insert("format".to_owned(), json!(FORMAT));
    fields.insert("id".to_owned(), json!(id));
    fields.insert("created_at".to_owned(), json!(now));
    seal(layout::REPOSITORY, fields)
}

/// The id in a repository's description, once its format is known and its digest right.
fn read_description(label: &str, bytes: &[u8]) -> Result<String, RepoError> {
    let damaged = |why: &str| RepoError::corrupt(format!("{label}/{}", layout::REPOSITORY), why);
    let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| damaged("it is not JSON"))?;
    let format = fields.get("format").and_then(Value::as_u64).ok_or_else(|| damaged("it names no format"))?;
    if format > u64::from(FORMAT) {
        return Err(RepoError::NewerFormat { subject: format!("the repository at {label}"), found: format });
    }
    if unseal(&mut fields) != Seal::Intact {
        return Err(damaged("its digest is not that of its fields"));
    }
    let id = fields.get("id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| damaged("it names no id"))
}
