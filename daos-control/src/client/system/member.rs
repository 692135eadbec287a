//! Members and their states (contract 6.3).
//!
//! The client's own view: it links no membership crate. Pure.

use std::fmt;
use std::str::FromStr;

/// One rank of the system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Its rank.
    pub rank: u32,
    /// Uuid of its storage.
    pub uuid: String,
    /// Control address of its host.
    pub address: String,
    /// Its state.
    pub state: MemberState,
    /// Counts its starts.
    pub incarnation: u64,
    /// Fabric address.
    pub fabric_uri: String,
    /// Further fabric addresses.
    pub secondary_fabric_uris: Vec<String>,
    /// Fabric contexts.
    pub fabric_contexts: u32,
    /// Why it is in its state.
    pub info: String,
    /// Where it stands, e.g. `/rack1/host2`.
    pub fault_domain: String,
    /// When it last changed: RFC 3339.
    pub last_update: String,
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident $bit:literal $text:literal $wire:literal)*) => {
        /// State of a member.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
        pub enum MemberState {
            $($(#[$doc])* $name,)*
        }

        impl MemberState {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its bit in a [`StateMask`]; none for `Unknown`.
            #[must_use]
            pub fn bit(self) -> u32 {
                match self { $(Self::$name => $bit,)* }
            }

            /// The word that is printed, e.g. `AwaitFormat`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The word that travels, in lower case.
            #[must_use]
            pub fn wire_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }
        }
    };
}

states! {
    /// Not known, or a word this client does not know.
    #[default]
    Unknown 0x000 "Unknown" "unknown"
    /// Its storage waits for a format.
    AwaitFormat 0x001 "AwaitFormat" "awaitformat"
    /// Its process runs but is not ready.
    Starting 0x002 "Starting" "starting"
    /// Set up.
    Ready 0x004 "Ready" "ready"
    /// Part of the system.
    Joined 0x008 "Joined" "joined"
    /// Prepared for its stop.
    Stopping 0x010 "Stopping" "stopping"
    /// Stopped in order.
    Stopped 0x020 "Stopped" "stopped"
    /// Shut out because it was not seen.
    Excluded 0x040 "Excluded" "excluded"
    /// Failed.
    Errored 0x080 "Errored" "errored"
    /// Its host did not answer.
    Unresponsive 0x100 "Unresponsive" "unresponsive"
    /// Shut out by an administrator.
    AdminExcluded 0x200 "AdminExcluded" "adminexcluded"
    /// Runs for the consistency checker.
    CheckerStarted 0x400 "CheckerStarted" "checkerstarted"
}

impl MemberState {
    /// The state a word names, in any case; `Unknown` for others.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let found = Self::ALL.iter().find(|state| state.wire_str().eq_ignore_ascii_case(word));
        found.copied().unwrap_or_default()
    }

    /// The state a word names, in any case.
    ///
    /// # Errors
    /// For any other word, the words that are known.
    pub fn named(word: &str) -> Result<Self, String> {
        match Self::from_word(word) {
            Self::Unknown => {
                let known: Vec<&str> =
                    Self::ALL.iter().skip(1).map(|state| state.wire_str()).collect();
                Err(format!("{word:?} is not a member state; known: {}", known.join(", ")))
            }
            state => Ok(state),
        }
    }

    /// Whether the rank serves requests: ready or joined.
    #[must_use]
    pub fn is_available(self) -> bool {
        matches!(self, Self::Ready | Self::Joined)
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of states, for asking only for members in one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateMask(
    /// Sum of the states' bits.
    pub u32,
);

impl StateMask {
    /// Every state.
    pub const ALL: Self = Self(0xFFFF);
    /// Every state but `Joined`: what an administrator should look at.
    pub const NOT_OK: Self = Self(0xFFFF & !0x008);
}

impl Default for StateMask {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for StateMask {
    type Err = String;

    /// Reads a comma list of state names in any case (contract 8.4).
    fn from_str(text: &str) -> Result<Self, String> {
        let mut mask = 0;
        for word in text.split(',').map(str::trim) {
            mask |= MemberState::named(word)?.bit();
        }
        Ok(Self(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberState, StateMask};

    /// Contract 6.3: the words that travel are the printed ones in lower case, and the bits are distinct.
    #[test]
    fn words_and_bits_fit_together() {
        let mut seen = 0;
        for state in MemberState::ALL {
            assert_eq!(state.as_str().to_lowercase(), state.wire_str());
            assert_eq!(MemberState::from_word(state.wire_str()), *state);
            assert_eq!(seen & state.bit(), 0);
            seen |= state.bit();
        }
        assert_eq!(seen, 0x7FF);
        assert_eq!(MemberState::from_word("no such"), MemberState::Unknown);
        assert_eq!(StateMask::NOT_OK.0, 0xFFF7);
    }

    /// Contract 8.4: comma list of state names.
    #[test]
    fn masks_are_read_from_names() {
        assert_eq!("joined,Stopped".parse(), Ok(StateMask(0x28)));
        assert!("joined,gone".parse::<StateMask>().unwrap_err().starts_with("\"gone\" is not"));
        assert!("".parse::<StateMask>().is_err());
        assert!("unknown".parse::<StateMask>().is_err());
    }
}
