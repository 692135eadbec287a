//! What the results of a request to many hosts change in the states of members (contract 6.3).

use std::collections::BTreeMap;

use crate::command::{Change, StateUpdate};
use crate::error::{MembershipError, SelectionError};
use crate::rank::{Rank, RankSet};
use crate::state::MemberState;
use crate::system::System;

/// What a host said about one of its ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberResult {
    /// The rank.
    pub rank: Rank,
    /// Whether what was asked of it failed.
    pub errored: bool,
    /// What the host said, kept as the member's info.
    pub message: String,
    /// The state it is in now.
    pub state: MemberState,
}

/// Whether failed results are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The member takes over the failed state.
    Record,
    /// The member keeps its state.
    Keep,
}

/// What became of one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// The member takes over the state.
    Recorded,
    /// The member is in that state already and keeps its info.
    Unchanged,
    /// It failed, and failures were not to be recorded.
    FailureKept,
    /// The member may not go from its state to that one.
    Illegal {
        /// The state it keeps.
        from: MemberState,
    },
}

/// Decided reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatesPlan {
    /// What has to be applied; `None` when nothing changes.
    pub change: Option<Change>,
    /// One outcome per result, in order.
    pub outcomes: Vec<(Rank, ReportOutcome)>,
}

/// Decides which of the results change a member's state.
///
/// # Errors
/// When a result is about a rank that does not exist, or says failed with a state that is no failure.
pub fn update(
    system: &System,
    results: &[MemberResult],
    on_failure: OnFailure,
) -> Result<StatesPlan, MembershipError> {
    let known = |result: &&MemberResult| system.member(result.rank).is_none();
    let unknown: RankSet = results.iter().filter(known).map(|result| result.rank).collect();
    if !unknown.is_empty() {
        return Err(SelectionError::Unknown { ranks: unknown, hosts: Vec::new() }.into());
    }
    let (mut updates, mut outcomes) = (Vec::new(), Vec::new());
    let mut decided: BTreeMap<Rank, MemberState> = BTreeMap::new();
    for result in results {
        let Some(member) = system.member(result.rank) else { continue };
        let from = *decided.get(&result.rank).unwrap_or(&member.state);
        let outcome = judge(from, result, on_failure)?;
        if outcome == ReportOutcome::Recorded {
            decided.insert(result.rank, result.state);
            let (rank, state, info) = (result.rank, result.state, result.message.clone());
            updates.push(StateUpdate { rank, state, info });
        }
        outcomes.push((result.rank, outcome));
    }
    let change = (!updates.is_empty()).then_some(Change::UpdateStates { updates });
    Ok(StatesPlan { change, outcomes })
}

/// Brings members back that hosts say run and serve, and that are out of touch only because their host once did not answer.
///
/// A host says so of an engine only after it has joined, and a later start would have joined too: so the start that joined
/// is the one that runs, and the member goes back to where that join had put it, over the states of a start. A member in
/// any other state has to join.
#[must_use]
pub fn found_running(system: &System, ranks: &RankSet) -> Option<Change> {
    let way = [MemberState::Starting, MemberState::Joined];
    let mut updates = Vec::new();
    for rank in ranks.iter() {
        // One without a URI lost it to another engine that came up there.
        let there = system.member(rank).filter(|member| !member.fabric_uri.is_empty());
        if there.is_none_or(|member| member.state != MemberState::Unresponsive) {
            continue;
        }
        let from = [MemberState::Unresponsive, MemberState::Starting];
        if from.iter().zip(way).all(|(from, to)| from.may_become(to)) {
            let update = |state| StateUpdate { rank, state, info: String::new() };
            updates.extend(way.map(update));
        }
    }
    (!updates.is_empty()).then_some(Change::UpdateStates { updates })
}

fn judge(
    from: MemberState,
    result: &MemberResult,
    on_failure: OnFailure,
) -> Result<ReportOutcome, MembershipError> {
    let (rank, state) = (result.rank, result.state);
    if result.errored && !matches!(state, MemberState::Errored | MemberState::Unresponsive) {
        return Err(MembershipError::BadReport { rank, state });
    }
    Ok(match () {
        () if result.errored && on_failure == OnFailure::Keep => ReportOutcome::FailureKept,
        () if from == state => ReportOutcome::Unchanged,
        () if !from.may_become(state) => ReportOutcome::Illegal { from },
        () => ReportOutcome::Recorded,
    })
}
