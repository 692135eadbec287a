//! Groups of hosts with equal results, and the table of failed hosts (R104, W33).

use std::collections::BTreeMap;

use daos_control::client::{HostAddr, HostSet};

use super::table::Table;

/// How hosts are named: folded, the default port left out.
#[derive(Debug, Clone, Copy)]
pub struct HostNames {
    /// The port that is not shown.
    pub port: u16,
}

impl HostNames {
    pub fn set(self, hosts: &HostSet) -> String {
        hosts.display_hiding_port(self.port)
    }
}

/// Groups hosts whose `key` is equal; groups are in the order of their host sets. Each comes with the value of its
/// first host.
pub fn group_equal<'a, T>(
    results: impl IntoIterator<Item = (&'a HostAddr, T)>,
    key: impl Fn(&T) -> String,
) -> Vec<(HostSet, T)> {
    let mut groups: BTreeMap<String, (HostSet, T)> = BTreeMap::new();
    for (host, value) in results {
        let group = groups.entry(key(&value)).or_insert_with(|| (HostSet::default(), value));
        group.0.insert(host.clone());
    }
    let mut groups: Vec<(HostSet, T)> = groups.into_values().collect();
    groups.sort_by_cached_key(|(hosts, _)| hosts.to_string());
    groups
}

/// The `Errors:` block, empty when every host answered.
pub fn errors(failures: &BTreeMap<String, HostSet>, names: HostNames) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["Hosts", "Error"]);
    for (text, hosts) in failures {
        table.row([names.set(hosts), text.clone()]);
    }
    format!("Errors:\n{}\n", table.text(2))
}

#[cfg(test)]
mod tests {
    use daos_control::client::HostAddr;

    use super::group_equal;

    /// R104: equal results are one group, in the order of the hosts.
    #[test]
    fn equal_hosts_are_one_group() {
        let hosts = ["n3", "n1", "n2"].map(|name| HostAddr::parse(name).unwrap());
        let groups = group_equal(hosts.iter().zip(["a", "b", "a"]), |value| (*value).to_owned());
        let text: Vec<(String, &str)> =
            groups.iter().map(|(set, v)| (set.to_string(), *v)).collect();
        assert_eq!(text, [("n1".to_owned(), "b"), ("n[2-3]".to_owned(), "a")]);
    }
}
