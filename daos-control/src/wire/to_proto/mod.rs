//! Domain values to wire messages, one file per area. Free functions that cannot fail and decide nothing.

mod format;
mod network;
mod state;

pub use format::format_response;
pub use network::network_scan;
pub use state::{failed, succeeded};
