//! The replicas of the management service for people.

use std::time::Duration;

use daos_control::client::{
    AnsweredBy, HostResults, HostSet, ReplicaEntry, ReplicaKind, ReplicaSetStatus, ReplicaStatus,
};

use super::HostNames;
use super::table::Table;

/// One row for each replica, then what makes the service weaker than it should be.
pub fn replica_set(set: &ReplicaSetStatus) -> String {
    let mut table =
        Table::new(["Replica", "ID", "Role", "Voter", "Stored", "Lag", "Last Contact", "Note"]);
    for replica in &set.replicas {
        let ReplicaEntry { address, id, role, voter, stored, lag, last_contact, note } = replica;
        let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        table.row([
            address.clone(),
            shown(id),
            role.clone(),
            if *voter { "yes" } else { "no" }.to_owned(),
            stored.to_string(),
            lag.to_string(),
            last_contact.map_or_else(|| "never".to_owned(), ago),
            shown(note),
        ]);
    }
    let mut text = table.text(0);
    text.push_str(&format!("Term {}, committed entry {}\n", set.term, set.committed));
    for note in &set.notes {
        text.push_str(&format!("Degraded: {note}\n"));
    }
    text
}

/// What each replica that can be reached says of itself: nobody speaks for all of them.
pub fn replica_statuses(said: &HostResults<ReplicaStatus>, names: HostNames) -> String {
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let mut table =
        Table::new(["Host", "ID", "Role", "Term", "Stored", "Applied", "Leader Heard", "Note"]);
    for (host, one) in &said.answers {
        let running = one.kind == ReplicaKind::Running;
        let number = |value: u64| if running { value.to_string() } else { "-".to_owned() };
        let role = if running { one.role.as_str() } else { one.kind.name() };
        let heard = match one.last_contact {
            Some(since) if running => ago(since),
            _ if running => "never".to_owned(),
            _ => "-".to_owned(),
        };
        table.row([
            names.set(&HostSet::from_iter([host.clone()])),
            shown(&one.id),
            role.to_owned(),
            number(one.term),
            number(one.last_log),
            number(one.applied),
            heard,
            shown(&one.reason),
        ]);
    }
    let head = "No leader: what each replica that can be reached says of itself\n";
    format!("{head}{}{}", table.text(0), super::errors(&said.failures_by_text(), names))
}

/// Which replica answered, and how fresh that is; empty when it is not known.
pub fn answered_by(answered: Option<&AnsweredBy>) -> String {
    let Some(by @ AnsweredBy { host, replica }) = answered else { return String::new() };
    if let Some(why) = by.stale() {
        return format!("Answered by {host}: {why}, so this may be out of date\n");
    }
    let behind = replica.last_log.saturating_sub(replica.applied);
    let heard = replica.last_contact.map(ago);
    let fresh = match (replica.role.as_str(), heard) {
        ("leader", _) => format!("the leader of term {}", replica.term),
        (role, heard) => {
            let heard = heard.unwrap_or_default();
            format!("{role} of {}, heard of it {heard}, {behind} entries behind", replica.leader)
        }
    };
    format!("Answered by {host}: {fresh}\n")
}

/// A remark beside an answer that may be out of date; empty beside a fresh one.
pub fn stale_remark(answered: Option<&AnsweredBy>) -> String {
    let stale = answered.and_then(|by| Some((&by.host, by.stale()?)));
    stale.map_or_else(String::new, |(host, why)| {
        format!("dmg: answered by {host}, a {why}: this may be out of date\n")
    })
}

/// Members that may be dead and are shown as they were: too many were found dead at once. Empty when there are none.
pub fn held_deaths(answered: Option<&AnsweredBy>) -> String {
    let Some(held) = answered.map(|by| &by.replica.held_deaths).filter(|held| !held.is_empty())
    else {
        return String::new();
    };
    let (count, deaths, ranks) = match held.len() {
        1 => (1, "death is", "rank"),
        count => (count, "deaths are", "ranks"),
    };
    format!(
        "{count} reported {deaths} held back, too many came at once: {ranks} {held} (excluded later unless they come back; at \
         once with dmg system exclude -r {held})\n"
    )
}

fn ago(since: Duration) -> String {
    match since.as_millis() {
        millis if millis < 10_000 => format!("{millis} ms ago"),
        millis => format!("{} s ago", millis / 1000),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daos_control::client::{AnsweredBy, ReplicaKind, ReplicaStatus};

    use super::{ago, answered_by, held_deaths};

    fn by(role: &str, leader: &str, heard: Option<u64>) -> String {
        let replica = ReplicaStatus {
            kind: ReplicaKind::Running,
            role: role.into(),
            leader: leader.into(),
            term: 4,
            applied: 7,
            last_log: 9,
            last_contact: heard.map(Duration::from_millis),
            ..ReplicaStatus::default()
        };
        answered_by(Some(&AnsweredBy { host: "h:1".into(), replica }))
    }

    #[test]
    fn held_deaths_are_named() {
        let held = |ranks: &str| {
            let held_deaths = ranks.parse().unwrap();
            let replica = ReplicaStatus { held_deaths, ..ReplicaStatus::default() };
            held_deaths_of(replica)
        };
        assert_eq!(held(""), "");
        let two = held("3,5");
        assert!(two.starts_with("2 reported deaths are held back"), "{two}");
        assert!(two.contains("ranks 3,5 (") && two.contains("dmg system exclude -r 3,5"), "{two}");
        assert!(held("7").starts_with("1 reported death is held back"));
    }

    fn held_deaths_of(replica: ReplicaStatus) -> String {
        held_deaths(Some(&AnsweredBy { host: "h:1".into(), replica }))
    }

    #[test]
    fn an_answer_says_how_fresh_it_is() {
        assert_eq!(by("leader", "h:1", Some(3)), "Answered by h:1: the leader of term 4\n");
        assert_eq!(
            by("follower", "g:1", Some(83)),
            "Answered by h:1: follower of g:1, heard of it 83 ms ago, 2 entries behind\n"
        );
        assert!(by("candidate", "", None).contains("may be out of date"));
        assert_eq!(answered_by(None), "");
        assert_eq!(ago(Duration::from_secs(75)), "75 s ago");
    }
}
