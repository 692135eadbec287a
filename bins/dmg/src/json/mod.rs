//! JSON for programs: the stock envelope and the keys of contract 8.3. Pure.

mod envelope;
mod hosts;
mod members;
mod network;
mod preflight;
mod prepare;
mod replicas;
mod storage;
mod system;

pub use envelope::{Response, envelope, envelope_line, line};
pub use hosts::errors as host_errors;
pub use members::{status, waited};
pub use network::fabrics;
pub use preflight::preflights;
pub use prepare::prepared;
pub use replicas::{answered_by, replica_set, replica_statuses};
pub use storage::{format_results, plans, scan};
pub use system::{
    cleaned, event, events, leader, log_masks, operations, pool_ranks, pools, properties,
};
