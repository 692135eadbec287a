//! What is put in order in a store before a replica starts on it.

use rand::RngCore;

use super::log::purged;
use crate::command::DecodeError;
use crate::replica::{RecordedReplicas, Replica, ReplicaId, ReplicaSet};
use crate::replicate::chain;
use crate::store::{EntryContent, LogEntry, LogId, Store, StoreError, Vote};

/// Entries read at a time.
const CHUNK: usize = 256;

/// Gives the store an id if it has none, and says which it has.
pub(crate) fn identify(store: &dyn Store, seed: Option<u64>) -> Result<ReplicaId, StoreError> {
    if let Some(id) = store.replica()? {
        return Ok(id);
    }
    let id = ReplicaId(seed.unwrap_or_else(|| rand::rng().next_u64()).max(1));
    store.save_replica(id)?;
    Ok(id)
}

/// Whether nothing has ever happened in a store. A vote for itself without any entry is a founding that was cut short: nobody stands
/// for election without an entry.
pub(crate) fn is_unused(store: &dyn Store) -> Result<bool, StoreError> {
    if store.bounds()? != crate::store::LogBounds::default() {
        return Ok(false);
    }
    let vote = store.vote()?;
    let own = !vote.committed && vote.voted_for.is_some() && vote.voted_for == store.replica()?;
    Ok(own || vote == Vote::default())
}

/// Makes the vote and the log what a replica of several can start on.
pub(crate) fn prepare(store: &dyn Store, me: Replica) -> Result<(), StoreError> {
    if is_unused(store)? {
        return Ok(());
    }
    if last_replicas(store)?.is_none() {
        let vote = store.vote()?;
        if vote.committed && vote.voted_for.is_none() {
            // A replica alone wrote it: it becomes the only one of its set.
            return sit_alone(store, me, |known| known, Vec::new());
        }
    }
    // A leader that starts again is elected again.
    let vote = store.vote()?;
    if vote.committed && vote.voted_for.is_none_or(|id| id == me.id) {
        store.save_vote(Vote { voted_for: Some(me.id), committed: false, ..vote })?;
    }
    Ok(())
}

/// Makes this the only replica from here on, with the entries that come with it. Cut short between vote and entries, it is begun anew.
/// `begin` makes the term out of the last one that is known, so that nobody who led before can be taken for a later leader.
pub(crate) fn sit_alone(
    store: &dyn Store,
    me: Replica,
    begin: impl FnOnce(u64) -> u64,
    with: Vec<EntryContent>,
) -> Result<(), StoreError> {
    let last = last_entry(store)?;
    let vote = store.vote()?;
    let term = begin(vote.term.max(last.map_or(0, |id| id.term)).max(1));
    store.save_vote(Vote { term, voted_for: Some(me.id), committed: false })?;
    let first = last.map_or(0, |id| id.index) + 1;
    let contents = std::iter::once(EntryContent::Replicas(ReplicaSet::alone(me))).chain(with);
    let entries: Vec<LogEntry> = (first..)
        .zip(contents)
        .map(|(index, content)| LogEntry { id: LogId { term, index }, payload: content.encode() })
        .collect();
    store.append(&entries)
}

/// The last entry that is there or that the snapshot holds.
pub(crate) fn last_entry(store: &dyn Store) -> Result<Option<LogId>, StoreError> {
    let bounds = store.bounds()?;
    Ok(bounds.last.max(bounds.snapshot).max(purged(&bounds)))
}

/// The last set of replicas in log or snapshot, with its entry.
pub(crate) fn last_replicas(store: &dyn Store) -> Result<Option<RecordedReplicas>, StoreError> {
    let head = store.snapshot_head()?;
    let (mut next, mut found) = (0, head.and_then(|(_, replicas)| replicas));
    loop {
        let chunk = store.entries(next, CHUNK)?;
        let Some(end) = chunk.last().map(|entry| entry.id.index) else { return Ok(found) };
        for LogEntry { id, payload } in chunk {
            let path = || store.place().to_owned();
            let content = EntryContent::decode(payload).map_err(|error| match error {
                DecodeError::Newer { found } => {
                    StoreError::Newer { path: path(), found, known: EntryContent::VERSION }
                }
                error => {
                    let what = format!("log entry {}: {}", id.index, chain(&error));
                    StoreError::Corrupt { path: path(), what }
                }
            })?;
            if let EntryContent::Replicas(set) = content {
                found = Some(RecordedReplicas { at: Some(id), set });
            }
        }
        next = end + 1;
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::conformance::samples;
    use crate::store::MemDisk;

    fn me() -> Replica {
        Replica { id: ReplicaId(7), address: samples::member(1).address }
    }

    /// As a power cut leaves it: the vote is durable, the entries are not.
    #[test]
    fn a_founding_cut_short_between_vote_and_entries_is_begun_anew() {
        let store = MemDisk::default().open(samples::identity());
        store.save_replica(me().id).unwrap();
        store.save_vote(Vote { term: 1, voted_for: Some(me().id), committed: false }).unwrap();
        assert!(is_unused(&store).unwrap());
        sit_alone(&store, me(), |known| known, Vec::new()).unwrap();
        assert!(!is_unused(&store).unwrap());
        let replicas = last_replicas(&store).unwrap().unwrap();
        assert_eq!(replicas.set, ReplicaSet::alone(me()));
    }

    #[test]
    fn a_vote_for_another_or_any_entry_is_no_unused_store() {
        let votes = [
            Vote { term: 1, voted_for: Some(ReplicaId(8)), committed: false },
            Vote { term: 1, voted_for: Some(me().id), committed: true },
        ];
        for vote in votes {
            let store = MemDisk::default().open(samples::identity());
            store.save_replica(me().id).unwrap();
            store.save_vote(vote).unwrap();
            assert!(!is_unused(&store).unwrap(), "{vote:?}");
        }
    }
}
