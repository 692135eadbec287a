//! The library's log over our store, with the last entries in memory: they are read again at once, to be applied
//! and to be sent to the others.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{EntryPayload, LogState, RaftLogReader, StorageError};

use super::disk::{Disk, DiskError};
use super::types::{
    RaftEntry, RaftLogId, RaftVote, Types, from_raft_id, from_raft_vote, raft_entry, raft_id,
    raft_vote, stored_entry,
};
use crate::replica::ReplicaId;
use crate::store::{LogBounds, LogEntry, LogId, Vote};

/// Content of entries that is kept in memory.
const RECENT_BYTES: usize = 2 << 20;
/// Content of entries that is sent in one message, unless a single one is larger.
const MESSAGE_BYTES: usize = 1 << 20;
/// Entries read at a time.
const CHUNK: usize = 64;

type Outcome<T> = Result<T, StorageError<ReplicaId>>;

/// The log. Copies are the same log.
#[derive(Debug, Clone)]
pub struct Log {
    disk: Arc<Disk>,
    recent: Arc<Mutex<Recent>>,
}

#[derive(Debug, Default)]
struct Recent {
    entries: BTreeMap<u64, RaftEntry>,
    bytes: usize,
}

impl Recent {
    fn add(&mut self, entry: RaftEntry) {
        self.bytes += weight(&entry);
        self.entries.insert(entry.log_id.index, entry);
        while self.bytes > RECENT_BYTES && self.entries.len() > 1 {
            if let Some((_, dropped)) = self.entries.pop_first() {
                self.bytes -= weight(&dropped);
            }
        }
    }

    fn cut(&mut self, from: u64) {
        let cut = self.entries.split_off(&from);
        self.bytes -= cut.values().map(weight).sum::<usize>();
    }

    fn forget(&mut self, upto: u64) {
        let kept = self.entries.split_off(&upto.saturating_add(1));
        self.bytes = kept.values().map(weight).sum();
        self.entries = kept;
    }

    /// The entries, if all of them are here.
    fn range(&self, from: u64, end: u64) -> Option<Vec<RaftEntry>> {
        self.entries.contains_key(&from).then_some(())?;
        let found: Vec<RaftEntry> =
            self.entries.range(from..end).map(|(_, entry)| entry.clone()).collect();
        (found.len() as u64 == end - from).then_some(found)
    }
}

fn weight(entry: &RaftEntry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.bytes().len(),
        EntryPayload::Membership(_) | EntryPayload::Blank => 0,
    }
}

impl Log {
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        Self { disk, recent: Arc::default() }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries from `from` on before `end`, until they are `bytes` large.
    async fn entries(&self, from: u64, end: u64, bytes: usize) -> Outcome<Vec<RaftEntry>> {
        if from >= end {
            return Ok(Vec::new());
        }
        let recent = self.recent().range(from, end);
        let mut found = match recent {
            Some(found) => found,
            None => self.read_stored(from, end, bytes).await?,
        };
        let mut size = 0;
        let fits = found.iter().take_while(|entry| {
            size += weight(entry);
            size <= bytes
        });
        let fitting = fits.count().max(1);
        found.truncate(fitting);
        Ok(found)
    }

    async fn read_stored(&self, from: u64, end: u64, bytes: usize) -> Outcome<Vec<RaftEntry>> {
        let (mut found, mut size, mut next) = (Vec::new(), 0, from);
        while next < end && size <= bytes {
            let limit = usize::try_from(end - next).unwrap_or(CHUNK).min(CHUNK);
            let first = next + 1;
            let read = self.disk.read(move |store| store.entries(first, limit)).await;
            let chunk = read.map_err(|error| error.fatal())?;
            if chunk.is_empty() {
                break;
            }
            for entry in chunk {
                next = entry.id.index;
                // The store hands out what follows; the entries asked for may be purged.
                if next > end {
                    break;
                }
                size += entry.payload.len();
                found.push(self.decode(entry).map_err(|error| error.fatal())?);
            }
        }
        Ok(found)
    }

    fn decode(&self, entry: LogEntry) -> Result<RaftEntry, DiskError> {
        let index = entry.id.index;
        raft_entry(entry)
            .map_err(|error| self.disk.unreadable(&format!("log entry {index}"), error))
    }
}

/// The last entry that was dropped. The first release dropped all that its snapshot held, and noted nothing.
pub(super) fn purged(bounds: &LogBounds) -> Option<LogId> {
    let unnoted = |upto: &LogId| bounds.first.is_none_or(|first| first.index > upto.index);
    bounds.purged.max(bounds.snapshot.filter(unnoted))
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Outcome<Vec<RaftEntry>> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.entries(from, end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Outcome<Vec<RaftEntry>> {
        self.entries(start, end, MESSAGE_BYTES).await
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Outcome<LogState<Types>> {
        let bounds = self.disk.read(|store| store.bounds()).await.map_err(|error| error.fatal())?;
        let last_purged_log_id = purged(&bounds).map(raft_id);
        let last_log_id = bounds.last.map(raft_id).max(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Outcome<()> {
        let vote = from_raft_vote(vote);
        self.disk.write(move |store| store.save_vote(vote)).await.map_err(|error| error.fatal())
    }

    async fn read_vote(&mut self) -> Outcome<Option<RaftVote>> {
        let vote = self.disk.read(|store| store.vote()).await.map_err(|error| error.fatal())?;
        Ok(Some(vote).filter(|vote| *vote != Vote::default()).map(raft_vote))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Outcome<()>
    where
        I: IntoIterator<Item = RaftEntry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<RaftEntry> = entries.into_iter().collect();
        let stored: Vec<LogEntry> = entries.iter().map(stored_entry).collect();
        for entry in entries {
            if let EntryPayload::Normal(proposal) = &entry.payload {
                proposal.mark_logged();
            }
            self.recent().add(entry);
        }
        let written = self.disk.write(move |store| store.append(&stored)).await;
        written.map_err(|error| error.fatal())?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, id: RaftLogId) -> Outcome<()> {
        self.recent().cut(id.index);
        let from = from_raft_id(id).index;
        self.disk.write(move |store| store.truncate(from)).await.map_err(|error| error.fatal())
    }

    async fn purge(&mut self, id: RaftLogId) -> Outcome<()> {
        self.recent().forget(id.index);
        let upto = from_raft_id(id);
        // The library drops the log as soon as it has a snapshot in hand; the log goes when that is on disk.
        self.disk.holds(upto.index).await;
        self.disk.write(move |store| store.purge(upto)).await.map_err(|error| error.fatal())
    }
}
