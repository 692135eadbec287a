//! `storage prepare` in JSON. Ours: DAOS 2.8 has no such command.

use std::collections::BTreeMap;

use daos_control::client::{HostResults, HostSet, PreparedNvme};
use serde_json::{Value, json};

use super::hosts;

pub fn prepared(
    results: &HostResults<PreparedNvme>,
    failures: &BTreeMap<String, HostSet>,
) -> Value {
    let values = results.answers.iter().map(|(host, prepared)| (host, value(prepared)));
    let entry = |value, set| json!({"prepared": value, "hosts": set});
    json!({
        "host_errors": hosts::errors(failures),
        "HostPrepared": hosts::groups(values, |value| value, entry),
    })
}

fn value(prepared: &PreparedNvme) -> Value {
    let controllers = prepared.controllers.iter().map(|controller| match &controller.driver {
        Ok(driver) => json!({"pci_addr": controller.address, "driver": driver, "error": ""}),
        Err(fault) => {
            json!({"pci_addr": controller.address, "driver": "", "error": fault.description})
        }
    });
    let nodes = prepared
        .nodes
        .iter()
        .map(|node| json!({"numa_node_index": node.node, "hugepages_total": node.hugepages}));
    json!({
        "nvme_devices": controllers.collect::<Vec<_>>(),
        "numa_nodes": nodes.collect::<Vec<_>>(),
        "notices": prepared.notices,
    })
}
