//! Which NUMA node each engine will have, and whether that is even and near its interface (R47, contract 4.2, 5.5).

use std::collections::BTreeMap;

use super::super::facts::HostFacts;
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::{EngineConfig, ServerConfig};
use crate::engine_command::placement;
use crate::fault::code;

const INTERFACES: &str = "/sys/class/net";

/// The node of each engine's interface, as far as there is one.
fn interface_node(engine: &EngineConfig, facts: &HostFacts) -> Option<u32> {
    facts.network.interface(&engine.fabric.interface).map(|found| found.numa_node)
}

/// The node of each engine, by its place in the configuration.
pub(super) fn engine_nodes(config: &ServerConfig, facts: &HostFacts) -> Vec<Option<u32>> {
    let near: Vec<_> = config.engines.iter().map(|engine| interface_node(engine, facts)).collect();
    placement(&config.engines, &near).into_iter().map(|placed| placed.numa_node).collect()
}

/// As many engines on one node as on another, each near its interface.
pub(super) fn engines(findings: &mut Findings<'_>, facts: &HostFacts) {
    let Some(asked) = findings.asked() else { return };
    let config = asked.config;
    if config.engines.is_empty() {
        return;
    }
    for engine in &config.engines {
        let Some(node) = interface_node(engine, facts) else { continue };
        let Some(pinned) = engine.pinned_numa_node.filter(|pinned| *pinned != node) else {
            continue;
        };
        let interface = &engine.fabric.interface;
        findings.notice(
            Problem::new(
                Rule::NumaEngines,
                code::HOST_NUMA_PLACEMENT,
                format!("pinned to node {pinned}, the interface is at node {node}"),
                format!("set `pinned_numa_node: {node}`, or an interface at node {pinned}"),
            )
            .about(format!("engine {}", engine.index))
            .at(asked.engine_key(engine.index, "pinned_numa_node"))
            .seen(&format!("{INTERFACES}/{interface}/device/numa_node"), node),
        );
    }
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for node in engine_nodes(config, facts).into_iter().flatten() {
        *counts.entry(node).or_default() += 1;
    }
    let spread: Vec<_> =
        counts.iter().map(|(node, count)| format!("{count} on node {node}")).collect();
    let spread = spread.join(", ");
    let matters =
        !config.allow_numa_imbalance && config.engines.iter().any(EngineConfig::has_bdevs);
    let mut sizes = counts.values();
    let first = sizes.next();
    if matters && sizes.any(|size| Some(size) != first) {
        findings.protect(
            Problem::new(
                Rule::NumaEngines,
                code::SERVER_CONFIG_ENGINE_NUMA_IMBALANCE,
                format!("engines are spread unevenly: {spread}"),
                "pin the same number of engines to each node, or set `allow_numa_imbalance: true`",
            )
            .at(asked.keys.engine_list)
            .seen(INTERFACES, &spread),
        );
    }
    let seen = if spread.is_empty() { "no engine is bound to a node".to_owned() } else { spread };
    findings.passed_so_far(Rule::NumaEngines, "engines are spread evenly", INTERFACES, seen);
}
