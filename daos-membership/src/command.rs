//! What is replicated: commands, each one log entry, made of changes that are applied one after the other.
//!
//! Made by [`crate::decide`] through the service, stored by [`crate::store`], applied by [`crate::System`].
//! The names of the encoding are stable: an entry written today must be readable by every later version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::error::ChangeRefused;
use crate::event::EventNote;
use crate::member::Member;
use crate::rank::{Incarnation, Rank, RankSet};
use crate::state::MemberState;

/// One log entry: everything in it becomes durable together. A batch of joins is one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Version of the encoding.
    #[serde(rename = "v")]
    version: u16,
    /// When the leader decided it; recorded in members, orders nothing.
    pub at: Timestamp,
    /// On whose behalf, for the event log; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What happens, in this order. Each change is applied whole or refused.
    pub changes: Vec<Change>,
}

/// One change of the system state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new member.
    AdmitMember {
        /// The member; its rank, uuid and URI are nobody else's.
        member: Arc<Member>,
    },
    /// A known member joins again, perhaps from another place: everything but rank and uuid is taken over.
    RejoinMember {
        /// The member as it is now.
        member: Arc<Member>,
    },
    /// A new engine takes the place and rank of a lost one.
    ReplaceMember {
        /// The engine that is gone.
        old_uuid: Uuid,
        /// The member as it is now, with the same rank.
        member: Arc<Member>,
    },
    /// Another engine has come up at this member's URI, so the member is not there any more.
    ReleaseFabricUri {
        /// The member's rank.
        rank: Rank,
        /// The state it is in now.
        state: MemberState,
        /// What to tell about it.
        info: String,
    },
    /// New states of members.
    UpdateStates {
        /// One entry per member.
        updates: Vec<StateUpdate>,
    },
    /// A member leaves for good. Its rank is not given to another engine.
    RemoveMember {
        /// Its rank.
        rank: Rank,
        /// Which engine is meant.
        uuid: Uuid,
    },
    /// The next group map is to have a higher version.
    BumpMapVersion,
    /// Sets attributes of the administrator; an empty value deletes one.
    SetAttributes {
        /// Names and values.
        values: BTreeMap<String, String>,
    },
    /// Sets system properties; an empty value returns one to its default.
    SetProperties {
        /// Names, without the `prop.` of the name space, and values.
        values: BTreeMap<String, String>,
    },
    /// The fabric providers of the system, the primary one first.
    SetFabricProviders {
        /// Their names.
        providers: Vec<String>,
    },
    /// Stops or resumes group map updates, while the provider changes.
    PauseGroupUpdate {
        /// Whether they are stopped.
        paused: bool,
    },
    /// The labels that all fault domains have from now on, outermost first; empty texts for none.
    SetDomainLabels {
        /// One per level.
        labels: Vec<String>,
    },
    /// Where replicas of the system are to be, in the order they are told to clients.
    SetWantedReplicas {
        /// Their control addresses.
        addresses: Vec<ControlAddress>,
    },
    /// Turns checker mode on or off.
    SetCheckerEnabled {
        /// Whether it is on.
        enabled: bool,
    },
    /// The state may be older than what the system has done since: ranks and map versions that may have been
    /// given in that time are left out. Written by a restore or recovery only.
    LeaveOut {
        /// How many ranks.
        ranks: u32,
        /// How many versions of the group map, and of the whole state.
        versions: u32,
    },
    /// Something for the event log that changes nothing else.
    RecordEvent {
        /// What happened.
        event: EventNote,
    },
    /// Members were found dead, but too many at once: their exclusion waits ([`crate::decide::damping`]).
    HoldDeaths {
        /// The members.
        deaths: Vec<DeathReport>,
        /// Why they wait, for the event log.
        reason: String,
    },
    /// These members are not dead after all.
    DropDeaths {
        /// The members.
        ranks: RankSet,
        /// How that is known.
        reason: String,
    },
}

/// News that an engine is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathReport {
    /// The member.
    pub rank: Rank,
    /// Which start of it; `None` when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
}

/// A member's new state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateUpdate {
    /// The member.
    pub rank: Rank,
    /// Its state from now on.
    pub state: MemberState,
    /// Why; empty when there is nothing to say.
    #[serde(default)]
    pub info: String,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// One outcome per change, in order.
    pub outcomes: Vec<Result<(), ChangeRefused>>,
    /// The members that changed, came or went.
    pub ranks: RankSet,
    /// Version of the group map afterwards.
    pub map_version: u32,
    /// Version of the whole state afterwards.
    pub data_version: u64,
}

impl Applied {
    /// The first refusal, if any change was refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&ChangeRefused> {
        self.outcomes.iter().find_map(|outcome| outcome.as_ref().err())
    }
}

/// Why bytes are no command of ours.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Written by a later version.
    #[error("encoding version {found} is newer than {}, the newest known here", Command::VERSION)]
    Newer {
        /// Its version.
        found: u16,
    },
    /// Not readable at all.
    #[error("unreadable record")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Head {
    v: u16,
}

/// Refuses a record of a version that is not known here, before its content is looked at.
pub(crate) fn check_version(bytes: &[u8], newest: u16) -> Result<(), DecodeError> {
    let Head { v } = serde_json::from_slice(bytes)?;
    if v > newest { Err(DecodeError::Newer { found: v }) } else { Ok(()) }
}

impl Command {
    /// The version of the encoding that is written.
    pub const VERSION: u16 = 1;

    /// A command of these changes.
    #[must_use]
    pub fn new(at: Timestamp, changes: Vec<Change>) -> Self {
        Self { version: Self::VERSION, at, by: String::new(), changes }
    }

    /// The same, on somebody's behalf.
    #[must_use]
    pub fn by(self, by: impl Into<String>) -> Self {
        Self { by: by.into(), ..self }
    }

    /// Its bytes in the log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Every key of every map here is a text, so there is nothing that JSON could refuse.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`DecodeError::Newer`] for what a later version wrote, [`DecodeError::Malformed`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_version(bytes, Self::VERSION)?;
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as the first release wrote them. A failure here means that old logs cannot be read.
    const WRITTEN: &[&str] = &[
        r#"{"v":1,"at":7,"changes":["bump_map_version"]}"#,
        r#"{"v":1,"at":7,"changes":[{"admit_member":{"member":{"rank":0,"incarnation":5,"uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","addr":"10.0.0.1:10001","fabric_uri":"ofi+tcp://10.0.0.1:31416","secondary_fabric_uris":[],"fabric_contexts":3,"secondary_fabric_contexts":[],"state":"joined","info":"","fault_domain":"/host1","last_update":7}}}]}"#,
        r#"{"v":1,"at":7,"changes":[{"update_states":{"updates":[{"rank":1,"state":"errored","info":"killed"}]}}]}"#,
        r#"{"v":1,"at":7,"changes":[{"release_fabric_uri":{"rank":1,"state":"unresponsive","info":"gone"}},{"remove_member":{"rank":1,"uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}}]}"#,
        r#"{"v":1,"at":7,"by":"b","changes":[{"record_event":{"event":{"kind":"leader"}}},{"record_event":{"event":{"kind":"engine","ranks":"1-2","host":"10.0.0.1:10001","why":"w"}}}]}"#,
        r#"{"v":1,"at":7,"changes":[{"hold_deaths":{"deaths":[{"rank":1,"incarnation":5},{"rank":2}],"reason":"r"}},{"drop_deaths":{"ranks":"1","reason":"r"}}]}"#,
        r#"{"v":1,"at":7,"changes":[{"set_attributes":{"values":{"a":"b"}}},{"set_properties":{"values":{"self_heal":"none"}}},{"set_fabric_providers":{"providers":["ofi+tcp"]}},{"pause_group_update":{"paused":true}},{"set_domain_labels":{"labels":["rack","host"]}},{"set_checker_enabled":{"enabled":false}}]}"#,
        r#"{"v":1,"at":7,"changes":[{"leave_out":{"ranks":1024,"versions":65536}}]}"#,
        r#"{"v":1,"at":7,"changes":[{"set_wanted_replicas":{"addresses":["10.0.0.1:10001","10.0.0.2:10001"]}}]}"#,
    ];

    #[test]
    fn the_encoding_has_stable_names() {
        for written in WRITTEN {
            let command = Command::decode(written.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&command.encode()).unwrap(), *written);
        }
    }

    #[test]
    fn a_later_version_is_told_apart_from_damage() {
        let later = br#"{"v":2,"at":7,"changes":[{"new_kind_of_change":{}}]}"#;
        assert!(matches!(Command::decode(later), Err(DecodeError::Newer { found: 2 })));
        let unknown = br#"{"v":1,"at":7,"changes":[{"new_kind_of_change":{}}]}"#;
        assert!(matches!(Command::decode(unknown), Err(DecodeError::Malformed(_))));
        assert!(matches!(Command::decode(b"{"), Err(DecodeError::Malformed(_))));
    }
}
