//! What news of an engine's death change (contract 6.7).

use crate::clock::Timestamp;
use crate::command::{Change, DeathReport, StateUpdate};
use crate::decide::damping::{self, Damping};
use crate::decide::properties;
use crate::rank::{Incarnation, Rank};
use crate::state::MemberState;
use crate::system::System;

/// What became of a piece of news about a rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// The member changes its state.
    Changes(Change),
    /// Too many died at once: the death is remembered and looked at again later.
    Held(Change),
    /// The death is remembered already.
    AlreadyHeld,
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
    /// Nobody thought otherwise.
    NothingNew,
}

impl Liveness {
    /// What has to be applied.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        match self {
            Self::Changes(change) | Self::Held(change) => Some(change),
            _ => None,
        }
    }
}

/// Other engines found this one dead. `None` as incarnation means that it is not known which start is meant. Every
/// survivor says so; all but the first change nothing.
#[must_use]
pub fn rank_dead(
    system: &System,
    rank: Rank,
    incarnation: Option<Incarnation>,
    at: Timestamp,
    damping: &Damping,
) -> Liveness {
    if !properties::self_heal(system).exclude {
        return Liveness::SelfHealOff;
    }
    let Some(member) = system.member(rank) else {
        return Liveness::UnknownRank;
    };
    if member.state == MemberState::Excluded {
        return Liveness::AlreadyExcluded;
    }
    let held = system.deaths().held().get(&rank);
    if held.is_some_and(|held| incarnation <= held.incarnation) {
        return Liveness::AlreadyHeld;
    }
    let info = and_then(&member.info, "seen dead by its peers");
    match moved(system, rank, incarnation, MemberState::Excluded, &info) {
        Liveness::Changes(exclude) => match damping::held_because(system, member, at, damping) {
            Some(reason) => {
                let deaths = vec![DeathReport { rank, incarnation }];
                Liveness::Held(Change::HoldDeaths { deaths, reason })
            }
            None => Liveness::Changes(exclude),
        },
        other => other,
    }
}

/// What was known of a member before, and what came to it: how its engine ended stays to be read when its peers miss it.
pub(super) fn and_then(known: &str, news: &str) -> String {
    match known {
        "" => news.to_owned(),
        known => format!("{known}; then {news}"),
    }
}

/// Other engines found this one alive again: a death that is held was none. One that is excluded has to join.
#[must_use]
pub fn rank_alive(system: &System, rank: Rank, incarnation: Option<Incarnation>) -> Liveness {
    if system.member(rank).is_none() {
        return Liveness::UnknownRank;
    }
    let alive = DeathReport { rank, incarnation };
    match damping::drop_held(system, alive, "other engines found it alive again") {
        Some(change) => Liveness::Changes(change),
        None => Liveness::NothingNew,
    }
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
