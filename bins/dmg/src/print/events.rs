//! `system events`, and what drains and clean-ups did in pools, for people.

use daos_control::client::{Cleaned, Event, PoolRanks, RankSet};

use super::table::{Table, one_line};

/// One line for an event: number, time, kind, then ranks, change of state and host, why, and on whose behalf.
pub fn event(event: &Event) -> String {
    // Whole seconds: what happened first is told by the numbers.
    let time =
        event.time.split_once('.').map_or(event.time.clone(), |(whole, _)| format!("{whole}Z"));
    let mut what: Vec<String> = Vec::new();
    if !event.ranks.is_empty() {
        let several = event.ranks.contains([',', '-']);
        what.push(format!("{} {}", if several { "ranks" } else { "rank" }, event.ranks));
    }
    match (event.from.as_str(), event.to.as_str()) {
        (from, to) if from == to => {}
        ("", to) => what.push(to.to_owned()),
        (from, to) => what.push(format!("{from} -> {to}")),
    }
    if !event.host.is_empty() {
        what.push(format!("at {}", event.host));
    }
    let mut text = what.join(" ");
    if !event.reason.is_empty() {
        text.push_str(if text.is_empty() { "" } else { ": " });
        text.push_str(&event.reason);
    }
    if !event.by.is_empty() {
        text.push_str(&format!(" (by {})", event.by));
    }
    format!("{:>6} {time} {:<17} {}\n", event.number, event.kind, one_line(text.trim_start()))
}

/// A line about events that nobody can show any more.
pub fn missed(count: u64) -> String {
    let (noun, verb) = if count == 1 { ("event", "is") } else { ("events", "are") };
    format!("... {count} older {noun} {verb} not kept any more\n")
}

/// What draining or reintegrating did, ranks with equal results together.
pub fn pool_ranks(pools: &[PoolRanks]) -> String {
    let mut table = Table::new(["Pool", "Ranks", "Result", "Reason"]);
    for pool in pools {
        let mut groups: Vec<(bool, &str, RankSet)> = Vec::new();
        for result in &pool.results {
            let (errored, message) = (result.errored, result.message.as_str());
            match groups.iter_mut().find(|(e, m, _)| (*e, *m) == (errored, message)) {
                Some((_, _, ranks)) => ranks.insert(result.rank),
                None => groups.push((errored, message, RankSet::from_iter([result.rank]))),
            }
        }
        for (errored, message, ranks) in groups {
            let result = if errored { "FAIL" } else { "OK" };
            let reason = if message.is_empty() { "-" } else { message };
            table.row([pool.pool.as_str(), &ranks.to_string(), result, reason]);
        }
    }
    table.text(0)
}

/// What a clean-up did.
pub fn cleaned(machine: &str, pools: &[Cleaned], verbose: bool) -> String {
    let shown = pools.iter().filter(|pool| verbose || pool.count > 0 || pool.status != 0);
    let mut table = Table::new(["Pool", "Handles Revoked"]);
    for pool in shown {
        let what = match pool.status {
            0 => pool.count.to_string(),
            _ => format!("failed: {}", pool.message),
        };
        table.row([pool.pool.clone(), what]);
    }
    match table.is_empty() {
        true => format!("No pool handles of {} to revoke\n", one_line(machine)),
        false => table.text(0),
    }
}
