//! Texts that are not what they should be: ranks, addresses, states, fault domains.

use thiserror::Error;

use super::code;
use crate::rank::Rank;

/// A text that is no rank or rank list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RankSyntaxError {
    /// Not a plain decimal number that fits.
    #[error("\"{text}\" is not a rank")]
    NotANumber {
        /// The entry.
        text: String,
    },
    /// The number that means "no rank".
    #[error("{} is not a rank, it means none", Rank::NIL)]
    Nil,
    /// A range that ends before it starts.
    #[error("range \"{text}\" ends before it starts")]
    Reversed {
        /// The entry.
        text: String,
    },
    /// Only one of the two brackets.
    #[error("brackets do not match in \"{text}\"")]
    Brackets {
        /// The whole list.
        text: String,
    },
    /// More ranks than any system has.
    #[error("more than {limit} ranks named")]
    TooMany {
        /// The most there may be.
        limit: usize,
    },
}

impl RankSyntaxError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::BAD_SELECTION
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "write ranks as numbers and ranges separated by commas, e.g. 0-3,5"
    }
}

/// A text that is no id of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\" is not the id of a replica, sixteen hexadecimal digits")]
pub struct ReplicaIdSyntaxError {
    /// The text.
    pub text: String,
}

impl ReplicaIdSyntaxError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::NO_SUCH_REPLICA
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "take the id as it is listed (dmg system ms status)"
    }
}

/// A text that is no control address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\" is not an address of the form ip:port")]
pub struct AddressSyntaxError {
    /// The text.
    pub text: String,
}

impl AddressSyntaxError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::BAD_SELECTION
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "write the address as ip:port, e.g. 10.0.0.1:10001"
    }
}

/// A text that names no member state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\" is not a member state")]
pub struct UnknownState {
    /// The text.
    pub text: String,
}

impl UnknownState {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::BAD_SELECTION
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "use the states that dmg system query shows, e.g. joined or adminexcluded"
    }
}

/// A text that is no fault domain (contract 6.5).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultDomainError {
    /// Bad syntax.
    #[error("invalid fault domain \"{text}\": {why}")]
    Invalid {
        /// The text.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// More levels than DAOS knows.
    #[error("fault domain \"{text}\" has more than {max} levels below the root")]
    TooManyLevels {
        /// The text.
        text: String,
        /// The most there may be.
        max: usize,
    },
}

impl FaultDomainError {
    /// Stable number (contract 10.2).
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Invalid { .. } => 717,
            Self::TooManyLevels { .. } => 724,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "write fault_path as /host, /rack/host or /rack=NAME/host=NAME and restart the server"
    }
}
