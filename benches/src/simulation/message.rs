//! What hosts say to each other. Each stands for a gRPC method or a message of the fabric; errors travel as the
//! gRPC status that the real edge makes of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use daos_control::join::JoinAnswer;
use daos_control::supervisor::RasEvent;
use daos_control::system_ops::{JoinMessage, RankReply, RanksCall};
use daos_control::wire::CallError;
use daos_membership::{
    ControlAddress, ExcludeAction, GroupMap, Incarnation, Member, Rank, RankSet, ReplicaId,
};

use uuid::Uuid;

use super::network::{HostId, NoAnswer};

/// A request or an answer.
#[derive(Debug, Clone)]
pub enum Message {
    /// An engine asks for its rank.
    Join(Box<JoinMessage>),
    /// It has it.
    Joined(JoinAnswer),
    /// News of an engine, forwarded.
    Event(Box<RasEvent>),
    /// What a host is to do with its ranks.
    Ranks(RanksCall),
    /// What it did.
    RanksDone(Vec<RankReply>),
    /// Something an administrator asks of the management service.
    Admin(Admin),
    /// An attribute's value.
    Value(Option<String>),
    /// The members.
    Members(Vec<Arc<Member>>),
    /// An engine asks whether another lives, and says which group map it has.
    Probe {
        /// The rank that is meant.
        rank: Rank,
        /// The start of it that is meant.
        incarnation: Incarnation,
        /// Version of the asker's group map.
        version: u32,
    },
    /// The answer, with the group map when the asker's is older.
    Alive {
        /// Whether the rank runs here in that incarnation.
        alive: bool,
        /// Version of the answerer's group map.
        version: u32,
        /// A newer map.
        newer: Option<GroupMap>,
    },
    /// An engine passes the group map on.
    Group(GroupMap),
    /// What one replica says to another, in its bytes.
    Replica(Vec<u8>),
    /// Whether an engine with this rank is at home on a host.
    HasRank(Rank),
    /// It is, or is not.
    Truth(bool),
    /// A host is to become a replica of this system.
    Enlist(Uuid),
    /// It is one, with this id.
    Enlisted(ReplicaId),
    /// Done, with nothing to say.
    Done,
    /// Refused.
    Refused(Box<CallError>),
}

/// Requests of administrators.
#[derive(Debug, Clone)]
pub enum Admin {
    /// Write an attribute.
    Set {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
    /// Read one, from the leader.
    Get {
        /// Its name.
        key: String,
    },
    /// Keep ranks out, or let them in again.
    Exclude(RankSet, ExcludeAction),
    /// Stop ranks.
    Stop {
        /// Which.
        ranks: RankSet,
        /// Without grace.
        force: bool,
    },
    /// Start ranks.
    Start(RankSet),
    /// Let other hosts be replicas.
    Replicas {
        /// Hosts that become one.
        add: Vec<ControlAddress>,
        /// Hosts that stop being one.
        remove: Vec<ControlAddress>,
    },
    /// All members, from the leader.
    Query,
}

impl From<CallError> for Message {
    fn from(error: CallError) -> Self {
        // Through the status that travels, so that what clients see is what they would see.
        Self::Refused(Box::new(CallError::from_status(&error.to_status(), "the host")))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(ask) => {
                let rank = ask.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string());
                write!(f, "join {} as {rank} incarnation {}", ask.uuid, ask.incarnation.0)
            }
            Self::Joined(answer) => {
                write!(f, "joined as {} at {}", answer.rank, answer.map_version)
            }
            Self::Event(event) => write!(f, "event {event}"),
            Self::Ranks(call) => write!(f, "{} {}", call.action.text(), call.ranks),
            Self::RanksDone(replies) => {
                f.write_str("ranks done")?;
                replies.iter().try_for_each(|reply| write!(f, " {}:{}", reply.rank, reply.state))
            }
            Self::Admin(admin) => write!(f, "{admin:?}"),
            Self::Value(value) => write!(f, "value {value:?}"),
            Self::Members(members) => write!(f, "{} members", members.len()),
            Self::Probe { rank, incarnation, version } => {
                write!(f, "probe {rank}.{} at {version}", incarnation.0)
            }
            Self::Alive { alive, version, newer } => {
                write!(f, "alive {alive} at {version}, map {}", newer.is_some())
            }
            Self::Group(map) => write!(f, "group map {} of {}", map.version(), map.len()),
            Self::Replica(bytes) => write!(f, "replica {}", super::replica::describe(bytes)),
            Self::HasRank(rank) => write!(f, "has rank {rank}?"),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Enlist(system) => write!(f, "become a replica of {system}"),
            Self::Enlisted(id) => write!(f, "replica {id}"),
            Self::Done => f.write_str("done"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
        }
    }
}

/// Where a host's control server listens.
#[must_use]
pub fn address_of(host: HostId) -> SocketAddrV4 {
    let number = u32::try_from(host).unwrap_or(u32::MAX - 0x0a00_0001);
    SocketAddrV4::new(Ipv4Addr::from_bits(0x0a00_0001 + number), 10001)
}

/// The host with this address.
#[must_use]
pub fn host_of(address: ControlAddress) -> Option<HostId> {
    match address.socket() {
        SocketAddr::V4(address) => host_at(IpAddr::V4(*address.ip())),
        SocketAddr::V6(_) => None,
    }
}

/// The host with this IP address.
#[must_use]
pub fn host_at(ip: IpAddr) -> Option<HostId> {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().checked_sub(0x0a00_0001).map(|number| number as usize),
        IpAddr::V6(_) => None,
    }
}

/// What a client makes of a call that was not answered.
#[must_use]
pub fn unanswered(host: HostId, why: NoAnswer) -> CallError {
    let kind = match why {
        NoAnswer::Refused => std::io::ErrorKind::ConnectionRefused,
        NoAnswer::Reset => std::io::ErrorKind::ConnectionReset,
    };
    let error = std::io::Error::from(kind);
    let address = address_of(host).to_string();
    match daos_control::wire::connection_fault(&address, &error) {
        Some(fault) => CallError::Fault(fault),
        None => CallError::text(error.to_string()),
    }
}
