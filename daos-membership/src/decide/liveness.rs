//! What news of an engine's death change (contract 6.7).

use crate::command::{Change, StateUpdate};
use crate::decide::properties;
use crate::rank::{Incarnation, Rank};
use crate::state::MemberState;
use crate::system::System;

/// What became of a piece of news about a rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// The member changes its state.
    Changes(Change),
    /// The member is excluded already.
    AlreadyExcluded,
    /// The news is about an earlier start of the engine than the one that joined.
    Stale {
        /// The start that joined.
        known: Incarnation,
    },
    /// A member in this state is not changed by such news.
    NotFrom(MemberState),
    /// The system property `self_heal` leaves exclusion to the administrator.
    SelfHealOff,
    /// There is no such member.
    UnknownRank,
}

/// Other engines found this one dead. `None` as incarnation means that it is not known which start is meant.
#[must_use]
pub fn rank_dead(system: &System, rank: Rank, incarnation: Option<Incarnation>) -> Liveness {
    if !properties::self_heal(system).exclude {
        return Liveness::SelfHealOff;
    }
    if system.member(rank).is_some_and(|member| member.state == MemberState::Excluded) {
        return Liveness::AlreadyExcluded;
    }
    moved(system, rank, incarnation, MemberState::Excluded, "")
}

/// The engine's own host saw its process end. `info` says how.
#[must_use]
pub fn engine_died(
    system: &System,
    rank: Rank,
    incarnation: Option<Incarnation>,
    info: &str,
) -> Liveness {
    moved(system, rank, incarnation, MemberState::Errored, info)
}

fn moved(
    system: &System,
    rank: Rank,
    incarnation: Option<Incarnation>,
    state: MemberState,
    info: &str,
) -> Liveness {
    let Some(member) = system.member(rank) else {
        return Liveness::UnknownRank;
    };
    // Compared by number, never by time: news may arrive late, twice or in any order.
    if incarnation.is_some_and(|incarnation| incarnation < member.incarnation) {
        return Liveness::Stale { known: member.incarnation };
    }
    if !member.state.may_become(state) {
        return Liveness::NotFrom(member.state);
    }
    let update = StateUpdate { rank, state, info: info.to_owned() };
    Liveness::Changes(Change::UpdateStates { updates: vec![update] })
}
