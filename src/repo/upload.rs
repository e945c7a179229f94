//! One object on its way into the store: small ones whole, large ones in parts.

use std::collections::VecDeque;

use bytes::Bytes;
use object_store::MultipartUpload;
use tokio::task::JoinHandle;

use super::error::RepoError;
use super::store::Store;

/// Bytes that a part has at least; object stores ask for 5 MiB, and memory holds [`PARTS_IN_FLIGHT`] + 1 of them.
/// Small in unit tests, so that the files of their faults come in parts too.
const PART_BYTES: usize = if cfg!(test) { 1 << 10 } else { 8 << 20 };
/// Parts that are sent at once.
const PARTS_IN_FLIGHT: usize = 2;

type Part = JoinHandle<object_store::Result<()>>;

/// An upload; dropped unfinished, it is called off and leaves no object.
pub(super) struct Upload {
    store: Store,
    key: String,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    total_bytes: u64,
    multipart: Option<Box<dyn MultipartUpload>>,
    flights: VecDeque<Part>,
}

impl Upload {
    pub(super) fn new(store: &Store, key: String) -> Self {
        Self {
            store: store.clone(),
            key,
            waiting: Vec::new(),
            waiting_bytes: 0,
            total_bytes: 0,
            multipart: None,
            flights: VecDeque::new(),
        }
    }

    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), RepoError> {
        self.waiting_bytes += bytes.len();
        self.total_bytes += bytes.len() as u64;
        self.waiting.push(bytes);
        if self.waiting_bytes >= PART_BYTES { self.send_part().await } else { Ok(()) }
    }

    /// Parts are not tried again: how a store counts them is its own matter.
    async fn send_part(&mut self) -> Result<(), RepoError> {
        while self.flights.len() >= PARTS_IN_FLIGHT {
            self.land().await?;
        }
        let mut multipart = match self.multipart.take() {
            Some(multipart) => multipart,
            None => self.store.upload(&self.key).await?,
        };
        let part = multipart.put_part(self.waiting.drain(..).collect());
        self.waiting_bytes = 0;
        self.flights.push_back(tokio::spawn(part));
        self.multipart = Some(multipart);
        Ok(())
    }

    async fn land(&mut self) -> Result<(), RepoError> {
        let Some(part) = self.flights.pop_front() else { return Ok(()) };
        let landed = part.await.map_err(|error| self.failed(error))?;
        landed.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::error::Error + Send + Sync + 'static) -> RepoError {
        RepoError::storage("write", &self.key, error)
    }

    /// Makes it an object. Of an error it is found out whether the object stands all the same; that its bytes
    /// are right, the read-back proves.
    pub(super) async fn finish(mut self) -> Result<(), RepoError> {
        if self.multipart.is_none() {
            return self.store.put(&self.key, std::mem::take(&mut self.waiting)).await;
        }
        if self.waiting_bytes > 0 {
            self.send_part().await?;
        }
        while !self.flights.is_empty() {
            self.land().await?;
        }
        let Some(mut multipart) = self.multipart.take() else { return Ok(()) };
        match multipart.complete().await {
            Ok(_) => Ok(()),
            Err(_) if self.store.size(&self.key).await? == Some(self.total_bytes) => Ok(()),
            Err(error) => {
                let _ = multipart.abort().await;
                Err(self.failed(error))
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.flights.iter().for_each(JoinHandle::abort);
        let Some(mut multipart) = self.multipart.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { multipart.abort().await });
        }
    }
}
