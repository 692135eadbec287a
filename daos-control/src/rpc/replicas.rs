//! `daosx.v1.Replica` and `daosx.v1.ManagementService`: replicas among themselves, and their administration. Handlers
//! only; the work is in `management`.

use std::time::Duration;

use daos_membership::decide::replicas::Even;
use daos_membership::{ControlAddress, ReplicaMessage};
use daos_proto::daosx::v1;
use daos_proto::daosx::v1::management_service_server::ManagementService;
use daos_proto::daosx::v1::replica_server::Replica;
use tonic::Request;

use super::gate::{Call, Gate, Reply};
use crate::client::{ReplicaKind, ReplicaSetStatus, ReplicaStatus};
use crate::engine::{EngineState, Engines};
use crate::fault::{Fault, code};
use crate::management::{Change, EnlistCall, Enlistment, Management, ManagementKeeper, Serving};
use crate::system_ops::resolve_host;
use crate::wire::{CallError, NotReady};

/// Largest message between replicas: a part of a snapshot or a batch of entries.
pub(super) const MAX_MESSAGE: usize = 32 << 20;

/// Serves the other replicas, and hosts that look for the system.
#[derive(Debug, Clone)]
pub(super) struct ReplicaService {
    pub gate: Gate,
    pub keeper: ManagementKeeper,
    pub engines: Engines,
}

impl ReplicaService {
    /// What this host says of its part. 'No system' is said only when it is known: while the storage of engine 0 is neither ready
    /// nor blank it may hold a system that nobody has seen yet, and whoever founds one has to wait.
    async fn said(&self) -> ReplicaStatus {
        let status = self.keeper.status().await;
        let blank = self.engines.states().iter().any(|engine| {
            engine.index == 0 && matches!(engine.state, EngineState::WaitingForFormat(_))
        });
        let unknown = status.kind == ReplicaKind::Uninitialized && status.system.is_none();
        if !unknown || blank || self.keeper.waits().await {
            return status;
        }
        let reason = "the storage of its engine 0 is not ready, so it cannot say".to_owned();
        ReplicaStatus { kind: ReplicaKind::Failed, reason, ..status }
    }
}

#[tonic::async_trait]
impl Replica for ReplicaService {
    async fn raft(&self, request: Request<v1::ReplicaMessage>) -> Reply<v1::ReplicaMessage> {
        self.gate
            .serve(request, |call| async move {
                let message = ReplicaMessage::decode(&call.message.payload).map_err(Fault::from)?;
                let answer = self.keeper.receive(message).await?;
                Ok(v1::ReplicaMessage { payload: answer.encode() })
            })
            .await
    }

    async fn status(&self, request: Request<v1::ReplicaStatusReq>) -> Reply<v1::ReplicaStatusResp> {
        self.gate.serve(request, |_| async move { Ok(status_response(self.said().await)) }).await
    }

    async fn enlist(&self, request: Request<v1::EnlistReq>) -> Reply<v1::EnlistResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let ids = message.replica_ids.iter().map(|id| parsed("replica_ids", id));
                let call = EnlistCall {
                    system: parsed("system_uuid", &message.system_uuid)?,
                    address: parsed("address", &message.address)?,
                    term: message.term,
                    replicas: ids.collect::<Result<_, _>>()?,
                };
                Ok(match self.keeper.enlist(call).await? {
                    Enlistment::Enlisted(id) => {
                        v1::EnlistResp { replica_id: id.to_string(), waits_for: String::new() }
                    }
                    Enlistment::Waits(waits_for) => {
                        v1::EnlistResp { replica_id: String::new(), waits_for }
                    }
                })
            })
            .await
    }

    async fn dismiss(&self, request: Request<v1::DismissReq>) -> Reply<v1::DismissResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let system = parsed("system_uuid", &message.system_uuid)?;
                let id = parsed("replica_id", &message.replica_id)?;
                let keeper = &self.keeper;
                let dismissed = match message.erase {
                    true => keeper.erase_if(system, id).await?,
                    false => keeper.dismiss(system, id).await?,
                };
                Ok(v1::DismissResp { dismissed })
            })
            .await
    }
}

/// Serves administrators, where this host leads.
#[derive(Debug, Clone)]
pub(super) struct ReplicaAdministration {
    pub gate: Gate,
    pub management: Management,
    pub keeper: ManagementKeeper,
    /// Port of hosts that are named without one.
    pub port: u16,
}

impl ReplicaAdministration {
    async fn changed(
        &self,
        change: Change,
        message: v1::ChangeReplicasReq,
    ) -> Result<v1::ReplicaSetResp, CallError> {
        let serving = self.serving()?;
        let mut hosts = Vec::new();
        for text in &message.hosts {
            hosts.push(self.resolved(text).await?);
        }
        let even = if message.force_even { Even::Accept } else { Even::Refuse };
        Ok(set_response(serving.change_replicas(change, hosts, even).await?))
    }

    fn serving(&self) -> Result<Serving, CallError> {
        // Says why not in the words that clients know.
        self.management.replica()?;
        self.keeper.serving().ok_or_else(|| NotReady::RaftUnavailable.into())
    }

    async fn resolved(&self, text: &str) -> Result<ControlAddress, CallError> {
        resolve_host(text, self.port).await.ok_or_else(|| {
            CallError::Fault(Fault::new(
                "system",
                code::REPLICAS_NAMED,
                format!("host \"{}\" does not resolve", text.escape_debug()),
                "name hosts as host or host:port, with a name that the leader's host can resolve",
            ))
        })
    }
}

#[tonic::async_trait]
impl ManagementService for ReplicaAdministration {
    async fn list_replicas(
        &self,
        request: Request<v1::ListReplicasReq>,
    ) -> Reply<v1::ReplicaSetResp> {
        self.gate
            .serve(
                request,
                |_| async move { Ok(set_response(self.serving()?.replica_set().await?)) },
            )
            .await
    }

    async fn add_replicas(
        &self,
        request: Request<v1::ChangeReplicasReq>,
    ) -> Reply<v1::ReplicaSetResp> {
        self.gate.serve(request, |call| self.changed(Change::Add, call.message)).await
    }

    async fn remove_replicas(
        &self,
        request: Request<v1::ChangeReplicasReq>,
    ) -> Reply<v1::ReplicaSetResp> {
        self.gate.serve(request, |call| self.changed(Change::Remove, call.message)).await
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<T, CallError> {
    text.parse().map_err(|error: T::Err| {
        CallError::Fault(Fault::new(
            "server",
            code::REQUEST_MALFORMED,
            format!("{field} in the request cannot be used: {error}"),
            "bring both sides to the same version",
        ))
    })
}

fn status_response(status: ReplicaStatus) -> v1::ReplicaStatusResp {
    v1::ReplicaStatusResp {
        kind: status.kind.name().to_owned(),
        reason: status.reason,
        system_name: status.system_name,
        system_uuid: status.system.map(|uuid| uuid.to_string()).unwrap_or_default(),
        configured: status.configured,
        replica_id: status.id,
        role: status.role,
        term: status.term,
        leader: status.leader,
        replicas: status.replicas,
        applied: status.applied,
        last_log: status.last_log,
        last_contact_ms: status.last_contact.map(millis),
        data_version: status.data_version,
        held_deaths: status.held_deaths.to_string(),
    }
}

fn set_response(set: ReplicaSetStatus) -> v1::ReplicaSetResp {
    let replicas = set.replicas.into_iter().map(|replica| v1::ReplicaEntry {
        address: replica.address,
        replica_id: replica.id,
        role: replica.role,
        voter: replica.voter,
        stored: replica.stored,
        lag: replica.lag,
        last_contact_ms: replica.last_contact.map(millis),
        note: replica.note,
    });
    v1::ReplicaSetResp {
        replicas: replicas.collect(),
        term: set.term,
        committed: set.committed,
        notes: set.notes,
    }
}

fn millis(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
