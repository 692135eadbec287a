//! What is always true of a system, as named functions: for property tests, simulations and history checkers.
//!
//! [`check`] looks at one state, [`check_step`] at one command applied to it. Only with the feature `testing`; work
//! grows with the number of members.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{Change, Command};
use crate::group_map::GroupMap;
use crate::member::Member;
use crate::rank::{Rank, RankSet};
use crate::state::MemberState;
use crate::system::System;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {found}")]
pub struct Violation {
    /// Name of the invariant: that of its function.
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

/// What is true of one state.
pub type OfState = fn(&System) -> Result<(), String>;

/// What is true of a state, a command, and the state after it was applied.
pub type OfStep = fn(&System, &Command, &System) -> Result<(), String>;

macro_rules! named {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name)),*] };
}

/// All invariants of a state.
pub const OF_STATE: &[(&str, OfState)] = named![
    no_two_members_share_a_uuid,
    no_two_members_share_a_fabric_uri,
    every_way_to_find_a_member_agrees,
    fault_domains_hold_the_members,
    the_next_rank_was_never_given,
    event_numbers_have_no_gaps,
    held_deaths_are_of_members,
];

/// All invariants of a step.
pub const OF_STEP: &[(&str, OfStep)] = named![
    versions_never_fall,
    another_group_map_has_another_version,
    a_rank_keeps_its_engine_unless_it_is_replaced,
    the_next_rank_never_falls,
    nothing_is_joined_that_did_not_ask,
    reports_keep_to_the_list_of_transitions,
    event_numbers_only_rise,
    what_changes_a_state_is_an_event,
];

/// Looks at one state.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check(system: &System) -> Result<(), Violation> {
    OF_STATE.iter().try_for_each(|(invariant, holds)| {
        holds(system).map_err(|found| Violation { invariant, found })
    })
}

/// Looks at a command applied to `before` that made `after`.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_step(before: &System, command: &Command, after: &System) -> Result<(), Violation> {
    OF_STEP.iter().try_for_each(|(invariant, holds)| {
        holds(before, command, after).map_err(|found| Violation { invariant, found })
    })
}

fn ensure(holds: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(found()) }
}

/// An engine is one member. (That ranks are not shared is the map's own nature; see `every_way_to_find_a_member_agrees`.)
pub fn no_two_members_share_a_uuid(system: &System) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    system.members().try_for_each(|member| {
        let other = seen.insert(member.uuid, member.rank);
        ensure(other.is_none(), || {
            format!("ranks {other:?} and {} are {}", member.rank, member.uuid)
        })
    })
}

/// Nobody answers in another's place.
pub fn no_two_members_share_a_fabric_uri(system: &System) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    system.members().filter(|member| !member.fabric_uri.is_empty()).try_for_each(|member| {
        let (uri, rank) = (&member.fabric_uri, member.rank);
        let other = seen.insert(uri.clone(), rank);
        ensure(other.is_none(), || format!("ranks {other:?} and {rank} are at {uri}"))
    })
}

/// By rank, uuid, URI, address and state one finds the same members.
pub fn every_way_to_find_a_member_agrees(system: &System) -> Result<(), String> {
    let mut counts: BTreeMap<MemberState, usize> = BTreeMap::new();
    for member in system.members() {
        let by_uri = system.member_by_uri(&member.fabric_uri);
        let agrees = system.member(member.rank) == Some(member)
            && system.member_by_uuid(member.uuid) == Some(member)
            && system.members_at(member.address).any(|there| there == member)
            && (member.fabric_uri.is_empty() || by_uri == Some(member));
        ensure(agrees, || format!("rank {} is not found everywhere", member.rank))?;
        *counts.entry(member.state).or_default() += 1;
    }
    MemberState::ALL.iter().try_for_each(|state| {
        let (counted, there) = (system.count_in_state(*state), counts.get(state).copied());
        ensure(counted == there.unwrap_or(0), || format!("{counted} counted in {state}, {there:?}"))
    })
}

/// The tree of fault domains has exactly the ranks there are.
pub fn fault_domains_hold_the_members(system: &System) -> Result<(), String> {
    let ranks: RankSet = system.members().map(|member| member.rank).collect();
    match system.fault_domains().compressed(&ranks) {
        Ok(_) => ensure(system.fault_domains().rank_count() == ranks.len(), || {
            format!("{} in the tree, {} members", system.fault_domains().rank_count(), ranks.len())
        }),
        Err(missing) => Err(format!("ranks {missing} are missing")),
    }
}

/// A rank that is offered to the next engine is new.
pub fn the_next_rank_was_never_given(system: &System) -> Result<(), String> {
    let next = system.next_rank().filter(|next| system.was_issued(*next));
    ensure(next.is_none(), || format!("rank {next:?} was given before"))
}

/// Whoever follows the events by their numbers misses none without being told.
pub fn event_numbers_have_no_gaps(system: &System) -> Result<(), String> {
    let page = system.events_after(0, usize::MAX);
    let numbers = page.events.iter().map(|event| event.number);
    ensure(numbers.eq(page.missed + 1..=page.last), || {
        format!("events after {} up to {} are not all there", page.missed, page.last)
    })
}

/// A death that waits is that of a member that can still be excluded.
pub fn held_deaths_are_of_members(system: &System) -> Result<(), String> {
    system.deaths().held().keys().try_for_each(|rank| {
        let out = system.member(*rank).is_none_or(|member| {
            matches!(member.state, MemberState::Excluded | MemberState::AdminExcluded)
        });
        ensure(!out, || format!("the death of rank {rank} is held, and it is out"))
    })
}

/// Versions of state and group map.
pub fn versions_never_fall(before: &System, _: &Command, after: &System) -> Result<(), String> {
    let (data, map) = (before.data_version(), before.map_version());
    let holds = after.data_version() >= data && after.map_version() >= map;
    ensure(holds, || {
        format!("{data}, {map} became {}, {}", after.data_version(), after.map_version())
    })
}

/// Engines tell maps apart by their versions only.
pub fn another_group_map_has_another_version(
    before: &System,
    _: &Command,
    after: &System,
) -> Result<(), String> {
    let same = GroupMap::of(before).engines().eq(GroupMap::of(after).engines());
    ensure(same || after.map_version() > before.map_version(), || {
        format!("two maps have version {}", after.map_version())
    })
}

/// Whose each rank is or was.
fn owner(system: &System, rank: Rank) -> Option<uuid::Uuid> {
    system.member(rank).map(|member| member.uuid).or_else(|| system.retired(rank))
}

/// Data on a rank's storage is the rank's, so nobody else may become it by accident.
pub fn a_rank_keeps_its_engine_unless_it_is_replaced(
    before: &System,
    command: &Command,
    after: &System,
) -> Result<(), String> {
    let replaced: BTreeSet<Rank> = command
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::ReplaceMember { member, .. } => Some(member.rank),
            _ => None,
        })
        .collect();
    let ranks = before.members().map(|member| member.rank).chain(before.retired_ranks());
    ranks.filter(|rank| !replaced.contains(rank)).try_for_each(|rank| {
        let (was, is) = (owner(before, rank), owner(after, rank));
        ensure(was == is, || format!("rank {rank} was {was:?} and is {is:?}"))
    })
}

/// Ranks are not given twice.
pub fn the_next_rank_never_falls(
    before: &System,
    _: &Command,
    after: &System,
) -> Result<(), String> {
    let (was, is) = (before.next_rank(), after.next_rank());
    let holds = match (was, is) {
        (Some(was), Some(is)) => is >= was,
        (None, Some(_)) => false,
        (_, None) => true,
    };
    ensure(holds, || format!("from {was:?} to {is:?}"))
}

/// Only a join makes a member joined.
pub fn nothing_is_joined_that_did_not_ask(
    before: &System,
    command: &Command,
    after: &System,
) -> Result<(), String> {
    let asked: BTreeSet<Rank> = command
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::AdmitMember { member }
            | Change::RejoinMember { member }
            | Change::ReplaceMember { member, .. } => Some(member.rank),
            _ => None,
        })
        .collect();
    let joined = |member: &Member| member.state == MemberState::Joined;
    after.members().filter(|member| joined(member)).try_for_each(|member| {
        let was =
            before.member(member.rank).is_some_and(|was| joined(was) && was.uuid == member.uuid);
        ensure(was || asked.contains(&member.rank), || format!("rank {}", member.rank))
    })
}

/// A member that no join and no administrator touched goes only where the list of transitions lets it.
pub fn reports_keep_to_the_list_of_transitions(
    before: &System,
    command: &Command,
    _: &System,
) -> Result<(), String> {
    let mut states: BTreeMap<Rank, MemberState> = BTreeMap::new();
    for change in &command.changes {
        let Change::UpdateStates { updates } = change else { continue };
        for update in updates {
            let before = before.member(update.rank).map(|member| member.state);
            let Some(from) = states.get(&update.rank).copied().or(before) else { continue };
            let to = update.state;
            let by_administrator = to == MemberState::AdminExcluded
                || (from, to) == (MemberState::AdminExcluded, MemberState::Excluded);
            ensure(from == to || by_administrator || from.may_become(to), || {
                format!("rank {} went from {from} to {to}", update.rank)
            })?;
            states.insert(update.rank, to);
        }
    }
    Ok(())
}

/// Events that were read once are never renumbered.
pub fn event_numbers_only_rise(before: &System, _: &Command, after: &System) -> Result<(), String> {
    let last = before.last_event();
    ensure(after.last_event() >= last, || format!("{last} became {}", after.last_event()))?;
    let (was, is) = (before.events_after(last.saturating_sub(1), 1), last.saturating_sub(1));
    let is = after.events_after(is, 1);
    // The newest event of before may have left the ring meanwhile.
    ensure(last == 0 || is.missed > 0 || was.events == is.events, || {
        format!("event {last} changed")
    })
}

/// Whoever follows the events learns of every change of a member's state.
pub fn what_changes_a_state_is_an_event(
    before: &System,
    _: &Command,
    after: &System,
) -> Result<(), String> {
    let new = after.events_after(before.last_event(), usize::MAX);
    if new.missed > 0 {
        return Ok(());
    }
    let told: BTreeSet<Rank> = new.events.iter().flat_map(|event| event.ranks()).collect();
    let state = |system: &System, rank| system.member(rank).map(|member| member.state);
    let ranks: BTreeSet<Rank> =
        before.members().chain(after.members()).map(|member| member.rank).collect();
    ranks.into_iter().try_for_each(|rank| {
        let (was, is) = (state(before, rank), state(after, rank));
        ensure(was == is || told.contains(&rank), || format!("rank {rank}: {was:?} to {is:?}"))
    })
}
