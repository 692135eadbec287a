//! The command line and the environment of an engine (contract 4.1-4.3).
//!
//! Pure: values in, values out; the launching environment is an argument. Called when an engine is about to
//! be started. Must not start anything nor look at this process's own environment.

mod argv;
mod environment;
pub mod log_mask;
mod placement;
pub mod tuning;

pub use argv::{Launch, argv};
pub use environment::{
    Environment, EnvironmentError, EnvironmentInput, environment, without_proxies,
};
pub use placement::{Placement, placement};

use crate::config::DataPlane;

/// Name of the program that runs as an engine; looked for in `PATH`, then beside the server.
#[must_use]
pub fn binary_name(data_plane: DataPlane) -> &'static str {
    match data_plane {
        DataPlane::Engine => "daos_engine",
        DataPlane::Emulated => "daos_io_server",
    }
}
