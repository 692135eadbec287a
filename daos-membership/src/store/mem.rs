//! A store in memory, for tests and simulations. What was durable survives in its [`MemDisk`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LogBounds, LogEntry, LogId, Store, StoreError, StoredSnapshot, Vote};
use crate::replica::ReplicaId;
use crate::system::SystemIdentity;

const PLACE: &str = "(memory)";

#[derive(Debug, Default)]
struct Content {
    replica: Option<ReplicaId>,
    vote: Vote,
    log: BTreeMap<u64, LogEntry>,
    snapshot: Option<StoredSnapshot>,
    purged: Option<LogId>,
    writes: u64,
    fail_writes: bool,
    /// How often the machine has crashed; stores opened before that are dead.
    crashes: u64,
}

/// What survives when a [`MemStore`] is dropped. Copies are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemDisk(Arc<Mutex<Content>>);

impl MemDisk {
    /// How many durable writes there have been.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Makes every later write fail, or succeed again.
    pub fn fail_writes(&self, fail: bool) {
        self.lock().fail_writes = fail;
    }

    /// The machine crashes: stores that are open fail in everything from now on, and what they had not made
    /// durable is lost. The disk can be opened again.
    pub fn crash(&self) {
        self.lock().crashes += 1;
    }

    /// Opens a store on this disk.
    #[must_use]
    pub fn open(&self, identity: SystemIdentity) -> MemStore {
        let crashes = self.lock().crashes;
        MemStore { disk: self.clone(), identity, crashes }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store in memory.
#[derive(Debug)]
pub struct MemStore {
    disk: MemDisk,
    identity: SystemIdentity,
    crashes: u64,
}

impl MemStore {
    fn content(&self) -> Result<MutexGuard<'_, Content>, StoreError> {
        let content = self.disk.lock();
        match content.crashes == self.crashes {
            true => Ok(content),
            false => Err(io_error("read", "the machine has crashed")),
        }
    }

    fn write(&self, change: impl FnOnce(&mut Content)) -> Result<(), StoreError> {
        let mut content = self.content()?;
        if content.fail_writes {
            return Err(io_error("write", "the disk was told to fail"));
        }
        change(&mut content);
        content.writes += 1;
        Ok(())
    }
}

fn io_error(doing: &'static str, what: &str) -> StoreError {
    StoreError::Io { path: PLACE.into(), doing, source: Box::new(std::io::Error::other(what)) }
}

impl Store for MemStore {
    fn identity(&self) -> &SystemIdentity {
        &self.identity
    }

    fn place(&self) -> &Path {
        Path::new(PLACE)
    }

    fn replica(&self) -> Result<Option<ReplicaId>, StoreError> {
        Ok(self.content()?.replica)
    }

    fn save_replica(&self, replica: ReplicaId) -> Result<(), StoreError> {
        match self.replica()? {
            Some(known) if known != replica => Err(super::other_replica(self.place(), known)),
            _ => self.write(|content| content.replica = Some(replica)),
        }
    }

    fn vote(&self) -> Result<Vote, StoreError> {
        Ok(self.content()?.vote)
    }

    fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.write(|content| content.vote = vote)
    }

    fn bounds(&self) -> Result<LogBounds, StoreError> {
        let content = self.content()?;
        Ok(LogBounds {
            first: content.log.values().next().map(|entry| entry.id),
            last: content.log.values().next_back().map(|entry| entry.id),
            snapshot: content.snapshot.as_ref().map(|snapshot| snapshot.upto),
            purged: content.purged,
        })
    }

    fn append(&self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let bounds = self.bounds()?;
        let mut last = bounds.last.max(bounds.snapshot).map_or(0, |id| id.index);
        for LogEntry { id: LogId { index, .. }, .. } in entries {
            if last.checked_add(1) != Some(*index) {
                return Err(StoreError::Gap { path: PLACE.into(), last, asked: *index });
            }
            last = *index;
        }
        self.write(|content| {
            content.log.extend(entries.iter().map(|entry| (entry.id.index, entry.clone())));
        })
    }

    fn entries(&self, from: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        Ok(self.content()?.log.range(from..).take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    fn truncate(&self, from: u64) -> Result<(), StoreError> {
        self.write(|content| content.log.retain(|index, _| *index < from))
    }

    fn purge(&self, upto: LogId) -> Result<(), StoreError> {
        let last = self.bounds()?.snapshot.map_or(0, |id| id.index);
        if upto.index > last {
            return Err(StoreError::Gap { path: PLACE.into(), last, asked: upto.index });
        }
        self.write(|content| {
            content.log.retain(|index, _| *index > upto.index);
            content.purged = content.purged.max(Some(upto));
        })
    }

    fn save_snapshot(&self, snapshot: &StoredSnapshot) -> Result<(), StoreError> {
        self.write(|content| {
            let newer =
                content.snapshot.as_ref().is_some_and(|held| held.upto.index > snapshot.upto.index);
            if !newer {
                content.snapshot = Some(snapshot.clone());
            }
        })
    }

    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StoreError> {
        Ok(self.content()?.snapshot.clone())
    }

    fn blocks(&self) -> bool {
        false
    }
}
