//! Fabric interfaces of many hosts (contract 7.6, `NetworkScan`).

use super::hosts::{Client, DEFAULT_TIMEOUT};
use super::{HostResults, wire};

/// The fabric interfaces of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFabric {
    /// One entry for each interface and provider.
    pub interfaces: Vec<FabricInterface>,
    /// Number of NUMA nodes.
    pub numa_nodes: u32,
    /// Cores of one NUMA node.
    pub cores_per_numa: u32,
}

impl HostFabric {
    /// The providers found, sorted, each once.
    #[must_use]
    pub fn providers(&self) -> Vec<&str> {
        let mut providers: Vec<&str> =
            self.interfaces.iter().map(|i| i.provider.as_str()).collect();
        providers.sort_unstable();
        providers.dedup();
        providers
    }
}

/// An interface that can be used with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FabricInterface {
    /// Provider, e.g. `ofi+tcp`.
    pub provider: String,
    /// Name of the network interface.
    pub device: String,
    /// NUMA node it is attached to.
    pub numa_node: u32,
    /// Order of preference among equals; lower is better.
    pub priority: u32,
    /// Kind of network: an ARPHRD number.
    pub device_class: u32,
}

impl Client {
    /// Asks every host for its fabric interfaces. `provider`: `None` for the configured ones, `all` for every one.
    pub async fn network_scan(&self, provider: Option<&str>) -> HostResults<HostFabric> {
        let provider = provider.unwrap_or_default().to_owned();
        self.ask_hosts(DEFAULT_TIMEOUT, |connection| {
            wire::network::scan(connection, provider.clone())
        })
        .await
    }
}
