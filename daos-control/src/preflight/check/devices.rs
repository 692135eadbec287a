//! The configured NVMe controllers and persistent memory: there, free, open to this user, and near their engine.

use super::super::facts::{ControllerFacts, Facts};
use super::super::rules::Rule;
use super::placement::engine_nodes;
use super::{Findings, Problem};
use crate::config::{BdevMedia, EngineConfig, ScmTier, ServerConfig};
use crate::fault::code;
use crate::needs::{PagesAsk, never_fewer, pages_of_nodes};
use crate::scan::memory::SystemMemory;

const BUS: &str = "/sys/bus/pci/devices";

/// The PCI addresses of an engine.
fn addresses(engine: &EngineConfig) -> Vec<&str> {
    let listed = engine.bdevs.iter().filter_map(|tier| match &tier.media {
        BdevMedia::Nvme { addresses, .. } => Some(addresses),
        _ => None,
    });
    listed.flatten().map(String::as_str).collect()
}

/// Configured controllers with the engine they are for.
fn configured<'a>(findings: &Findings<'a>) -> Vec<(u32, &'a str)> {
    let engines = findings.asked().map(|asked| asked.config.engines.iter());
    let of = |engine: &'a EngineConfig| addresses(engine).into_iter().map(|at| (engine.index, at));
    engines.into_iter().flatten().flat_map(of).collect()
}

fn find<'a>(facts: &'a Facts, address: &str) -> Option<&'a ControllerFacts> {
    facts.controllers.iter().flatten().find(|controller| controller.address == address)
}

/// Every configured controller is there, and the host itself does not use it.
pub(super) fn controllers(findings: &mut Findings<'_>, facts: &Facts) {
    let wanted = configured(findings);
    let Some(asked) = findings.asked().filter(|_| !wanted.is_empty()) else { return };
    let key = |index| asked.storage_key(index, "bdev_list");
    if let (Err(why), Some((index, _))) = (&facts.controllers, wanted.first()) {
        let text = "NVMe controllers cannot be listed";
        let fix = why.resolution.clone();
        let is_known = Rule::Controllers.row().codes.contains(&why.code);
        let number = if is_known { why.code } else { code::BDEV_NOT_FOUND };
        return findings.require(
            Problem::new(Rule::Controllers, number, text, fix)
                .at(key(*index))
                .seen(BUS, &why.description),
        );
    }
    for (index, address) in wanted {
        let there = facts.controllers.iter().flatten().map(|each| each.address.as_str());
        let problem = match find(facts, address) {
            None => Problem::new(
                Rule::Controllers,
                code::BDEV_NOT_FOUND,
                "there is no NVMe controller at this address",
                "see `daos_server nvme scan` for those there are",
            )
            .seen(BUS, there.collect::<Vec<_>>().join(", ")),
            Some(found) if !found.uses.is_empty() => Problem::new(
                Rule::Controllers,
                code::BDEV_IN_USE,
                "the host itself uses the controller",
                "unmount it, switch its swap off, or release what holds it; or configure another controller",
            )
            .seen("its namespaces", found.uses.join(", ")),
            Some(found) => {
                let driver = found.driver.as_deref().unwrap_or("none");
                let text = "there and not used by the host";
                findings.passed(Rule::Controllers, address, text, BUS, format!("driver {driver}"));
                continue;
            }
        };
        findings.require(problem.about(address).at(key(index)));
    }
}

/// Persistent memory devices appear when namespaces are made.
pub(super) fn persistent_memory(findings: &mut Findings<'_>, facts: &Facts) {
    for (device, there) in &facts.scm_devices {
        let path = device.display().to_string();
        if *there {
            findings.passed(Rule::PmemDevices, &path, "there", &path, "exists");
            continue;
        }
        let key = findings.asked().and_then(|asked| {
            let mut engines = asked.config.engines.iter();
            let of = |engine: &&EngineConfig| matches!(&engine.scm, ScmTier::Dcpm { device: own, .. } if own == device);
            Some(asked.storage_key(engines.find(of)?.index, "scm_list"))
        });
        findings.require(
            Problem::new(
                Rule::PmemDevices,
                code::SCM_FORMAT_MISSING_DEVICE,
                "there is no such device",
                "as root `daos_server storage prepare --scm-only`, or name a device that is there",
            )
            .about(&path)
            .at(key.unwrap_or_default())
            .seen(&path, "does not exist"),
        );
    }
}

/// A plain user can use only what was prepared for it.
pub(super) fn access(findings: &mut Findings<'_>, facts: &Facts) {
    let wanted = configured(findings);
    let Some(asked) = findings.asked().filter(|_| !facts.host.is_root) else { return };
    let user = &facts.host.user;
    for (index, address) in wanted {
        let Some(found) = find(facts, address) else { continue };
        let driver = found.driver.as_deref().unwrap_or("none");
        let (text, source, seen) = match &found.device {
            Some((file, true)) => {
                let (text, file) = ("open to this user", file.display().to_string());
                findings.passed(Rule::VfioAccess, address, text, &file, "may be read and written");
                continue;
            }
            Some((file, false)) => (
                format!("user {user} may not open the controller's device file"),
                file.display().to_string(),
                "may not be read and written".to_owned(),
            ),
            None => (
                format!("is not prepared: driver {driver} has it"),
                format!("{BUS}/{address}/driver"),
                driver.to_owned(),
            ),
        };
        let fix = format!(
            "as root `daos_server nvme prepare {address}{} -u {user}`",
            pages(asked.config, facts)
        );
        findings.protect(
            Problem::new(Rule::VfioAccess, code::HOST_VFIO_ACCESS, text, fix)
                .about(address)
                .at(asked.storage_key(index, "bdev_list"))
                .seen(&source, seen),
        );
    }
}

/// The option for the pages that engines need: without it a prepare would ask for a number of its own. No node gets fewer than it
/// has, so following this after the remedy for huge pages undoes nothing.
fn pages(config: &ServerConfig, facts: &Facts) -> String {
    let (host, nodes) = (&facts.host, facts.nodes.clone());
    let memory = SystemMemory { nodes, ..SystemMemory::default() };
    let wanted = pages_of_nodes(config, host.cores, host.memory.hugepage_mib(), &host.network);
    match never_fewer(wanted, &memory) {
        none if none.is_empty() => String::new(),
        wanted => format!(" -p {}", PagesAsk::Nodes(wanted)),
    }
}

/// Devices are at the node of their engine.
pub(super) fn nodes(findings: &mut Findings<'_>, facts: &Facts) {
    let Some(asked) = findings.asked() else { return };
    let placed = engine_nodes(asked.config, &facts.host);
    for (engine, node) in asked.config.engines.iter().zip(placed) {
        let Some(node) = node else { continue };
        let mut near = 0;
        for (device, source, key, at) in devices_of(engine, facts) {
            if at == node {
                near += 1;
                continue;
            }
            let text = format!("{device} is at node {at}, its engine at node {node}");
            let fix = format!(
                "set `pinned_numa_node: {at}` with an interface at that node, or give the engine a device at node {node}"
            );
            findings.advise(
                Problem::new(Rule::NumaDevices, code::HOST_NUMA_PLACEMENT, text, fix)
                    .about(format!("engine {}", engine.index))
                    .at(asked.storage_key(engine.index, key))
                    .seen(&source, at),
            );
        }
        if near > 0 {
            let subject = format!("engine {}", engine.index);
            let text = format!("devices are at its node {node}: {near}");
            findings.passed(Rule::NumaDevices, &subject, text, "/sys", format!("node {node}"));
        }
    }
}

/// Name, where its node is read, key and node of each device whose node is known.
fn devices_of(engine: &EngineConfig, facts: &Facts) -> Vec<(String, String, &'static str, u32)> {
    let mut devices = Vec::new();
    for address in addresses(engine) {
        if let Some(node) = find(facts, address).and_then(|found| found.numa_node) {
            let source = format!("{BUS}/{address}/numa_node");
            devices.push((format!("SSD {address}"), source, "bdev_list", node));
        }
    }
    if let ScmTier::Dcpm { device, .. } = &engine.scm {
        let name = device.file_name().unwrap_or_default().to_string_lossy();
        let found = facts.pmem.iter().find(|pmem| pmem.name == name);
        if let Some(node) = found.and_then(|pmem| pmem.numa_node) {
            let source = format!("/sys/class/block/{name}/device/numa_node");
            devices.push((name.into_owned(), source, "scm_list", node));
        }
    }
    devices
}
