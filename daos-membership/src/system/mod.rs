//! The system: its members, versions, attributes and properties, as a deterministic state machine.
//!
//! [`System::apply`] is the only way to change it and depends on nothing but the state and the command, so
//! every replica that applies the same log has the same system. Owned by a [`crate::Replicate`] body; read by
//! the deciding functions. Knows no clock, no disk and no network.

mod apply;
mod deaths;
mod events;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::deaths::{Deaths, HeldDeath};
pub(crate) use self::deaths::{REMEMBERED, age};
use self::events::EventLog;
pub use self::events::{EVENT_BYTES_KEPT, EVENTS_KEPT, EventPage};
pub use self::snapshot::{SnapshotError, SystemSnapshot};
use crate::address::ControlAddress;
use crate::fault_domain::FaultDomainTree;
use crate::member::Member;
use crate::rank::Rank;
use crate::state::MemberState;

/// Which system this is. Kept in every superblock and in the log; a foreign one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemIdentity {
    /// Made when the system was formatted.
    pub uuid: Uuid,
    /// The configured name (contract 1.3).
    pub name: String,
}

/// Facts that the management service keeps for itself (`mgmt.` in contract 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManagementState {
    /// Fabric providers, the primary one first. `None` until the first leader has set them.
    #[serde(default)]
    pub fabric_providers: Option<Vec<String>>,
    /// Whether group map updates are held back while the provider changes.
    #[serde(default)]
    pub group_update_paused: bool,
    /// Labels of fault domains, outermost first. `None` until the first member has joined.
    #[serde(default)]
    pub domain_labels: Option<Vec<String>>,
    /// Whether the system is in checker mode.
    #[serde(default)]
    pub checker_enabled: bool,
    /// Where replicas are to be, in the order they are told to clients. Empty in what a replica alone wrote.
    #[serde(default)]
    pub wanted_replicas: Vec<ControlAddress>,
}

/// The replicated state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    identity: SystemIdentity,
    members: BTreeMap<Rank, Arc<Member>>,
    /// Ranks whose engine was removed, with that engine; it alone may come back to its rank.
    retired: BTreeMap<Rank, Uuid>,
    /// The lowest rank from 1 on that was never given; `None` when all are.
    next_rank: Option<Rank>,
    map_version: u32,
    data_version: u64,
    fault_domains: FaultDomainTree,
    attributes: BTreeMap<String, String>,
    properties: BTreeMap<String, String>,
    management: ManagementState,
    events: EventLog,
    deaths: Deaths,
    index: Index,
}

/// Ways to find a member, kept in step with the members so that no decision has to walk them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Index {
    by_uuid: BTreeMap<Uuid, Rank>,
    by_uri: BTreeMap<String, Rank>,
    by_address: BTreeSet<(ControlAddress, Rank)>,
    by_state: BTreeMap<MemberState, usize>,
}

impl System {
    /// A system without members.
    #[must_use]
    pub fn new(identity: SystemIdentity) -> Self {
        Self {
            identity,
            members: BTreeMap::new(),
            retired: BTreeMap::new(),
            next_rank: Rank::BOOTSTRAP.next(),
            map_version: 0,
            data_version: 0,
            fault_domains: FaultDomainTree::default(),
            attributes: BTreeMap::new(),
            properties: BTreeMap::new(),
            management: ManagementState::default(),
            events: EventLog::default(),
            deaths: Deaths::default(),
            index: Index::default(),
        }
    }

    /// Which system this is.
    #[must_use]
    pub fn identity(&self) -> &SystemIdentity {
        &self.identity
    }

    /// Version of the group map; rises with every change of a member.
    #[must_use]
    pub fn map_version(&self) -> u32 {
        self.map_version
    }

    /// Version of the whole state; rises with every change. The `data_version` of contract 1.9.
    #[must_use]
    pub fn data_version(&self) -> u64 {
        self.data_version
    }

    /// The members in order of their ranks.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// How many members there are.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The member with this rank.
    #[must_use]
    pub fn member(&self, rank: Rank) -> Option<&Arc<Member>> {
        self.members.get(&rank)
    }

    /// The member with this uuid.
    #[must_use]
    pub fn member_by_uuid(&self, uuid: Uuid) -> Option<&Arc<Member>> {
        self.member(*self.index.by_uuid.get(&uuid)?)
    }

    /// The member reached at this primary fabric URI.
    #[must_use]
    pub fn member_by_uri(&self, uri: &str) -> Option<&Arc<Member>> {
        self.member(*self.index.by_uri.get(uri)?)
    }

    /// The members whose host's control server listens here, in order of their ranks.
    pub fn members_at(&self, address: ControlAddress) -> impl Iterator<Item = &Arc<Member>> {
        let there = (address, Rank::BOOTSTRAP)..=(address, Rank::MAX);
        self.index.by_address.range(there).filter_map(|(_, rank)| self.member(*rank))
    }

    /// Any member but this one.
    #[must_use]
    pub fn member_other_than(&self, rank: Option<Rank>) -> Option<&Arc<Member>> {
        self.members.values().find(|member| Some(member.rank) != rank)
    }

    /// How many members are in this state.
    #[must_use]
    pub fn count_in_state(&self, state: MemberState) -> usize {
        self.index.by_state.get(&state).copied().unwrap_or_default()
    }

    /// The rank that the next new engine gets, unless it asks for another one.
    #[must_use]
    pub fn next_rank(&self) -> Option<Rank> {
        self.next_rank
    }

    /// The engine that had this rank and was removed.
    #[must_use]
    pub fn retired(&self, rank: Rank) -> Option<Uuid> {
        self.retired.get(&rank).copied()
    }

    /// The ranks whose engines were removed.
    pub fn retired_ranks(&self) -> impl Iterator<Item = Rank> + '_ {
        self.retired.keys().copied()
    }

    /// Whether the rank was ever given to an engine.
    #[must_use]
    pub fn was_issued(&self, rank: Rank) -> bool {
        self.members.contains_key(&rank) || self.retired.contains_key(&rank)
    }

    /// Fault domains with the ranks in them.
    #[must_use]
    pub fn fault_domains(&self) -> &FaultDomainTree {
        &self.fault_domains
    }

    /// Attributes of the administrator.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// Properties that were set; [`crate::decide::properties`] knows the defaults of the others.
    #[must_use]
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// Where replicas of the system are to be, in the order they are told to clients. Written at the bootstrap
    /// and changed by an administrator; the replicas follow it while the system runs.
    #[must_use]
    pub fn wanted_replicas(&self) -> &[ControlAddress] {
        &self.management.wanted_replicas
    }

    /// What the management service keeps for itself.
    #[must_use]
    pub fn management(&self) -> &ManagementState {
        &self.management
    }
}
