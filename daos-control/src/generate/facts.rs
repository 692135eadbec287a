//! What of a host a proposal depends on.

/// One host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Name by which it is called in explanations and as a replica.
    pub name: String,
    /// Physical cores of one NUMA node; 0 when the host does not tell.
    pub cores_per_node: u32,
    /// Interfaces, one entry for each provider that works on it.
    pub ports: Vec<FabricPort>,
    /// Persistent memory namespaces with a block device.
    pub pmem: Vec<Pmem>,
    /// NVMe controllers.
    pub ssds: Vec<Ssd>,
    /// Parts of the scan that failed, in words.
    pub problems: Vec<String>,
}

/// An interface with a provider that works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricPort {
    /// Provider, e.g. `ofi+tcp`.
    pub provider: String,
    /// Name of the interface.
    pub interface: String,
    /// NUMA node.
    pub node: u32,
    /// Kind of link, an ARPHRD number.
    pub class: u32,
    /// Lower is better.
    pub priority: u32,
}

/// A persistent memory namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pmem {
    /// Its block device with the directory, e.g. `/dev/pmem0`.
    pub device: String,
    /// NUMA node.
    pub node: u32,
    /// Size in bytes.
    pub bytes: u64,
    /// Why it must not be proposed, if the host told.
    pub obstacle: Option<String>,
}

/// An NVMe controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssd {
    /// PCI address.
    pub address: String,
    /// NUMA node.
    pub node: u32,
    /// Size of all namespaces in bytes.
    pub bytes: u64,
    /// Why it must not be proposed, if the host told.
    pub obstacle: Option<String>,
}

/// The NUMA node of a device; a host that tells none has one node, 0.
#[must_use]
pub fn node_of(socket: i32) -> u32 {
    u32::try_from(socket).unwrap_or(0)
}
