//! The replica that is alone: the suite on both stores, recovery, and storage that fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use daos_membership::conformance::samples::{self, admit, command};
use daos_membership::conformance::{ReplicaPlace, replicate_suite};
use daos_membership::{
    Change, Command, ControlAddress, Local, LocalOptions, LogEntry, LogId, MemDisk, RedbStore,
    Replicate, ReplicateError, Role, Store, StoreError, StoredSnapshot, System, code,
};
use redb::StorageBackend;
use redb::backends::FileBackend;
use tempfile::TempDir;

pub fn me() -> ControlAddress {
    "10.0.0.1:10001".parse().unwrap()
}

async fn start(store: impl Store + 'static) -> Result<Local, StoreError> {
    Local::start(Box::new(store), me(), LocalOptions::default()).await
}

fn state(replica: &dyn Replicate) -> System {
    replica.view().read(Clone::clone)
}

struct OnDisk(TempDir, LocalOptions);

#[async_trait]
impl ReplicaPlace for OnDisk {
    async fn start(&mut self) -> Arc<dyn Replicate> {
        let dir = self.0.path();
        let store = match RedbStore::exists(dir) {
            true => RedbStore::open(dir, None),
            false => RedbStore::create(dir, &samples::identity()),
        };
        let store = Box::new(store.unwrap());
        Arc::new(Local::start(store, me(), self.1.clone()).await.unwrap())
    }
}

struct InMemory(MemDisk);

#[async_trait]
impl ReplicaPlace for InMemory {
    async fn start(&mut self) -> Arc<dyn Replicate> {
        Arc::new(start(self.0.open(samples::identity())).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_on_a_file() {
    replicate_suite(|| Box::new(OnDisk(tempfile::tempdir().unwrap(), LocalOptions::default())))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_with_a_snapshot_after_every_second_entry() {
    let options = LocalOptions { snapshot_after: 2 };
    replicate_suite(|| Box::new(OnDisk(tempfile::tempdir().unwrap(), options.clone()))).await;
}

#[tokio::test]
async fn passes_the_suite_in_memory() {
    replicate_suite(|| Box::new(InMemory(MemDisk::default()))).await;
}

/// A file whose writes or syncs can be made to fail, and whose syncs are counted.
#[derive(Debug)]
pub struct ShakyFile {
    file: FileBackend,
    pub shake: Arc<Shake>,
}

#[derive(Debug, Default)]
pub struct Shake {
    pub syncs: AtomicU64,
    pub fail_sync: AtomicBool,
    pub fail_write: AtomicBool,
}

impl ShakyFile {
    pub fn store(dir: &Path) -> (RedbStore, Arc<Shake>) {
        drop(RedbStore::create(dir, &samples::identity()).unwrap());
        let path = RedbStore::path(dir);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let shake = Arc::new(Shake::default());
        let backend = Self { file: FileBackend::new(file).unwrap(), shake: Arc::clone(&shake) };
        (RedbStore::open_backend(path, backend, None).unwrap(), shake)
    }
}

impl StorageBackend for ShakyFile {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.shake.syncs.fetch_add(1, Ordering::SeqCst);
        match self.shake.fail_sync.load(Ordering::SeqCst) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        match self.shake.fail_write.load(Ordering::SeqCst) {
            true => Err(io::Error::from_raw_os_error(28)),
            false => self.file.write(offset, data),
        }
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
}

async fn fails_for_good(fail: fn(&Shake)) {
    let dir = tempfile::tempdir().unwrap();
    let (store, shake) = ShakyFile::store(dir.path());
    let replica = start(store).await.unwrap();
    replica.propose(command(vec![admit(1)])).await.unwrap();
    let acknowledged = state(&replica);

    fail(&shake);
    let error = replica.propose(command(vec![admit(2)])).await.unwrap_err();
    assert_eq!(error.code(), code::REPLICA_FAILED, "{error}");
    assert!(matches!(replica.role().borrow().role, Role::Failed(_)));
    assert_eq!(state(&replica), acknowledged, "what failed is not shown");

    // The storage is well again, but the replica has no way to know what it holds.
    shake.fail_sync.store(false, Ordering::SeqCst);
    shake.fail_write.store(false, Ordering::SeqCst);
    let refused = replica.propose(command(vec![admit(3)])).await;
    assert!(matches!(refused, Err(ReplicateError::Failed(_))), "{refused:?}");
    assert!(replica.confirm_leadership(std::time::Duration::ZERO).await.is_err());
    replica.shutdown().await;
    drop(replica);

    let replica = start(RedbStore::open(dir.path(), None).unwrap()).await.unwrap();
    let system = state(&replica);
    assert!(system.member_by_uuid(samples::uuid(1)).is_some(), "an acknowledged change is there");
    assert!(system.member_by_uuid(samples::uuid(3)).is_none(), "a refused change is not");
    replica.propose(command(vec![admit(4)])).await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_is_fatal_to_the_replica() {
    fails_for_good(|shake| shake.fail_sync.store(true, Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_full_disk_is_fatal_to_the_replica_and_loses_nothing() {
    fails_for_good(|shake| shake.fail_write.store(true, Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_failed_snapshot_does_not_hide_the_commit_before_it() {
    let disk = MemDisk::default();
    let store = Box::new(disk.open(samples::identity()));
    let replica = Local::start(store, me(), LocalOptions { snapshot_after: 1 }).await.unwrap();
    replica.propose(command(vec![admit(1)])).await.unwrap();
    // Vote, entry, snapshot, purge.
    assert_eq!(disk.writes(), 4);
    disk.fail_writes(true);
    assert!(replica.snapshot().await.is_err());
    disk.fail_writes(false);
    let refused = replica.propose(command(vec![admit(2)])).await;
    assert!(matches!(refused, Err(ReplicateError::Failed(_))), "it does not trust it again");
    let replica = start(disk.open(samples::identity())).await.unwrap();
    assert_eq!(state(&replica).member_count(), 1);
}

#[tokio::test]
async fn the_log_is_compacted_and_grows_with_the_system_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Box::new(RedbStore::create(dir.path(), &samples::identity()).unwrap());
    let replica = Local::start(store, me(), LocalOptions { snapshot_after: 8 }).await.unwrap();
    for n in 1..=300 {
        replica.propose(command(vec![admit(n), Change::BumpMapVersion])).await.unwrap();
    }
    let expected = state(&replica);
    replica.shutdown().await;
    drop(replica);
    let store = RedbStore::open(dir.path(), None).unwrap();
    let bounds = store.bounds().unwrap();
    let snapshot = bounds.snapshot.unwrap().index;
    assert!(snapshot > 100, "the last snapshot is at {snapshot} of 300");
    let first = bounds.first.map_or(301, |id| id.index);
    assert_eq!(first, snapshot + 1, "the log begins after the snapshot");
    let replica = start(store).await.unwrap();
    assert_eq!(state(&replica), expected);
}

#[tokio::test]
async fn entries_that_the_snapshot_holds_are_not_applied_again() {
    // A kill between snapshot and purge leaves both.
    let disk = MemDisk::default();
    let replica = start(disk.open(samples::identity())).await.unwrap();
    replica.propose(command(vec![admit(1)])).await.unwrap();
    replica.propose(command(vec![admit(2)])).await.unwrap();
    let expected = state(&replica);
    let store = disk.open(samples::identity());
    let data = expected.snapshot().encode();
    store
        .save_snapshot(&StoredSnapshot { upto: LogId { term: 1, index: 2 }, replicas: None, data })
        .unwrap();
    assert_eq!(store.entries(1, 10).unwrap().len(), 2);
    let replica = start(store).await.unwrap();
    assert_eq!(state(&replica), expected);
}

async fn refuses_to_start(prepare: impl FnOnce(&dyn Store)) -> StoreError {
    let disk = MemDisk::default();
    prepare(&disk.open(samples::identity()));
    start(disk.open(samples::identity())).await.unwrap_err()
}

fn logged(index: u64, payload: &[u8]) -> LogEntry {
    LogEntry { id: LogId { term: 1, index }, payload: payload.to_vec() }
}

#[tokio::test]
async fn what_it_cannot_read_is_an_error_and_no_empty_system() {
    let upto = LogId { term: 1, index: 1 };
    let broken = refuses_to_start(|store| store.append(&[logged(1, b"{broken")]).unwrap()).await;
    assert_eq!(broken.code(), code::STORE_CORRUPT, "{broken}");
    let data = b"nonsense".to_vec();
    let broken = refuses_to_start(|store| {
        store.save_snapshot(&StoredSnapshot { upto, replicas: None, data }).unwrap()
    })
    .await;
    assert_eq!(broken.code(), code::STORE_CORRUPT, "{broken}");
    let newer = br#"{"v":9,"at":0,"changes":[]}"#;
    let newer = refuses_to_start(|store| store.append(&[logged(1, newer)]).unwrap()).await;
    assert!(matches!(newer, StoreError::Newer { found: 9, known: Command::VERSION, .. }));
    let mut other = samples::identity();
    other.uuid = samples::uuid(9);
    let data = System::new(other).snapshot().encode();
    let foreign = refuses_to_start(|store| {
        store.save_snapshot(&StoredSnapshot { upto, replicas: None, data }).unwrap()
    })
    .await;
    assert_eq!(foreign.code(), code::STORE_CORRUPT, "{foreign}");
}

#[tokio::test]
async fn writes_the_tables_of_a_quorum_with_term_one() {
    let disk = MemDisk::default();
    let replica = start(disk.open(samples::identity())).await.unwrap();
    replica.propose(command(vec![admit(1)])).await.unwrap();
    let store = disk.open(samples::identity());
    assert_eq!(store.vote().unwrap().term, 1);
    assert!(store.vote().unwrap().committed);
    let entries = store.entries(1, 10).unwrap();
    assert_eq!(entries[0].id, LogId { term: 1, index: 1 });
    assert_eq!(Command::decode(&entries[0].payload).unwrap(), command(vec![admit(1)]));
}
