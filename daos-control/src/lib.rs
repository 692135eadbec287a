//! The control plane of a storage node, as a library.

#[cfg(feature = "client")]
pub mod client;
pub mod config;
#[cfg(feature = "drpc")]
pub mod drpc;
#[cfg(feature = "drpc")]
pub mod durable_file;
#[cfg(feature = "server")]
pub mod engine;
#[cfg(feature = "server")]
pub mod engine_command;
pub mod fault;
#[cfg(feature = "server")]
pub mod format;
#[cfg(feature = "client")]
pub mod generate;
#[cfg(feature = "server")]
pub mod join;
#[cfg(feature = "server")]
pub mod management;
#[cfg(feature = "server")]
pub mod needs;
#[cfg(feature = "server")]
pub mod network;
#[cfg(feature = "server")]
mod ports;
#[cfg(feature = "client")]
pub mod preflight;
#[cfg(feature = "server")]
pub mod prepare;
#[cfg(feature = "server")]
pub mod rpc;
#[cfg(feature = "server")]
pub mod scan;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "drpc")]
pub mod stand_in;
#[cfg(feature = "server")]
pub mod start_table;
#[cfg(feature = "server")]
pub mod superblock;
#[cfg(feature = "server")]
pub mod supervisor;
#[cfg(feature = "server")]
pub mod system_ops;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "client")]
pub mod tls;
#[cfg(feature = "client")]
pub mod wire;

pub use fault::Fault;
#[cfg(feature = "client")]
pub use wire::WIRE_VERSION as DAOS_VERSION;
