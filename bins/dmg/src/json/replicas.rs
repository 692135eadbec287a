//! The replicas of the management service in JSON.

use std::time::Duration;

use daos_control::client::{
    AnsweredBy, HostResults, ReplicaEntry, ReplicaSetStatus, ReplicaStatus,
};
use serde_json::{Value, json};

pub fn replica_set(set: &ReplicaSetStatus) -> Value {
    json!({
        "replicas": set.replicas.iter().map(replica).collect::<Vec<_>>(),
        "term": set.term,
        "committed": set.committed,
        "degraded": set.notes,
    })
}

fn replica(replica: &ReplicaEntry) -> Value {
    json!({
        "addr": replica.address,
        "id": replica.id,
        "role": replica.role,
        "voter": replica.voter,
        "stored": replica.stored,
        "lag": replica.lag,
        "last_contact_ms": millis(replica.last_contact),
        "note": replica.note,
    })
}

/// Which replica answered, and how fresh that is.
pub fn answered_by(answered: &AnsweredBy) -> Value {
    let replica = &answered.replica;
    json!({
        "host": answered.host,
        "role": replica.role,
        "term": replica.term,
        "leader": replica.leader,
        "applied": replica.applied,
        "last_log": replica.last_log,
        "last_contact_ms": millis(replica.last_contact),
        "data_version": replica.data_version,
        "stale": answered.stale(),
        "held_deaths": replica.held_deaths.to_string(),
    })
}

/// What each replica that can be reached says of itself, when nobody leads.
pub fn replica_statuses(said: &HostResults<ReplicaStatus>) -> Value {
    let replicas = said.answers.iter().map(|(host, replica)| {
        json!({
            "host": host.to_string(),
            "kind": replica.kind.name(),
            "reason": replica.reason,
            "id": replica.id,
            "role": replica.role,
            "term": replica.term,
            "leader": replica.leader,
            "applied": replica.applied,
            "last_log": replica.last_log,
            "last_contact_ms": millis(replica.last_contact),
        })
    });
    json!({
        "no_leader": true,
        "said_by_replicas": replicas.collect::<Vec<_>>(),
        "host_errors": super::host_errors(&said.failures_by_text()),
    })
}

fn millis(since: Option<Duration>) -> Option<u64> {
    since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
