//! The store in the hands of a running replica: closed once, failed for good at the first failed write.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use openraft::{AnyError, StorageError, StorageIOError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::command::DecodeError;
use crate::replica::ReplicaId;
use crate::replicate::{chain, run};
use crate::store::{Store, StoreError};
use crate::system::SystemIdentity;

/// The store, shared by everything that makes up a replica.
#[derive(Debug)]
pub struct Disk {
    /// `None` after shutdown.
    store: RwLock<Option<Box<dyn Store>>>,
    identity: SystemIdentity,
    place: PathBuf,
    blocks: bool,
    failed: OnceLock<Arc<StoreError>>,
    /// Since when the log is being written, if it is.
    writing: Mutex<Option<Instant>>,
    /// Index of the last entry that the stored snapshot holds; the highest there is once the store has failed.
    held: watch::Sender<u64>,
}

/// Why the store cannot be used.
#[derive(Debug, Clone, Error)]
pub enum DiskError {
    /// It was closed.
    #[error("the system database is closed")]
    Closed,
    /// It failed, now or before.
    #[error("the system database failed")]
    Failed(#[source] Arc<StoreError>),
}

impl DiskError {
    /// For the library, to which every failure of the store is the end.
    pub(super) fn fatal(self) -> StorageError<ReplicaId> {
        StorageError::IO { source: StorageIOError::write(AnyError::new(&self)) }
    }
}

impl Disk {
    pub(super) fn new(store: Box<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            identity: store.identity().clone(),
            place: store.place().to_owned(),
            blocks: store.blocks(),
            store: RwLock::new(Some(store)),
            failed: OnceLock::new(),
            writing: Mutex::new(None),
            held: watch::channel(0).0,
        })
    }

    pub(super) fn identity(&self) -> &SystemIdentity {
        &self.identity
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The failure that ended it.
    pub(super) fn failure(&self) -> Option<Arc<StoreError>> {
        self.failed.get().cloned()
    }

    /// How long the log write takes that is under way.
    pub(super) fn writing_for(&self) -> Option<Duration> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.map(|since| since.elapsed())
    }

    /// Works with the store. A failure is the last thing that happens to it.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DiskError> {
        let disk = Arc::clone(self);
        run(self.blocks, move || disk.work(work)).await.unwrap_or(Err(DiskError::Closed))
    }

    /// Writes to the log; the time it takes can be watched.
    pub(super) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DiskError> {
        self.set_writing(Some(Instant::now()));
        let done = self.read(work).await;
        self.set_writing(None);
        done
    }

    /// A snapshot up to this entry is stored.
    pub(super) fn note_snapshot(&self, index: u64) {
        self.held.send_modify(|held| *held = index.max(*held));
    }

    /// Waits until a snapshot up to this entry is stored, or the store has failed.
    pub(super) async fn holds(&self, index: u64) {
        // The sender is here, so there is no error.
        let _ = self.held.subscribe().wait_for(|held| *held >= index).await;
    }

    /// Closes the store when the work on it has ended.
    pub(super) async fn close(self: &Arc<Self>) {
        let disk = Arc::clone(self);
        let take = move || disk.store.write().unwrap_or_else(PoisonError::into_inner).take();
        run(self.blocks, move || drop(take())).await;
    }

    /// What was read cannot be right.
    pub(super) fn corrupt(&self, what: String) -> DiskError {
        self.fail(StoreError::Corrupt { path: self.place.clone(), what })
    }

    /// A record cannot be read.
    pub(super) fn unreadable(&self, what: &str, error: DecodeError) -> DiskError {
        match error {
            DecodeError::Newer { found } => {
                let known = crate::command::Command::VERSION;
                self.fail(StoreError::Newer { path: self.place.clone(), found, known })
            }
            other => self.corrupt(format!("{what}: {}", chain(&other))),
        }
    }

    fn work<T>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, DiskError> {
        if let Some(cause) = self.failure() {
            return Err(DiskError::Failed(cause));
        }
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_deref().ok_or(DiskError::Closed)?;
        work(store).map_err(|error| self.fail(error))
    }

    fn fail(&self, error: StoreError) -> DiskError {
        tracing::error!(error = chain(&error), "system database failed, replica stops");
        let cause = Arc::clone(self.failed.get_or_init(|| Arc::new(error)));
        self.note_snapshot(u64::MAX);
        DiskError::Failed(cause)
    }

    fn set_writing(&self, since: Option<Instant>) {
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}
