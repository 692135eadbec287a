//! All hosts asked at once, one answer per rank, and no waiting for a host that is gone (W36, W37).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daos_membership::{ControlAddress, Member, MemberResult, MemberState, Rank, RankSet};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::peer::{Peers, RanksCall};
use crate::engine::RankAction;
use crate::wire::CallError;

/// Hosts asked at the same time; below the usual limit of open files.
const AT_ONCE: usize = 256;

/// What a host says about one of its ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankReply {
    /// The rank.
    pub rank: Rank,
    /// Whether what was asked failed.
    pub errored: bool,
    /// Why, or a remark.
    pub message: String,
    /// State afterwards, in the host's words.
    pub state: MemberState,
}

/// The outcome for one rank, as it is recorded and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankReport {
    /// The rank.
    pub rank: Rank,
    /// Words of the operation (contract 2.1).
    pub action: &'static str,
    /// Whether it failed.
    pub errored: bool,
    /// Why, or a remark.
    pub message: String,
    /// State afterwards.
    pub state: MemberState,
    /// Control address of its host.
    pub address: String,
}

impl RankReport {
    /// The form in which the system records it.
    #[must_use]
    pub fn recorded(&self) -> MemberResult {
        MemberResult {
            rank: self.rank,
            errored: self.errored,
            message: self.message.clone(),
            state: self.state,
        }
    }
}

/// What is the same for every host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub action: RankAction,
    pub force: bool,
    pub check_mode: bool,
    pub limit: Duration,
}

/// Gives an order to the hosts of these members; one report per member, in order of ranks.
pub(super) async fn fan_out(
    peers: &Arc<dyn Peers>,
    members: &[Arc<Member>],
    order: Order,
) -> Vec<RankReport> {
    let mut hosts: BTreeMap<ControlAddress, RankSet> = BTreeMap::new();
    for member in members {
        hosts.entry(member.address).or_default().insert(member.rank);
    }
    let deadline = Instant::now() + order.limit;
    let calls = hosts.into_iter().map(|(host, ranks)| {
        let Order { action, force, check_mode, .. } = order;
        let call = RanksCall { action, ranks, force, check_mode };
        async move {
            let answer = peers.ranks(host, &call, deadline).await;
            reports(host, &call, answer)
        }
    });
    let mut all: Vec<RankReport> =
        stream::iter(calls).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    all.sort_by_key(|report| report.rank);
    all
}

/// One report for each rank that was asked for: a host that fails makes all of them unresponsive, a rank that it
/// does not mention is one of them, and what was not asked for is not listened to.
fn reports(
    host: ControlAddress,
    call: &RanksCall,
    answer: Result<Vec<RankReply>, CallError>,
) -> Vec<RankReport> {
    let answered = answer.is_ok();
    let (mut replies, failure) = match answer {
        Ok(replies) => {
            let by_rank: BTreeMap<Rank, RankReply> =
                replies.into_iter().map(|reply| (reply.rank, reply)).collect();
            (by_rank, format!("host {host} does not know this rank"))
        }
        Err(error) => (BTreeMap::new(), error.to_string()),
    };
    let report = |rank, errored, message, state| RankReport {
        rank,
        action: call.action.text(),
        errored,
        message,
        state,
        address: host.to_string(),
    };
    call.ranks
        .iter()
        .map(|rank| match replies.remove(&rank) {
            Some(reply) => {
                report(rank, reply.errored, reply.message, settled(reply.state, reply.errored))
            }
            // A superblock that is not there needs no removing, so that an erase can be taken up again.
            None if answered && call.action == RankAction::ResetFormat => report(
                rank,
                false,
                "no superblock of this rank".to_owned(),
                MemberState::AwaitFormat,
            ),
            None => report(rank, true, failure.clone(), MemberState::Unresponsive),
        })
        .collect()
}

/// A failed rank is errored or unresponsive, whatever word came with it.
fn settled(state: MemberState, errored: bool) -> MemberState {
    match state {
        MemberState::Errored | MemberState::Unresponsive => state,
        _ if errored => MemberState::Errored,
        other => other,
    }
}
