//! Why an engine may not join.

use thiserror::Error;
use uuid::Uuid;

use super::code;
use crate::address::ControlAddress;
use crate::rank::Rank;
use crate::state::MemberState;

/// Why an engine may not join (contract 6.4).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JoinRefused {
    /// No primary fabric URI, or one without provider.
    #[error("engine {uuid} joins with fabric URI \"{uri}\", which names no provider and address")]
    NoFabricUri {
        /// The engine.
        uuid: Uuid,
        /// What it sent.
        uri: String,
    },
    /// The system uses another provider.
    #[error("engine {uuid} joins with fabric provider {asked}, the system uses {used}")]
    WrongProvider {
        /// The engine.
        uuid: Uuid,
        /// Its provider.
        asked: String,
        /// The system's.
        used: String,
    },
    /// Labels differ from those of the members.
    #[error("fault domain {domain} does not have the system's labels [{labels}]")]
    WrongLabels {
        /// What the engine sent.
        domain: String,
        /// The system's labels, outermost first.
        labels: String,
    },
    /// Number of levels differs from that of the members.
    #[error(
        "fault domain {domain} has {levels} levels, those of the other members have {expected}"
    )]
    WrongDepth {
        /// What the engine sent.
        domain: String,
        /// How many levels it has.
        levels: usize,
        /// How many the others have.
        expected: usize,
    },
    /// An administrator keeps this member out.
    #[error("member {uuid} (rank {rank}) has been administratively excluded")]
    AdminExcluded {
        /// The member.
        uuid: Uuid,
        /// Its rank.
        rank: Rank,
    },
    /// A known engine asks for another rank than it has.
    #[error("can't rejoin member with uuid {uuid}: rank changed from {known} -> {asked}")]
    RankChanged {
        /// The engine.
        uuid: Uuid,
        /// Its rank.
        known: Rank,
        /// What it asks for.
        asked: Rank,
    },
    /// A known rank is asked for by another engine than has it.
    #[error("can't rejoin member with rank {rank}: uuid changed from {known} -> {asked}")]
    UuidChanged {
        /// The rank.
        rank: Rank,
        /// The engine that has it.
        known: Uuid,
        /// The engine that asks.
        asked: Uuid,
    },
    /// A known engine joins from another host. May be tried again with
    /// [`old_address_answers`](crate::JoinRequest::old_address_answers) known to be false.
    #[error(
        "can't rejoin member {uuid} (rank {rank}): control address changed from {known} -> {asked}"
    )]
    AddressChanged {
        /// The engine.
        uuid: Uuid,
        /// Its rank.
        rank: Rank,
        /// Where it was.
        known: ControlAddress,
        /// Where it is now.
        asked: ControlAddress,
    },
    /// The rank was once given to another engine, which has been removed or replaced.
    #[error(
        "rank {rank} belonged to engine {former}, which left the system; {uuid} cannot have it"
    )]
    RankRetired {
        /// The rank.
        rank: Rank,
        /// Whose it was.
        former: Uuid,
        /// Who asks for it.
        uuid: Uuid,
    },
    /// Rank 0 is asked for by another engine than the first of the first replica.
    #[error("engine {uuid} asks for rank 0, which is kept for engine 0 of the first replica")]
    RankReserved {
        /// Who asks for it.
        uuid: Uuid,
    },
    /// Every rank has been given.
    #[error("no rank is left for engine {uuid}")]
    NoRankLeft {
        /// Who asks.
        uuid: Uuid,
    },
    /// A member that is up has the same primary URI.
    #[error(
        "fabric URI {uri} of engine {uuid} is in use by member {holder} (rank {rank}, {state})"
    )]
    UriInUse {
        /// The joining engine.
        uuid: Uuid,
        /// The URI.
        uri: String,
        /// The member that has it.
        holder: Uuid,
        /// That member's rank.
        rank: Rank,
        /// That member's state.
        state: MemberState,
    },
    /// Replacing and asking for a rank exclude each other.
    #[error("engine {uuid} asks for rank {asked} and to replace another engine")]
    ReplaceWithRank {
        /// The engine.
        uuid: Uuid,
        /// What it asks for.
        asked: Rank,
    },
    /// The engine that wants to replace another one is a member itself.
    #[error("member with uuid {uuid} already exists")]
    AlreadyMember {
        /// The engine.
        uuid: Uuid,
    },
    /// No member is like the one that wants to replace it.
    #[error("no member at {address} with fabric URI {uri} and fault domain {domain} to replace")]
    NothingToReplace {
        /// The engine's host.
        address: ControlAddress,
        /// Its URI.
        uri: String,
        /// Its fault domain.
        domain: String,
    },
    /// A pool still counts on the rank to be replaced.
    #[error("rank {rank} cannot be replaced: it is still enabled in a pool")]
    ReplacedRankInPool {
        /// The rank.
        rank: Rank,
    },
}

impl JoinRefused {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::WrongDepth { .. } => 401,
            Self::NothingToReplace { .. } => 403,
            Self::WrongLabels { .. } => 620,
            Self::ReplacedRankInPool { .. } => 621,
            Self::AdminExcluded { .. } => 622,
            Self::NoFabricUri { .. } => code::JOIN_INCOMPLETE,
            Self::RankChanged { .. } | Self::UuidChanged { .. } => code::JOIN_IDENTITY_CHANGED,
            Self::AddressChanged { .. } => code::JOIN_ADDRESS_CHANGED,
            Self::RankRetired { .. }
            | Self::RankReserved { .. }
            | Self::NoRankLeft { .. }
            | Self::ReplaceWithRank { .. }
            | Self::AlreadyMember { .. } => code::JOIN_RANK_TAKEN,
            Self::UriInUse { .. } => code::JOIN_URI_IN_USE,
            Self::WrongProvider { .. } => code::JOIN_WRONG_PROVIDER,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::WrongDepth { .. } | Self::WrongLabels { .. } => {
                "give all servers fault domains of the same shape (fault_path) and restart this one"
            }
            Self::NothingToReplace { .. } => {
                "a replacement keeps address, fabric and fault domain of the engine it replaces; \
                 to add an engine, format without --replace"
            }
            Self::ReplacedRankInPool { .. } => "exclude the rank from its pools, then try again",
            Self::AdminExcluded { .. } => {
                "clear the exclusion (dmg system clear-exclude), then start the rank"
            }
            Self::NoFabricUri { .. } => "look at the engine's log and its fabric settings",
            Self::RankChanged { .. } | Self::UuidChanged { .. } => {
                "the superblock does not fit the system; put back the engine's own storage, or format \
                 it with --replace"
            }
            Self::AddressChanged { .. } => {
                "give the host its former control address, or stop the server at the former address \
                 and start this engine again"
            }
            Self::RankRetired { .. } | Self::AlreadyMember { .. } => {
                "format the engine to join as a new one"
            }
            Self::RankReserved { .. } => {
                "leave the rank to the management service; check that mgmt_svc_replicas is the same \
                 on all hosts"
            }
            Self::NoRankLeft { .. } => "the system cannot grow further",
            Self::UriInUse { .. } => {
                "if that member is gone, stop or exclude it; else give this engine another fabric \
                 address or port"
            }
            Self::ReplaceWithRank { .. } => "format the engine first, then replace",
            Self::WrongProvider { .. } => {
                "use the same provider on all servers; to change it, stop the whole system first"
            }
        }
    }
}
