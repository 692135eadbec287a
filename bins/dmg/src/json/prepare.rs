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

/// The keys of `daos_server -j nvme prepare`, so that one program reads both.
fn value(prepared: &PreparedNvme) -> Value {
    let controllers = prepared.controllers.iter().map(|controller| match &controller.driver {
        Ok(driver) => json!({"address": controller.address, "driver": driver}),
        Err(fault) => json!({
            "address": controller.address,
            "error": fault.description,
            "code": fault.code,
            "resolution": fault.resolution,
        }),
    });
    let nodes =
        prepared.nodes.iter().map(|node| json!({"node": node.node, "pages": node.hugepages}));
    json!({
        "controllers": controllers.collect::<Vec<_>>(),
        "hugepages": nodes.collect::<Vec<_>>(),
        "notices": prepared.notices,
    })
}
