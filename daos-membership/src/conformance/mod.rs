//! Suites that every body of [`crate::Store`] and [`crate::Replicate`] must pass, ours and others'.
//!
//! Implement [`StorePlace`] or [`ReplicaPlace`] for the body and run the suite from a test. A broken rule ends
//! it with a panic that names the rule.

pub mod cluster;
pub mod network;
mod replicate;
pub mod samples;
mod store;

pub use self::replicate::{ReplicaPlace, replicate_suite};
pub use self::store::{StorePlace, store_suite};
