//! What a start with a real data plane depends on, and what of it a host lacks (R169, contract 5.7). Pure.
//!
//! `automatic` acts on it at start; whoever wants to know beforehand asks the same functions. Knows no sysfs.

use std::collections::{BTreeMap, BTreeSet};

use daos_storage_nvme::{NodeHugepages, NvmeController, PciAddress};

use super::NvmePrepareAsk;
use crate::config::{BdevMedia, DataPlane, EngineConfig, ServerConfig};
use crate::fault::{Fault, code};
use crate::needs::{PagesAsk, never_fewer, node_of, pages_of_nodes};
use crate::network::Network;
use crate::scan::memory::SystemMemory;

/// Driver of the kernel: a controller that has it is not ready for an engine.
const KERNEL_DRIVER: &str = "nvme";

/// What engines need of the host before they start. Nothing at all with the stand-in data plane, which drives no
/// controller and uses no huge page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartNeeds {
    /// Huge pages that each node has to have at least, by node. Empty when no engine has block devices and none were asked for.
    pub hugepages: Vec<NodeHugepages>,
    /// Controllers of engines, in the order of engines and lists.
    pub controllers: Vec<NeededController>,
    /// Controllers of `bdev_include` that no engine lists: made ready too, and nobody's loss when they cannot be.
    pub spares: Vec<PciAddress>,
    /// NUMA node of each engine with block devices, by its index.
    pub nodes: BTreeMap<u32, u32>,
}

/// One controller of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededController {
    /// Index of the engine.
    pub engine: u32,
    /// The controller.
    pub address: PciAddress,
    /// Whether the server may give it to the engine by itself: `bdev_include`, `bdev_exclude` and `disable_vmd` may say no.
    pub automatic: bool,
}

/// What the host has now.
#[derive(Debug, Clone, Copy)]
pub struct HostNow<'a> {
    /// Memory and huge pages.
    pub memory: &'a SystemMemory,
    /// NVMe controllers, as a scan found them.
    pub controllers: &'a [NvmeController],
    /// The server runs as root.
    pub is_root: bool,
}

impl StartNeeds {
    /// Reads off the configuration what its engines need on a host with these cores, huge pages of this size and this network.
    #[must_use]
    pub fn of(config: &ServerConfig, cores: u32, hugepage_mib: u32, network: &Network) -> Self {
        if config.data_plane == DataPlane::Emulated {
            return Self::default();
        }
        let include = addresses(&config.nvme.include);
        let exclude = addresses(&config.nvme.exclude);
        let may = |address: &PciAddress| {
            (include.is_empty() || include.contains(address))
                && !exclude.contains(address)
                && !(config.nvme.disable_vmd && address.vmd().is_some())
        };
        let controllers: Vec<NeededController> = config
            .engines
            .iter()
            .flat_map(|engine| controllers_of(engine).into_iter().map(|it| (engine.index, it)))
            .map(|(engine, address)| NeededController { engine, address, automatic: may(&address) })
            .collect();
        let listed: BTreeSet<_> = controllers.iter().map(|needed| needed.address).collect();
        let spares = include.difference(&listed).copied().filter(may).collect();
        let with_bdevs = config.engines.iter().filter(|engine| engine.has_bdevs());
        Self {
            nodes: with_bdevs.map(|engine| (engine.index, node_of(engine, network))).collect(),
            hugepages: pages_of_nodes(config, cores, hugepage_mib, network),
            controllers,
            spares,
        }
    }

    /// What this server may give to one engine by itself.
    #[must_use]
    pub fn automatic(&self, engine: u32) -> Vec<PciAddress> {
        let of_engine = self.controllers.iter().filter(|needed| needed.engine == engine);
        of_engine.filter(|needed| needed.automatic).map(|needed| needed.address).collect()
    }

    /// Whether any engine drives NVMe controllers.
    #[must_use]
    pub fn has_nvme(&self) -> bool {
        !self.controllers.is_empty()
    }

    /// Pages that each node is to have: what it needs, and never fewer than it has (contract 5.7).
    #[must_use]
    pub fn hugepages_to_set(&self, memory: &SystemMemory) -> Vec<NodeHugepages> {
        never_fewer(self.hugepages.clone(), memory)
    }

    /// The same for one engine: what its node lacks now, nothing where all is there.
    #[must_use]
    pub fn hugepages_missing(&self, engine: u32, memory: &SystemMemory) -> Vec<NodeHugepages> {
        let Some(node) = self.nodes.get(&engine) else { return Vec::new() };
        let its = self.hugepages.iter().filter(|wanted| wanted.node == *node);
        its.filter(|wanted| memory.hugepages_of(*node).is_none_or(|now| now < wanted.pages))
            .copied()
            .collect()
    }

    /// Everything that keeps the engines from starting and that the server cannot mend by itself; none when it may go on.
    #[must_use]
    pub fn lacking(&self, host: &HostNow<'_>) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            self.controllers.iter().filter_map(|needed| self.missing(needed, host)).collect();
        faults.extend(self.unready(host));
        faults.extend(self.hugepages.iter().filter_map(|wanted| self.too_few(*wanted, host)));
        faults
    }

    /// A configured controller that is not on the bus (R56, E26).
    fn missing(&self, needed: &NeededController, host: &HostNow<'_>) -> Option<Fault> {
        let NeededController { engine, address, .. } = needed;
        let found = host.controllers.iter().any(|controller| controller.address == *address);
        (!found).then(|| {
            Fault::new(
                "storage",
                code::BDEV_NOT_FOUND,
                format!("engine {engine}: there is no NVMe controller {address}"),
                "correct bdev_list after a look at 'daos_server storage scan', or attach the controller",
            )
        })
    }

    /// Controllers that are still with the kernel and that the server does not take from it: together, since one command mends it.
    fn unready(&self, host: &HostNow<'_>) -> Option<Fault> {
        let with_kernel = |needed: &NeededController| {
            let mut found = host.controllers.iter();
            let found = found.find(|controller| controller.address == needed.address);
            found.is_some_and(|it| it.driver.as_deref().is_none_or(|name| name == KERNEL_DRIVER))
        };
        let left = self.controllers.iter().filter(|it| !(it.automatic && host.is_root));
        let left: Vec<_> = left.filter(|it| with_kernel(it)).map(|it| it.address).collect();
        if left.is_empty() {
            return None;
        }
        let (number, why) = match host.is_root {
            true => (
                code::START_CONTROLLERS_LEFT_OUT,
                "bdev_include, bdev_exclude or disable_vmd keeps the server from taking them",
            ),
            false => (code::PREPARE_NEEDS_ROOT, "a plain user may not take them"),
        };
        Some(Fault::new(
            "storage",
            number,
            format!(
                "the kernel has NVMe controllers that engines are to drive: {}; {why}",
                list(&left)
            ),
            self.command(&left, host.memory),
        ))
    }

    /// Too few huge pages, where the server may not set them, or on a node that the host does not have.
    fn too_few(&self, wanted: NodeHugepages, host: &HostNow<'_>) -> Option<Fault> {
        let NodeHugepages { node, pages } = wanted;
        let found = host.memory.hugepages_of(node);
        let text = match found {
            None => {
                format!("engines are placed on NUMA node {node}, and the host has no such node")
            }
            Some(found) if found < pages && !host.is_root => format!(
                "NUMA node {node} has {found} huge pages, the engines need {pages}, and a plain user may not set them"
            ),
            Some(_) => return None,
        };
        let remedy = match found {
            None => "correct pinned_numa_node".to_owned(),
            Some(_) => self.command(&[], host.memory),
        };
        Some(Fault::new("storage", code::START_TOO_FEW_HUGEPAGES, text, remedy))
    }

    /// The command that makes ready what a plain user's server may not.
    fn command(&self, controllers: &[PciAddress], memory: &SystemMemory) -> String {
        let listed = if controllers.is_empty() { "none".to_owned() } else { list(controllers) };
        let pages = match self.hugepages_to_set(memory) {
            none if none.is_empty() => String::new(),
            // By node: a sum would be spread over nodes that need none.
            pages => format!(" -p {}", PagesAsk::Nodes(pages)),
        };
        format!(
            "run: sudo daos_server storage prepare --nvme-only -w '{listed}'{pages} -u USER, with the user of the server"
        )
    }
}

/// The engines that list a controller which the lists of a command choose.
#[must_use]
pub fn engines_of(config: &ServerConfig, ask: &NvmePrepareAsk) -> Vec<u32> {
    let chosen = |engine: &&EngineConfig| {
        controllers_of(engine).into_iter().any(|address| ask.chooses(address))
    };
    config.engines.iter().filter(chosen).map(|engine| engine.index).collect()
}

/// The engines whose huge pages are used: all with block devices, when they are real ones.
#[must_use]
pub fn engines_with_hugepages(config: &ServerConfig) -> Vec<u32> {
    let real = config.data_plane == DataPlane::Engine && !config.hugepages.disabled;
    let users = config.engines.iter().filter(|engine| real && engine.has_bdevs());
    users.map(|engine| engine.index).collect()
}

fn controllers_of(engine: &EngineConfig) -> Vec<PciAddress> {
    let nvme = engine.bdevs.iter().filter_map(|tier| match &tier.media {
        BdevMedia::Nvme { addresses, .. } => Some(addresses),
        _ => None,
    });
    nvme.flatten().filter_map(|text| text.parse().ok()).collect()
}

/// Addresses of a validated list.
fn addresses(list: &[String]) -> BTreeSet<PciAddress> {
    list.iter().filter_map(|text| text.parse().ok()).collect()
}

fn list(addresses: &[PciAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "needs_test.rs"]
mod tests;
