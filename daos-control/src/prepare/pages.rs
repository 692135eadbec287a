//! Huge pages that engines need: how many, and on which NUMA nodes (contract 5.7).
//!
//! Pure, and the one place for it: a start sets what comes out here, preflight looks whether it is there.

use std::collections::BTreeSet;

use daos_storage_nvme::NodeHugepages;

use super::spread_pages;
use crate::config::{EngineConfig, ServerConfig, sizing};
use crate::network::Network;

/// Pages for all engines together: the number of the configuration, else that of contract 5.7; 0 where nobody needs any.
#[must_use]
pub fn needed_pages(config: &ServerConfig, cores: u32, hugepage_mib: u32) -> u64 {
    match config.hugepages.count {
        _ if config.hugepages.disabled => 0,
        // Looking at controllers takes no huge pages here.
        0 if !config.engines.iter().any(EngineConfig::has_bdevs) => 0,
        0 => sizing::least_hugepages(config, cores, hugepage_mib),
        count => u64::from(count),
    }
}

/// The same in equal parts over the nodes of the engines, those with block devices if there are any.
#[must_use]
pub fn pages_of_nodes(
    config: &ServerConfig,
    cores: u32,
    hugepage_mib: u32,
    network: &Network,
) -> Vec<NodeHugepages> {
    let total = needed_pages(config, cores, hugepage_mib);
    if total == 0 {
        return Vec::new();
    }
    let any_bdevs = config.engines.iter().any(EngineConfig::has_bdevs);
    let users = config.engines.iter().filter(|engine| engine.has_bdevs() || !any_bdevs);
    let nodes: BTreeSet<u32> = users.map(|engine| node_of(engine, network)).collect();
    spread_pages(total, &nodes.into_iter().collect::<Vec<_>>())
}

/// The node of an engine: the one it is pinned to, else that of its interface, else the first.
#[must_use]
pub fn node_of(engine: &EngineConfig, network: &Network) -> u32 {
    let interface = network.interface(&engine.fabric.interface);
    engine.pinned_numa_node.or(interface.map(|found| found.numa_node)).unwrap_or(0)
}
