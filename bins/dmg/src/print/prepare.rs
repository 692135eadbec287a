//! `storage prepare` for people.

use daos_control::client::{HostResults, PreparedNvme};
use daos_control::fault::code;

use super::hosts::{HostNames, group_equal};
use super::table::{Table, WIDTH, banner, wrapped};

const INDENT: usize = 2;

/// Controllers and huge pages of each group of hosts where the same was done.
pub fn prepared(results: &HostResults<PreparedNvme>, names: HostNames) -> String {
    let blocks = results.answers.iter().map(|(host, prepared)| (host, block(prepared)));
    let groups = group_equal(blocks, Clone::clone);
    groups
        .into_iter()
        .map(|(hosts, text)| format!("{}{text}\n", banner(&names.set(&hosts), 0)))
        .collect()
}

fn block(prepared: &PreparedNvme) -> String {
    let mut controllers = Table::new(["NVMe PCI", "Driver"]);
    for controller in &prepared.controllers {
        let driver = match &controller.driver {
            Ok(driver) => driver,
            Err(fault) if fault.code == code::BDEV_NOT_AS_IT_WAS => "not made ready",
            Err(_) => "left as it was",
        };
        controllers.row([controller.address.as_str(), driver]);
    }
    let mut nodes = Table::new(["NUMA Node", "Huge Pages"]);
    for node in &prepared.nodes {
        nodes.row([node.node.to_string(), node.hugepages.to_string()]);
    }
    let mut out = match controllers.is_empty() {
        true => format!("{:INDENT$}No NVMe controller\n", ""),
        false => controllers.text(INDENT),
    };
    if !nodes.is_empty() {
        out.push_str(&nodes.text(INDENT));
    }
    for notice in &prepared.notices {
        out.push_str(&wrapped(&format!("{:INDENT$}Notice: ", ""), notice, INDENT + 8, WIDTH));
    }
    out
}
