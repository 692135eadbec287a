//! What of a host survives a crash: superblocks, numbers of starts, and the disk with the system database.
//!
//! [`ReplicaDisk`] is a disk that can be full, fail an fsync, die in the middle of a write, or lie: tell that a
//! write is durable before it is. Written by `server` and `deeds`; told what to do by `world`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daos_control::superblock::Superblock;
use daos_membership::{
    Incarnation, LogBounds, LogEntry, LogId, ReplicaId, Store, StoreError, StoredSnapshot,
    SystemIdentity, Vote,
};

const PLACE: &str = "(simulated disk)";

/// The disk of one host; copies are the same disk.
#[derive(Debug, Clone, Default)]
pub struct HostDisk(Arc<Mutex<HostContent>>);

#[derive(Debug, Default)]
struct HostContent {
    superblocks: BTreeMap<u32, Superblock>,
    /// Counts the starts of each engine: a real engine takes its incarnation from a clock.
    starts: BTreeMap<u32, u64>,
    self_terminated: BTreeMap<u32, bool>,
    replica: ReplicaDisk,
}

impl HostDisk {
    fn content(&self) -> MutexGuard<'_, HostContent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The superblock of an engine, if its storage is formatted.
    #[must_use]
    pub fn superblock(&self, index: u32) -> Option<Superblock> {
        self.content().superblocks.get(&index).cloned()
    }

    /// Writes a superblock, durably.
    pub fn store_superblock(&self, index: u32, superblock: Superblock) {
        self.content().superblocks.insert(index, superblock);
    }

    /// Incarnation and port of a process that has just become ready: both new, the incarnation higher than any before.
    #[must_use]
    pub fn new_start(&self, index: u32) -> (Incarnation, u64) {
        let mut content = self.content();
        let starts = content.starts.entry(index).or_default();
        *starts += 1;
        (Incarnation(*starts), 20_000 + u64::from(index) * 100 + *starts % 100)
    }

    /// Remembers that an engine ends itself because it was excluded.
    pub fn mark_self_terminated(&self, index: u32) {
        self.content().self_terminated.insert(index, true);
    }

    /// Whether the last end of an engine was by itself; asked once.
    #[must_use]
    pub fn was_self_terminated(&self, index: u32) -> bool {
        self.content().self_terminated.remove(&index).unwrap_or(false)
    }

    /// The disk with the system database.
    #[must_use]
    pub fn replica(&self) -> ReplicaDisk {
        self.content().replica.clone()
    }

    /// The system database and the disk that held it are gone; a blank disk is in their place.
    pub fn replace_replica_disk(&self) {
        let mut content = self.content();
        content.replica.power_off();
        content.replica = ReplicaDisk::default();
    }
}

/// How a disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// What it calls durable is durable.
    #[default]
    Honest,
    /// Every write fails.
    Full,
    /// The power fails during this many-th write from now; part of that write is on disk.
    DiesAt(u32),
    /// What it calls durable is not: a crash takes the last writes with it. No correct disk does that.
    Lies,
}

#[derive(Debug, Clone, Default)]
struct Database {
    identity: Option<SystemIdentity>,
    replica: Option<ReplicaId>,
    vote: Vote,
    log: BTreeMap<u64, LogEntry>,
    snapshot: Option<StoredSnapshot>,
    purged: Option<LogId>,
}

#[derive(Debug, Default)]
struct DiskContent {
    database: Database,
    /// What a crash leaves of a disk that lies.
    survives: Option<Database>,
    behaviour: Behaviour,
    /// How often the power went; stores opened before that are dead.
    outages: u64,
    died: bool,
    writes: u64,
    /// All entries ever written, which purging does not remove: what the checks compare.
    written: BTreeMap<u64, LogEntry>,
}

/// The disk that holds one system database; copies are the same disk.
#[derive(Debug, Clone, Default)]
pub struct ReplicaDisk(Arc<Mutex<DiskContent>>);

/// Writes of a lying disk that a crash takes with it.
const LOST_WRITES: u64 = 8;

impl ReplicaDisk {
    fn content(&self) -> MutexGuard<'_, DiskContent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a system database on it.
    #[must_use]
    pub fn holds_database(&self) -> bool {
        self.content().database.identity.is_some()
    }

    /// Changes how it behaves.
    pub fn behave(&self, behaviour: Behaviour) {
        let mut content = self.content();
        content.behaviour = behaviour;
        content.survives = (behaviour == Behaviour::Lies).then(|| content.database.clone());
    }

    /// How it behaves.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.content().behaviour
    }

    /// Whether the power failed in the middle of a write; asked once.
    #[must_use]
    pub fn died(&self) -> bool {
        std::mem::take(&mut self.content().died)
    }

    /// The process that has it open is gone: it cannot use it any more.
    pub fn cut_off(&self) {
        self.content().outages += 1;
    }

    /// The machine loses its power.
    pub fn power_off(&self) {
        let mut content = self.content();
        content.outages += 1;
        if let Some(survives) = content.survives.clone() {
            content.database = survives;
        }
        if matches!(content.behaviour, Behaviour::DiesAt(_)) {
            content.behaviour = Behaviour::Honest;
        }
    }

    /// An entry that was written at this place last, even if it was dropped for a snapshot since.
    #[must_use]
    pub fn written(&self, index: u64) -> Option<LogEntry> {
        self.content().written.get(&index).cloned()
    }

    /// Makes a database.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is one.
    pub fn create(&self, identity: SystemIdentity) -> Result<DiskStore, StoreError> {
        if self.holds_database() {
            return Err(StoreError::Exists { path: PLACE.into() });
        }
        self.content().database.identity = Some(identity);
        self.open()
    }

    /// Opens the database.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub fn open(&self) -> Result<DiskStore, StoreError> {
        let content = self.content();
        let Some(identity) = content.database.identity.clone() else {
            return Err(StoreError::Missing { path: PLACE.into() });
        };
        Ok(DiskStore { disk: self.clone(), identity, outages: content.outages })
    }
}

/// A database that is open.
#[derive(Debug)]
pub struct DiskStore {
    disk: ReplicaDisk,
    identity: SystemIdentity,
    outages: u64,
}

fn failed(doing: &'static str, what: &str) -> StoreError {
    StoreError::Io { path: PLACE.into(), doing, source: Box::new(std::io::Error::other(what)) }
}

impl DiskStore {
    fn content(&self) -> Result<MutexGuard<'_, DiskContent>, StoreError> {
        let content = self.disk.content();
        match content.outages == self.outages && !content.died {
            true => Ok(content),
            false => Err(failed("read", "the power is off")),
        }
    }

    /// One durable write. `part` is what of it a power failure leaves.
    fn write(
        &self,
        part: impl FnOnce(&mut Database),
        whole: impl FnOnce(&mut Database),
    ) -> Result<(), StoreError> {
        let mut content = self.content()?;
        match content.behaviour {
            Behaviour::Full => return Err(failed("write", "no space left on device")),
            Behaviour::DiesAt(0 | 1) => {
                part(&mut content.database);
                content.behaviour = Behaviour::Honest;
                content.died = true;
                return Err(failed("write", "the power is off"));
            }
            Behaviour::DiesAt(left) => content.behaviour = Behaviour::DiesAt(left - 1),
            Behaviour::Honest | Behaviour::Lies => {}
        }
        whole(&mut content.database);
        content.writes += 1;
        if content.behaviour == Behaviour::Lies && content.writes.is_multiple_of(LOST_WRITES) {
            content.survives = Some(content.database.clone());
        }
        Ok(())
    }
}

impl Store for DiskStore {
    fn identity(&self) -> &SystemIdentity {
        &self.identity
    }

    fn place(&self) -> &Path {
        Path::new(PLACE)
    }

    fn replica(&self) -> Result<Option<ReplicaId>, StoreError> {
        Ok(self.content()?.database.replica)
    }

    fn save_replica(&self, replica: ReplicaId) -> Result<(), StoreError> {
        match self.replica()? {
            Some(known) if known != replica => Err(failed("write", "it has another replica's id")),
            _ => self.write(|_| {}, |database| database.replica = Some(replica)),
        }
    }

    fn vote(&self) -> Result<Vote, StoreError> {
        Ok(self.content()?.database.vote)
    }

    fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.write(|_| {}, |database| database.vote = vote)
    }

    fn bounds(&self) -> Result<LogBounds, StoreError> {
        let content = self.content()?;
        let database = &content.database;
        Ok(LogBounds {
            first: database.log.values().next().map(|entry| entry.id),
            last: database.log.values().next_back().map(|entry| entry.id),
            snapshot: database.snapshot.as_ref().map(|snapshot| snapshot.upto),
            purged: database.purged,
        })
    }

    fn append(&self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let bounds = self.bounds()?;
        let mut last = bounds.last.max(bounds.snapshot).map_or(0, |id| id.index);
        for entry in entries {
            if last.checked_add(1) != Some(entry.id.index) {
                let path = PLACE.into();
                return Err(StoreError::Gap { path, last, asked: entry.id.index });
            }
            last = entry.id.index;
        }
        let put = |database: &mut Database, entries: &[LogEntry]| {
            database.log.extend(entries.iter().map(|entry| (entry.id.index, entry.clone())));
        };
        let half = entries.get(..entries.len() / 2).unwrap_or_default();
        self.write(|database| put(database, half), |database| put(database, entries))?;
        let written = entries.iter().map(|entry| (entry.id.index, entry.clone()));
        self.content()?.written.extend(written);
        Ok(())
    }

    fn entries(&self, from: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let content = self.content()?;
        Ok(content.database.log.range(from..).take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    fn truncate(&self, from: u64) -> Result<(), StoreError> {
        self.write(|_| {}, |database| database.log.retain(|index, _| *index < from))
    }

    fn purge(&self, upto: LogId) -> Result<(), StoreError> {
        let last = self.bounds()?.snapshot.map_or(0, |id| id.index);
        if upto.index > last {
            return Err(StoreError::Gap { path: PLACE.into(), last, asked: upto.index });
        }
        self.write(
            |_| {},
            |database| {
                database.log.retain(|index, _| *index > upto.index);
                database.purged = database.purged.max(Some(upto));
            },
        )
    }

    fn save_snapshot(&self, snapshot: &StoredSnapshot) -> Result<(), StoreError> {
        self.write(|_| {}, |database| database.snapshot = Some(snapshot.clone()))
    }

    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StoreError> {
        Ok(self.content()?.database.snapshot.clone())
    }

    fn blocks(&self) -> bool {
        false
    }
}
