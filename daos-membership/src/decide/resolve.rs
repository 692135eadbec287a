//! Which members a request means: ranks, hosts or all of them (contract 6.9).

use std::sync::Arc;

use crate::address::ControlAddress;
use crate::error::SelectionError;
use crate::member::Member;
use crate::rank::{Rank, RankSet};
use crate::state::{MemberState, StateMask};
use crate::system::System;

/// A host as somebody named it, with what the name resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedHost {
    /// The name as it was given, to be reported when it is absent.
    pub name: String,
    /// Its control address; `None` when the name does not resolve.
    pub address: Option<ControlAddress>,
}

/// Which members are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// All there are.
    #[default]
    All,
    /// These ranks.
    Ranks(RankSet),
    /// All ranks of these hosts.
    Hosts(Vec<NamedHost>),
}

impl Selection {
    /// The selection that two lists make: one of them, or all when both are empty.
    ///
    /// # Errors
    /// [`SelectionError::RanksAndHosts`] when neither is empty.
    pub fn of(ranks: RankSet, hosts: Vec<NamedHost>) -> Result<Self, SelectionError> {
        match (ranks.is_empty(), hosts.is_empty()) {
            (true, true) => Ok(Self::All),
            (false, true) => Ok(Self::Ranks(ranks)),
            (true, false) => Ok(Self::Hosts(hosts)),
            (false, false) => Err(SelectionError::RanksAndHosts),
        }
    }
}

/// A selection matched with the members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// The ranks that exist.
    pub ranks: RankSet,
    /// Ranks that do not.
    pub absent_ranks: RankSet,
    /// Hosts without members, as they were named.
    pub absent_hosts: Vec<String>,
}

/// Matches a selection with the members there are.
#[must_use]
pub fn resolve(system: &System, selection: &Selection) -> Resolved {
    let mut resolved = Resolved::default();
    match selection {
        Selection::All => resolved.ranks = system.members().map(|member| member.rank).collect(),
        Selection::Ranks(ranks) => {
            for rank in ranks.iter() {
                match system.member(rank) {
                    Some(_) => resolved.ranks.insert(rank),
                    None => resolved.absent_ranks.insert(rank),
                };
            }
        }
        Selection::Hosts(hosts) => {
            for host in hosts {
                let there = host.address.into_iter().flat_map(|address| system.members_at(address));
                let ranks: Vec<Rank> = there.map(|member| member.rank).collect();
                if ranks.is_empty() && !resolved.absent_hosts.contains(&host.name) {
                    resolved.absent_hosts.push(host.name.clone());
                }
                resolved.ranks.extend(ranks);
            }
        }
    }
    resolved
}

/// The ranks of a selection of which nothing may be absent.
///
/// # Errors
/// [`SelectionError::Unknown`] naming what is absent.
pub fn existing(system: &System, selection: &Selection) -> Result<RankSet, SelectionError> {
    let Resolved { ranks, absent_ranks, absent_hosts } = resolve(system, selection);
    if absent_ranks.is_empty() && absent_hosts.is_empty() {
        return Ok(ranks);
    }
    Err(SelectionError::Unknown { ranks: absent_ranks, hosts: absent_hosts })
}

/// What to do about chosen members that an administrator keeps out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminExcludedRanks {
    /// Refuse when they were chosen by name, leave them out when all members were meant.
    Refuse,
    /// Leave them out.
    Ignore,
}

/// The members of a selection that can be stopped or started.
///
/// # Errors
/// Fault 622 when an admin-excluded rank was chosen by name and not to be ignored, or when no other is left.
pub fn usable(
    system: &System,
    selection: &Selection,
    excluded: AdminExcludedRanks,
) -> Result<Resolved, SelectionError> {
    let mut resolved = resolve(system, selection);
    let out = |rank: &Rank| {
        system.member(*rank).is_some_and(|member| member.state == MemberState::AdminExcluded)
    };
    let ranks: RankSet = resolved.ranks.iter().filter(out).collect();
    if ranks.is_empty() {
        return Ok(resolved);
    }
    if *selection != Selection::All && excluded == AdminExcludedRanks::Refuse {
        return Err(SelectionError::AdminExcluded { ranks });
    }
    for rank in ranks.iter() {
        resolved.ranks.remove(rank);
    }
    match resolved.ranks.is_empty() {
        true => Err(SelectionError::AllAdminExcluded { ranks }),
        false => Ok(resolved),
    }
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryResult {
    /// The members that are meant, in order of their ranks.
    pub members: Vec<Arc<Member>>,
    /// Ranks that do not exist.
    pub absent_ranks: RankSet,
    /// Hosts without members.
    pub absent_hosts: Vec<String>,
    /// Version of the state that was read.
    pub data_version: u64,
    /// Fabric providers of the system, the primary one first.
    pub fabric_providers: Vec<String>,
}

/// Members of a selection that are in one of these states.
#[must_use]
pub fn query(system: &System, selection: &Selection, states: StateMask) -> QueryResult {
    let in_state = |member: &&Arc<Member>| states.contains(member.state);
    let Resolved { ranks, absent_ranks, absent_hosts } = match selection {
        Selection::All => Resolved::default(),
        _ => resolve(system, selection),
    };
    let members = match selection {
        Selection::All => system.members().filter(in_state).cloned().collect(),
        _ => {
            let chosen = ranks.iter().filter_map(|rank| system.member(rank));
            chosen.filter(in_state).cloned().collect()
        }
    };
    QueryResult {
        members,
        absent_ranks,
        absent_hosts,
        data_version: system.data_version(),
        fabric_providers: system.management().fabric_providers.clone().unwrap_or_default(),
    }
}
