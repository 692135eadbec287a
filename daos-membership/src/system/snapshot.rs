//! The whole state as one value, to be stored and to start again from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::events::EventLog;
use super::{Deaths, Index, ManagementState, System, SystemIdentity};
use crate::command::{DecodeError, check_version};
use crate::error::ChangeRefused;
use crate::event::Event;
use crate::fault_domain::FaultDomainTree;
use crate::member::Member;
use crate::rank::{Rank, RankSet};

/// The state at one point of the log. Making one copies no member, only references to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SystemSnapshot {
    #[serde(rename = "v")]
    version: u16,
    system: SystemIdentity,
    next_rank: Option<Rank>,
    map_version: u32,
    data_version: u64,
    members: Vec<Arc<Member>>,
    #[serde(default)]
    retired: BTreeMap<Rank, Uuid>,
    fault_domains: FaultDomainTree,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    #[serde(default)]
    management: ManagementState,
    #[serde(default)]
    events: Vec<Arc<Event>>,
    #[serde(default)]
    deaths: Deaths,
}

/// Why bytes are no snapshot that can be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// They cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its parts contradict each other.
    #[error("inconsistent snapshot")]
    Inconsistent(#[from] ChangeRefused),
}

impl SystemSnapshot {
    /// The version of the encoding that is written.
    pub const VERSION: u16 = 1;

    /// Its bytes in the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Every key of every map here is a text or a number, so there is nothing that JSON could refuse.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are damaged or of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_version(bytes, Self::VERSION)?;
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl System {
    /// The state as it is now.
    #[must_use]
    pub fn snapshot(&self) -> SystemSnapshot {
        SystemSnapshot {
            version: SystemSnapshot::VERSION,
            system: self.identity.clone(),
            next_rank: self.next_rank,
            map_version: self.map_version,
            data_version: self.data_version,
            members: self.members.values().cloned().collect(),
            retired: self.retired.clone(),
            fault_domains: self.fault_domains.clone(),
            attributes: self.attributes.clone(),
            properties: self.properties.clone(),
            management: self.management.clone(),
            events: self.events.iter().cloned().collect(),
            deaths: self.deaths.clone(),
        }
    }

    /// The system that a snapshot was taken of.
    ///
    /// # Errors
    /// [`SnapshotError::Inconsistent`] when two members share a rank, a uuid or a URI.
    pub fn from_snapshot(snapshot: SystemSnapshot) -> Result<Self, SnapshotError> {
        let mut system = Self {
            identity: snapshot.system,
            members: BTreeMap::new(),
            retired: snapshot.retired,
            next_rank: snapshot.next_rank,
            map_version: snapshot.map_version,
            data_version: snapshot.data_version,
            fault_domains: FaultDomainTree::default(),
            attributes: snapshot.attributes,
            properties: snapshot.properties,
            management: snapshot.management,
            events: EventLog::from_stored(snapshot.events),
            deaths: snapshot.deaths,
            index: Index::default(),
        };
        for member in snapshot.members {
            if system.members.contains_key(&member.rank) {
                return Err(ChangeRefused::RankTaken { rank: member.rank }.into());
            }
            system.check_uuid_free(member.uuid)?;
            system.check_uri_free(&member.fabric_uri, member.rank)?;
            system.put(member, &mut RankSet::new());
        }
        // Ids in the tree depend on its whole history, so it is taken over and not made anew.
        system.fault_domains = snapshot.fault_domains;
        Ok(system)
    }
}
