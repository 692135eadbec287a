//! Power that fails at any write, also while recovering: whatever was acknowledged is there afterwards.
//!
//! The disk here keeps what was synced. Of what was written after that, each write is kept, lost or torn.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use daos_membership::conformance::samples;
use daos_membership::{LogEntry, LogId, RedbStore, Store, StoreError, StoredSnapshot};
use proptest::prelude::*;
use redb::StorageBackend;

const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Write {
    Length(usize),
    At(usize, Vec<u8>),
}

fn apply(image: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(length) => image.resize(*length, 0),
        Write::At(offset, data) => {
            // A write can outlive the change of length that made room for it.
            image.resize(image.len().max(offset + data.len()), 0);
            image[*offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// What a sync made safe.
    safe: Vec<u8>,
    /// What readers see.
    seen: Vec<u8>,
    /// What lies between the two, in order.
    unsafe_writes: Vec<Write>,
    /// Writes and syncs left until the power fails.
    left: u64,
}

impl State {
    fn spend(&mut self) -> Result<(), io::Error> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
        Ok(())
    }
}

#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn new(image: Vec<u8>) -> Self {
        let state = State { safe: image.clone(), seen: image, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Fails the power for good and says what the disk holds afterwards.
    fn image_after_power_loss(&self, dice: &mut Dice) -> Vec<u8> {
        let mut state = self.state();
        state.left = 0;
        let mut image = state.safe.clone();
        for write in &state.unsafe_writes {
            match (dice.roll(4), write) {
                (0, _) => {}
                (1, Write::At(offset, data)) => {
                    let sectors = dice.roll(data.len().div_ceil(SECTOR) as u64 + 1) as usize;
                    let kept = data[..data.len().min(sectors * SECTOR)].to_vec();
                    apply(&mut image, &Write::At(*offset, kept));
                }
                (_, write) => apply(&mut image, write),
            }
        }
        image
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let state = self.state();
        let from = offset as usize;
        let bytes = state.seen.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        let mut state = self.state();
        state.spend()?;
        let write = Write::Length(length as usize);
        apply(&mut state.seen, &write);
        state.unsafe_writes.push(write);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.state();
        state.spend()?;
        state.safe = state.seen.clone();
        state.unsafe_writes.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut state = self.state();
        state.spend()?;
        let write = Write::At(offset as usize, data.to_vec());
        apply(&mut state.seen, &write);
        state.unsafe_writes.push(write);
        Ok(())
    }
}

/// Chance that a seed repeats exactly.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn entry(index: u64) -> LogEntry {
    let payload = vec![index as u8; 100 + (index as usize * 37) % 900];
    LogEntry { id: LogId { term: 1, index }, payload }
}

fn snapshot(index: u64) -> StoredSnapshot {
    let data = vec![index as u8; 3000 + index as usize * 10];
    StoredSnapshot { upto: LogId { term: 1, index }, replicas: None, data }
}

/// What was acknowledged.
#[derive(Debug, Clone, Copy, Default)]
struct Acknowledged {
    last: u64,
    snapshot: u64,
    purged: u64,
}

/// Writes until the power fails, which it does long before this gives up.
fn work(store: &RedbStore, sure: &mut Acknowledged) -> Result<(), StoreError> {
    for _ in 0..1000 {
        store.append(&[entry(sure.last + 1)])?;
        sure.last += 1;
        if sure.last.is_multiple_of(7) {
            store.save_snapshot(&snapshot(sure.last))?;
            sure.snapshot = sure.last;
            store.purge(LogId { term: 1, index: sure.last - 2 })?;
            sure.purged = sure.last - 2;
        }
    }
    Ok(())
}

/// Compares with what was acknowledged; the one write that was under way may be there too.
fn check(store: &RedbStore, sure: &mut Acknowledged) {
    assert_eq!(*store.identity(), samples::identity());
    let bounds = store.bounds().unwrap();
    let last = bounds.last.map_or(0, |id| id.index);
    assert!(last == sure.last || last == sure.last + 1, "{last}, {sure:?}");
    let held = bounds.snapshot.map_or(0, |id| id.index);
    assert!(held == sure.snapshot || held == sure.last, "snapshot {held}, {sure:?}");
    assert_eq!(store.snapshot().unwrap(), (held > 0).then(|| snapshot(held)));
    let first = bounds.first.map_or(1, |id| id.index);
    assert!(first == sure.purged + 1 || first + 1 == held, "log from {first}, {sure:?}");
    let expected: Vec<LogEntry> = (first..=last).map(entry).collect();
    assert_eq!(store.entries(0, usize::MAX).unwrap(), expected);
    *sure = Acknowledged { last, snapshot: held, purged: first - 1 };
}

fn fresh_image() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    drop(RedbStore::create(dir.path(), &samples::identity()).unwrap());
    std::fs::read(RedbStore::path(dir.path())).unwrap()
}

fn open(disk: &Disk) -> Result<RedbStore, StoreError> {
    RedbStore::open_backend("(disk)".into(), disk.clone(), Some(samples::identity().uuid))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_writes_survive(seed in 1..u64::MAX) {
        let mut dice = Dice(seed);
        let mut image = fresh_image();
        let mut sure = Acknowledged::default();
        let (mut opened, mut cut_short) = (0, 0);
        while opened < 6 {
            let disk = Disk::new(image);
            // Now and then the power fails again before recovery is done.
            disk.state().left = dice.roll(120);
            match open(&disk) {
                Ok(store) => {
                    check(&store, &mut sure);
                    let failed = work(&store, &mut sure).unwrap_err();
                    prop_assert!(matches!(failed, StoreError::Io { .. }), "{failed}");
                    opened += 1;
                }
                Err(StoreError::Io { .. }) => cut_short += 1,
                Err(other) => panic!("a power loss is no damage: {other}"),
            }
            image = disk.image_after_power_loss(&mut dice);
            prop_assert!(cut_short < 1000, "it never gets on");
        }
        let disk = Disk::new(image);
        disk.state().left = u64::MAX;
        check(&open(&disk).unwrap(), &mut sure);
        prop_assert!(sure.last > 0);
    }
}
