//! `system …` and `server …` in JSON.

use std::collections::BTreeMap;

use daos_control::client::{
    Cleaned, Event, EventPage, HostSet, Leader, OperationReport, Pool, PoolRanks,
};
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

pub fn event(event: &Event) -> Value {
    json!({
        "number": event.number,
        "time": event.time,
        "kind": event.kind,
        "ranks": event.ranks,
        "host": event.host,
        "from": event.from,
        "to": event.to,
        "reason": event.reason,
        "by": event.by,
    })
}

pub fn events(page: &EventPage) -> Value {
    json!({
        "events": page.events.iter().map(event).collect::<Vec<_>>(),
        "missed": page.missed,
        "last": page.last,
    })
}

pub fn pool_ranks(pools: &[PoolRanks]) -> Value {
    let pools = pools.iter().map(|pool| {
        let results = pool.results.iter().map(
            |result| json!({"rank": result.rank, "errored": result.errored, "msg": result.message}),
        );
        json!({"id": pool.pool, "results": results.collect::<Vec<_>>()})
    });
    json!({"responses": pools.collect::<Vec<_>>()})
}

pub fn cleaned(pools: &[Cleaned]) -> Value {
    let results = pools.iter().map(|pool| {
        json!({
            "status": pool.status,
            "msg": pool.message,
            "pool_id": pool.pool,
            "count": pool.count,
        })
    });
    json!({"results": results.collect::<Vec<_>>()})
}
