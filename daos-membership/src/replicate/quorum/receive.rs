//! Messages of other replicas: what they ask of this one, and its answers.

use std::sync::Arc;

use openraft::error::{Fatal, RaftError};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest};
use openraft::{Snapshot, SnapshotMeta};
use tokio::sync::Mutex;

use super::shared::Shared;
use super::types::{
    Raft, SnapshotContent, from_raft_id, from_raft_vote, raft_entry, raft_id, raft_vote, recorded,
    replica_at, stored_membership,
};
use crate::replicate::{
    Answer, Append, Appended, Ask, ReceiveRefused, ReplicaBody, ReplicaMessage, RequestVote,
    SnapshotPart, SnapshotTaken, Voted, chain,
};
use crate::store::{LogId, Vote};

/// The largest snapshot that is taken from another replica.
const MAX_SNAPSHOT: u64 = 1 << 30;

/// The receiving side of a replica.
#[derive(Debug)]
pub(super) struct Receiver {
    shared: Arc<Shared>,
    incoming: Mutex<Option<Incoming>>,
}

/// A snapshot that comes in.
#[derive(Debug)]
struct Incoming {
    vote: Vote,
    upto: LogId,
    total: u64,
    data: Vec<u8>,
}

impl Receiver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, incoming: Mutex::new(None) }
    }

    pub(super) async fn receive(
        &self,
        raft: &Raft,
        message: ReplicaMessage,
    ) -> Result<ReplicaMessage, ReceiveRefused> {
        let (me, mine) = (self.shared.me, self.shared.disk.identity().uuid);
        let ReplicaMessage { system, from, to, body } = message;
        if system != mine {
            return Err(ReceiveRefused::OtherSystem { asked: system, mine });
        }
        if to != me.id {
            let refused = ReceiveRefused::OtherReplica { asked: to, me: me.id };
            let body = ReplicaBody::Answer(self.removal_of(raft, from.id).ok_or(refused)?);
            return Ok(ReplicaMessage { system, from: me, to: from.id, body });
        }
        let body = match body {
            ReplicaBody::Append(append) => ReplicaBody::Appended(self.append(raft, append).await?),
            ReplicaBody::RequestVote(request) => {
                ReplicaBody::Voted(self.vote(raft, request).await?)
            }
            ReplicaBody::SnapshotPart(part) => {
                ReplicaBody::SnapshotTaken(self.snapshot_part(raft, part).await?)
            }
            ReplicaBody::Ask(ask) => ReplicaBody::Answer(self.answer(raft, from.id, ask)?),
            ReplicaBody::Appended(_)
            | ReplicaBody::Voted(_)
            | ReplicaBody::SnapshotTaken(_)
            | ReplicaBody::Answer(_) => return Err(ReceiveRefused::Unasked),
        };
        Ok(ReplicaMessage { system, from: me, to: from.id, body })
    }

    async fn append(&self, raft: &Raft, append: Append) -> Result<Appended, ReceiveRefused> {
        let Append { vote, previous, committed, entries } = append;
        let entries = entries.into_iter().map(raft_entry).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| {
            tracing::error!(error = chain(&error), "the leader sends what is not understood here");
            ReceiveRefused::Unasked
        })?;
        let request = AppendEntriesRequest {
            vote: raft_vote(vote),
            prev_log_id: previous.map(raft_id),
            leader_commit: committed.map(raft_id),
            entries,
        };
        let answer = raft.append_entries(request).await.map_err(|error| self.ended(error))?;
        if let (false, Some(leader)) =
            (matches!(answer, AppendEntriesResponse::HigherVote(_)), vote.voted_for)
        {
            self.shared.hear_leader(leader);
        }
        Ok(match answer {
            AppendEntriesResponse::Success => Appended::All,
            AppendEntriesResponse::PartialSuccess(upto) => Appended::Upto(upto.map(from_raft_id)),
            AppendEntriesResponse::Conflict => Appended::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Appended::Overruled(from_raft_vote(&vote)),
        })
    }

    async fn vote(&self, raft: &Raft, request: RequestVote) -> Result<Voted, ReceiveRefused> {
        let request = VoteRequest::new(raft_vote(request.vote), request.last.map(raft_id));
        let answer = raft.vote(request).await.map_err(|error| self.ended(error))?;
        if answer.vote_granted {
            self.shared.hear_candidate();
        }
        Ok(Voted {
            vote: from_raft_vote(&answer.vote),
            granted: answer.vote_granted,
            last: answer.last_log_id.map(from_raft_id),
        })
    }

    async fn snapshot_part(
        &self,
        raft: &Raft,
        part: SnapshotPart,
    ) -> Result<SnapshotTaken, ReceiveRefused> {
        let promised = from_raft_vote(&raft.metrics().borrow().vote);
        if part.vote.term < promised.term {
            return Ok(SnapshotTaken::Overruled(promised));
        }
        if let Some(leader) = part.vote.voted_for {
            self.shared.hear_leader(leader);
        }
        let mut incoming = self.incoming.lock().await;
        let fits = |known: &Incoming| {
            (known.vote, known.upto, known.total) == (part.vote, part.upto, part.total)
        };
        if part.total > MAX_SNAPSHOT {
            return Err(ReceiveRefused::Unasked);
        }
        if part.offset == 0 || !incoming.as_ref().is_some_and(fits) {
            let SnapshotPart { vote, upto, total, .. } = part;
            *incoming = Some(Incoming { vote, upto, total, data: Vec::new() });
        }
        let Some(known) = incoming.as_mut() else { return Ok(SnapshotTaken::Next(0)) };
        if part.offset == known.data.len() as u64 {
            known.data.extend_from_slice(&part.data);
        }
        let length = known.data.len() as u64;
        if length < known.total {
            return Ok(SnapshotTaken::Next(length));
        }
        let data = incoming.take().map(|incoming| incoming.data).unwrap_or_default();
        if length > part.total {
            return Ok(SnapshotTaken::Next(0));
        }
        self.install(raft, &part, data).await
    }

    async fn install(
        &self,
        raft: &Raft,
        part: &SnapshotPart,
        data: Vec<u8>,
    ) -> Result<SnapshotTaken, ReceiveRefused> {
        let meta = SnapshotMeta {
            last_log_id: Some(raft_id(part.upto)),
            last_membership: stored_membership(&part.replicas),
            snapshot_id: format!("{}-{}", part.upto.term, part.upto.index),
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(SnapshotContent::Received(data)) };
        let (asked, done) =
            (raft_vote(part.vote), raft.install_full_snapshot(raft_vote(part.vote), snapshot));
        let answer = done.await.map_err(|error| self.ended(RaftError::<_>::Fatal(error)))?;
        if let Some(leader) = part.vote.voted_for {
            self.shared.hear_leader(leader);
        }
        match answer.vote == asked {
            true => Ok(SnapshotTaken::Installed),
            false => Ok(SnapshotTaken::Overruled(from_raft_vote(&answer.vote))),
        }
    }

    /// What a replica is told that misses its leader.
    fn answer(
        &self,
        raft: &Raft,
        asking: crate::replica::ReplicaId,
        ask: Ask,
    ) -> Result<Answer, ReceiveRefused> {
        let metrics = raft.metrics().borrow().clone();
        if let Err(fatal) = metrics.running_state {
            return Err(self.ended(RaftError::<_>::Fatal(fatal)));
        }
        let last = raft.data_metrics().borrow().last_log.map(from_raft_id);
        let known = recorded(&metrics.membership_config);
        let applied = metrics.last_applied.map(from_raft_id);
        let committed = known.at <= applied;
        // What is not committed yet may still be overruled, and then the asking replica is none that was removed.
        let member = !committed || known.set.contains(asking);
        let leads = metrics.state.is_leader() && !self.shared.gives_way();
        let hears = leads || self.shared.hears_leader();
        let leader = match (leads, self.shared.leader_heard()) {
            (true, _) => Some(self.shared.me),
            (false, Some((_, id))) if hears => replica_at(&known.set, id),
            (false, _) => None,
        };
        Ok(Answer {
            would_vote: !hears && member && ask.last >= last,
            term: metrics.current_term,
            leader,
            replicas_at: known.at.filter(|_| committed),
            member,
        })
    }

    /// What a replica is told that was removed and still takes this one for the replica that was here before. After a recovery or a
    /// restore nobody else may be there to tell it.
    fn removal_of(&self, raft: &Raft, asking: crate::replica::ReplicaId) -> Option<Answer> {
        let metrics = raft.metrics().borrow().clone();
        let known = recorded(&metrics.membership_config);
        let committed = known.at.is_some() && known.at <= metrics.last_applied.map(from_raft_id);
        let removed =
            committed && known.set.contains(self.shared.me.id) && !known.set.contains(asking);
        removed.then_some(Answer {
            would_vote: false,
            term: metrics.current_term,
            leader: None,
            replicas_at: known.at,
            member: false,
        })
    }

    fn ended(&self, error: RaftError<crate::replica::ReplicaId>) -> ReceiveRefused {
        match (error, self.shared.disk.failure()) {
            (_, Some(cause)) => ReceiveRefused::Failed(cause),
            (RaftError::Fatal(Fatal::Panicked), None) => {
                tracing::error!("replication has ended by an error of its own");
                ReceiveRefused::Stopped
            }
            _ => ReceiveRefused::Stopped,
        }
    }
}
