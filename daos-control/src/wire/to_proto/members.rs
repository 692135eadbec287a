//! Members, and what came of operations on them (contract 2 `mgmt/system.proto`).

use daos_membership::{Member, QueryResult};
use daos_proto::{ctl, mgmt, shared};

use crate::engine::RankOutcome;
use crate::system_ops::{OperationReport, RankReport};

/// The answer to a query.
#[must_use]
pub fn query_response(found: &QueryResult, self_heal: String) -> mgmt::SystemQueryResp {
    mgmt::SystemQueryResp {
        members: found.members.iter().map(|each| member(each)).collect(),
        absentranks: found.absent_ranks.to_string(),
        absenthosts: found.absent_hosts.join(","),
        data_version: found.data_version,
        providers: found.fabric_providers.clone(),
        sys_self_heal_policy: self_heal,
    }
}

fn member(found: &Member) -> mgmt::SystemMember {
    mgmt::SystemMember {
        addr: found.address.to_string(),
        uuid: found.uuid.to_string(),
        rank: found.rank.get(),
        incarnation: found.incarnation.0,
        state: found.state.text().to_owned(),
        fabric_uri: found.fabric_uri.clone(),
        fabric_contexts: found.fabric_contexts,
        info: found.info.clone(),
        fault_domain: found.fault_domain.to_string(),
        last_update: found.last_update.to_string(),
        secondary_fabric_uris: found.secondary_fabric_uris.clone(),
    }
}

/// What an operation did to one rank of the system.
#[must_use]
pub fn rank_result(report: &RankReport) -> shared::RankResult {
    shared::RankResult {
        rank: report.rank.get(),
        action: report.action.to_owned(),
        errored: report.errored,
        msg: report.message.clone(),
        state: report.state.text().to_owned(),
        addr: report.address.clone(),
    }
}

/// The answer to a stop.
#[must_use]
pub fn stop_response(report: &OperationReport) -> mgmt::SystemStopResp {
    mgmt::SystemStopResp {
        results: report.results.iter().map(rank_result).collect(),
        absentranks: report.absent_ranks.to_string(),
        absenthosts: report.absent_hosts.join(","),
    }
}

/// The answer to a start.
#[must_use]
pub fn start_response(report: &OperationReport) -> mgmt::SystemStartResp {
    mgmt::SystemStartResp {
        results: report.results.iter().map(rank_result).collect(),
        absentranks: report.absent_ranks.to_string(),
        absenthosts: report.absent_hosts.join(","),
    }
}

/// The answer of one host to an order about its ranks.
#[must_use]
pub fn ranks_response(outcomes: Vec<RankOutcome>) -> ctl::RanksResp {
    let results = outcomes.into_iter().map(|outcome| {
        let errored = outcome.error.is_some();
        shared::RankResult {
            rank: outcome.rank.get(),
            action: outcome.action.text().to_owned(),
            errored,
            msg: outcome.error.unwrap_or(outcome.message),
            state: outcome.state.text().to_owned(),
            addr: String::new(),
        }
    });
    ctl::RanksResp { results: results.collect() }
}
