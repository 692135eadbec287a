//! Wire forms of the requests servers make of each other.

use daos_membership::Rank;
use daos_proto::mgmt;
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::shared::ClusterEventReq;

use super::{malformed, stub};
use crate::client::connect::Connection;
use crate::client::management::Versioned;
use crate::drpc::{RasEvent, ras_to_proto};
use crate::join::{JoinAnswer, JoinAsk};
use crate::wire::CallError;

pub(in crate::client) async fn join(
    connection: Connection,
    sys: String,
    ask: JoinAsk,
) -> Result<Versioned<JoinAnswer>, CallError> {
    let host = connection.host().clone();
    let message = mgmt::JoinReq {
        sys,
        uuid: ask.uuid.to_string(),
        rank: ask.rank.map_or(Rank::NIL, Rank::get),
        incarnation: ask.incarnation().0,
        uri: ask.ready.uri,
        nctxs: ask.ready.contexts,
        addr: ask.address.to_string(),
        srv_fault_domain: ask.fault_domain,
        idx: ask.index,
        secondary_uris: ask.ready.secondary_uris,
        secondary_nctxs: ask.ready.secondary_contexts,
        check_mode: ask.ready.check_mode,
        replace: ask.replace,
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(MgmtSvcClient, channel).join(request).await
        })
        .await?;
    let rank = Rank::new(answer.rank)
        .ok_or_else(|| malformed(&host, format!("rank {} in the answer to a join", answer.rank)))?;
    Ok((0, JoinAnswer { rank, map_version: answer.map_version }))
}

pub(in crate::client) async fn cluster_event(
    connection: Connection,
    sequence: u64,
    event: RasEvent,
) -> Result<Versioned<()>, CallError> {
    let host = connection.host().clone();
    let message = ClusterEventReq { sequence, event: Some(ras_to_proto(event)) };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(MgmtSvcClient, channel).cluster_event(request).await
        })
        .await?;
    match answer.sequence == sequence {
        true => Ok((0, ())),
        false => Err(malformed(&host, format!("the answer to event {}", answer.sequence))),
    }
}
