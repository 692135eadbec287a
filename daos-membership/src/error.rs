//! Every error of this crate, with its stable number and its remedy.
//!
//! Numbers are those of contract 10.2 where the condition exists there, else 1290-1309. Texts that DAOS 2.8
//! clients look for (contract 1.4) are verbatim in `Display`. Store and replica errors are in their modules.

use thiserror::Error;
use uuid::Uuid;

use crate::address::ControlAddress;
use crate::rank::{Rank, RankSet};
use crate::replicate::ReplicateError;
use crate::state::MemberState;

/// Fault numbers of this crate that DAOS 2.8 has no number for.
pub mod code {
    /// The system database is missing or cannot be read.
    pub const STORE_UNREADABLE: i32 = 1290;
    /// The system database is damaged.
    pub const STORE_CORRUPT: i32 = 1291;
    /// The system database belongs to another system.
    pub const STORE_FOREIGN: i32 = 1292;
    /// The system database was written by a newer version.
    pub const STORE_NEWER: i32 = 1293;
    /// Another process has the system database open.
    pub const STORE_IN_USE: i32 = 1294;
    /// A write of the system database failed, so this replica stopped.
    pub const REPLICA_FAILED: i32 = 1295;
    /// This host cannot serve the request now; another one, or a later try, can.
    pub const NOT_SERVED_HERE: i32 = 1296;
    /// A join request lacks something.
    pub const JOIN_INCOMPLETE: i32 = 1297;
    /// A known engine joins with another rank, or a known rank with another engine.
    pub const JOIN_IDENTITY_CHANGED: i32 = 1298;
    /// A known engine joins from another host.
    pub const JOIN_ADDRESS_CHANGED: i32 = 1299;
    /// The rank an engine asks for cannot be given.
    pub const JOIN_RANK_TAKEN: i32 = 1300;
    /// Another member is alive at the fabric URI of a joining engine.
    pub const JOIN_URI_IN_USE: i32 = 1301;
    /// An engine joins with another fabric provider than the system uses.
    pub const JOIN_WRONG_PROVIDER: i32 = 1302;
    /// No such rank or host in the system.
    pub const UNKNOWN_MEMBERS: i32 = 1303;
    /// A list of ranks, hosts or states cannot be used as it is.
    pub const BAD_SELECTION: i32 = 1304;
    /// A system attribute cannot be set or read.
    pub const BAD_ATTRIBUTE: i32 = 1305;
    /// A system property cannot be set or read.
    pub const BAD_PROPERTY: i32 = 1306;
    /// The fabric provider was changed while engines run.
    pub const PROVIDER_CHANGE: i32 = 1307;
    /// A member is in use and cannot be removed, or a report about it makes no sense.
    pub const MEMBER_IN_USE: i32 = 1308;
    /// Whether a change happened is not known.
    pub const OUTCOME_UNKNOWN: i32 = 1309;
}

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

/// A text that is no control address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\" is not an address of the form ip:port")]
pub struct AddressSyntaxError {
    /// The text.
    pub text: String,
}

/// A text that names no member state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{text}\" is not a member state")]
pub struct UnknownState {
    /// The text.
    pub text: String,
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
