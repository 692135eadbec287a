//! `system preflight` in JSON.

use std::collections::BTreeMap;

use daos_control::client::{HostResults, HostSet};
use daos_control::preflight::Report;
use serde_json::{Value, json};

use super::hosts;

pub fn preflights(results: &HostResults<Report>, failures: &BTreeMap<String, HostSet>) -> Value {
    let values = results.answers.iter().map(|(host, found)| (host, found.data()));
    json!({
        "host_errors": hosts::errors(failures),
        "host_preflights": hosts::groups(values, |value| value, |value, set| json!({"hosts": set, "preflight": value})),
    })
}
