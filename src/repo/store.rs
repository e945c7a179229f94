//! The few things that are asked of an object store: read, list, put, create, delete, each tried again when
//! it may help.
//!
//! Invariant: in a folder, no key leads through a symbolic link.
//! Absent: what the keys mean.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode};

use super::error::{RepoError, io_cause};
use super::folder::{Folder, Leftovers};
use crate::blocking::blocking;

/// How often a deed is tried before its error counts; with the waits below that is under a second.
const ATTEMPTS: u32 = 4;
/// The wait after the first failure; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Bytes up to which somebody else's object is read to see what it is: a claim, a tombstone.
const CREATED_BYTES: u64 = 64 << 10;

/// An object store, seen from a repository's root.
#[derive(Clone)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
    folder: Option<Folder>,
}

/// What a listing says about an object.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) modified: DateTime<Utc>,
}

/// How create-if-absent ended.
pub(super) enum Created {
    /// The key holds our bytes, read back and compared.
    Ours,
    /// It holds somebody else's; empty here where they are too many to be what we would write.
    Theirs(Bytes),
    /// The store failed, and then would not tell.
    Unknown(RepoError),
}

impl Created {
    /// Takes "would not tell" for a failure: right where trying again later does no harm.
    pub(super) fn known(self) -> Result<Option<Bytes>, RepoError> {
        match self {
            Self::Ours => Ok(None),
            Self::Theirs(bytes) => Ok(Some(bytes)),
            Self::Unknown(error) => Err(error),
        }
    }
}

impl Store {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, prefix: &str, folder: Option<Folder>) -> Self {
        Self { objects, prefix: prefix.trim_matches('/').to_owned(), folder }
    }

    #[cfg(test)]
    pub(super) fn through(&self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { objects: wrap(Arc::clone(&self.objects)), ..self.clone() }
    }

    pub(super) const fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    fn path(&self, key: &str) -> Result<Path, RepoError> {
        let whole = if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) };
        Path::parse(whole).map_err(|error| RepoError::storage("name", key, error))
    }

    fn key(&self, path: &Path) -> String {
        let whole = path.as_ref();
        let inner = whole.strip_prefix(&self.prefix).unwrap_or(whole);
        inner.trim_start_matches('/').to_owned()
    }

    /// Refuses a key that leads through a symbolic link.
    async fn safe(&self, key: &str) -> Result<Path, RepoError> {
        if let Some(folder) = self.folder.clone() {
            let key = key.to_owned();
            blocking(move || folder.check_way(&key)).await?;
        }
        self.path(key)
    }

    /// Refuses a folder with a symbolic link anywhere inside.
    pub(super) async fn check_tree(&self, key: &str) -> Result<(), RepoError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let key = key.to_owned();
        blocking(move || folder.check_tree(&key)).await
    }

    /// Removes what object_store left of killed writes, and empty folders. Object stores have neither.
    pub(super) async fn tidy(&self, key: &str, due: Leftovers) -> Result<(), RepoError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let key = key.to_owned();
        blocking(move || folder.tidy(&key, due)).await
    }

    /// The object's bytes; `None` when there is none. Its size is looked at before a byte is read.
    pub(super) async fn read(&self, key: &str, limit: u64) -> Result<Option<Bytes>, RepoError> {
        let path = self.safe(key).await?;
        self.read_at(&path, key, limit).await
    }

    /// Like [`Store::read`], for a key that [`Store::list`] just gave, on a way that it checked.
    pub(super) async fn read_listed(&self, key: &str, limit: u64) -> Result<Option<Bytes>, RepoError> {
        self.read_at(&self.path(key)?, key, limit).await
    }

    async fn read_at(&self, path: &Path, key: &str, limit: u64) -> Result<Option<Bytes>, RepoError> {
        let read = || async {
            match self.objects.get_opts(path, GetOptions::default()).await {
                Ok(found) if found.meta.size > limit => Ok(Err(Some(found.meta.size))),
                Ok(found) => found.bytes().await.map(Ok),
                Err(object_store::Error::NotFound { .. }) => Ok(Err(None)),
                Err(error) => Err(error),
            }
        };
        match retried(read).await.map_err(|error| RepoError::storage("read", key, error))? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(None) => Ok(None),
            Err(Some(bytes)) => Err(RepoError::TooLarge { subject: key.to_owned(), bytes, limit }),
        }
    }

    /// A part of an object that is known to be there, in a tree that was checked.
    pub(super) async fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes, RepoError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let path = self.path(key)?;
        let ranges = [range];
        let read = || self.objects.get_ranges(&path, &ranges);
        let found = retried(read).await.map_err(|error| RepoError::storage("read", key, error))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// The object's size; `None` when there is none.
    pub(super) async fn size(&self, key: &str) -> Result<Option<u64>, RepoError> {
        let path = self.safe(key).await?;
        let head = || async {
            match self.objects.head(&path).await {
                Ok(meta) => Ok(Some(meta.size)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        retried(head).await.map_err(|error| RepoError::storage("look at", key, error))
    }

    /// All objects below `key`, sorted.
    pub(super) async fn list(&self, key: &str) -> Result<Vec<Listed>, RepoError> {
        self.check_tree(key).await?;
        let path = self.path(key)?;
        let list = || self.objects.list(Some(&path)).try_collect::<Vec<_>>();
        let found = retried(list).await.map_err(|error| RepoError::storage("list", key, error))?;
        let mut listed: Vec<Listed> = found
            .into_iter()
            .map(|meta| Listed { key: self.key(&meta.location), bytes: meta.size, modified: meta.last_modified })
            .collect();
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    /// The names of the folders directly below `key`, sorted; `""` is the root.
    pub(super) async fn folders(&self, key: &str) -> Result<Vec<String>, RepoError> {
        let path = if key.is_empty() && self.prefix.is_empty() { None } else { Some(self.safe(key).await?) };
        let list = || self.objects.list_with_delimiter(path.as_ref());
        let found = retried(list).await.map_err(|error| RepoError::storage("list", key, error))?;
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Writes the object, over whatever is there.
    pub(super) async fn put(&self, key: &str, parts: Vec<Bytes>) -> Result<(), RepoError> {
        let path = self.safe(key).await?;
        let put = || self.objects.put(&path, parts.iter().cloned().collect());
        retried(put).await.map_err(|error| RepoError::storage("write", key, error))?;
        Ok(())
    }

    /// Begins an object that comes in parts.
    pub(super) async fn upload(&self, key: &str) -> Result<Box<dyn MultipartUpload>, RepoError> {
        let path = self.safe(key).await?;
        let begin = || self.objects.put_multipart(&path);
        retried(begin).await.map_err(|error| RepoError::storage("write", key, error))
    }

    /// Writes the object unless one is there.
    ///
    /// A failure may hide a success, so the key is read before anything is believed; `Err` means that our
    /// bytes are surely not there. `bytes` must be unlike what anybody else would write.
    pub(super) async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, RepoError> {
        let path = self.safe(key).await?;
        let (mut attempt, mut wait) = (1, FIRST_WAIT);
        loop {
            let put = self.objects.put_opts(&path, bytes.clone().into(), PutMode::Create.into()).await;
            let found = match self.read(key, CREATED_BYTES.max(bytes.len() as u64)).await {
                Ok(found) => found,
                Err(RepoError::TooLarge { .. }) => return Ok(Created::Theirs(Bytes::new())),
                Err(error) => return Ok(Created::Unknown(error)),
            };
            match (put, found) {
                (_, Some(found)) if found == bytes => return Ok(Created::Ours),
                (Ok(_), Some(_)) => {
                    self.delete(key).await?;
                    return Err(RepoError::corrupt(key, "what was read back is not what was written"));
                }
                (Err(_), Some(found)) => return Ok(Created::Theirs(found)),
                (Err(error), None) if attempt >= ATTEMPTS || !is_transient(&error) => {
                    return Err(RepoError::storage("write", key, error));
                }
                (Ok(_), None) if attempt >= ATTEMPTS => {
                    return Err(RepoError::corrupt(key, "what was written is not there"));
                }
                (_, None) => tokio::time::sleep(wait).await,
            }
            attempt += 1;
            wait *= 2;
        }
    }

    /// Deletes the object; none there is fine.
    pub(super) async fn delete(&self, key: &str) -> Result<(), RepoError> {
        let path = self.safe(key).await?;
        let delete = || async {
            match self.objects.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        retried(delete).await.map_err(|error| RepoError::storage("delete", key, error))
    }

    /// Deletes the object so that a power cut can't bring it back once this returned.
    pub(super) async fn delete_for_good(&self, key: &str) -> Result<(), RepoError> {
        self.delete(key).await?;
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let owned = key.to_owned();
        let synced = blocking(move || folder.sync_parent(&owned)).await;
        synced.map_err(|error| RepoError::storage("delete", key, error))
    }
}

/// Tries again, a few times, what may go better then.
async fn retried<T, Fut: Future<Output = object_store::Result<T>>>(
    mut attempt: impl FnMut() -> Fut,
) -> object_store::Result<T> {
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if is_transient(&error) => tokio::time::sleep(wait).await,
            settled => return settled,
        }
        wait *= 2;
    }
    attempt().await
}

/// Whether trying again may help: never for a full disk, missing rights or a refused request.
fn is_transient(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    match error {
        E::Generic { .. } | E::JoinError { .. } | E::Precondition { .. } => match io_cause(error) {
            Some(io) => is_transient_io(io.kind()),
            None => true,
        },
        // The enum is open; what is not named above is a settled answer.
        _ => false,
    }
}

fn is_transient_io(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        kind,
        K::Interrupted
            | K::TimedOut
            | K::WouldBlock
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::ConnectionRefused
            | K::NotConnected
            | K::BrokenPipe
            | K::UnexpectedEof
            | K::ResourceBusy
            | K::StaleNetworkFileHandle
            | K::NetworkDown
            | K::NetworkUnreachable
            | K::HostUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    fn check(kind: ErrorKind, transient: bool) {
        let error = object_store::Error::Generic { store: "test", source: Box::new(Error::from(kind)) };
        assert_eq!(is_transient(&error), transient, "{kind}");
    }

    #[test]
    fn a_full_disk_is_not_tried_again() {
        check(ErrorKind::StorageFull, false);
        check(ErrorKind::QuotaExceeded, false);
        check(ErrorKind::PermissionDenied, false);
        check(ErrorKind::ReadOnlyFilesystem, false);
    }

    #[test]
    fn a_lost_connection_is() {
        check(ErrorKind::ConnectionReset, true);
        check(ErrorKind::TimedOut, true);
    }
}
