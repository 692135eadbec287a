//! Why a request about members, attributes or properties cannot be served.

use thiserror::Error;

use super::code;
use crate::rank::RankSet;

/// Why a list of ranks or hosts cannot be used (contract 6.9).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// Both kinds of list were given.
    #[error("ranks and hosts cannot be chosen at the same time")]
    RanksAndHosts,
    /// Some are not part of the system.
    #[error("not in the system: {}", absent(ranks, hosts))]
    Unknown {
        /// The ranks that do not exist.
        ranks: RankSet,
        /// The hosts without members.
        hosts: Vec<String>,
    },
    /// Explicitly chosen, but kept out by an administrator.
    #[error("ranks {ranks} have been administratively excluded")]
    AdminExcluded {
        /// Those ranks.
        ranks: RankSet,
    },
    /// These are the last usable engines on the hosts of the management service.
    #[error(
        "ranks {ranks} are the last usable engines on the hosts of the management service; without one of them no \
         engine hears of changes"
    )]
    LastUsable {
        /// Those ranks.
        ranks: RankSet,
    },
    /// Nothing is left to work on.
    #[error("all chosen ranks ({ranks}) have been administratively excluded")]
    AllAdminExcluded {
        /// The ranks that were left out.
        ranks: RankSet,
    },
}

fn absent(ranks: &RankSet, hosts: &[String]) -> String {
    match (ranks.is_empty(), hosts.is_empty()) {
        (false, true) => format!("ranks {ranks}"),
        (true, _) => format!("hosts {}", hosts.join(",")),
        (false, false) => format!("ranks {ranks} and hosts {}", hosts.join(",")),
    }
}

impl SelectionError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::RanksAndHosts => code::BAD_SELECTION,
            Self::Unknown { .. } => code::UNKNOWN_MEMBERS,
            Self::AdminExcluded { .. } | Self::AllAdminExcluded { .. } => 622,
            Self::LastUsable { .. } => code::LAST_USABLE_ENGINE,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::RanksAndHosts => "give either ranks or hosts",
            Self::Unknown { .. } => "dmg system query lists the ranks and hosts there are",
            Self::AdminExcluded { .. } | Self::AllAdminExcluded { .. } => {
                "clear the exclusion (dmg system clear-exclude) or leave these ranks out"
            }
            Self::LastUsable { .. } => {
                "start another engine on one of those hosts first, or say --force-last-usable (dmg system exclude)"
            }
        }
    }
}

/// Why a system attribute cannot be set or read (contract 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributeError {
    /// The name lies in a name space of the system's own.
    #[error("attribute name \"{key}\" starts with the reserved prefix \"{prefix}\"")]
    Reserved {
        /// The name.
        key: String,
        /// The prefix.
        prefix: &'static str,
    },
    /// A name without characters.
    #[error("an attribute name may not be empty")]
    EmptyName,
    /// Nothing to do.
    #[error("no attributes given")]
    NoneGiven,
    /// It was never set.
    #[error("system attribute \"{key}\" not found")]
    NotFound {
        /// The name.
        key: String,
    },
}

impl AttributeError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::BAD_ATTRIBUTE
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Reserved { .. } => "choose another name; properties are set with set-prop",
            Self::EmptyName | Self::NoneGiven => "give at least one name and value",
            Self::NotFound { .. } => "get-attr without names lists all attributes",
        }
    }
}

/// Why a system property cannot be set or read (contract 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PropertyError {
    /// There is no such property.
    #[error("unknown system property \"{key}\"")]
    Unknown {
        /// The name.
        key: String,
    },
    /// It is computed.
    #[error("system property \"{key}\" is read-only")]
    ReadOnly {
        /// The name.
        key: String,
    },
    /// The value does not fit.
    #[error("invalid value \"{value}\" for system property \"{key}\": valid are {valid}")]
    BadValue {
        /// The name.
        key: String,
        /// The value.
        value: String,
        /// What would fit.
        valid: &'static str,
    },
    /// Nothing to do.
    #[error("no properties given")]
    NoneGiven,
}

impl PropertyError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        code::BAD_PROPERTY
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::ReadOnly { .. } | Self::NoneGiven => {
                "get-prop without names lists all properties"
            }
            Self::BadValue { .. } => "give one of the valid values",
        }
    }
}
