//! This host's part of the management service: whether it has one, its life, and pushing the group map to engines.
//!
//! `replica` says which replica this host is, `slot` what can be asked of it right now, `keeper` opens and closes it with
//! engine 0's storage, `push` tells the engines who belongs to the group. Must not know gRPC.

mod answering;
mod keeper;
mod push;
mod replica;
mod slot;

pub use keeper::{ManagementKeeper, Opening};
pub use push::push_group_map;
pub use replica::{Replicas, is_local};
pub use slot::{Management, ManagementState};
