//! Every error of this crate, with its stable number and its remedy.
//!
//! Numbers are those of contract 10.2 where the condition exists there, else those of [`code`]. Texts that DAOS
//! 2.8 clients look for (contract 1.4) are verbatim in `Display`. Store and replica errors are in their modules.

pub mod code;
mod join;
mod request;
mod syntax;

use thiserror::Error;
use uuid::Uuid;

pub use self::join::JoinRefused;
pub use self::request::{AttributeError, PropertyError, SelectionError};
pub use self::syntax::{
    AddressSyntaxError, FaultDomainError, RankSyntaxError, ReplicaIdSyntaxError, UnknownState,
};
use crate::address::ControlAddress;
use crate::decide::replicas::ReplicasRefused;
use crate::rank::Rank;
use crate::replicate::ReplicateError;
use crate::state::MemberState;

/// The fabric provider in the configuration is not the one that running engines use (contract 6.8).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("fabric provider cannot change from {known} to {wanted} while {joined} members are joined")]
pub struct ProviderChangeRefused {
    /// What the system uses.
    pub known: String,
    /// What the configuration says.
    pub wanted: String,
    /// How many members are joined.
    pub joined: usize,
}

/// Why a decided change could not be applied: the state it was decided on had changed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeRefused {
    /// The rank is a member's already.
    #[error("member with rank {rank} already exists")]
    RankTaken {
        /// The rank.
        rank: Rank,
    },
    /// The rank was another engine's.
    #[error("rank {rank} belonged to engine {former} and is not given again")]
    RankRetired {
        /// The rank.
        rank: Rank,
        /// Whose it was.
        former: Uuid,
    },
    /// The engine is a member already.
    #[error("member with uuid {uuid} already exists")]
    UuidTaken {
        /// The engine.
        uuid: Uuid,
    },
    /// The primary URI is a member's already.
    #[error("fabric URI {uri} belongs to rank {rank}")]
    UriTaken {
        /// The URI.
        uri: String,
        /// Whose it is.
        rank: Rank,
    },
    /// The rank is nobody's.
    #[error("no member with rank {rank}")]
    NoSuchRank {
        /// The rank.
        rank: Rank,
    },
    /// The rank is another engine's.
    #[error("member with rank {rank} is {known}, not {asked}")]
    OtherUuid {
        /// The rank.
        rank: Rank,
        /// Whose it is.
        known: Uuid,
        /// Whose it was thought to be.
        asked: Uuid,
    },
    /// A version counter is at its end.
    #[error("the version counters of the system are used up")]
    VersionsUsedUp,
}

/// Anything that keeps the management service from doing what it was asked.
#[derive(Debug, Clone, Error)]
pub enum MembershipError {
    /// This host is no replica; `replicas` are those that are (contract 1.4).
    #[error("not a DAOS Management Service replica (try one of {})", listed(replicas))]
    NotReplica {
        /// Where the service runs, in the order of the configuration.
        replicas: Vec<ControlAddress>,
    },
    /// Another replica leads (contract 1.4).
    #[error(
        "not the DAOS Management Service leader (try {} or one of {})",
        hint.map(|leader| leader.to_string()).unwrap_or_default(),
        listed(replicas)
    )]
    NotLeader {
        /// The leader, if one is known.
        hint: Option<ControlAddress>,
        /// The other replicas.
        replicas: Vec<ControlAddress>,
    },
    /// The replica's storage has not been formatted yet.
    #[error("system is uninitialized (storage format required?)")]
    Uninitialized,
    /// The service is not up yet or shuts down, or knows no members to answer with.
    #[error("raft service unavailable (not started yet?)")]
    Unavailable,
    /// The replica has just become leader and is not ready.
    #[error("leader step-up in progress (try again)")]
    SteppingUp,
    /// There is no engine to tell about.
    #[error("empty group map (all ranks excluded?)")]
    EmptyGroupMap,
    /// The replica could not take over leadership with its configuration.
    #[error(transparent)]
    ProviderChange(#[from] ProviderChangeRefused),
    /// The engine may not join.
    #[error(transparent)]
    Join(#[from] JoinRefused),
    /// A list of ranks or hosts cannot be used.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// An attribute cannot be set or read.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// A property cannot be set or read.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The replicas cannot be changed like that.
    #[error(transparent)]
    Replicas(#[from] ReplicasRefused),
    /// A failed report names a state that is no failure.
    #[error("report about rank {rank} says failed and {state}")]
    BadReport {
        /// The rank.
        rank: Rank,
        /// The state it is said to be in.
        state: MemberState,
    },
    /// Only members that are down can be removed.
    #[error("rank {rank} is {state} and cannot be removed")]
    RemoveAvailable {
        /// The rank.
        rank: Rank,
        /// Its state.
        state: MemberState,
    },
    /// The system changed between decision and commit.
    #[error("the system changed meanwhile")]
    Overtaken(#[source] ChangeRefused),
    /// The change could not be committed.
    #[error("the change was not committed")]
    Replicate(#[source] ReplicateError),
}

fn listed(addresses: &[ControlAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl MembershipError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotReplica { .. }
            | Self::NotLeader { .. }
            | Self::Uninitialized
            | Self::Unavailable
            | Self::SteppingUp
            | Self::EmptyGroupMap => code::NOT_SERVED_HERE,
            Self::ProviderChange(_) => code::PROVIDER_CHANGE,
            Self::Join(refused) => refused.code(),
            Self::Selection(error) => error.code(),
            Self::Attribute(error) => error.code(),
            Self::Property(error) => error.code(),
            Self::Replicas(refused) => refused.code(),
            Self::BadReport { .. } | Self::RemoveAvailable { .. } => code::MEMBER_IN_USE,
            Self::Overtaken(_) => code::OUTCOME_UNKNOWN,
            Self::Replicate(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::NotReplica { .. } | Self::NotLeader { .. } => {
                "send the request to the host named"
            }
            Self::Uninitialized => "format the storage of the first replica (dmg storage format)",
            Self::Unavailable | Self::SteppingUp => "try again in a moment",
            Self::EmptyGroupMap => "start engines, or clear exclusions (dmg system clear-exclude)",
            Self::ProviderChange(_) => {
                "put back the former provider, or stop the whole system before changing it"
            }
            Self::Join(refused) => refused.resolution(),
            Self::Selection(error) => error.resolution(),
            Self::Attribute(error) => error.resolution(),
            Self::Property(error) => error.resolution(),
            Self::Replicas(refused) => refused.resolution(),
            Self::BadReport { .. } => "report the state errored or unresponsive with a failure",
            Self::RemoveAvailable { .. } => "stop the rank first (dmg system stop)",
            Self::Overtaken(_) => "try again",
            Self::Replicate(error) => error.resolution(),
        }
    }
}

impl From<ReplicateError> for MembershipError {
    /// Keeps what a client must recognise recognisable.
    fn from(error: ReplicateError) -> Self {
        match error {
            ReplicateError::NotLeader { hint, replicas } => Self::NotLeader { hint, replicas },
            ReplicateError::Stopped => Self::Unavailable,
            other => Self::Replicate(other),
        }
    }
}
