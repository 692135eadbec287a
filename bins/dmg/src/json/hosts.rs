//! Host sets and groups in JSON. Ports are always shown: programs need the whole address.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use daos_control::client::{HostAddr, HostSet};
use serde_json::{Map, Value, json};

use crate::print::group_equal;

/// `host_errors`: what went wrong and where.
pub fn errors(failures: &BTreeMap<String, HostSet>) -> Value {
    let entries = failures.iter().map(|(text, hosts)| (text.clone(), json!(hosts.to_string())));
    Value::Object(entries.collect())
}

/// Groups hosts whose value is equal apart from what `ignored` takes out. Keys are decimal numbers that mean nothing
/// else; `entry` makes the value of a group.
pub fn groups<'a>(
    values: impl IntoIterator<Item = (&'a HostAddr, Value)>,
    ignored: impl Fn(Value) -> Value,
    entry: impl Fn(Value, String) -> Value,
) -> Value {
    let key = |value: &Value| ignored(value.clone()).to_string();
    let mut map = Map::new();
    for (hosts, value) in group_equal(values, key) {
        map.insert(number(&key(&value)), entry(value, hosts.to_string()));
    }
    Value::Object(map)
}

fn number(key: &str) -> String {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish().to_string()
}
