//! The system as its management service knows it: members, leader, stop, start, erase, properties, attributes.
//!
//! Values and requests in the words of administrators; the wire forms are in `client::wire`.

mod events;
mod member;
mod operations;
mod query;
mod settings;
mod wait;

pub use events::{Event, EventFollower, EventPage, EventRange, Followed};
pub use member::{Member, MemberState, StateMask};
pub use operations::{Cleaned, OperationReport, PoolRanks, RankOutcome, StopMode};
pub use query::{Leader, Pool, SystemQuery, SystemStatus};
pub use wait::{Changes, Standing, WaitFor, Waited};

use super::host_list::HostSet;
use super::rank_set::RankSet;

/// Which members a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// Every member.
    #[default]
    All,
    /// These ranks.
    Ranks(RankSet),
    /// The ranks of these hosts.
    Hosts(HostSet),
}

impl Selection {
    /// The `ranks` and `hosts` texts of a request; at most one of them is not empty.
    pub(in crate::client) fn texts(&self) -> (String, String) {
        match self {
            Self::All => (String::new(), String::new()),
            Self::Ranks(ranks) => (ranks.to_string(), String::new()),
            Self::Hosts(hosts) => (String::new(), hosts.to_string()),
        }
    }
}
