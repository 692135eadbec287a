//! Operations on ranks of several hosts: whom they mean, asking each host, and what the system records of it
//! (contract 6.9, R165, R166).
//!
//! `select` turns texts into a selection, `peer` asks one host, `fanout` asks all at once and never waits for a dead
//! one, `run` holds the operations. Called by the gRPC edge on the leader. Knows no protobuf but in `peer`.

mod admit;
mod exclude;
mod fanout;
mod follow;
mod hear;
mod peer;
mod run;
mod select;

pub use admit::{AdmitJoin, JoinMessage};
pub use exclude::LastUsable;
pub use fanout::{RankReply, RankReport};
pub use follow::{MOST_EVENTS, events, follow};
pub use hear::hear;
pub use peer::{GrpcPeers, Limits, Peers, RanksCall};
pub use run::{OperationReport, StartRequest, StopRequest, SystemOps};
pub use select::{resolve_host, select};
