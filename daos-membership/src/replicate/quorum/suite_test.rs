//! The library's own suite for storage, over both of our stores.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{LogState, RaftLogReader, StorageError};

use super::disk::Disk;
use super::log::Log;
use super::machine::{Growth, Machine};
use super::types::{RaftEntry, RaftLogId, RaftVote, Types, from_raft_id};
use crate::conformance::samples;
use crate::replica::{RecordedReplicas, ReplicaId};
use crate::store::{LogEntry, LogId, MemDisk, RedbStore, Store, StoredSnapshot};
use crate::system::System;

/// Our log, except for what the suite does and no replica: it purges what no snapshot holds, so a snapshot is made
/// first; it begins logs in the middle, so blank entries are put before them; it writes over entries, so these are
/// dropped first, even within one call; and it writes again what was purged, which is left out.
struct Covered {
    log: Log,
    disk: Arc<Disk>,
}

impl Covered {
    /// Says from where on entries can be appended.
    async fn make_room(&self, index: u64) -> u64 {
        let fill = move |store: &dyn Store| {
            store.truncate(index + 1)?;
            let bounds = store.bounds()?;
            let last = bounds.last.max(bounds.snapshot).unwrap_or(LogId { term: 0, index: 0 });
            let blank = |index| LogEntry { id: LogId { index, ..last }, payload: Vec::new() };
            store.append(&(last.index + 1..=index).map(blank).collect::<Vec<_>>())?;
            Ok(last.index.max(index))
        };
        self.disk.read(fill).await.unwrap()
    }

    async fn cover(&self, id: RaftLogId) {
        let upto = from_raft_id(id);
        let data = System::new(samples::identity()).snapshot().encode();
        let replicas = Some(RecordedReplicas::default());
        let snapshot = StoredSnapshot { upto, replicas, data };
        self.disk.read(move |store| store.save_snapshot(&snapshot)).await.unwrap();
        self.disk.note_snapshot(upto.index);
    }
}

type Outcome<T> = Result<T, StorageError<ReplicaId>>;

impl RaftLogReader<Types> for Covered {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Outcome<Vec<RaftEntry>> {
        self.log.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Outcome<Vec<RaftEntry>> {
        self.log.limited_get_log_entries(start, end).await
    }
}

impl RaftLogStorage<Types> for Covered {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Outcome<LogState<Types>> {
        self.log.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> Log {
        self.log.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Outcome<()> {
        self.log.save_vote(vote).await
    }

    async fn read_vote(&mut self) -> Outcome<Option<RaftVote>> {
        self.log.read_vote().await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Outcome<()>
    where
        I: IntoIterator<Item = RaftEntry> + Send,
        I::IntoIter: Send,
    {
        let mut entries: BTreeMap<u64, RaftEntry> =
            entries.into_iter().map(|entry| (entry.log_id.index, entry)).collect();
        if let Some(first) = entries.keys().next() {
            entries = entries.split_off(&self.make_room(*first).await);
        }
        self.log.append(entries.into_values().collect::<Vec<_>>(), callback).await
    }

    async fn truncate(&mut self, id: RaftLogId) -> Outcome<()> {
        self.log.truncate(id).await
    }

    async fn purge(&mut self, id: RaftLogId) -> Outcome<()> {
        self.cover(id).await;
        self.log.purge(id).await
    }
}

async fn build(store: Box<dyn Store>) -> (Covered, Machine) {
    let disk = Disk::new(store);
    let growth = Arc::new(Growth::new(u64::MAX));
    let (machine, _) = Machine::open(Arc::clone(&disk), growth).await.unwrap();
    (Covered { log: Log::new(Arc::clone(&disk)), disk }, machine)
}

struct InMemory;

impl StoreBuilder<Types, Covered, Machine, ()> for InMemory {
    async fn build(&self) -> Outcome<((), Covered, Machine)> {
        let (log, machine) = build(Box::new(MemDisk::default().open(samples::identity()))).await;
        Ok(((), log, machine))
    }
}

struct OnFile;

impl StoreBuilder<Types, Covered, Machine, tempfile::TempDir> for OnFile {
    async fn build(&self) -> Outcome<(tempfile::TempDir, Covered, Machine)> {
        let dir = tempfile::tempdir().unwrap();
        let store = RedbStore::create(dir.path(), &samples::identity()).unwrap();
        let (log, machine) = build(Box::new(store)).await;
        Ok((dir, log, machine))
    }
}

#[test]
fn memory_passes_the_suite_of_the_library() {
    Suite::test_all(InMemory).unwrap();
}

#[test]
fn a_file_passes_the_suite_of_the_library() {
    Suite::test_all(OnFile).unwrap();
}
