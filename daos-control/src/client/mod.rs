//! The administrator's side of the control plane.
pub mod host_list;
pub mod rank_set;

pub use host_list::{HostAddr, HostListError, HostListProblem, HostSet};
pub use rank_set::{RankSet, RankSetError};
