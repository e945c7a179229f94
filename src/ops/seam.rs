//! Where engine and repository meet: the repository's writer as an outlet, its reader as an inlet.
//!
//! Each keeps the repository's own error, since the engine only learns that storing or reading failed.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::OpsError;
use crate::codec::EncodedFrame;
use crate::engine::{EngineError, FileOutlet, Inlet, InletFailed, Outlet, OutletFailed};
use crate::model::manifest::FileRole;
use crate::model::names::FileName;
use crate::repo::{FileWriter, RepoError, SnapshotReader, SnapshotWriter};

/// The first error of the repository's side.
#[derive(Clone, Default)]
struct Fault(Arc<Mutex<Option<RepoError>>>);

impl Fault {
    fn keep(&self, error: RepoError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The repository's own error if it has one, else the engine's.
    fn explain(&self, error: EngineError) -> OpsError {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(fault) => OpsError::Repo(fault),
            None => OpsError::Engine(error),
        }
    }
}

/// The repository's writer, as engines see it.
pub(super) struct WriterOutlet {
    writer: Arc<SnapshotWriter>,
    fault: Fault,
}

impl WriterOutlet {
    pub(super) fn new(writer: Arc<SnapshotWriter>) -> Arc<Self> {
        Arc::new(Self { writer, fault: Fault::default() })
    }

    pub(super) fn explain(&self, error: EngineError) -> OpsError {
        self.fault.explain(error)
    }
}

#[async_trait]
impl Outlet for WriterOutlet {
    async fn begin(&self, name: &FileName, role: FileRole) -> Result<Box<dyn FileOutlet>, OutletFailed> {
        match self.writer.begin_file(name, role).await {
            Ok(file) => Ok(Box::new(WriterFile { file, fault: self.fault.clone() })),
            Err(error) => {
                self.fault.keep(error);
                Err(OutletFailed)
            }
        }
    }
}

struct WriterFile {
    file: FileWriter,
    fault: Fault,
}

#[async_trait]
impl FileOutlet for WriterFile {
    async fn append(&mut self, frame: EncodedFrame) -> Result<(), OutletFailed> {
        self.file.append(frame).await.map_err(|error| {
            self.fault.keep(error);
            OutletFailed
        })
    }

    async fn finish(self: Box<Self>) -> Result<(), OutletFailed> {
        let Self { file, fault } = *self;
        match file.finish().await {
            Ok(_) => Ok(()),
            Err(error) => {
                fault.keep(error);
                Err(OutletFailed)
            }
        }
    }
}

/// The repository's reader, as engines see it.
pub(super) struct ReaderInlet {
    reader: Arc<SnapshotReader>,
    fault: Fault,
}

impl ReaderInlet {
    pub(super) fn new(reader: Arc<SnapshotReader>) -> Arc<Self> {
        Arc::new(Self { reader, fault: Fault::default() })
    }

    pub(super) fn explain(&self, error: EngineError) -> OpsError {
        self.fault.explain(error)
    }
}

#[async_trait]
impl Inlet for ReaderInlet {
    fn frames(&self, file: &FileName) -> usize {
        self.reader.frames(file).len()
    }

    async fn frame(&self, file: &FileName, index: usize) -> Result<Bytes, InletFailed> {
        self.reader.plain_frame(file, index).await.map_err(|error| {
            self.fault.keep(error);
            InletFailed
        })
    }
}
