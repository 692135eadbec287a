//! `system …` for people.

use std::collections::BTreeMap;

use daos_control::client::{Member, OperationReport, Pool, RankSet, SystemStatus};

use super::table::Table;
use super::units::count;

/// What the system can heal by itself: the words of its property `self_heal`.
const SELF_HEAL_FLAGS: [&str; 3] = ["exclude", "pool_exclude", "pool_rebuild"];

/// States and the ranks in them.
pub fn members(status: &SystemStatus) -> String {
    let mut groups = RankGroups::default();
    for member in &status.members {
        groups.add(vec![member.state.to_string()], member.rank);
    }
    for rank in status.absent_ranks.iter() {
        groups.add(vec!["Unknown Rank".to_owned()], rank);
    }
    groups.text(["Rank", "State"])
}

/// One row for each member.
pub fn members_verbose(members: &[Member]) -> String {
    let titles = ["Rank", "UUID", "Control Address", "Fault Domain", "State", "Reason"];
    let mut table = Table::new(titles);
    for member in members {
        table.row([
            member.rank.to_string(),
            member.uuid.clone(),
            member.address.clone(),
            member.fault_domain.clone(),
            member.state.to_string(),
            member.info.clone(),
        ]);
    }
    table.text(0)
}

/// What an operation did, ranks with equal results together.
pub fn operations(report: &OperationReport) -> String {
    if report.results.is_empty() && report.absent_ranks.is_empty() {
        return "No results returned\n".to_owned();
    }
    let mut groups = RankGroups::default();
    for result in &report.results {
        let text = if result.errored { result.message.clone() } else { "OK".to_owned() };
        groups.add(vec![result.action.clone(), text], result.rank);
    }
    for rank in report.absent_ranks.iter() {
        groups.add(vec!["----".to_owned(), "Unknown Rank".to_owned()], rank);
    }
    groups.text(["Rank", "Operation", "Result"])
}

/// Ranks and hosts that were named and are not there; empty when all are.
pub fn absent(ranks: &RankSet, hosts: &str) -> String {
    let mut out = String::new();
    if !hosts.is_empty() {
        out.push_str(&format!("Unknown hosts: {hosts}\n"));
    }
    if !ranks.is_empty() {
        out.push_str(&format!("Unknown {}: {ranks}\n", count(ranks.len(), "rank")));
    }
    out
}

/// A line about a system whose peers are not authenticated.
pub fn insecure_notice(insecure: bool) -> &'static str {
    if insecure {
        "Insecure mode: no certificates are used, all callers are believed\n"
    } else {
        ""
    }
}

/// A line about what the system does not heal by itself; empty when it heals everything, or did not say.
pub fn self_heal_notice(policy: &str) -> String {
    if policy.is_empty() {
        return String::new();
    }
    let set: Vec<&str> = policy.split(';').collect();
    let off: Vec<&str> = SELF_HEAL_FLAGS.into_iter().filter(|flag| !set.contains(flag)).collect();
    match off.len() {
        0 => String::new(),
        1 => format!("System property self_heal flag disabled: {}\n", off.join(", ")),
        _ => format!("System property self_heal flags disabled: {}\n", off.join(", ")),
    }
}

/// The pools by label.
pub fn pools(pools: &[Pool], verbose: bool) -> String {
    if pools.is_empty() {
        return "No pools in system\n".to_owned();
    }
    let mut sorted: Vec<&Pool> = pools.iter().collect();
    sorted.sort_by(|left, right| (&left.label, &left.uuid).cmp(&(&right.label, &right.uuid)));
    let replicas =
        |pool: &Pool| pool.service_replicas.iter().copied().collect::<RankSet>().to_string();
    let mut table = if verbose {
        Table::new(["Label", "UUID", "State", "SvcReps"])
    } else {
        Table::new(["Pool", "State"])
    };
    for pool in sorted {
        if verbose {
            let label = if pool.label.is_empty() { "-" } else { &pool.label };
            table.row([label.to_owned(), pool.uuid.clone(), pool.state.clone(), replicas(pool)]);
        } else {
            let short = pool.uuid.split('-').next().unwrap_or_default();
            let name = if pool.label.is_empty() { short } else { &pool.label };
            table.row([name.to_owned(), pool.state.clone()]);
        }
    }
    table.text(0)
}

/// Names and values.
pub fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let mut table = Table::new(["Name", "Value"]);
    for (name, value) in pairs {
        table.row([name, value]);
    }
    table.text(0)
}

/// Ranks by what is the same for them: most ranks first, then by text (contract 8.5).
#[derive(Default)]
struct RankGroups(BTreeMap<Vec<String>, RankSet>);

impl RankGroups {
    fn add(&mut self, values: Vec<String>, rank: u32) {
        self.0.entry(values).or_default().insert(rank);
    }

    fn text<const N: usize>(self, titles: [&str; N]) -> String {
        let mut groups: Vec<(Vec<String>, RankSet)> = self.0.into_iter().collect();
        groups.sort_by_key(|(_, ranks)| std::cmp::Reverse(ranks.len()));
        let mut table = Table::new(titles);
        for (values, ranks) in groups {
            table.row(std::iter::once(ranks.to_string()).chain(values));
        }
        table.text(0)
    }
}

#[cfg(test)]
mod tests {
    use daos_control::client::{Member, MemberState, Pool, SystemStatus};

    use super::{absent, members, pools, self_heal_notice};

    /// Contract 8.5: most ranks first, then by value; ranks that do not exist have their own row.
    #[test]
    fn members_are_grouped_by_state() {
        let member = |rank, state| Member { rank, state, ..Member::default() };
        let status = SystemStatus {
            members: vec![
                member(0, MemberState::Joined),
                member(1, MemberState::Stopped),
                member(2, MemberState::Joined),
                member(3, MemberState::AdminExcluded),
            ],
            absent_ranks: "7".parse().unwrap(),
            ..SystemStatus::default()
        };
        let text = members(&status);
        let rows: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            rows,
            [
                "Rank State",
                "---- -----",
                "0,2  Joined",
                "3    AdminExcluded",
                "1    Stopped",
                "7    Unknown Rank"
            ]
        );
    }

    #[test]
    fn only_missing_flags_are_noticed() {
        assert_eq!(self_heal_notice(""), "");
        assert_eq!(self_heal_notice("exclude;pool_exclude;pool_rebuild"), "");
        assert_eq!(
            self_heal_notice("exclude;pool_exclude"),
            "System property self_heal flag disabled: pool_rebuild\n"
        );
        assert!(
            self_heal_notice("none")
                .contains("flags disabled: exclude, pool_exclude, pool_rebuild")
        );
    }

    #[test]
    fn what_is_absent_is_named() {
        assert_eq!(
            absent(&"1,3".parse().unwrap(), "n9"),
            "Unknown hosts: n9\nUnknown 2 ranks: 1,3\n"
        );
        assert_eq!(absent(&"".parse().unwrap(), ""), "");
    }

    #[test]
    fn a_pool_without_label_goes_by_its_uuid() {
        let pool = Pool { uuid: "12345678-9abc".into(), state: "Ready".into(), ..Pool::default() };
        assert!(pools(&[pool], false).contains("12345678 Ready"));
        assert_eq!(pools(&[], true), "No pools in system\n");
    }
}
