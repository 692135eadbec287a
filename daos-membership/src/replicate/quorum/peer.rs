//! How the library reaches another replica: our messages through [`crate::ReplicaNetwork`].

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError,
};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{RaftNetwork, RaftNetworkFactory, Snapshot};

use super::shared::Shared;
use super::types::{
    RaftVote, Seat, Types, from_raft_id, from_raft_vote, raft_id, raft_vote, stored_entry,
};
use crate::replica::{RecordedReplicas, Replica, ReplicaId};
use crate::replicate::{
    Append, Appended, ReplicaBody, ReplicaUnreachable, RequestVote, SnapshotPart, SnapshotTaken,
};
use crate::store::StoredSnapshot;

/// Attempts to send one part of a snapshot.
const ATTEMPTS: u32 = 5;

type Failed = RPCError<ReplicaId, Seat, RaftError<ReplicaId>>;
type Streaming = StreamingError<Types, Fatal<ReplicaId>>;

/// Makes the ways to other replicas.
pub(super) struct Peers(pub(super) Arc<Shared>);

/// The way to one of them.
pub(super) struct Peer {
    shared: Arc<Shared>,
    to: Replica,
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: ReplicaId, node: &Seat) -> Peer {
        Peer { shared: Arc::clone(&self.0), to: Replica { id: target, address: node.0 } }
    }
}

fn network(error: &(impl std::error::Error + 'static)) -> NetworkError {
    NetworkError::new(error)
}

fn unexpected(to: Replica) -> ReplicaUnreachable {
    ReplicaUnreachable { to, reason: "the answer does not belong to the question".to_owned() }
}

impl Peer {
    /// Asks, and waits a little after a failure, since the library would ask again at once.
    async fn ask(&self, body: ReplicaBody) -> Result<ReplicaBody, ReplicaUnreachable> {
        let answer = self.shared.call(self.to, body, self.shared.options.reply_within).await;
        if answer.is_err() {
            self.pause().await;
        }
        answer
    }

    async fn pause(&self) {
        tokio::time::sleep(self.shared.options.heartbeat).await;
    }

    async fn send_parts(
        &self,
        vote: &RaftVote,
        snapshot: Snapshot<Types>,
    ) -> Result<SnapshotResponse<ReplicaId>, Streaming> {
        let Snapshot { meta, snapshot } = snapshot;
        let loaded = snapshot.load(&meta).await.map_err(|error| error.fatal())?;
        let Some(StoredSnapshot { upto, replicas, data }) = loaded else {
            let gone = io::Error::other("the snapshot is gone");
            return Err(network(&gone).into());
        };
        let replicas = replicas.unwrap_or_default();
        let (mut offset, mut attempts) = (0, 0);
        loop {
            let part = self.part(vote, upto, &replicas, &data, offset);
            let within = self.part_within(&part);
            let answer = self.shared.call(self.to, ReplicaBody::SnapshotPart(part), within).await;
            match answer {
                Ok(ReplicaBody::SnapshotTaken(SnapshotTaken::Next(next))) => {
                    // A replica that was started anew has nothing and wants it from the beginning.
                    attempts = if next > offset as u64 { 0 } else { attempts + 1 };
                    offset = usize::try_from(next).unwrap_or(usize::MAX).min(data.len());
                }
                Ok(ReplicaBody::SnapshotTaken(SnapshotTaken::Installed)) => {
                    self.shared.hear_answer(self.to.id);
                    return Ok(SnapshotResponse::new(*vote));
                }
                Ok(ReplicaBody::SnapshotTaken(SnapshotTaken::Overruled(by))) => {
                    return Ok(SnapshotResponse::new(raft_vote(by)));
                }
                Ok(_) => return Err(network(&unexpected(self.to)).into()),
                Err(error) if attempts >= ATTEMPTS => return Err(network(&error).into()),
                Err(_) => {
                    attempts += 1;
                    self.pause().await;
                }
            }
            if attempts > ATTEMPTS {
                return Err(network(&unexpected(self.to)).into());
            }
        }
    }

    /// The last part is answered when the whole is installed.
    fn part_within(&self, part: &SnapshotPart) -> Duration {
        let options = &self.shared.options;
        match part.offset + part.data.len() as u64 == part.total {
            true => options.snapshot_within,
            false => options.snapshot_within.min(options.reply_within * 5),
        }
    }

    fn part(
        &self,
        vote: &RaftVote,
        upto: crate::store::LogId,
        replicas: &RecordedReplicas,
        data: &[u8],
        offset: usize,
    ) -> SnapshotPart {
        let rest = data.get(offset..).unwrap_or_default();
        let part = rest.get(..self.shared.options.snapshot_part).unwrap_or(rest);
        SnapshotPart {
            vote: from_raft_vote(vote),
            upto,
            replicas: replicas.clone(),
            total: data.len() as u64,
            offset: offset as u64,
            data: part.to_vec(),
        }
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<ReplicaId>, Failed> {
        if self.shared.gives_way() {
            // Whoever is to take over must miss its leader.
            self.pause().await;
            return Err(network(&io::Error::other("this replica gives way")).into());
        }
        let append = Append {
            vote: from_raft_vote(&rpc.vote),
            previous: rpc.prev_log_id.map(from_raft_id),
            committed: rpc.leader_commit.map(from_raft_id),
            entries: rpc.entries.iter().map(stored_entry).collect(),
        };
        let answer = self.ask(ReplicaBody::Append(append)).await;
        let appended = match answer.map_err(|error| network(&error))? {
            ReplicaBody::Appended(appended) => appended,
            _ => return Err(network(&unexpected(self.to)).into()),
        };
        self.shared.hear_answer(self.to.id);
        Ok(match appended {
            Appended::All => AppendEntriesResponse::Success,
            Appended::Upto(upto) => AppendEntriesResponse::PartialSuccess(upto.map(raft_id)),
            Appended::Conflict => AppendEntriesResponse::Conflict,
            Appended::Overruled(vote) => AppendEntriesResponse::HigherVote(raft_vote(vote)),
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<ReplicaId>,
        _option: RPCOption,
    ) -> Result<VoteResponse<ReplicaId>, Failed> {
        let last = rpc.last_log_id.map(from_raft_id);
        let request = RequestVote { vote: from_raft_vote(&rpc.vote), last };
        let answer = self.ask(ReplicaBody::RequestVote(request)).await;
        match answer.map_err(|error| network(&error))? {
            ReplicaBody::Voted(voted) => Ok(VoteResponse {
                vote: raft_vote(voted.vote),
                vote_granted: voted.granted,
                last_log_id: voted.last.map(raft_id),
            }),
            _ => Err(network(&unexpected(self.to)).into()),
        }
    }

    /// Replaced by [`RaftNetwork::full_snapshot`]; the library never calls it.
    async fn install_snapshot(
        &mut self,
        _rpc: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<
        InstallSnapshotResponse<ReplicaId>,
        RPCError<ReplicaId, Seat, RaftError<ReplicaId, openraft::error::InstallSnapshotError>>,
    > {
        Err(network(&unexpected(self.to)).into())
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<ReplicaId>, Streaming> {
        let sent = tokio::select! {
            biased;
            closed = cancel => return Err(closed.into()),
            sent = self.send_parts(&vote, snapshot) => sent,
        };
        if sent.is_err() {
            self.pause().await;
        }
        sent
    }
}
