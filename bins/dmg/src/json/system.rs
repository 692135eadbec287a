//! `system …` and `server …` in JSON.

use std::collections::BTreeMap;

use daos_control::client::{HostSet, Leader, OperationReport, Pool};
use serde_json::{Value, json};

use super::hosts;

pub fn operations(report: &OperationReport) -> Value {
    let results: Vec<Value> = report
        .results
        .iter()
        .map(|result| {
            json!({
                "state": result.state.wire_str(),
                "Addr": result.address,
                "Rank": result.rank,
                "Action": result.action,
                "Errored": result.errored,
                "Msg": result.message,
            })
        })
        .collect();
    json!({"Results": results})
}

pub fn leader(leader: &Leader) -> Value {
    json!({
        "current_leader": leader.current,
        "replicas": leader.replicas,
        "down_replicas": leader.down,
    })
}

pub fn pools(pools: &[Pool]) -> Value {
    let pools: Vec<Value> = pools
        .iter()
        .map(|pool| {
            json!({
                "uuid": pool.uuid,
                "label": pool.label,
                "state": pool.state,
                "svc_reps": pool.service_replicas,
            })
        })
        .collect();
    json!({"status": 0, "pools": pools})
}

/// Properties with their meaning.
pub fn properties(
    properties: &BTreeMap<String, String>,
    meaning: impl Fn(&str) -> &'static str,
) -> Value {
    let list = properties
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value, "description": meaning(key)}));
    Value::Array(list.collect())
}

/// Hosts with new log masks, and errors elsewhere.
pub fn log_masks(done: &HostSet, failures: &BTreeMap<String, HostSet>) -> Value {
    json!({"host_errors": hosts::errors(failures), "hosts": done.to_string()})
}
