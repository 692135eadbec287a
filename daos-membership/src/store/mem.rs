//! A store in memory, for tests and simulations. What was durable survives in its [`MemDisk`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LogBounds, LogEntry, LogId, Store, StoreError, StoredSnapshot, Vote};
use crate::system::SystemIdentity;

const PLACE: &str = "(memory)";

#[derive(Debug, Default)]
struct Content {
    vote: Vote,
    log: BTreeMap<u64, LogEntry>,
    snapshot: Option<StoredSnapshot>,
    writes: u64,
    fail_writes: bool,
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

    /// Opens a store on this disk.
    #[must_use]
    pub fn open(&self, identity: SystemIdentity) -> MemStore {
        MemStore { disk: self.clone(), identity }
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
}

impl MemStore {
    fn write(&self, change: impl FnOnce(&mut Content)) -> Result<(), StoreError> {
        let mut content = self.disk.lock();
        if content.fail_writes {
            let source = Box::new(std::io::Error::other("the disk was told to fail"));
            return Err(StoreError::Io { path: PLACE.into(), doing: "write", source });
        }
        change(&mut content);
        content.writes += 1;
        Ok(())
    }
}

impl Store for MemStore {
    fn identity(&self) -> &SystemIdentity {
        &self.identity
    }

    fn place(&self) -> &Path {
        Path::new(PLACE)
    }

    fn vote(&self) -> Result<Vote, StoreError> {
        Ok(self.disk.lock().vote)
    }

    fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.write(|content| content.vote = vote)
    }

    fn bounds(&self) -> Result<LogBounds, StoreError> {
        let content = self.disk.lock();
        Ok(LogBounds {
            first: content.log.values().next().map(|entry| entry.id),
            last: content.log.values().next_back().map(|entry| entry.id),
            snapshot: content.snapshot.as_ref().map(|snapshot| snapshot.upto),
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
        Ok(self.disk.lock().log.range(from..).take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    fn truncate(&self, from: u64) -> Result<(), StoreError> {
        self.write(|content| content.log.retain(|index, _| *index < from))
    }

    fn purge(&self, upto: u64) -> Result<(), StoreError> {
        let last = self.bounds()?.snapshot.map_or(0, |id| id.index);
        if upto > last {
            return Err(StoreError::Gap { path: PLACE.into(), last, asked: upto });
        }
        self.write(|content| content.log.retain(|index, _| *index > upto))
    }

    fn save_snapshot(&self, snapshot: &StoredSnapshot) -> Result<(), StoreError> {
        self.write(|content| content.snapshot = Some(snapshot.clone()))
    }

    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StoreError> {
        Ok(self.disk.lock().snapshot.clone())
    }

    fn blocks(&self) -> bool {
        false
    }
}
