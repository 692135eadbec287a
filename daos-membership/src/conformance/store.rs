//! What every store must keep.

use super::samples;
use crate::replica::{RecordedReplicas, Replica, ReplicaId, ReplicaSet};
use crate::store::{LogBounds, LogEntry, LogId, Store, StoreError, StoredSnapshot, Vote};

/// A place where a store of [`samples::identity`] can be opened, closed by dropping it, and opened again.
pub trait StorePlace {
    /// Opens the store that is there; the first time, a new one. Called only when no other is open.
    fn open(&mut self) -> Box<dyn Store>;
}

/// Runs all rules, each on a new place.
///
/// # Panics
/// When a rule is broken.
pub fn store_suite(mut new_place: impl FnMut() -> Box<dyn StorePlace>) {
    let rules: [fn(&mut dyn StorePlace); 12] = [
        starts_empty,
        keeps_entries_in_order,
        refuses_gaps,
        truncates_what_was_overruled,
        keeps_votes,
        keeps_snapshots_of_any_size,
        keeps_the_newest_of_snapshots_that_meet,
        goes_on_after_a_purge,
        purges_only_what_the_snapshot_holds,
        purges_beyond_the_end_of_the_log,
        keeps_the_replicas_of_a_snapshot,
        belongs_to_one_replica,
    ];
    for rule in rules {
        rule(&mut *new_place());
    }
}

fn entry(term: u64, index: u64) -> LogEntry {
    let payload = format!("entry {index} of term {term}").repeat(index as usize % 7).into_bytes();
    LogEntry { id: LogId { term, index }, payload }
}

fn entries(term: u64, indices: std::ops::RangeInclusive<u64>) -> Vec<LogEntry> {
    indices.map(|index| entry(term, index)).collect()
}

fn snapshot(index: u64, bytes: usize) -> StoredSnapshot {
    let data = (0..bytes).map(|at| (at % 251) as u8).collect();
    StoredSnapshot { upto: LogId { term: 1, index }, replicas: None, data }
}

fn starts_empty(place: &mut dyn StorePlace) {
    for _ in 0..2 {
        let store = place.open();
        assert_eq!(*store.identity(), samples::identity(), "a store knows its system");
        assert_eq!(store.bounds().unwrap(), LogBounds::default());
        assert_eq!(store.vote().unwrap(), Vote::default());
        assert_eq!(store.snapshot().unwrap(), None);
        assert_eq!(store.entries(0, 10).unwrap(), []);
    }
}

fn keeps_entries_in_order(place: &mut dyn StorePlace) {
    let store = place.open();
    store.append(&entries(1, 1..=3)).unwrap();
    store.append(&[]).unwrap();
    store.append(&entries(2, 4..=20)).unwrap();
    let check = |store: &dyn Store| {
        let all = [entries(1, 1..=3), entries(2, 4..=20)].concat();
        assert_eq!(store.entries(1, 100).unwrap(), all, "entries come back in order");
        assert_eq!(store.entries(3, 2).unwrap(), all[2..4], "a limit is kept");
        assert_eq!(store.entries(21, 10).unwrap(), []);
        let bounds = store.bounds().unwrap();
        assert_eq!(bounds.first, Some(LogId { term: 1, index: 1 }));
        assert_eq!(bounds.last, Some(LogId { term: 2, index: 20 }));
    };
    check(&*store);
    drop(store);
    check(&*place.open());
}

fn refuses_gaps(place: &mut dyn StorePlace) {
    let store = place.open();
    let refused = |entries: &[LogEntry], last, asked| match store.append(entries) {
        Err(StoreError::Gap { last: l, asked: a, .. }) => assert_eq!((l, a), (last, asked)),
        other => panic!("entries that do not follow were taken: {other:?}"),
    };
    refused(&entries(1, 2..=2), 0, 2);
    refused(&[entry(1, 1), entry(1, 3)], 1, 3);
    assert_eq!(store.bounds().unwrap(), LogBounds::default(), "nothing of a refused batch stays");
    store.append(&entries(1, 1..=2)).unwrap();
    refused(&entries(1, 2..=3), 2, 2);
    assert_eq!(store.entries(1, 10).unwrap(), entries(1, 1..=2));
}

fn truncates_what_was_overruled(place: &mut dyn StorePlace) {
    let store = place.open();
    store.append(&entries(1, 1..=9)).unwrap();
    store.truncate(5).unwrap();
    store.append(&entries(2, 5..=6)).unwrap();
    drop(store);
    let expected = [entries(1, 1..=4), entries(2, 5..=6)].concat();
    assert_eq!(place.open().entries(1, 100).unwrap(), expected);
}

fn keeps_votes(place: &mut dyn StorePlace) {
    for (term, voted_for, committed) in
        [(1, None, true), (7, Some(ReplicaId(3)), false), (7, Some(ReplicaId(3)), true)]
    {
        let vote = Vote { term, voted_for, committed };
        place.open().save_vote(vote).unwrap();
        assert_eq!(place.open().vote().unwrap(), vote);
    }
}

fn keeps_snapshots_of_any_size(place: &mut dyn StorePlace) {
    for (index, bytes) in [(1, 0), (2, 1), (3, 1 << 20), (4, (3 << 20) + 17), (5, 300)] {
        let store = place.open();
        store.append(&[entry(1, index)]).unwrap();
        store.save_snapshot(&snapshot(index, bytes)).unwrap();
        assert_eq!(store.bounds().unwrap().snapshot, Some(LogId { term: 1, index }));
        drop(store);
        assert_eq!(place.open().snapshot().unwrap(), Some(snapshot(index, bytes)));
    }
}

fn keeps_the_newest_of_snapshots_that_meet(place: &mut dyn StorePlace) {
    let store = place.open();
    for index in 1..=9 {
        store.append(&[entry(1, index)]).unwrap();
    }
    let save = |index: u64| store.save_snapshot(&snapshot(index, 90_000 * index as usize)).unwrap();
    std::thread::scope(|scope| {
        for first in 1..=3 {
            scope.spawn(move || [first + 6, first + 3, first].into_iter().for_each(save));
        }
    });
    save(4);
    drop(store);
    assert_eq!(
        place.open().snapshot().unwrap(),
        Some(snapshot(9, 810_000)),
        "whole, and the newest"
    );
}

fn goes_on_after_a_purge(place: &mut dyn StorePlace) {
    let store = place.open();
    store.append(&entries(1, 1..=6)).unwrap();
    store.save_snapshot(&snapshot(6, 10)).unwrap();
    assert_eq!(store.entries(1, 100).unwrap().len(), 6, "a snapshot alone drops nothing");
    store.purge(LogId { term: 1, index: 4 }).unwrap();
    assert_eq!(store.entries(1, 100).unwrap(), entries(1, 5..=6));
    store.purge(LogId { term: 1, index: 6 }).unwrap();
    drop(store);
    let store = place.open();
    let id = Some(LogId { term: 1, index: 6 });
    let bounds = LogBounds { first: None, last: None, snapshot: id, purged: id };
    assert_eq!(store.bounds().unwrap(), bounds);
    assert!(store.append(&entries(1, 1..=1)).is_err(), "numbers start after the snapshot");
    store.append(&entries(1, 7..=8)).unwrap();
    drop(store);
    assert_eq!(place.open().entries(1, 100).unwrap(), entries(1, 7..=8));
}

fn purges_only_what_the_snapshot_holds(place: &mut dyn StorePlace) {
    let store = place.open();
    store.append(&entries(1, 1..=6)).unwrap();
    assert!(matches!(
        store.purge(LogId { term: 1, index: 1 }),
        Err(StoreError::Gap { last: 0, asked: 1, .. })
    ));
    store.save_snapshot(&snapshot(3, 10)).unwrap();
    assert!(matches!(
        store.purge(LogId { term: 1, index: 4 }),
        Err(StoreError::Gap { last: 3, asked: 4, .. })
    ));
    assert_eq!(store.entries(1, 100).unwrap(), entries(1, 1..=6));
}

fn purges_beyond_the_end_of_the_log(place: &mut dyn StorePlace) {
    let store = place.open();
    store.append(&entries(1, 1..=6)).unwrap();
    store.save_snapshot(&snapshot(50, 10)).unwrap();
    let upto = LogId { term: 1, index: 50 };
    store.purge(upto).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.bounds().unwrap().purged, Some(upto), "it is noted what was dropped");
    store.append(&entries(2, 51..=52)).unwrap();
    assert_eq!(store.entries(1, 100).unwrap(), entries(2, 51..=52));
}

fn keeps_the_replicas_of_a_snapshot(place: &mut dyn StorePlace) {
    let me = Replica { id: ReplicaId(u64::MAX), address: samples::member(1).address };
    let at = Some(LogId { term: 1, index: 2 });
    for set in [ReplicaSet::default(), ReplicaSet::alone(me)] {
        let replicas = Some(RecordedReplicas { at, set });
        let kept = StoredSnapshot { replicas, ..snapshot(3, 700_000) };
        place.open().save_snapshot(&kept).unwrap();
        assert_eq!(place.open().snapshot().unwrap(), Some(kept));
    }
}

fn belongs_to_one_replica(place: &mut dyn StorePlace) {
    assert_eq!(place.open().replica().unwrap(), None, "a new store is nobody's");
    for _ in 0..2 {
        place.open().save_replica(ReplicaId(u64::MAX)).unwrap();
        let store = place.open();
        assert_eq!(store.replica().unwrap(), Some(ReplicaId(u64::MAX)));
        assert!(store.save_replica(ReplicaId(1)).is_err(), "a store changes hands");
    }
}
