//! What the NUMA nodes of one host can carry. Pure.

use std::collections::BTreeMap;

use super::facts::{FabricPort, HostFacts, Pmem, Ssd};
use super::options::Options;

/// One engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineProposal {
    /// NUMA node of all its devices.
    pub node: u32,
    /// Interface.
    pub interface: String,
    /// First fabric port.
    pub port: u16,
    /// Service threads.
    pub targets: u32,
    /// Offload threads.
    pub helpers: u32,
    /// Its SCM.
    pub scm: ScmProposal,
    /// Tiers of SSDs; none for an engine with SCM alone.
    pub tiers: Vec<TierProposal>,
}

impl EngineProposal {
    /// Addresses of its SSDs.
    pub fn ssds(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().flat_map(|tier| &tier.ssds).map(String::as_str)
    }
}

/// SCM of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScmProposal {
    /// RAM; its size is computed at start.
    Ram,
    /// This device.
    Pmem(String),
}

/// One tier of SSDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierProposal {
    /// `wal`, `meta`, `data`; none when metadata is not on a disk.
    pub roles: Vec<&'static str>,
    /// PCI addresses.
    pub ssds: Vec<String>,
}

/// The provider and kind of interface that all engines of a system share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fabric<'a> {
    pub provider: &'a str,
    pub class: u32,
}

/// What came out for one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostPlan {
    /// Engines by NUMA node; empty when there cannot be any.
    pub engines: Vec<EngineProposal>,
    /// What should be known.
    pub notes: Vec<String>,
    /// Why there are no engines.
    pub lacks: Vec<String>,
}

/// What one NUMA node has, the best first.
#[derive(Default)]
struct Node<'a> {
    ports: Vec<&'a FabricPort>,
    pmem: Vec<&'a Pmem>,
    ssds: Vec<&'a Ssd>,
}

/// Whether an interface may be used.
pub(super) fn is_wanted(port: &FabricPort, options: &Options) -> bool {
    let listed = |list: &[String], name: &String| list.is_empty() || list.contains(name);
    options.provider.as_ref().is_none_or(|provider| *provider == port.provider)
        && options.net_class.is_none_or(|class| class.number() == port.class)
        && listed(&options.interfaces, &port.interface)
}

/// One engine for each NUMA node that has all an engine needs.
pub(super) fn plan(host: &HostFacts, fabric: Fabric<'_>, options: &Options) -> HostPlan {
    let mut plan = HostPlan::default();
    plan.notes.extend(
        host.problems.iter().map(|problem| format!("part of the scan is missing: {problem}")),
    );
    for ssd in &host.ssds {
        if let Some(obstacle) = ssd.obstacle.as_ref().filter(|_| !options.without_ssds()) {
            plan.notes.push(format!("SSD {} is left out: {obstacle}", ssd.address));
        }
    }
    for pmem in host.pmem.iter().filter(|_| !options.tmpfs) {
        if let Some(obstacle) = &pmem.obstacle {
            plan.notes.push(format!("{} is left out: {obstacle}", pmem.device));
        }
    }
    let mut carrying: Vec<(u32, Node<'_>)> = Vec::new();
    let mut lacks = Vec::new();
    for (number, node) in nodes(host, fabric, options) {
        match missing(&node, fabric, options) {
            None => carrying.push((number, node)),
            Some(missing) => {
                let has = has(&node, options);
                let and = if has.is_empty() { "" } else { " and " };
                lacks.push(format!("NUMA node {number} has {has}{and}{missing}"));
            }
        }
    }
    if !enough(&mut carrying, options, &mut plan, &lacks) {
        // What could not be seen or was left out may be all that is missing.
        plan.lacks.append(&mut plan.notes);
        return plan;
    }
    plan.notes.extend(lacks.into_iter().map(|lack| format!("no engine there: {lack}")));
    let ssds = carrying.iter().map(|(_, node)| node.ssds.len()).min().unwrap_or(0);
    for (place, (number, node)) in carrying.iter().enumerate() {
        // `enough` has seen to the port.
        let port = options.fabric_port(place).unwrap_or(0);
        plan.engines.extend(engine(host, *number, node, port, ssds, options));
        plan.notes.extend(surplus(*number, node, ssds, options));
    }
    plan
}

fn nodes<'a>(
    host: &'a HostFacts,
    fabric: Fabric<'_>,
    options: &Options,
) -> BTreeMap<u32, Node<'a>> {
    let mut nodes: BTreeMap<u32, Node<'a>> = BTreeMap::new();
    for port in &host.ports {
        let node = nodes.entry(port.node).or_default();
        if port.provider == fabric.provider
            && port.class == fabric.class
            && is_wanted(port, options)
        {
            node.ports.push(port);
        }
    }
    for pmem in host.pmem.iter().filter(|pmem| !options.tmpfs && pmem.obstacle.is_none()) {
        nodes.entry(pmem.node).or_default().pmem.push(pmem);
    }
    for ssd in host.ssds.iter().filter(|ssd| !options.without_ssds() && ssd.obstacle.is_none()) {
        nodes.entry(ssd.node).or_default().ssds.push(ssd);
    }
    for node in nodes.values_mut() {
        node.ports.sort_by(|a, b| {
            (a.priority, natural(&a.interface)).cmp(&(b.priority, natural(&b.interface)))
        });
        node.ports.dedup_by(|a, b| a.interface == b.interface);
        node.pmem.sort_by_key(|pmem| natural(&pmem.device));
        node.pmem.dedup_by(|a, b| a.device == b.device);
        node.ssds.sort_by(|a, b| a.address.cmp(&b.address));
        node.ssds.dedup_by(|a, b| a.address == b.address);
    }
    nodes
}

/// `pmem2` before `pmem10`.
fn natural(name: &str) -> (String, u64, String) {
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.get(head.len()..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (head.to_owned(), number, name.to_owned())
}

fn missing(node: &Node<'_>, fabric: Fabric<'_>, options: &Options) -> Option<String> {
    let mut missing = Vec::new();
    if node.ports.is_empty() {
        missing.push(format!("no interface for {}", fabric.provider));
    }
    if node.pmem.is_empty() && !options.tmpfs {
        missing.push("no persistent memory namespace".to_owned());
    }
    if !options.without_ssds() && (node.ssds.len() as u64) < u64::from(options.min_ssds) {
        missing.push(match options.min_ssds {
            1 => "no SSD".to_owned(),
            least => format!("not the {least} SSDs asked for"),
        });
    }
    (!missing.is_empty()).then(|| missing.join(", "))
}

fn has(node: &Node<'_>, options: &Options) -> String {
    let kinds = [
        (node.ports.len(), "interface", true),
        (node.pmem.len(), "persistent memory namespace", !options.tmpfs),
        (node.ssds.len(), "SSD", !options.without_ssds()),
    ];
    let some = kinds.into_iter().filter(|(number, _, matters)| *matters && *number > 0);
    some.map(|(number, what, _)| counted(number, what)).collect::<Vec<_>>().join(", ")
}

pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Keeps as many nodes as were asked for, those with the most SSD space; false when there are too few.
fn enough(
    carrying: &mut Vec<(u32, Node<'_>)>,
    options: &Options,
    plan: &mut HostPlan,
    lacks: &[String],
) -> bool {
    let wanted = options.engines.map_or(carrying.len(), |engines| engines as usize);
    if carrying.is_empty() || carrying.len() < wanted {
        let carry = counted(carrying.len(), "NUMA node");
        plan.lacks.push(match options.engines {
            Some(_) if !carrying.is_empty() => {
                format!("{} asked for, and {carry} can carry one", counted(wanted, "engine"))
            }
            _ => "no NUMA node has all that an engine needs".to_owned(),
        });
        plan.lacks.extend(lacks.iter().cloned());
        return false;
    }
    if options.fabric_port(wanted.saturating_sub(1)).is_none() {
        plan.lacks.push(format!("{} need a fabric port each", counted(wanted, "engine")));
        return false;
    }
    let space = |node: &Node<'_>| -> u64 {
        node.ssds.iter().fold(0, |sum, ssd| sum.saturating_add(ssd.bytes))
    };
    carrying.sort_by_key(|(number, node)| (std::cmp::Reverse(space(node)), *number));
    for (number, node) in carrying.drain(wanted..) {
        plan.notes.push(format!(
            "NUMA node {number} is left out as {} asked for; it has {}",
            if wanted == 1 {
                "one engine was".to_owned()
            } else {
                format!("{wanted} engines were")
            },
            has(&node, options)
        ));
    }
    carrying.sort_by_key(|(number, _)| *number);
    true
}

fn engine(
    host: &HostFacts,
    number: u32,
    node: &Node<'_>,
    port: u16,
    ssds: usize,
    options: &Options,
) -> Option<EngineProposal> {
    let scm = match options.tmpfs {
        true => ScmProposal::Ram,
        false => ScmProposal::Pmem(node.pmem.first()?.device.clone()),
    };
    let tiers = tiers(node.ssds.get(..ssds)?, options);
    let data = tiers.last().map_or(0, |tier| tier.ssds.len());
    let (targets, helpers) = streams(host.cores_per_node, data);
    let interface = node.ports.first()?.interface.clone();
    Some(EngineProposal { node: number, interface, port, targets, helpers, scm, tiers })
}

/// One tier, or, when metadata lies on SSDs: one for everything, else the smallest for the log and the others for the rest; two for the
/// log from six on (contract 5.5, roles).
fn tiers(ssds: &[&Ssd], options: &Options) -> Vec<TierProposal> {
    let addresses = |ssds: &[&Ssd]| -> Vec<String> {
        let mut addresses: Vec<String> = ssds.iter().map(|ssd| ssd.address.clone()).collect();
        addresses.sort();
        addresses
    };
    if ssds.is_empty() {
        return Vec::new();
    }
    if options.control_metadata.is_none() {
        return vec![TierProposal { roles: Vec::new(), ssds: addresses(ssds) }];
    }
    let mut by_size = ssds.to_vec();
    by_size.sort_by(|a, b| (a.bytes, &a.address).cmp(&(b.bytes, &b.address)));
    let logs = match by_size.len() {
        1 => {
            return vec![TierProposal {
                roles: vec!["wal", "meta", "data"],
                ssds: addresses(ssds),
            }];
        }
        2..=5 => 1,
        _ => 2,
    };
    let (log, rest) = by_size.split_at(logs);
    vec![
        TierProposal { roles: vec!["wal"], ssds: addresses(log) },
        TierProposal { roles: vec!["meta", "data"], ssds: addresses(rest) },
    ]
}

/// Targets and helpers for the cores of a node: one core is left to the engine itself, one helper serves four targets, and each SSD
/// has the same number of targets.
pub(super) fn streams(cores: u32, ssds: usize) -> (u32, u32) {
    let free = cores.saturating_sub(1).max(1);
    // The most that leave room for a quarter of their number.
    let most = (u64::from(free) * 4 / 5).max(1);
    let ssds = ssds.max(1) as u64;
    let targets = if most >= ssds { most - most % ssds } else { most };
    let targets = u32::try_from(targets).unwrap_or(u32::MAX);
    (targets, (targets / 4).min(free.saturating_sub(targets)))
}

fn surplus(number: u32, node: &Node<'_>, ssds: usize, options: &Options) -> Vec<String> {
    let mut notes = Vec::new();
    let mut left_out = |names: Vec<&str>, why: &str| {
        if !names.is_empty() {
            notes.push(format!("{} at NUMA node {number} left out: {why}", names.join(", ")));
        }
    };
    let ports = node.ports.iter().skip(1).map(|port| port.interface.as_str()).collect();
    left_out(ports, "an engine has one interface");
    let pmem = node.pmem.iter().skip(1).map(|pmem| pmem.device.as_str()).collect();
    left_out(pmem, "an engine has one persistent memory device");
    if !options.without_ssds() {
        let rest = node.ssds.iter().skip(ssds).map(|ssd| ssd.address.as_str()).collect();
        left_out(rest, "all engines of a host have the same number of SSDs");
    }
    notes
}
