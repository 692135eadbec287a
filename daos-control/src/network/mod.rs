//! The fabric interfaces of this host: what the kernel says, and which providers work on each (R71, contract 7.6).
//!
//! `observe` looks, `rows` decides (pure), `text` writes the lines of `daos_server network scan`. Used by the gRPC
//! edge, by the start of the server and by the local command. Knows no configuration and no wire.

mod error;
mod observe;
mod provider;
mod rows;
mod sys;
mod text;

pub use error::NetworkError;
pub use observe::{Interface, NetDevClass, Network, observe, observe_at};
pub use provider::{PROVIDERS, Provider, supported_line};
pub use rows::{FabricInterface, FabricScan, Wanted, domain_of, rows};
pub use text::table;
