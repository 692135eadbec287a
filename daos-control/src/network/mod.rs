//! The fabric interfaces of this host: what the kernel says, and which providers work on each (R71, contract 7.6).
//!
//! `observe` looks, `libfabric` asks the library where there is one, `rows` decides (pure), `text` writes the lines of `daos_server
//! network scan`; `scan` is all of it in one call. Used by the gRPC
//! edge, by the start of the server and by the local command. Knows no configuration and no wire.

mod error;
mod ffi;
mod libfabric;
mod observe;
mod provider;
mod rows;
mod scan;
mod sys;
mod text;

pub use error::NetworkError;
pub use libfabric::{Offered, offered_only};
pub use observe::{Interface, NetDevClass, Network, observe, observe_at};
pub use provider::{PROVIDERS, Provider, supported_line};
pub use rows::{FabricInterface, FabricScan, Wanted, domain_of, rows};
pub use scan::{Scanned, scan};
pub use text::table;
