//! `network scan` for people.

use std::collections::BTreeMap;

use daos_control::client::{HostFabric, HostResults};

use super::hosts::{HostNames, group_equal};
use super::table::{Table, banner};

const INDENT: usize = 4;

/// The interfaces of each provider, with their preference.
type Providers<'a> = BTreeMap<&'a str, Vec<(u32, &'a str)>>;

/// Providers and interfaces of each NUMA node, for each group of equal hosts.
pub fn fabrics(results: &HostResults<HostFabric>, names: HostNames) -> String {
    let blocks = results.answers.iter().map(|(host, fabric)| (host, block(fabric)));
    let groups = group_equal(blocks, Clone::clone);
    groups
        .into_iter()
        .map(|(hosts, text)| format!("{}\n{text}", banner(&names.set(&hosts), 0)))
        .collect()
}

fn block(fabric: &HostFabric) -> String {
    let mut nodes: BTreeMap<u32, Providers<'_>> = BTreeMap::new();
    for interface in &fabric.interfaces {
        let providers = nodes.entry(interface.numa_node).or_default();
        let devices = providers.entry(&interface.provider).or_default();
        devices.push((interface.priority, &interface.device));
    }
    if nodes.is_empty() {
        return format!("{:INDENT$}No fabric interfaces found\n\n", "");
    }
    let mut out = String::new();
    for (node, providers) in nodes {
        let mut table = Table::new(["Provider", "Interfaces"]);
        for (provider, mut devices) in providers {
            devices.sort_unstable();
            let names: Vec<&str> = devices.into_iter().map(|(_, device)| device).collect();
            table.row([provider.to_owned(), names.join(", ")]);
        }
        out.push_str(&format!(
            "{}\n{}\n",
            banner(&format!("NUMA Socket {node}"), INDENT),
            table.text(2 * INDENT)
        ));
    }
    out
}
