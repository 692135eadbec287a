//! Wire forms of the requests to the management service. Answers carry the version of the data they were made from,
//! 0 where the message has none.

use std::collections::BTreeMap;

use daos_proto::mgmt;
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::shared;

use super::{malformed, stub};
use crate::client::connect::Connection;
use crate::client::management::Versioned;
use crate::client::system::{
    Cleaned, Leader, Member, MemberState, OperationReport, Pool, PoolRanks, RankOutcome, Selection,
    StopMode, SystemQuery, SystemStatus,
};
use crate::client::{HostAddr, RankSet};
use crate::wire::CallError;

type Answer<T> = Result<Versioned<T>, CallError>;

/// One unary call of the management service.
macro_rules! send {
    ($connection:expr, $method:ident, $message:expr) => {
        $connection
            .call($message, |channel, request| async move {
                stub!(MgmtSvcClient, channel).$method(request).await
            })
            .await?
    };
}

pub(in crate::client) async fn query(
    connection: Connection,
    sys: String,
    query: SystemQuery,
) -> Answer<SystemStatus> {
    let host = connection.host().clone();
    let (ranks, hosts) = query.selection.texts();
    let message = mgmt::SystemQueryReq { sys, ranks, hosts, state_mask: query.states.0 };
    let answer = send!(connection, system_query, message);
    let mut members: Vec<Member> = answer.members.into_iter().map(member).collect();
    members.sort_by_key(|member| member.rank);
    let status = SystemStatus {
        members,
        absent_ranks: ranks_in(&host, &answer.absentranks)?,
        absent_hosts: answer.absenthosts,
        providers: answer.providers,
        self_heal: answer.sys_self_heal_policy,
        answered_by: None,
        insecure: false, // the caller knows, as who answered
    };
    Ok((answer.data_version, status))
}

fn member(message: mgmt::SystemMember) -> Member {
    Member {
        rank: message.rank,
        uuid: message.uuid,
        address: message.addr,
        state: MemberState::from_word(&message.state),
        incarnation: message.incarnation,
        fabric_uri: message.fabric_uri,
        secondary_fabric_uris: message.secondary_fabric_uris,
        fabric_contexts: message.fabric_contexts,
        info: message.info,
        fault_domain: message.fault_domain,
        last_update: message.last_update,
    }
}

fn ranks_in(host: &HostAddr, text: &str) -> Result<RankSet, CallError> {
    text.parse().map_err(|error| malformed(host, error))
}

pub(in crate::client) async fn leader(connection: Connection, sys: String) -> Answer<Leader> {
    let message = mgmt::LeaderQueryReq { sys, hosts: String::new() };
    let answer = send!(connection, leader_query, message);
    let leader = Leader {
        current: answer.current_leader,
        replicas: answer.replicas,
        down: answer.down_replicas,
    };
    Ok((0, leader))
}

pub(in crate::client) async fn list_pools(
    connection: Connection,
    sys: String,
) -> Answer<Vec<Pool>> {
    let answer = send!(connection, list_pools, mgmt::ListPoolsReq { sys });
    let pools = answer.pools.into_iter().map(|pool| Pool {
        uuid: pool.uuid,
        label: pool.label,
        service_replicas: pool.svc_reps,
        state: pool.state,
    });
    Ok((answer.data_version, pools.collect()))
}

pub(in crate::client) async fn stop(
    connection: Connection,
    sys: String,
    selection: Selection,
    mode: StopMode,
    ignore_admin_excluded: bool,
) -> Answer<OperationReport> {
    let host = connection.host().clone();
    let (ranks, hosts) = selection.texts();
    let force = mode == StopMode::Kill;
    let message = mgmt::SystemStopReq {
        sys,
        force,
        ranks,
        hosts,
        ignore_admin_excluded,
        ..Default::default()
    };
    let answer = send!(connection, system_stop, message);
    report(&host, answer.results, &answer.absentranks, answer.absenthosts)
}

pub(in crate::client) async fn start(
    connection: Connection,
    sys: String,
    selection: Selection,
    ignore_admin_excluded: bool,
) -> Answer<OperationReport> {
    let host = connection.host().clone();
    let (ranks, hosts) = selection.texts();
    let message =
        mgmt::SystemStartReq { sys, ranks, hosts, check_mode: false, ignore_admin_excluded };
    let answer = send!(connection, system_start, message);
    report(&host, answer.results, &answer.absentranks, answer.absenthosts)
}

pub(in crate::client) async fn exclude(
    connection: Connection,
    sys: String,
    selection: Selection,
    clear: bool,
) -> Answer<OperationReport> {
    let host = connection.host().clone();
    let (ranks, hosts) = selection.texts();
    let answer =
        send!(connection, system_exclude, mgmt::SystemExcludeReq { sys, ranks, hosts, clear });
    report(&host, answer.results, "", String::new())
}

pub(in crate::client) async fn drain(
    connection: Connection,
    sys: String,
    selection: Selection,
    reint: bool,
) -> Answer<Vec<PoolRanks>> {
    let (ranks, hosts) = selection.texts();
    let message = mgmt::SystemDrainReq { sys, ranks, hosts, reint };
    let answer = send!(connection, system_drain, message);
    let pools = answer.responses.into_iter().map(|pool| PoolRanks {
        pool: pool.id,
        results: pool.results.into_iter().map(outcome).collect(),
    });
    Ok((0, pools.collect()))
}

pub(in crate::client) async fn cleanup(
    connection: Connection,
    sys: String,
    machine: String,
) -> Answer<Vec<Cleaned>> {
    let answer = send!(connection, system_cleanup, mgmt::SystemCleanupReq { sys, machine });
    let pools = answer.results.into_iter().map(|result| Cleaned {
        pool: result.pool_id,
        count: result.count,
        status: result.status,
        message: result.msg,
    });
    Ok((0, pools.collect()))
}

pub(in crate::client) async fn erase(
    connection: Connection,
    sys: String,
) -> Answer<OperationReport> {
    let host = connection.host().clone();
    let answer = send!(connection, system_erase, mgmt::SystemEraseReq { sys });
    report(&host, answer.results, "", String::new())
}

fn report(
    host: &HostAddr,
    results: Vec<shared::RankResult>,
    absent_ranks: &str,
    absent_hosts: String,
) -> Answer<OperationReport> {
    let mut results: Vec<RankOutcome> = results.into_iter().map(outcome).collect();
    results.sort_by_key(|result| result.rank);
    Ok((0, OperationReport { results, absent_ranks: ranks_in(host, absent_ranks)?, absent_hosts }))
}

fn outcome(message: shared::RankResult) -> RankOutcome {
    RankOutcome {
        rank: message.rank,
        action: message.action,
        errored: message.errored,
        message: message.msg,
        state: MemberState::from_word(&message.state),
        address: message.addr,
    }
}

pub(in crate::client) async fn set_properties(
    connection: Connection,
    sys: String,
    properties: BTreeMap<String, String>,
) -> Answer<()> {
    let properties = properties.into_iter().collect();
    send!(connection, system_set_prop, mgmt::SystemSetPropReq { sys, properties });
    Ok((0, ()))
}

pub(in crate::client) async fn properties(
    connection: Connection,
    sys: String,
    keys: Vec<String>,
) -> Answer<BTreeMap<String, String>> {
    let answer = send!(connection, system_get_prop, mgmt::SystemGetPropReq { sys, keys });
    Ok((0, answer.properties.into_iter().collect()))
}

pub(in crate::client) async fn set_attributes(
    connection: Connection,
    sys: String,
    attributes: BTreeMap<String, String>,
) -> Answer<()> {
    let attributes = attributes.into_iter().collect();
    send!(connection, system_set_attr, mgmt::SystemSetAttrReq { sys, attributes });
    Ok((0, ()))
}

pub(in crate::client) async fn attributes(
    connection: Connection,
    sys: String,
    keys: Vec<String>,
) -> Answer<BTreeMap<String, String>> {
    let answer = send!(connection, system_get_attr, mgmt::SystemGetAttrReq { sys, keys });
    Ok((0, answer.attributes.into_iter().collect()))
}
