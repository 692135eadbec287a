//! `network scan` in JSON.

use daos_control::client::{HostFabric, HostResults};
use serde_json::{Value, json};

use super::hosts;

pub fn fabrics(results: &HostResults<HostFabric>) -> Value {
    let values = results.answers.iter().map(|(host, found)| (host, fabric(found)));
    json!({
        "host_errors": hosts::errors(&results.failures_by_text()),
        "HostFabrics": hosts::groups(values, |value| value, |value, set| json!({"HostFabric": value, "HostSet": set})),
    })
}

fn fabric(fabric: &HostFabric) -> Value {
    let interfaces: Vec<Value> = fabric
        .interfaces
        .iter()
        .map(|interface| {
            json!({
                "Provider": interface.provider,
                "Device": interface.device,
                "NumaNode": interface.numa_node,
                "Priority": interface.priority,
                "NetDevClass": interface.device_class,
            })
        })
        .collect();
    json!({
        "Interfaces": interfaces,
        "Providers": fabric.providers(),
        "NumaCount": fabric.numa_nodes,
        "CoresPerNuma": fabric.cores_per_numa,
    })
}
