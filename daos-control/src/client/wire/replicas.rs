//! Wire forms of the requests about replicas, and of those that replicas' hosts make of each other.

use std::time::Duration;

use daos_proto::daosx::v1;
use daos_proto::daosx::v1::management_service_client::ManagementServiceClient;
use daos_proto::daosx::v1::replica_client::ReplicaClient;

use super::{malformed, stub};
use crate::client::connect::Connection;
use crate::client::management::Versioned;
use crate::client::replicas::{
    AnsweredBy, ReplicaEntry, ReplicaKind, ReplicaSetStatus, ReplicaStatus,
};
use crate::client::{HostAddr, HostSet};
#[cfg(feature = "server")]
use crate::management::{EnlistCall, Enlistment};
use crate::wire::CallError;

type Answer<T> = Result<Versioned<T>, CallError>;

/// What the host says of its replica.
pub(crate) async fn status(
    connection: Connection,
    sys: String,
) -> Result<ReplicaStatus, CallError> {
    let host = connection.host().clone();
    let answer = connection
        .call(v1::ReplicaStatusReq { sys }, |channel, request| async move {
            stub!(ReplicaClient, channel).status(request).await
        })
        .await?;
    let v1::ReplicaStatusResp { kind, reason, system_name, system_uuid, configured, .. } = answer;
    Ok(ReplicaStatus {
        kind: ReplicaKind::named(&kind)
            .ok_or_else(|| malformed(&host, format!("a replica that is '{kind}'")))?,
        reason,
        system_name,
        system: match system_uuid.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error| malformed(&host, error))?),
        },
        configured,
        id: answer.replica_id,
        role: answer.role,
        term: answer.term,
        leader: answer.leader,
        replicas: answer.replicas,
        applied: answer.applied,
        last_log: answer.last_log,
        last_contact: answer.last_contact_ms.map(Duration::from_millis),
        data_version: answer.data_version,
        held_deaths: answer.held_deaths.parse().map_err(|error| malformed(&host, error))?,
    })
}

/// Which replica is at the other end; `None` where the host has no such request, as stock servers. One that has it and does
/// not answer now is shown as a host that is no replica.
async fn answered_by(connection: Connection, sys: String) -> Option<AnsweredBy> {
    let host = connection.host().to_string();
    match status(connection, sys).await {
        Err(CallError::Unimplemented(_)) => None,
        said => Some(AnsweredBy { host, replica: said.unwrap_or_default() }),
    }
}

/// An answer, and the replica that gave it. The newest data counts, and of equally new data that of a replica that knows it to
/// be new.
pub(in crate::client) async fn with_source<T>(
    connection: Connection,
    sys: String,
    answer: impl Future<Output = Answer<T>>,
) -> Answer<(T, Option<AnsweredBy>)> {
    let (version, value) = answer.await?;
    // Stock messages have no place for it, so it is asked beside them.
    let source = answered_by(connection, sys).await;
    let fresh = source.as_ref().is_none_or(|by| by.stale().is_none());
    Ok((version.saturating_mul(2).saturating_add(fresh.into()), (value, source)))
}

pub(in crate::client) async fn list(
    connection: Connection,
    sys: String,
) -> Answer<ReplicaSetStatus> {
    let answer = connection
        .call(v1::ListReplicasReq { sys }, |channel, request| async move {
            stub!(ManagementServiceClient, channel).list_replicas(request).await
        })
        .await?;
    Ok((0, set(answer)))
}

pub(in crate::client) async fn add(
    connection: Connection,
    sys: String,
    hosts: HostSet,
    force_even: bool,
) -> Answer<ReplicaSetStatus> {
    let answer = connection
        .call(change(sys, &hosts, force_even), |channel, request| async move {
            stub!(ManagementServiceClient, channel).add_replicas(request).await
        })
        .await?;
    Ok((0, set(answer)))
}

pub(in crate::client) async fn remove(
    connection: Connection,
    sys: String,
    hosts: HostSet,
    force_even: bool,
) -> Answer<ReplicaSetStatus> {
    let answer = connection
        .call(change(sys, &hosts, force_even), |channel, request| async move {
            stub!(ManagementServiceClient, channel).remove_replicas(request).await
        })
        .await?;
    Ok((0, set(answer)))
}

fn change(sys: String, hosts: &HostSet, force_even: bool) -> v1::ChangeReplicasReq {
    let hosts = hosts.iter().map(HostAddr::to_string).collect();
    v1::ChangeReplicasReq { sys, hosts, force_even }
}

fn set(answer: v1::ReplicaSetResp) -> ReplicaSetStatus {
    let v1::ReplicaSetResp { replicas, term, committed, notes } = answer;
    let replicas = replicas.into_iter().map(entry).collect();
    ReplicaSetStatus { replicas, term, committed, notes }
}

fn entry(message: v1::ReplicaEntry) -> ReplicaEntry {
    ReplicaEntry {
        address: message.address,
        id: message.replica_id,
        role: message.role,
        voter: message.voter,
        stored: message.stored,
        lag: message.lag,
        last_contact: message.last_contact_ms.map(Duration::from_millis),
        note: message.note,
    }
}

/// Carries one message of the replication to another replica, and its answer back.
#[cfg(feature = "server")]
pub(crate) async fn raft(connection: Connection, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
    let answer = connection
        .call(v1::ReplicaMessage { payload }, |channel, request| async move {
            stub!(ReplicaClient, channel).raft(request).await
        })
        .await?;
    Ok(answer.payload)
}

/// Asks a host to become a replica of the system.
#[cfg(feature = "server")]
pub(crate) async fn enlist(
    connection: Connection,
    sys: String,
    call: EnlistCall,
) -> Result<Enlistment, CallError> {
    let host = connection.host().clone();
    let message = v1::EnlistReq {
        sys,
        system_uuid: call.system.to_string(),
        address: call.address.to_string(),
        term: call.term,
        replica_ids: call.replicas.iter().map(ToString::to_string).collect(),
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(ReplicaClient, channel).enlist(request).await
        })
        .await?;
    match answer.replica_id.as_str() {
        "" => Ok(Enlistment::Waits(answer.waits_for)),
        id => Ok(Enlistment::Enlisted(id.parse().map_err(|error| malformed(&host, error))?)),
    }
}

/// Tells a host that its replica is none any more.
#[cfg(feature = "server")]
pub(crate) async fn dismiss(
    connection: Connection,
    sys: String,
    system: uuid::Uuid,
    replica: daos_membership::ReplicaId,
    erase: bool,
) -> Result<bool, CallError> {
    let message = v1::DismissReq {
        sys,
        system_uuid: system.to_string(),
        replica_id: replica.to_string(),
        erase,
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(ReplicaClient, channel).dismiss(request).await
        })
        .await?;
    Ok(answer.dismissed)
}
