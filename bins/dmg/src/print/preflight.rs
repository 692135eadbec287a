//! `system preflight` for people.

use daos_control::client::HostResults;
use daos_control::preflight::Report;

use super::hosts::{HostNames, group_equal};
use super::table::banner;

/// What each group of equal hosts found.
pub fn preflights(results: &HostResults<Report>, verbose: bool, names: HostNames) -> String {
    let texts = results.answers.iter().map(|(host, report)| (host, report.text(verbose)));
    let groups = group_equal(texts, Clone::clone);
    let blocks =
        groups.into_iter().map(|(hosts, text)| format!("{}{text}", banner(&names.set(&hosts), 0)));
    blocks.collect::<Vec<_>>().join("\n")
}
