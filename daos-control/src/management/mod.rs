//! This host's part of the management service: whether it has one, its life, and pushing the group map to engines.
//!
//! `replica` says which replica this host is, `slot` what can be asked of it right now, `keeper` opens and closes it with
//! engine 0's storage, `founding` and `bootstrap` say whether a system may be made, `reconcile` adds and removes replicas
//! while this host leads, `network` reaches the others, `push` tells the engines who belongs to the group. Must not know gRPC.

mod administration;
mod answering;
mod bootstrap;
mod find;
mod founding;
mod keeper;
mod network;
mod offline;
mod push;
mod reconcile;
mod replica;
mod running;
mod slot;
mod usable;

pub use administration::Change;
pub use daos_membership::Replica;
pub use keeper::{ManagementKeeper, Opening};
pub use network::{EnlistCall, Enlistment, ReplicaHosts};
pub use offline::{Kept, OfflineReplica, RecoveryPlan, RestorePlan};
pub use push::push_group_map;
pub use replica::{Replicas, is_local};
pub use running::Serving;
pub use slot::{Management, ManagementState};
pub use usable::{WITHOUT_ENGINE, give_way_without_engine};
