//! Huge pages: how many are configured, and how many each NUMA node has (contract 5.7, R76).

use super::super::facts::HostFacts;
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::{EngineConfig, sizing};
use crate::fault::code;
use crate::needs::pages_of_nodes;
use crate::scan::NodeMemory;

/// `nr_hugepages` is as many as the targets need; the number is kept all the same.
pub(super) fn count(findings: &mut Findings<'_>, facts: &HostFacts) {
    let Some(asked) = findings.asked() else { return };
    let pages = &asked.config.hugepages;
    if pages.disabled || pages.count == 0 || asked.config.engines.is_empty() {
        return;
    }
    let size = facts.memory.hugepage_mib();
    let least = sizing::least_hugepages(asked.config, facts.cores, size);
    let seen = format!("nr_hugepages {}, Hugepagesize {size} MiB", pages.count);
    if u64::from(pages.count) < least {
        let text =
            format!("{} huge pages are fewer than the {least} that the engines need", pages.count);
        let fix = format!("set `nr_hugepages: {least}`, or remove it");
        findings.notice(
            Problem::new(Rule::HugepageCount, code::HOST_HUGEPAGES, text, fix)
                .at("nr_hugepages")
                .seen("/proc/meminfo", seen),
        );
    } else {
        findings.passed(Rule::HugepageCount, "", "as many as needed", "/proc/meminfo", seen);
    }
}

/// Every node of an engine has its share. Root is given what is missing by a start, as far as memory is there.
pub(super) fn of_nodes(findings: &mut Findings<'_>, facts: &HostFacts, nodes: &[NodeMemory]) {
    let Some(asked) = findings.asked() else { return };
    if !asked.config.engines.iter().any(EngineConfig::has_bdevs) {
        return;
    }
    let page_mib = facts.memory.hugepage_mib();
    for share in pages_of_nodes(asked.config, facts.cores, page_mib, &facts.network) {
        match nodes.iter().find(|memory| memory.node == share.node) {
            Some(memory) => of_node(findings, facts, memory, share.pages, page_mib.into()),
            None => no_such_node(findings, share.node, nodes),
        }
    }
}

fn no_such_node(findings: &mut Findings<'_>, node: u32, nodes: &[NodeMemory]) {
    let text = "engines are placed on this node, and the host does not have it";
    let there: Vec<_> = nodes.iter().map(|memory| memory.node.to_string()).collect();
    findings.protect(
        Problem::new(Rule::Hugepages, code::HOST_HUGEPAGES, text, "correct `pinned_numa_node`")
            .about(format!("node {node}"))
            .at("pinned_numa_node")
            .seen("/sys/devices/system/node", format!("nodes {}", there.join(", "))),
    );
}

fn of_node(
    findings: &mut Findings<'_>,
    facts: &HostFacts,
    memory: &NodeMemory,
    needed: u64,
    page_mib: u64,
) {
    let node = memory.node;
    let (subject, source) =
        (format!("node {node}"), format!("/sys/devices/system/node/node{node}/meminfo"));
    let has = memory.hugepages_total;
    let free_mib = memory.free_kib >> 10;
    let seen = format!("HugePages_Total {has}, MemFree {free_mib} MiB");
    if has >= needed {
        let text = format!("the {needed} pages that engines need are there");
        return findings.passed(Rule::Hugepages, &subject, text, &source, seen);
    }
    let text = format!("has {has} of the {needed} huge pages of {page_mib} MiB that engines need");
    let lacks_memory = (needed - has).saturating_mul(page_mib) > free_mib;
    let file = format!(
        "/sys/devices/system/node/node{node}/hugepages/hugepages-{}kB/nr_hugepages",
        facts.memory.hugepage >> 10
    );
    let problem = |text: String, fix: String| {
        Problem::new(Rule::Hugepages, code::HOST_HUGEPAGES, text, fix)
            .about(&subject)
            .at("nr_hugepages")
            .seen(&source, &seen)
    };
    let set = format!("as root `echo {needed} > {file}`");
    if lacks_memory {
        let fix = format!("free memory on node {node}, or lower `targets`; then {set}");
        findings.protect(problem(format!("{text}, and no memory for the rest"), fix));
    } else if facts.is_root && findings.asked().is_some_and(|asked| asked.real()) {
        let fix = format!("{set} while memory is in large pieces, best at boot");
        findings.advise(problem(format!("{text}; a start asks the kernel for the rest"), fix));
    } else {
        findings.protect(problem(text, set));
    }
}
