//! Proposes configurations: from what scans found on one or many hosts to one engine for each NUMA node (T8, contract 8.2).
//!
//! Values in, values out. `daos_server config generate` gives it this host, `dmg config generate` many hosts; the text of a proposal is
//! a configuration file. Must not know how scans are made, nor the wire.
//!
//! ```
//! use daos_control::generate::{HostFacts, FabricPort, Options, Ssd, propose};
//!
//! let host = HostFacts {
//!     name: "node1".into(),
//!     cores_per_node: 16,
//!     ports: vec![FabricPort { provider: "ofi+tcp".into(), interface: "eth0".into(), node: 0, class: 1, priority: 5 }],
//!     pmem: Vec::new(),
//!     ssds: vec![Ssd { address: "0000:81:00.0".into(), node: 0, bytes: 1 << 40, obstacle: None }],
//!     problems: Vec::new(),
//! };
//! let proposal = propose(&[host], &Options { tmpfs: true, ..Options::default() })?;
//! assert!(proposal.configs[0].yaml().contains("bdev_list: [\"0000:81:00.0\"]"));
//! # Ok::<(), daos_control::generate::GenerateError>(())
//! ```

mod choose;
mod engine;
mod error;
mod facts;
mod file;
#[cfg(feature = "server")]
mod local;
mod options;
#[cfg(feature = "server")]
mod pmem;
#[cfg(test)]
mod tests;
mod yaml;

pub use choose::{Note, Proposal, Refusal, propose};
pub use engine::{EngineProposal, ScmProposal, TierProposal};
pub use error::GenerateError;
pub use facts::{FabricPort, HostFacts, Pmem, Ssd, node_of};
pub use file::write_files;
#[cfg(feature = "server")]
pub use local::host_facts;
#[cfg(feature = "server")]
pub(crate) use local::keeps_out;
pub use options::{NetClass, Options};
#[cfg(feature = "server")]
pub(crate) use pmem::pmem_obstacles;
pub use yaml::HostConfig;
