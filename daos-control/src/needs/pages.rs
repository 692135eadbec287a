//! Huge pages that engines need: how many, and on which NUMA nodes (contract 5.7).
//!
//! Pure, and the one place for it: a start sets what comes out here, preflight looks whether it is there. Also the words in which
//! pages are asked for, so that what is told can be typed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use daos_storage_nvme::NodeHugepages;

use crate::config::{EngineConfig, ServerConfig, sizing};
use crate::network::Network;
use crate::scan::memory::SystemMemory;

/// Huge pages of the default size, as `-p` asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagesAsk {
    /// In equal parts over all NUMA nodes that have memory; 0 for the default (R76).
    Total(u64),
    /// A number for each of these nodes. Other nodes keep what they have.
    Nodes(Vec<NodeHugepages>),
}

impl PagesAsk {
    /// A number as stock clients send it: zero and less mean the default (R76).
    #[must_use]
    pub fn of_number(pages: i64) -> Self {
        Self::Total(u64::try_from(pages).unwrap_or(0))
    }
}

impl FromStr for PagesAsk {
    type Err = String;

    /// Reads `4096`, or `0:2048,1:4096` for nodes 0 and 1.
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains(':') {
            let pages: Result<i64, _> = text.trim().parse();
            return pages.map(Self::of_number).map_err(|error| error.to_string());
        }
        let mut nodes: Vec<NodeHugepages> = Vec::new();
        for word in text.split(',') {
            let both = word.trim().split_once(':');
            let both =
                both.and_then(|(node, pages)| Some((node.parse().ok()?, pages.parse().ok()?)));
            let Some((node, pages)) = both else {
                return Err(format!("'{word}' is not NODE:PAGES"));
            };
            if nodes.iter().any(|known| known.node == node) {
                return Err(format!("node {node} is named twice"));
            }
            nodes.push(NodeHugepages { node, pages });
        }
        Ok(Self::Nodes(nodes))
    }
}

impl fmt::Display for PagesAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(pages) => pages.fmt(f),
            Self::Nodes(nodes) => {
                let words = nodes.iter().map(|node| format!("{}:{}", node.node, node.pages));
                f.write_str(&words.collect::<Vec<_>>().join(","))
            }
        }
    }
}

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

/// The same number on each node; the first ones get what is left over.
#[must_use]
pub fn spread_pages(pages: u64, nodes: &[u32]) -> Vec<NodeHugepages> {
    let count = u64::try_from(nodes.len()).unwrap_or(1).max(1);
    let share = |place: u64| pages / count + u64::from(place < pages % count);
    nodes
        .iter()
        .zip(0..)
        .map(|(node, place)| NodeHugepages { node: *node, pages: share(place) })
        .collect()
}

/// The same, with no node below what it has.
#[must_use]
pub fn never_fewer(mut wanted: Vec<NodeHugepages>, memory: &SystemMemory) -> Vec<NodeHugepages> {
    for node in &mut wanted {
        node.pages = node.pages.max(memory.hugepages_of(node.node).unwrap_or(0));
    }
    wanted
}
