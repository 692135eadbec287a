//! The store in a file: the suite, and what is peculiar to files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use daos_membership::conformance::{StorePlace, samples, store_suite};
use daos_membership::{
    LogEntry, LogId, MemDisk, RedbStore, STORE_DIR, STORE_FILE, Store, StoreError, StoredSnapshot,
    code,
};
use tempfile::TempDir;
use uuid::Uuid;

struct InDir(TempDir);

impl StorePlace for InDir {
    fn open(&mut self) -> Box<dyn Store> {
        let store = if RedbStore::exists(self.0.path()) {
            RedbStore::open(self.0.path(), Some(samples::identity().uuid))
        } else {
            RedbStore::create(self.0.path(), &samples::identity())
        };
        Box::new(store.unwrap())
    }
}

impl StorePlace for MemDiskPlace {
    fn open(&mut self) -> Box<dyn Store> {
        Box::new(self.0.open(samples::identity()))
    }
}

struct MemDiskPlace(MemDisk);

fn create(dir: &Path) -> RedbStore {
    RedbStore::create(dir, &samples::identity()).unwrap()
}

fn entry(index: u64) -> LogEntry {
    LogEntry { id: LogId { term: 1, index }, payload: vec![index as u8; 100] }
}

#[test]
fn the_file_passes_the_suite() {
    store_suite(|| Box::new(InDir(tempfile::tempdir().unwrap())));
}

#[test]
fn the_memory_passes_the_suite() {
    store_suite(|| Box::new(MemDiskPlace(MemDisk::default())));
}

#[test]
fn lies_where_peers_look_for_it_with_their_permissions() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let store_dir = dir.path().join("control_raft");
    let file = store_dir.join("daos_system.db");
    assert_eq!(RedbStore::path(dir.path()), file);
    assert_eq!(fs::metadata(&store_dir).unwrap().permissions().mode() & 0o7777, 0o770);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o660);
    let names: Vec<_> = fs::read_dir(&store_dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [STORE_FILE], "nothing temporary stays behind");
}

#[test]
fn never_overwrites_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    create(dir.path()).append(&[entry(1)]).unwrap();
    let refused = RedbStore::create(dir.path(), &samples::identity()).unwrap_err();
    assert!(matches!(refused, StoreError::Exists { .. }), "{refused}");
    let store = RedbStore::open(dir.path(), None).unwrap();
    assert_eq!(store.entries(1, 10).unwrap(), [entry(1)]);
    drop(store);
    // Also when what is there is no system database at all.
    fs::write(RedbStore::path(dir.path()), b"notes").unwrap();
    assert!(RedbStore::create(dir.path(), &samples::identity()).is_err());
    assert_eq!(fs::read(RedbStore::path(dir.path())).unwrap(), b"notes");
}

#[test]
fn a_creation_that_was_cut_short_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store_dir = dir.path().join(STORE_DIR);
    fs::create_dir(&store_dir).unwrap();
    fs::write(store_dir.join("daos_system.db.new"), b"half a file").unwrap();
    assert!(!RedbStore::exists(dir.path()), "a half-made database is none");
    drop(create(dir.path()));
    assert!(RedbStore::open(dir.path(), None).is_ok());
}

#[test]
fn a_foreign_system_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let other = Uuid::from_u128(77);
    let refused = RedbStore::open(dir.path(), Some(other)).unwrap_err();
    assert_eq!(refused.code(), code::STORE_FOREIGN);
    let text = refused.to_string();
    assert!(text.contains(&other.to_string()), "{text}");
    assert!(text.contains(&samples::identity().uuid.to_string()), "{text}");
}

#[test]
fn a_missing_file_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let refused = RedbStore::open(dir.path(), None).unwrap_err();
    assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
    assert!(!dir.path().join(STORE_DIR).exists(), "looking makes nothing");
}

#[test]
fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = create(dir.path());
    let refused = RedbStore::open(dir.path(), None).unwrap_err();
    assert_eq!(refused.code(), code::STORE_IN_USE, "{refused}");
    let refused = RedbStore::remove(dir.path()).unwrap_err();
    assert_eq!(refused.code(), code::STORE_IN_USE, "{refused}");
    assert!(RedbStore::exists(dir.path()));
}

#[test]
fn removal_takes_its_own_files_only() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let other = dir.path().join(STORE_DIR).join("notes");
    fs::write(&other, b"mine").unwrap();
    RedbStore::remove(dir.path()).unwrap();
    assert!(!RedbStore::exists(dir.path()));
    assert!(other.exists());
    fs::remove_file(other).unwrap();
    drop(create(dir.path()));
    RedbStore::remove(dir.path()).unwrap();
    assert!(!dir.path().join(STORE_DIR).exists());
    RedbStore::remove(dir.path()).unwrap();
}

#[test]
fn a_newer_format_is_told_apart_from_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let path = RedbStore::path(dir.path());
    let db = redb::Database::open(&path).unwrap();
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let txn = db.begin_write().unwrap();
    txn.open_table(meta).unwrap().insert("format", b"2".as_slice()).unwrap();
    txn.commit().unwrap();
    drop(db);
    let refused = RedbStore::open(dir.path(), None).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 2, known: 1, .. }), "{refused}");
}

#[test]
fn somebody_elses_database_is_no_empty_system() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(STORE_DIR)).unwrap();
    drop(redb::Database::create(RedbStore::path(dir.path())).unwrap());
    let refused = RedbStore::open(dir.path(), None).unwrap_err();
    assert_eq!(refused.code(), code::STORE_CORRUPT, "{refused}");
}

#[test]
fn truncated_and_blank_files_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    store.append(&(1..=50).map(entry).collect::<Vec<_>>()).unwrap();
    drop(store);
    let path = RedbStore::path(dir.path());
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        let refused = RedbStore::open(dir.path(), None).unwrap_err();
        assert_eq!(refused.code(), code::STORE_CORRUPT, "{length} bytes: {refused:?}");
    }
    fs::write(&path, vec![0; whole.len()]).unwrap();
    let refused = RedbStore::open(dir.path(), None).unwrap_err();
    assert_eq!(refused.code(), code::STORE_CORRUPT, "blank: {refused:?}");
}

/// Damage anywhere in the file is either harmless or refused; it never yields other content.
#[test]
fn flipped_bits_never_pass_as_other_content() {
    let dir = tempfile::tempdir().unwrap();
    let store = create(dir.path());
    let entries: Vec<_> = (1..=200).map(entry).collect();
    store.append(&entries).unwrap();
    let snapshot = StoredSnapshot { upto: entries[99].id, replicas: None, data: vec![7; 50_000] };
    store.save_snapshot(&snapshot).unwrap();
    drop(store);
    let path = RedbStore::path(dir.path());
    let whole = fs::read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut refused = 0;
    for step in 0..150 {
        let at = used[step * used.len() / 150];
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (step % 8);
        fs::write(&path, &damaged).unwrap();
        match RedbStore::open(dir.path(), None) {
            Err(error) => {
                refused += 1;
                assert_ne!(error.code(), code::STORE_FOREIGN, "byte {at}: {error}");
            }
            Ok(store) => {
                assert_eq!(*store.identity(), samples::identity(), "byte {at}");
                assert_eq!(store.entries(1, 1000).unwrap(), entries, "byte {at}");
                assert_eq!(store.snapshot().unwrap(), Some(snapshot.clone()), "byte {at}");
            }
        }
    }
    assert!(refused > 50, "only {refused} of 150 changes were noticed");
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let refused = RedbStore::create(&missing, &samples::identity()).unwrap_err();
    assert_eq!(refused.code(), code::STORE_UNREADABLE);
    assert!(refused.to_string().contains("missing"), "{refused}");
    // A file in place of the directory: refused for every user, root or not.
    fs::write(dir.path().join(STORE_DIR), b"").unwrap();
    assert!(RedbStore::create(dir.path(), &samples::identity()).is_err());
    assert_eq!(fs::metadata(dir.path().join(STORE_DIR)).unwrap().size(), 0);
}

/// Nothing of it would be there after a restart.
#[test]
fn what_is_written_to_a_deleted_or_replaced_file_is_not_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let store = RedbStore::create(place.path(), &samples::identity()).unwrap();
    let entry = |index| LogEntry { id: LogId { term: 1, index }, payload: vec![1] };
    store.append(&[entry(1)]).unwrap();
    let path = RedbStore::path(place.path());
    let moved = path.with_extension("moved");
    std::fs::rename(&path, &moved).unwrap();
    assert!(matches!(store.append(&[entry(2)]), Err(StoreError::Missing { .. })));
    std::fs::copy(&moved, &path).unwrap();
    assert!(matches!(store.append(&[entry(3)]), Err(StoreError::Missing { .. })));
}
