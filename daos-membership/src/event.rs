//! What happened to the system, as it is kept with the members and shown by `dmg system events`.
//!
//! A plain value with stable names; made by [`crate::System::apply`] and by whoever records what an engine said.
//! Knows neither the log that holds it nor the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::rank::RankSet;
use crate::state::MemberState;

/// Longest reason that is kept, in characters: an engine's message has at most 128 bytes (contract 9.2), a fault a
/// little more.
pub const LONGEST_REASON: usize = 512;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal)*) => {
        /// What kind of thing happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(Self::$name,)*];

            /// Its name as it is stored, travels and is shown.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// Engines joined for the first time.
    Joined "joined"
    /// Known engines joined again.
    Rejoined "rejoined"
    /// Engines took the place and rank of lost ones.
    Replaced "replaced"
    /// Members left for good.
    Removed "removed"
    /// Members were found dead and left the group.
    Excluded "excluded"
    /// An administrator keeps members out.
    AdminExcluded "admin_excluded"
    /// An administrator lets members in again.
    ExclusionCleared "exclusion_cleared"
    /// Members changed their state in another way.
    State "state"
    /// Another engine came up at a member's place.
    Displaced "displaced"
    /// Members were found dead, but too many at once: their exclusion waits.
    DeathsHeld "deaths_held"
    /// A death that was held turned out not to be one.
    DeathsDropped "deaths_dropped"
    /// An engine was not allowed to join.
    JoinRefused "join_refused"
    /// An engine or its server reported something.
    Engine "engine"
    /// A replica became leader of the management service.
    Leader "leader"
    /// The replicas of the management service changed.
    Replicas "replicas"
    /// System properties changed.
    Properties "properties"
    /// Attributes of the administrator changed.
    Attributes "attributes"
    /// Fabric provider, pausing of the group map, fault domain labels or checker mode changed.
    Settings "settings"
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// One thing that happened. Members that share everything but their rank share one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Rises by one from event to event, from 1 on, for as long as the system exists.
    #[serde(rename = "n")]
    pub number: u64,
    /// When the leader decided it. Orders nothing.
    pub at: Timestamp,
    /// What kind of thing it is.
    pub kind: EventKind,
    /// The ranks it happened to, as the folded text: a storm of joins would take megabytes as sets.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    ranks: Box<str>,
    /// Control address of their host; `None` when they are on several hosts, or when none is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<ControlAddress>,
    /// The state they were in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<MemberState>,
    /// The state they are in now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<MemberState>,
    /// Why, or what exactly; may be empty.
    #[serde(rename = "why", default, skip_serializing_if = "str::is_empty")]
    pub reason: Box<str>,
    /// On whose behalf; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub by: Box<str>,
}

/// Something to be recorded that no change of the state shows by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNote {
    /// What kind of thing it is.
    pub kind: EventKind,
    /// The ranks it is about.
    #[serde(default, skip_serializing_if = "RankSet::is_empty")]
    pub ranks: RankSet,
    /// The host it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<ControlAddress>,
    /// What happened, in words; cut at [`LONGEST_REASON`].
    #[serde(rename = "why", default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl EventNote {
    /// A note about ranks or, with an empty set, about none.
    #[must_use]
    pub fn new(kind: EventKind, ranks: RankSet, reason: impl Into<String>) -> Self {
        Self { kind, ranks, host: None, reason: reason.into() }
    }

    /// The same, about a host.
    #[must_use]
    pub fn on(self, host: ControlAddress) -> Self {
        Self { host: Some(host), ..self }
    }
}

/// An event that has no number yet.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) kind: EventKind,
    pub(crate) ranks: RankSet,
    pub(crate) host: Option<ControlAddress>,
    pub(crate) from: Option<MemberState>,
    pub(crate) to: Option<MemberState>,
    pub(crate) reason: String,
}

impl Event {
    pub(crate) fn of(draft: Draft, number: u64, at: Timestamp, by: &str) -> Self {
        let Draft { kind, ranks, host, from, to, reason } = draft;
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let by: String = by.chars().take(LONGEST_REASON).collect();
        Self {
            number,
            at,
            kind,
            ranks: ranks.to_string().into(),
            host,
            from,
            to,
            reason: reason.into(),
            by: by.into(),
        }
    }

    /// The ranks it happened to.
    #[must_use]
    pub fn ranks(&self) -> RankSet {
        self.ranks.parse().unwrap_or_default()
    }

    /// The same as the folded text, e.g. `0-3,5`.
    #[must_use]
    pub fn ranks_text(&self) -> &str {
        &self.ranks
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.ranks.len() + self.reason.len() + self.by.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds_are_distinct_and_stored_as_shown() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in EventKind::ALL {
            assert!(seen.insert(kind.text()), "{kind}");
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
    }

    #[test]
    fn the_encoding_has_stable_names_and_leaves_out_what_is_empty() {
        for written in [
            r#"{"n":1,"at":7,"kind":"leader"}"#,
            r#"{"n":2,"at":7,"kind":"excluded","ranks":"0-3","host":"10.0.0.1:10001","from":"joined","to":"excluded","why":"w","by":"b"}"#,
        ] {
            let event: Event = serde_json::from_str(written).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), written);
        }
    }

    #[test]
    fn reasons_are_cut() {
        let draft = Draft {
            kind: EventKind::Engine,
            ranks: "0-1".parse().unwrap(),
            host: None,
            from: None,
            to: None,
            reason: "ä".repeat(LONGEST_REASON + 1),
        };
        let event = Event::of(draft, 1, Timestamp(0), "");
        assert_eq!(event.reason.chars().count(), LONGEST_REASON);
        assert_eq!(event.ranks(), "0-1".parse().unwrap());
    }
}
