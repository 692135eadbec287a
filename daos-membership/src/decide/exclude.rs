//! Exclusion by an administrator, its clearing, and removal of members (contract 6.9).

use crate::address::ControlAddress;
use crate::command::{Change, StateUpdate};
use crate::decide::resolve::{self, Selection};
use crate::error::{MembershipError, SelectionError};
use crate::rank::{Rank, RankSet};
use crate::state::MemberState;
use crate::system::System;

/// What an administrator does to a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExcludeAction {
    /// Keeps it out until cleared.
    Exclude,
    /// Lets it in again; it stays out of the group until it joins.
    Clear,
}

impl ExcludeAction {
    /// The action's name in results (contract 2.1).
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Exclude => "set admin-excluded state",
            Self::Clear => "clear admin-excluded state",
        }
    }
}

/// What became of one rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExcludeResult {
    /// The rank.
    pub rank: Rank,
    /// Its state afterwards.
    pub state: MemberState,
    /// Whether that is a change.
    pub changed: bool,
}

/// An exclusion decided: `change` is `None` when every rank is in the wanted state already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExcludePlan {
    /// What has to be applied.
    pub change: Option<Change>,
    /// One result per chosen rank, in order.
    pub results: Vec<ExcludeResult>,
}

/// Excludes the chosen ranks or clears their exclusion.
///
/// Excluding sets the state from whatever it was. Clearing turns admin-excluded into excluded and leaves every
/// other state alone.
///
/// # Errors
/// [`SelectionError::Unknown`] when a chosen rank or host does not exist.
pub fn exclude(
    system: &System,
    selection: &Selection,
    action: ExcludeAction,
) -> Result<ExcludePlan, SelectionError> {
    let ranks = resolve::existing(system, selection)?;
    let (mut updates, mut results) = (Vec::new(), Vec::new());
    for member in ranks.iter().filter_map(|rank| system.member(rank)) {
        let rank = member.rank;
        let wanted = match (action, member.state) {
            (ExcludeAction::Exclude, _) => MemberState::AdminExcluded,
            (ExcludeAction::Clear, MemberState::AdminExcluded) => MemberState::Excluded,
            (ExcludeAction::Clear, other) => other,
        };
        let changed = wanted != member.state;
        if changed {
            updates.push(StateUpdate { rank, state: wanted, info: String::new() });
        }
        results.push(ExcludeResult { rank, state: wanted, changed });
    }
    let change = (!updates.is_empty()).then_some(Change::UpdateStates { updates });
    Ok(ExcludePlan { change, results })
}

/// Makes sure that an exclusion leaves a usable engine on a host with a replica of the management service: the leader
/// tells engines about each other through an engine of its own host, and a leader without one gives way to others.
///
/// # Errors
/// Fault 1415 when the last of them would go. Where there is none anyway, nothing is made worse.
pub fn keeps_a_usable_engine(
    system: &System,
    plan: &ExcludePlan,
    replicas: &[ControlAddress],
) -> Result<(), SelectionError> {
    let there = replicas.iter().flat_map(|replica| system.members_at(*replica));
    let usable: RankSet =
        there.filter(|member| member.is_available()).map(|member| member.rank).collect();
    let out: RankSet =
        plan.results.iter().filter(|each| each.changed).map(|each| each.rank).collect();
    let left = usable.iter().any(|rank| !out.contains(rank));
    match usable.is_empty() || left {
        true => Ok(()),
        false => Err(SelectionError::LastUsable { ranks: usable }),
    }
}

/// Takes members out of the system for good. Their ranks are not given to other engines. Ranks that were removed
/// before are passed over, so that a removal can be repeated (E33).
///
/// # Errors
/// When a rank was never given, or a member is ready or joined.
pub fn remove(system: &System, ranks: &RankSet) -> Result<Vec<Change>, MembershipError> {
    let there: RankSet = ranks.iter().filter(|rank| system.retired(*rank).is_none()).collect();
    let there = resolve::existing(system, &Selection::Ranks(there))?;
    let members = there.iter().filter_map(|rank| system.member(rank));
    members
        .map(|member| match member.is_available() {
            true => {
                Err(MembershipError::RemoveAvailable { rank: member.rank, state: member.state })
            }
            false => Ok(Change::RemoveMember { rank: member.rank, uuid: member.uuid }),
        })
        .collect()
}
