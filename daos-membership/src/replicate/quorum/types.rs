//! Our values in the library's terms and back. The only place that knows both.
//!
//! The library counts log entries from 0, a store from 1.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::{CommittedLeaderId, EntryPayload, Membership, StoredMembership};

use super::disk::{Disk, DiskError};
use crate::address::ControlAddress;
use crate::command::{Applied, Command, DecodeError};
use crate::replica::{RecordedReplicas, Replica, ReplicaId, ReplicaSet};
use crate::store::{EntryContent, LogEntry, LogId, StoredSnapshot, Vote};

openraft::declare_raft_types!(
    /// The library with our types in it.
    pub Types:
        D = Proposal,
        R = Option<Applied>,
        NodeId = ReplicaId,
        Node = Seat,
        Entry = openraft::Entry<Types>,
        SnapshotData = SnapshotContent,
        AsyncRuntime = openraft::TokioRuntime,
);

pub(super) type Raft = openraft::Raft<Types>;
pub(super) type RaftLogId = openraft::LogId<ReplicaId>;
pub(super) type RaftVote = openraft::Vote<ReplicaId>;
pub(super) type RaftEntry = openraft::Entry<Types>;
pub(super) type RaftMembership = StoredMembership<ReplicaId, Seat>;

/// Where a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat(pub ControlAddress);

impl Default for Seat {
    /// Nowhere; the library wants a default and uses none.
    fn default() -> Self {
        Self(std::net::SocketAddr::from(([0, 0, 0, 0], 0)).into())
    }
}

/// A command on its way: encoded once, for the log and for every other replica.
#[derive(Debug, Clone)]
pub struct Proposal(Arc<Proposed>);

#[derive(Debug)]
struct Proposed {
    bytes: Vec<u8>,
    /// Known where it was proposed; all others decode it when it is applied.
    command: Option<Command>,
    /// Whether it has reached a log, so that it may be committed whatever becomes of the proposer.
    logged: AtomicBool,
}

impl Proposal {
    pub(super) fn new(command: Command) -> Self {
        let (bytes, logged) = (command.encode(), AtomicBool::new(false));
        Self(Arc::new(Proposed { bytes, command: Some(command), logged }))
    }

    pub(super) fn stored(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Proposed { bytes, command: None, logged: AtomicBool::new(true) }))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(super) fn with_command<T>(
        &self,
        work: impl FnOnce(&Command) -> T,
    ) -> Result<T, DecodeError> {
        match &self.0.command {
            Some(command) => Ok(work(command)),
            None => Command::decode(&self.0.bytes).map(|command| work(&command)),
        }
    }

    pub(super) fn mark_logged(&self) {
        self.0.logged.store(true, Ordering::Release);
    }

    pub(super) fn was_logged(&self) -> bool {
        self.0.logged.load(Ordering::Acquire)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.bytes.len())
    }
}

/// The content of a snapshot: in the store, read when it is needed, or as it was received.
#[derive(Debug)]
pub enum SnapshotContent {
    /// In the store.
    Stored(Arc<Disk>),
    /// Received.
    Received(Vec<u8>),
}

impl SnapshotContent {
    /// The bytes. A snapshot in the store may be a later one by now, so it says how far it goes.
    pub(super) async fn load(
        self,
        meta: &openraft::SnapshotMeta<ReplicaId, Seat>,
    ) -> Result<Option<StoredSnapshot>, DiskError> {
        match self {
            Self::Stored(disk) => disk.read(|store| store.snapshot()).await,
            Self::Received(data) => Ok(meta.last_log_id.map(|upto| StoredSnapshot {
                upto: from_raft_id(upto),
                replicas: Some(recorded(&meta.last_membership)),
                data,
            })),
        }
    }
}

pub(super) fn raft_id(id: LogId) -> RaftLogId {
    let leader = CommittedLeaderId::new(id.term, ReplicaId::default());
    RaftLogId::new(leader, id.index.saturating_sub(1))
}

pub(super) fn from_raft_id(id: RaftLogId) -> LogId {
    LogId { term: id.leader_id.term, index: id.index + 1 }
}

pub(super) fn raft_vote(vote: Vote) -> RaftVote {
    let leader_id = openraft::LeaderId { term: vote.term, voted_for: vote.voted_for };
    RaftVote { leader_id, committed: vote.committed }
}

pub(super) fn from_raft_vote(vote: &RaftVote) -> Vote {
    Vote {
        term: vote.leader_id.term,
        voted_for: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub(super) fn membership(set: &ReplicaSet) -> Membership<ReplicaId, Seat> {
    let seats = set.addresses.iter().map(|(id, address)| (*id, Seat(*address)));
    Membership::new(set.voters.clone(), seats.collect::<std::collections::BTreeMap<_, _>>())
}

pub(super) fn stored_membership(recorded: &RecordedReplicas) -> RaftMembership {
    StoredMembership::new(recorded.at.map(raft_id), membership(&recorded.set))
}

pub(super) fn replica_set(membership: &Membership<ReplicaId, Seat>) -> ReplicaSet {
    ReplicaSet {
        voters: membership.get_joint_config().clone(),
        addresses: membership.nodes().map(|(id, seat)| (*id, seat.0)).collect(),
    }
}

pub(super) fn recorded(membership: &RaftMembership) -> RecordedReplicas {
    RecordedReplicas {
        at: membership.log_id().map(from_raft_id),
        set: replica_set(membership.membership()),
    }
}

pub(super) fn replica_at(set: &ReplicaSet, id: ReplicaId) -> Option<Replica> {
    set.addresses.get(&id).map(|address| Replica { id, address: *address })
}

/// An entry as it is stored and sent.
pub(super) fn stored_entry(entry: &RaftEntry) -> LogEntry {
    let payload = match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.bytes().to_vec(),
        EntryPayload::Membership(set) => EntryContent::Replicas(replica_set(set)).encode(),
        EntryPayload::Blank => EntryContent::Blank.encode(),
    };
    LogEntry { id: from_raft_id(entry.log_id), payload }
}

/// Reads an entry back.
pub(super) fn raft_entry(entry: LogEntry) -> Result<RaftEntry, DecodeError> {
    let payload = match EntryContent::decode(entry.payload)? {
        EntryContent::Command(bytes) => EntryPayload::Normal(Proposal::stored(bytes)),
        EntryContent::Replicas(set) => EntryPayload::Membership(membership(&set)),
        EntryContent::Blank => EntryPayload::Blank,
    };
    Ok(RaftEntry { log_id: raft_id(entry.id), payload })
}
