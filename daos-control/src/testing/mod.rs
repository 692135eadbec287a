//! What tests and demonstrations need, ours and yours (feature `testing`): one host with real programs on real files.

mod host;
mod log;

pub use host::{HostRig, Mode, Ran, programs_beside};
pub use log::LogLines;
