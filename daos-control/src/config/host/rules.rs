//! The rules between a configuration and its host (R47, contract 5.5, 5.7).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::HostFacts;
use crate::config::model::{EngineConfig, ScmTier, ServerConfig};
use crate::config::sizing::{self, MIN_RAM_TIER_GIB};
use crate::config::validate::{Check, INVALID};
use crate::config::{ConfigFault, Loaded, Notice};
use crate::engine_command::placement;
use crate::fault::code;
use crate::network::domain_of;

/// What came out of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVerdict {
    /// Every broken rule; none means that the server may start.
    pub faults: Vec<ConfigFault>,
    /// What an administrator should know.
    pub notices: Vec<Notice>,
    /// Size for each RAM tier that is configured as 0, GiB; none when there are none or too little memory.
    pub ram_tier_gib: Option<u32>,
    /// Address to listen on and to advertise when `control_iface` is given.
    pub control_address: Option<Ipv4Addr>,
}

/// Compares a loaded configuration with the host.
#[must_use]
pub fn check_host(loaded: &Loaded, facts: &HostFacts) -> HostVerdict {
    let config = &loaded.config;
    let overridden = BTreeSet::new();
    let mut check = Check::new(&loaded.outline, &overridden, config.data_plane);
    let list = loaded.engine_list_key();
    let control_address = control_interface(&mut check, config, facts);
    let ram_tier_gib = ram_tiers(&mut check, config, facts, list);
    transparent_hugepages(&mut check, config, facts);
    hugepages(&mut check, config, facts);
    nvme_access(&mut check, config, facts);
    fabric(&mut check, config, facts, list);
    numa_balance(&mut check, config, facts, list);
    super::devices::apart(&mut check, config, &facts.devices, list);
    let Check { faults, notices, .. } = check;
    HostVerdict { faults, notices, ram_tier_gib, control_address }
}

fn control_interface(
    check: &mut Check<'_>,
    config: &ServerConfig,
    facts: &HostFacts,
) -> Option<Ipv4Addr> {
    let name = config.control_iface.as_deref()?;
    let found = facts.network.interface(name);
    let address = found.and_then(|interface| interface.addresses.first().copied());
    if address.is_none() {
        let text = match found {
            Some(_) => format!("interface `{name}` has no IPv4 address"),
            None => format!("there is no interface `{name}`"),
        };
        let remedy = "name an interface with an IPv4 address, or remove `control_iface`";
        check.fault("control_iface", code::SERVER_CONFIG_BAD_CONTROL_INTERFACE, text, remedy);
    }
    replica_elsewhere(check, config, facts, address?);
    address
}

/// A replica of this host must be reached where the server listens. Replicas given by name are not looked up.
fn replica_elsewhere(
    check: &mut Check<'_>,
    config: &ServerConfig,
    facts: &HostFacts,
    listening: Ipv4Addr,
) {
    let interfaces = &facts.network.interfaces;
    let is_ours = |address: &Ipv4Addr| {
        interfaces.iter().any(|interface| interface.addresses.contains(address))
    };
    for replica in config.replicas.iter().filter(|replica| replica.port == config.port) {
        let Some(address) = replica.host.parse::<Ipv4Addr>().ok().filter(is_ours) else { continue };
        if address != listening {
            check.fault(
                "control_iface",
                code::SERVER_CONFIG_CONTROL_INTERFACE_MISMATCH,
                format!("this host is replica {address}, and the server listens on {listening}"),
                "name the interface with the replica's address, or list the replica by this one's",
            );
        }
    }
}

fn ram_tiers(
    check: &mut Check<'_>,
    config: &ServerConfig,
    facts: &HostFacts,
    list: &str,
) -> Option<u32> {
    let tiers: Vec<(u32, u64)> = config
        .engines
        .iter()
        .filter_map(|engine| match &engine.scm {
            ScmTier::Ram { size_gib, .. } => Some((engine.index, u64::from(*size_gib))),
            ScmTier::Dcpm { .. } => None,
        })
        .collect();
    let (first, _) = tiers.first()?;
    let largest = sizing::largest_ram_tier_gib(config, facts.cores, &facts.memory);
    let key = |check: &Check<'_>, index| check.storage_key(&format!("{list}[{index}]"), "scm_size");
    if largest < MIN_RAM_TIER_GIB {
        let text = format!(
            "{} GiB of memory leave {largest} GiB for each RAM tier after huge pages, {} GiB for the system \
             and the engines' own need",
            facts.memory.total >> 30,
            config.system_ram_reserved_gib
        );
        let key = key(check, *first);
        check.protect(
            key,
            code::SCM_RAMDISK_LOW_MEM,
            text,
            "lower `system_ram_reserved`, or add memory",
        );
    }
    for (index, gib) in tiers.iter().filter(|(_, gib)| *gib > largest) {
        let key = key(check, *index);
        let text = format!("{gib} GiB are more than the {largest} GiB each RAM tier may take");
        check.protect(
            key,
            code::SERVER_CONFIG_RAMDISK_OVER_MAX_MEM,
            text,
            format!("set `scm_size` to at most {largest}, or to 0"),
        );
    }
    let wants_size = tiers.iter().any(|(_, gib)| *gib == 0);
    (wants_size && largest >= MIN_RAM_TIER_GIB).then(|| u32::try_from(largest).unwrap_or(u32::MAX))
}

fn transparent_hugepages(check: &mut Check<'_>, config: &ServerConfig, facts: &HostFacts) {
    if facts.transparent_hugepages && !config.allow_thp && !config.engines.is_empty() {
        check.protect(
            "allow_thp",
            code::SERVER_TRANSPARENT_HUGEPAGE_ENABLED,
            "transparent huge pages are enabled",
            "boot with `transparent_hugepage=never`, or set `allow_thp: true`",
        );
    }
}

fn hugepages(check: &mut Check<'_>, config: &ServerConfig, facts: &HostFacts) {
    let pages = &config.hugepages;
    if pages.disabled || pages.count == 0 || config.engines.is_empty() {
        return;
    }
    let least = sizing::least_hugepages(config, facts.cores, facts.memory.hugepage_mib());
    if u64::from(pages.count) < least {
        let text =
            format!("{} huge pages are fewer than the {least} that the engines need", pages.count);
        check.notice("nr_hugepages", text);
    }
}

fn nvme_access(check: &mut Check<'_>, config: &ServerConfig, facts: &HostFacts) {
    let has_nvme = config.engines.iter().any(EngineConfig::has_nvme);
    if !has_nvme || facts.is_root {
        return;
    }
    if config.nvme.disable_vfio {
        check.protect(
            "disable_vfio",
            code::SERVER_VFIO_DISABLED,
            "NVMe without VFIO needs root",
            "remove `disable_vfio`, or run the server as root",
        );
    } else if !facts.iommu {
        check.protect(
            "disable_vfio",
            code::SERVER_IOMMU_DISABLED,
            "NVMe as a plain user needs an IOMMU, and the host shows none",
            "enable the IOMMU in firmware and kernel, or run the server as root",
        );
    }
}

fn fabric(check: &mut Check<'_>, config: &ServerConfig, facts: &HostFacts, list: &str) {
    let mut classes: BTreeMap<u32, u32> = BTreeMap::new();
    for engine in &config.engines {
        let key = format!("{list}[{}].fabric_iface", engine.index);
        let name = &engine.fabric.interface;
        let Some(interface) = facts.network.interface(name) else {
            let text = format!("engine {}: there is no interface `{name}`", engine.index);
            check.protect(key, INVALID, text, "see `daos_server network scan` for those there are");
            continue;
        };
        classes.insert(engine.index, interface.class.0);
        if interface.addresses.is_empty() {
            let text = format!("engine {}: interface `{name}` has no IPv4 address", engine.index);
            check.protect(&key, INVALID, text, "give the interface an address");
            continue;
        }
        let provider = engine.fabric.provider.as_str();
        match domain_of(&facts.network, name, provider) {
            Ok(None) => {
                let text =
                    format!("engine {}: `{name}` does not carry provider {provider}", engine.index);
                check.protect(&key, INVALID, text, "see `daos_server network scan -a`");
            }
            Err(error) => {
                let key = format!("{list}[{}].provider", engine.index);
                check.notice(key, format!("{error}; the engine may know it"));
            }
            Ok(Some(_)) => {}
        }
        pinned_elsewhere(check, list, engine, interface.numa_node);
    }
    let Some((first, class)) = classes.first_key_value().map(|(first, class)| (*first, *class))
    else {
        return;
    };
    for (index, _) in classes.iter().filter(|(_, other)| **other != class) {
        check.protect(
            format!("{list}[{index}].fabric_iface"),
            code::SERVER_CONFIG_INVALID_NET_DEV_CLASS,
            format!("engines {first} and {index} use interfaces of different kinds"),
            "use interfaces of one kind for all engines",
        );
    }
}

fn pinned_elsewhere(check: &mut Check<'_>, list: &str, engine: &EngineConfig, node: u32) {
    let Some(pinned) = engine.pinned_numa_node.filter(|pinned| *pinned != node) else { return };
    let key = format!("{list}[{}].pinned_numa_node", engine.index);
    check.notice(key, format!("pinned to node {pinned}, the interface is at node {node}"));
}

fn numa_balance(check: &mut Check<'_>, config: &ServerConfig, facts: &HostFacts, list: &str) {
    if config.allow_numa_imbalance || !config.engines.iter().any(EngineConfig::has_bdevs) {
        return;
    }
    let node_of = |engine: &EngineConfig| {
        facts.network.interface(&engine.fabric.interface).map(|interface| interface.numa_node)
    };
    let nodes: Vec<_> = config.engines.iter().map(node_of).collect();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for placed in placement(&config.engines, &nodes) {
        if let Some(node) = placed.numa_node {
            *counts.entry(node).or_default() += 1;
        }
    }
    let mut sizes = counts.values();
    let Some(first) = sizes.next() else { return };
    if sizes.any(|size| size != first) {
        let spread: Vec<_> =
            counts.iter().map(|(node, count)| format!("{count} on node {node}")).collect();
        check.protect(
            list,
            code::SERVER_CONFIG_ENGINE_NUMA_IMBALANCE,
            format!("engines are spread unevenly: {}", spread.join(", ")),
            "pin the same number of engines to each node, or set `allow_numa_imbalance: true`",
        );
    }
}
