//! The store in one file, `control_raft/daos_system.db` below a directory of the replica's storage.
//!
//! A file is made under a temporary name and linked into place when it is complete, so what is found under its
//! name was once whole. Opening verifies every page, and damage is an error, never an empty system.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend, TableDefinition, WriteTransaction, backends::FileBackend,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::backup::{self, BackupHead};
use super::{LogBounds, LogEntry, LogId, Store, StoreError, StoredSnapshot, Vote};
use crate::clock::{Clock, SystemClock};
use crate::replica::{RecordedReplicas, ReplicaId};
use crate::system::SystemIdentity;

/// Directory of the system database, below the directory that is given (contract 5.1).
pub const STORE_DIR: &str = "control_raft";
/// Name of the system database.
pub const STORE_FILE: &str = "daos_system.db";

const NEW_FILE: &str = "daos_system.db.new";
const DIR_MODE: u32 = 0o770;
const FILE_MODE: u32 = 0o660;
/// Version of the tables below.
const FORMAT: u16 = 1;
/// The library would take 1 GiB. The log is written once and read once, so little is enough.
const CACHE_BYTES: usize = 4 << 20;
/// A snapshot is stored in parts of this size, so that no page run as large as a snapshot is needed.
const SNAPSHOT_PART: usize = 256 << 10;
/// Parts that are written at once. Between two such writes the log can be appended to.
const PARTS_AT_ONCE: usize = 4;
/// Parts of every second snapshot are numbered from here on, those of the others from 0.
const SECOND_PLACE: u32 = 1 << 30;
/// Memory that is reserved for a snapshot on the word of its head alone.
const MAX_RESERVED: usize = 64 << 20;

/// Index to term and content.
const LOG: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SNAPSHOT: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("snapshot");

const META_FORMAT: &str = "format";
const META_SYSTEM: &str = "system";
const META_VOTE: &str = "vote";
const META_SNAPSHOT: &str = "snapshot";
const META_REPLICA: &str = "replica";
const META_PURGED: &str = "purged";

#[derive(Serialize, Deserialize)]
struct SnapshotHead {
    upto: LogId,
    bytes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replicas: Option<RecordedReplicas>,
    /// Number of its first part, so that a new one is written beside the one that counts.
    #[serde(default)]
    first_part: u32,
}

/// The store in a file. See [`Store`] for what it keeps.
#[derive(Debug)]
pub struct RedbStore {
    db: Database,
    path: PathBuf,
    identity: SystemIdentity,
    /// Where every snapshot is kept as a file as well.
    kept: Option<PathBuf>,
    /// Device and inode of the file, where it is one of a directory.
    place: Option<(u64, u64)>,
    /// Held while a snapshot is saved: one that arrives may meet one that is being made.
    saving: Mutex<()>,
}

impl RedbStore {
    /// Where the system database lies below `parent`.
    #[must_use]
    pub fn path(parent: &Path) -> PathBuf {
        parent.join(STORE_DIR).join(STORE_FILE)
    }

    /// Whether there is a system database below `parent`, in whatever condition.
    #[must_use]
    pub fn exists(parent: &Path) -> bool {
        fs::symlink_metadata(Self::path(parent)).is_ok()
    }

    /// Makes a new, empty system database below `parent`, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is one, which is then left alone; else when it cannot be written.
    pub fn create(parent: &Path, identity: &SystemIdentity) -> Result<Self, StoreError> {
        let path = Self::path(parent);
        if Self::exists(parent) {
            return Err(StoreError::Exists { path });
        }
        let dir = parent.join(STORE_DIR);
        let failed = |source: io::Error| io_error(&path, "create", source);
        make_dir(&dir).and_then(|()| sync_dir(parent)).map_err(failed)?;
        // What is left of an attempt that was cut short was never used.
        let new = dir.join(NEW_FILE);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let backend = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&new)
            .and_then(|file| file.set_permissions(Permissions::from_mode(FILE_MODE)).map(|()| file))
            .map_err(failed)
            .and_then(|file| FileBackend::new(file).map_err(|e| opening(&path, e)))?;
        let db = builder().create_with_backend(backend).map_err(|e| opening(&path, e))?;
        let kept = Some(backup::kept_dir(parent));
        let store = Self {
            db,
            path: path.clone(),
            identity: identity.clone(),
            kept,
            place: Some(place_of(&new).map_err(failed)?),
            saving: Mutex::default(),
        };
        store.initialise()?;
        match fs::hard_link(&new, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(StoreError::Exists { path });
            }
            linked => linked.and_then(|()| fs::remove_file(&new)).map_err(failed)?,
        }
        sync_dir(&dir).map_err(failed)?;
        Ok(store)
    }

    /// Opens the system database below `parent`. With `expected`, that of another system is refused.
    ///
    /// # Errors
    /// See [`StoreError`]; a file that cannot be read is never replaced.
    pub fn open(parent: &Path, expected: Option<Uuid>) -> Result<Self, StoreError> {
        let path = Self::path(parent);
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(|source| match source
                .kind()
            {
                ErrorKind::NotFound => StoreError::Missing { path: path.clone() },
                _ => io_error(&path, "open", source),
            })?;
        let place = file.metadata().map(|found| (found.dev(), found.ino()));
        let place = place.map_err(|source| io_error(&path, "open", source))?;
        let backend = FileBackend::new(file).map_err(|error| opening(&path, error))?;
        let store = Self::open_backend(path, backend, expected)?;
        Ok(Self { kept: Some(backup::kept_dir(parent)), place: Some(place), ..store })
    }

    /// Opens a system database through `backend`, so that tests can make its storage fail.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_backend(
        path: PathBuf,
        backend: impl StorageBackend,
        expected: Option<Uuid>,
    ) -> Result<Self, StoreError> {
        // The library would make a database out of an empty file.
        if backend.len().map_err(|source| io_error(&path, "open", source))? == 0 {
            return Err(corrupt(&path, "the file is empty"));
        }
        let db = builder().create_with_backend(backend).map_err(|error| opening(&path, error))?;
        let identity = read_identity(&db, &path)?;
        let store = Self { db, path, identity, kept: None, place: None, saving: Mutex::default() };
        match expected.filter(|expected| *expected != store.identity.uuid) {
            Some(expected) => {
                Err(StoreError::Foreign { path: store.path, found: store.identity.uuid, expected })
            }
            None => Ok(store),
        }
    }

    /// What is written to a file that was deleted or replaced is lost with the process, and must not be acknowledged.
    fn require_in_place(&self) -> Result<(), StoreError> {
        match (self.place, place_of(&self.path)) {
            (None, _) => Ok(()),
            (Some(opened), Ok(found)) if opened == found => Ok(()),
            (Some(_), Err(error)) if error.kind() != ErrorKind::NotFound => {
                Err(io_error(&self.path, "look for", error))
            }
            _ => Err(StoreError::Missing { path: self.path.clone() }),
        }
    }

    /// Removes the system database below `parent` with the snapshots that are kept, and its directory if nothing
    /// else is in it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while any process has it open; else when it cannot be removed.
    pub fn remove(parent: &Path) -> Result<(), StoreError> {
        let (path, dir) = (Self::path(parent), parent.join(STORE_DIR));
        let failed = |source: io::Error| io_error(&path, "remove", source);
        let _locked = match lock(&path) {
            Err(StoreError::Missing { .. }) => return Ok(()),
            locked => locked?,
        };
        fs::remove_file(&path).and_then(|()| sync_dir(&dir)).map_err(failed)?;
        backup::forget(&backup::kept_dir(parent)).map_err(failed)?;
        match fs::remove_dir(&dir) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(failed(error)),
            _ => sync_dir(parent).map_err(failed),
        }
    }

    fn initialise(&self) -> Result<(), StoreError> {
        self.write("create", |txn| {
            txn.open_table(LOG)?;
            txn.open_table(SNAPSHOT)?;
            put_meta(txn, META_FORMAT, &FORMAT)?;
            put_meta(txn, META_SYSTEM, &self.identity)?;
            put_meta(txn, META_VOTE, &Vote::default())
        })
    }

    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let run = || {
            let mut txn = self.db.begin_write()?;
            txn.set_durability(Durability::Immediate)?;
            let done = work(&txn)?;
            txn.commit()?;
            Ok(done)
        };
        run().map_err(|error| using(&self.path, doing, error))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let run = || work(&self.db.begin_read()?);
        run().map_err(|error| using(&self.path, "read", error))
    }

    /// Writes the next parts of a snapshot, and drops what a former attempt left in their place.
    fn write_parts(&self, place: Range<u32>, batch: &[u8]) -> Result<(), StoreError> {
        self.write("write", |txn| {
            let mut parts = txn.open_table(SNAPSHOT)?;
            parts.retain_in(place.clone(), |_, _| false)?;
            for (number, part) in place.zip(batch.chunks(SNAPSHOT_PART)) {
                parts.insert(number, part)?;
            }
            Ok(())
        })
    }

    /// Keeps a snapshot as a file. It is in the database as well, so a failure is only told.
    fn keep(&self, snapshot: &StoredSnapshot) {
        let Some(dir) = &self.kept else { return };
        let (system, now) = (self.identity.clone(), SystemClock.now());
        let replica = self.replica().ok().flatten();
        let StoredSnapshot { upto, replicas, data } = snapshot;
        let head = BackupHead::of(data, system, replica, now, *upto, replicas.clone());
        if let Err(error) = backup::keep(dir, &head, data) {
            tracing::warn!(%error, "a snapshot of the system is not kept as a file");
        }
    }

    fn gap(&self, last: u64, asked: u64) -> StoreError {
        StoreError::Gap { path: self.path.clone(), last, asked }
    }
}

impl Store for RedbStore {
    fn identity(&self) -> &SystemIdentity {
        &self.identity
    }

    fn place(&self) -> &Path {
        &self.path
    }

    fn replica(&self) -> Result<Option<ReplicaId>, StoreError> {
        self.read(|txn| get_meta(txn, META_REPLICA))
    }

    fn save_replica(&self, replica: ReplicaId) -> Result<(), StoreError> {
        match self.replica()? {
            Some(known) if known != replica => Err(super::other_replica(&self.path, known)),
            _ => self.write("write", |txn| put_meta(txn, META_REPLICA, &replica)),
        }
    }

    fn vote(&self) -> Result<Vote, StoreError> {
        self.read(|txn| get_meta(txn, META_VOTE)).map(Option::unwrap_or_default)
    }

    fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.write("write", |txn| put_meta(txn, META_VOTE, &vote))
    }

    fn bounds(&self) -> Result<LogBounds, StoreError> {
        self.read(|txn| {
            let log = txn.open_table(LOG)?;
            let id = |index: u64, (term, _): (u64, &[u8])| LogId { term, index };
            let head: Option<SnapshotHead> = get_meta(txn, META_SNAPSHOT)?;
            Ok(LogBounds {
                first: log.first()?.map(|(index, entry)| id(index.value(), entry.value())),
                last: log.last()?.map(|(index, entry)| id(index.value(), entry.value())),
                snapshot: head.map(|head| head.upto),
                purged: get_meta(txn, META_PURGED)?,
            })
        })
    }

    fn append(&self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let bounds = self.bounds()?;
        let mut last = bounds.last.max(bounds.snapshot).map_or(0, |id| id.index);
        for LogEntry { id, .. } in entries {
            if last.checked_add(1) != Some(id.index) {
                return Err(self.gap(last, id.index));
            }
            last = id.index;
        }
        self.write("write", |txn| {
            let mut log = txn.open_table(LOG)?;
            for LogEntry { id, payload } in entries {
                log.insert(id.index, (id.term, payload.as_slice()))?;
            }
            Ok(())
        })?;
        self.require_in_place()
    }

    fn entries(&self, from: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.read(|txn| {
            let log = txn.open_table(LOG)?;
            let found = log.range(from..)?.take(limit).map(|row| {
                let (index, entry) = row?;
                let (term, payload) = entry.value();
                let id = LogId { term, index: index.value() };
                Ok(LogEntry { id, payload: payload.to_vec() })
            });
            found.collect()
        })
    }

    fn truncate(&self, from: u64) -> Result<(), StoreError> {
        self.write("write", |txn| Ok(txn.open_table(LOG)?.retain_in(from.., |_, _| false)?))
    }

    fn purge(&self, upto: LogId) -> Result<(), StoreError> {
        let bounds = self.bounds()?;
        let held = bounds.snapshot.map_or(0, |id| id.index);
        if upto.index > held {
            return Err(self.gap(held, upto.index));
        }
        self.write("write", |txn| {
            txn.open_table(LOG)?.retain_in(..=upto.index, |_, _| false)?;
            put_meta(txn, META_PURGED, &bounds.purged.max(Some(upto)))
        })
    }

    fn save_snapshot(&self, snapshot: &StoredSnapshot) -> Result<(), StoreError> {
        let _turn = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let current: Option<SnapshotHead> = self.read(|txn| get_meta(txn, META_SNAPSHOT))?;
        if current.as_ref().is_some_and(|head| head.upto.index > snapshot.upto.index) {
            return Ok(());
        }
        let first = match current {
            Some(head) if head.first_part < SECOND_PLACE => SECOND_PLACE,
            _ => 0,
        };
        let place = first..first + SECOND_PLACE;
        let batches = snapshot.data.chunks(SNAPSHOT_PART * PARTS_AT_ONCE);
        for (number, batch) in place.clone().step_by(PARTS_AT_ONCE).zip(batches) {
            self.write_parts(number..place.end, batch)?;
        }
        let (upto, replicas) = (snapshot.upto, snapshot.replicas.clone());
        let head = SnapshotHead { upto, replicas, bytes: snapshot.data.len(), first_part: first };
        let parts = u32::try_from(snapshot.data.len().div_ceil(SNAPSHOT_PART)).unwrap_or(u32::MAX);
        let written = first..first.saturating_add(parts);
        self.write("write", |txn| {
            txn.open_table(SNAPSHOT)?.retain(|number, _| written.contains(&number))?;
            put_meta(txn, META_SNAPSHOT, &head)
        })?;
        self.keep(snapshot);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StoreError> {
        let found = self.read(|txn| {
            let Some(head) = get_meta::<SnapshotHead>(txn, META_SNAPSHOT)? else {
                return Ok(None);
            };
            let place = head.first_part..head.first_part + SECOND_PLACE;
            let mut data = Vec::with_capacity(head.bytes.min(MAX_RESERVED));
            for part in txn.open_table(SNAPSHOT)?.range(place)? {
                data.extend_from_slice(part?.1.value());
            }
            Ok(Some((head, data)))
        })?;
        match found {
            Some((head, data)) if head.bytes != data.len() => {
                Err(corrupt(&self.path, "the snapshot is incomplete"))
            }
            found => Ok(found.map(|(SnapshotHead { upto, replicas, .. }, data)| StoredSnapshot {
                upto,
                replicas,
                data,
            })),
        }
    }

    fn snapshot_head(&self) -> Result<Option<super::SnapshotHead>, StoreError> {
        let head = self.read(|txn| get_meta::<SnapshotHead>(txn, META_SNAPSHOT))?;
        Ok(head.map(|head| (head.upto, head.replicas)))
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// Locks a database that nobody has open.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let failed = |source: io::Error| io_error(path, "lock", source);
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        opened => opened.map_err(failed)?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
        Ok(()) => Ok(file),
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn place_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

fn read_identity(db: &Database, path: &Path) -> Result<SystemIdentity, StoreError> {
    let read = || {
        let txn = db.begin_read()?;
        Ok((get_meta::<u16>(&txn, META_FORMAT)?, get_meta_bytes(&txn, META_SYSTEM)?))
    };
    let (format, system) = read().map_err(|error| using(path, "read", error))?;
    let found = format.ok_or_else(|| corrupt(path, "it names no format"))?;
    if found > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    let system = system.ok_or_else(|| corrupt(path, "it names no system"))?;
    serde_json::from_slice(&system).map_err(|error| corrupt(path, &error.to_string()))
}

fn put_meta(txn: &WriteTransaction, key: &str, value: &impl Serialize) -> Result<(), redb::Error> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::from)?;
    txn.open_table(META)?.insert(key, bytes.as_slice())?;
    Ok(())
}

fn get_meta<T: DeserializeOwned>(
    txn: &ReadTransaction,
    key: &str,
) -> Result<Option<T>, redb::Error> {
    let bytes = get_meta_bytes(txn, key)?;
    let value = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    value.map_err(|error| redb::Error::Corrupted(format!("meta {key}: {error}")))
}

fn get_meta_bytes(txn: &ReadTransaction, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(txn.open_table(META)?.get(key)?.map(|value| value.value().to_vec()))
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => fs::set_permissions(dir, Permissions::from_mode(DIR_MODE)),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn corrupt(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), what: what.to_owned() }
}

fn io_error(path: &Path, doing: &'static str, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), doing, source: Box::new(source) }
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        other => using(path, "open", other.into()),
    }
}

fn using(path: &Path, doing: &'static str, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(what) => corrupt(path, &what),
        redb::Error::Io(source)
            if matches!(source.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            corrupt(path, &source.to_string())
        }
        error @ (redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::UpgradeRequired(_)) => corrupt(path, &error.to_string()),
        error => StoreError::Io { path: path.to_owned(), doing, source: Box::new(error) },
    }
}
