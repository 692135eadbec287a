//! Domain values to wire messages, one file per area. Free functions that decide nothing.

mod attach;
mod engine_devices;
mod events;
mod format;
mod members;
mod network;
mod ours;
mod preflight;
mod scan;
mod state;

pub use attach::attach_response;
pub use engine_devices::add_engine_devices;
pub use events::{events_response, follow_response, member_outcome, member_result};
pub use format::format_response;
pub use members::{query_response, rank_result, ranks_response, start_response, stop_response};
pub use network::network_scan;
pub use ours::{apply_response, engine_state, fault, plan_response};
pub use preflight::preflight;
pub use scan::storage_scan;
pub use state::{failed, succeeded};
