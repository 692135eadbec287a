//! The states of a member and the one list of transitions between them.
//!
//! Numbers, texts and table are contract 6.3; docs/states.md shows the table and a test compares it. Whoever
//! changes a state on a report asks [`MemberState::may_become`]; only a join and an administrator's exclusion
//! set a state without asking.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::UnknownState;

/// What the management service believes an engine to be doing (contract 6.3).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Its storage waits for a format.
    AwaitFormat,
    /// The process runs and is not ready.
    Starting,
    /// Set up, in the view of its own host.
    Ready,
    /// Part of the system.
    Joined,
    /// Prepared to stop.
    Stopping,
    /// Stopped in good order.
    Stopped,
    /// Out of the group: found dead, or an administrator's exclusion was cleared.
    Excluded,
    /// It failed; the member's info says how.
    Errored,
    /// Its host did not answer.
    Unresponsive,
    /// Kept out by an administrator until cleared.
    AdminExcluded,
    /// Runs in checker mode.
    CheckerStarted,
}

use MemberState::{
    AdminExcluded, AwaitFormat, CheckerStarted, Errored, Excluded, Joined, Ready, Starting,
    Stopped, Stopping, Unknown, Unresponsive,
};

impl MemberState {
    /// All states in the order of their numbers.
    pub const ALL: [MemberState; 12] = [
        Unknown,
        AwaitFormat,
        Starting,
        Ready,
        Joined,
        Stopping,
        Stopped,
        Excluded,
        Errored,
        Unresponsive,
        AdminExcluded,
        CheckerStarted,
    ];

    /// Its bit in state masks: 0 for unknown, one bit for each other state.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Unknown => 0x000,
            AwaitFormat => 0x001,
            Starting => 0x002,
            Ready => 0x004,
            Joined => 0x008,
            Stopping => 0x010,
            Stopped => 0x020,
            Excluded => 0x040,
            Errored => 0x080,
            Unresponsive => 0x100,
            AdminExcluded => 0x200,
            CheckerStarted => 0x400,
        }
    }

    /// Its name as it travels and is stored.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Unknown => "unknown",
            AwaitFormat => "awaitformat",
            Starting => "starting",
            Ready => "ready",
            Joined => "joined",
            Stopping => "stopping",
            Stopped => "stopped",
            Excluded => "excluded",
            Errored => "errored",
            Unresponsive => "unresponsive",
            AdminExcluded => "adminexcluded",
            CheckerStarted => "checkerstarted",
        }
    }

    /// The states a report may move a member to from here. What is not listed is not allowed, so a new state
    /// starts with no way in or out.
    #[must_use]
    pub const fn allowed(self) -> &'static [MemberState] {
        match self {
            Unknown | AdminExcluded => &[],
            AwaitFormat => &[
                Starting,
                Ready,
                Joined,
                Stopping,
                Stopped,
                Errored,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Starting => &[
                AwaitFormat,
                Ready,
                Joined,
                Stopping,
                Stopped,
                Errored,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Ready => &[
                AwaitFormat,
                Starting,
                Joined,
                Stopping,
                Stopped,
                Errored,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Joined => &[
                AwaitFormat,
                Starting,
                Stopping,
                Stopped,
                Excluded,
                Errored,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Stopping => &[
                AwaitFormat,
                Starting,
                Ready,
                Joined,
                Stopped,
                Excluded,
                Errored,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Stopped => &[
                AwaitFormat,
                Starting,
                Ready,
                Joined,
                Stopping,
                Excluded,
                Errored,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Excluded => &[AwaitFormat, Joined, AdminExcluded, CheckerStarted],
            Errored => &[
                AwaitFormat,
                Starting,
                Stopped,
                Excluded,
                Unresponsive,
                AdminExcluded,
                CheckerStarted,
            ],
            Unresponsive => {
                &[AwaitFormat, Starting, Stopped, Excluded, Errored, AdminExcluded, CheckerStarted]
            }
            CheckerStarted => &[
                AwaitFormat,
                Starting,
                Stopping,
                Stopped,
                Excluded,
                Errored,
                Unresponsive,
                AdminExcluded,
            ],
        }
    }

    /// Whether a report may move a member from this state to that one.
    #[must_use]
    pub fn may_become(self, next: MemberState) -> bool {
        self.allowed().contains(&next)
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl FromStr for MemberState {
    type Err = UnknownState;

    /// Reads a state's name, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.text().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownState { text: text.to_owned() })
    }
}

/// A set of states as the bits of contract 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateMask(u32);

impl StateMask {
    /// Every state, also unknown.
    pub const ALL: StateMask = StateMask(0xFFFF);
    /// Ready or joined.
    pub const AVAILABLE: StateMask = StateMask(Ready.bit() | Joined.bit());
    /// States in which a member is left out of the group map.
    pub const NOT_IN_GROUP: StateMask =
        StateMask(AwaitFormat.bit() | Excluded.bit() | AdminExcluded.bit());

    /// The mask with these bits; 0 means all, as on the wire.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        if bits == 0 { Self::ALL } else { Self(bits) }
    }

    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether members in this state are meant. Unknown is meant only by [`StateMask::ALL`].
    #[must_use]
    pub const fn contains(self, state: MemberState) -> bool {
        self.0 & state.bit() != 0 || self.0 == Self::ALL.0
    }
}

impl FromIterator<MemberState> for StateMask {
    /// The mask of these states; of none, the mask that matches nothing.
    fn from_iter<T: IntoIterator<Item = MemberState>>(states: T) -> Self {
        Self(states.into_iter().fold(0, |bits, state| bits | state.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_the_numbers_of_the_contract() {
        assert_eq!(StateMask::NOT_IN_GROUP.bits(), 0x241);
        assert_eq!(StateMask::AVAILABLE.bits(), 0x00C);
        assert_eq!(StateMask::from_bits(0), StateMask::ALL);
        assert!(StateMask::ALL.contains(Unknown));
        assert!(!StateMask::AVAILABLE.contains(Unknown));
        assert!([Stopped, Errored].into_iter().collect::<StateMask>().contains(Errored));
    }

    #[test]
    fn names_are_read_back() {
        for state in MemberState::ALL {
            assert_eq!(state.text().parse::<MemberState>().unwrap(), state);
            assert_eq!(state.text().to_uppercase().parse::<MemberState>().unwrap(), state);
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{}\"", state.text()));
        }
        assert!("evicted".parse::<MemberState>().is_err());
    }

    #[test]
    fn bits_are_distinct() {
        let all = MemberState::ALL.iter().fold(0, |bits, state| {
            assert_eq!(bits & state.bit(), 0, "{state}");
            bits | state.bit()
        });
        assert_eq!(all, 0x7FF);
    }
}
