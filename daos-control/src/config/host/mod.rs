//! The configuration against the host it is to run on: memory, huge pages, IOMMU, network.
//!
//! The rules are pure and take [`HostFacts`]; `observe` gathers these. Called by the server before it prepares
//! anything. Rules that protect a real engine are one notice each with the emulated data plane.

mod devices;
mod fit;
mod memory;
mod observe;
mod rules;

pub use devices::DeviceNames;
pub use fit::{Fitted, fit_to_host};
pub use memory::{HostMemory, MeminfoError};
pub use rules::{HostVerdict, check_host};

use crate::network::Network;

/// What of a host the rules look at.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    /// Memory and huge pages.
    pub memory: HostMemory,
    /// Processors this process may run on.
    pub cores: u32,
    /// The server runs as root.
    pub is_root: bool,
    /// Transparent huge pages are not switched off.
    pub transparent_hugepages: bool,
    /// There is an IOMMU.
    pub iommu: bool,
    /// Interfaces and NUMA nodes.
    pub network: Network,
    /// Where the paths of the configuration lead; empty when nobody looked.
    pub devices: DeviceNames,
}
