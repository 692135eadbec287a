//! A member: one engine that the system knows.
//!
//! A plain value, stored in log and snapshots under the names of contract 6.2. Made by [`crate::decide`],
//! kept by [`crate::System`].

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::fault_domain::FaultDomain;
use crate::rank::{Incarnation, Rank};
use crate::state::{MemberState, StateMask};

/// One engine of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its rank; never given to another engine except by replacing this one.
    pub rank: Rank,
    /// Which start of the engine joined last.
    pub incarnation: Incarnation,
    /// The engine's own uuid, from its superblock.
    pub uuid: Uuid,
    /// Where its host's control server listens.
    #[serde(rename = "addr")]
    pub address: ControlAddress,
    /// Where it is reached over the fabric, `provider://address`. Empty once another engine has come up at
    /// the place it had (see docs/membership.md); two members never share one.
    pub fabric_uri: String,
    /// The same for further providers, in the order of the configuration.
    #[serde(default)]
    pub secondary_fabric_uris: Vec<String>,
    /// Number of fabric contexts at the first URI.
    pub fabric_contexts: u32,
    /// Number of fabric contexts at each further URI.
    #[serde(default)]
    pub secondary_fabric_contexts: Vec<u32>,
    /// What it is doing.
    pub state: MemberState,
    /// Why it is in that state; empty when there is nothing to say.
    #[serde(default)]
    pub info: String,
    /// The enclosure it fails with.
    pub fault_domain: FaultDomain,
    /// When the management service last changed this member.
    pub last_update: Timestamp,
}

impl Member {
    /// Whether it is ready or joined.
    #[must_use]
    pub fn is_available(&self) -> bool {
        StateMask::AVAILABLE.contains(self.state)
    }

    /// Whether engines are told about it (contract 6.6): it has a URI and is neither excluded nor waiting for
    /// a format.
    #[must_use]
    pub fn is_in_group(&self) -> bool {
        !self.fabric_uri.is_empty() && !StateMask::NOT_IN_GROUP.contains(self.state)
    }
}
