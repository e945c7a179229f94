//! A store that misbehaves at its n-th call.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The call fails and does nothing.
    Fail,
    /// So do all after it, as if the process or the network had died.
    FailFromThere,
    /// Half of what is written is lost, silently.
    Truncate,
    /// One bit of what is written changes, silently.
    Flip,
    /// The call does its work and then fails.
    LoseAnswer,
    /// So do all after it.
    LoseAnswersFromThere,
}

pub(super) const FAULTS: [Fault; 6] =
    [Fault::Fail, Fault::FailFromThere, Fault::Truncate, Fault::Flip, Fault::LoseAnswer, Fault::LoseAnswersFromThere];

#[derive(Debug, Clone)]
pub(super) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    fault: Fault,
    at: usize,
    calls: Arc<AtomicUsize>,
}

/// What a call is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Behave,
    Refuse,
    Forget,
    Cut,
    Bend,
}

fn broken() -> Error {
    Error::Generic { store: "faulty", source: "a planted fault".into() }
}

impl Turn {
    fn before(self) -> Result<()> {
        if self == Self::Refuse { Err(broken()) } else { Ok(()) }
    }

    fn after<T>(self, done: Result<T>) -> Result<T> {
        if self == Self::Forget { Err(broken()) } else { done }
    }

    fn payload(self, payload: PutPayload) -> PutPayload {
        let mut bytes = Bytes::from(payload.clone()).to_vec();
        let middle = bytes.len() / 2;
        match self {
            Self::Cut => bytes.truncate(middle),
            Self::Bend => bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1),
            Self::Behave | Self::Refuse | Self::Forget => return payload,
        }
        bytes.into()
    }
}

impl FaultyStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, fault: Fault, at: usize) -> Self {
        Self { inner, fault, at, calls: Arc::default() }
    }

    /// Whether the fault was reached.
    pub(super) fn was_hit(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at
    }

    fn turn(&self) -> Turn {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::FailFromThere if call >= self.at => Turn::Refuse,
            Fault::LoseAnswersFromThere if call >= self.at => Turn::Forget,
            Fault::Fail if call == self.at => Turn::Refuse,
            Fault::LoseAnswer if call == self.at => Turn::Forget,
            Fault::Truncate if call == self.at => Turn::Cut,
            Fault::Flip if call == self.at => Turn::Bend,
            _ => Turn::Behave,
        }
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let turn = self.turn();
        turn.before()?;
        turn.after(self.inner.put_opts(location, turn.payload(payload), opts).await)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let turn = self.turn();
        turn.before()?;
        let inner = turn.after(self.inner.put_multipart_opts(location, opts).await)?;
        Ok(Box::new(FaultyUpload { inner, store: self.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let turn = self.turn();
        turn.before()?;
        turn.after(self.inner.get_opts(location, options).await)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let turn = self.turn();
        turn.before()?;
        turn.after(self.inner.get_ranges(location, ranges).await)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let (location, turn) = (location?, store.turn());
                turn.before()?;
                turn.after(store.inner.delete(&location).await).map(|()| location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.turn() {
            Turn::Refuse | Turn::Forget => stream::once(async { Err(broken()) }).boxed(),
            Turn::Behave | Turn::Cut | Turn::Bend => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let turn = self.turn();
        turn.before()?;
        turn.after(self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: FaultyStore,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let turn = self.store.turn();
        if turn == Turn::Refuse {
            return Box::pin(async { Err(broken()) });
        }
        let part = self.inner.put_part(turn.payload(data));
        Box::pin(async move { turn.after(part.await) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let turn = self.store.turn();
        turn.before()?;
        turn.after(self.inner.complete().await)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
