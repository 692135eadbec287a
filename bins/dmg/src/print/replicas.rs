//! The replicas of the management service for people.

use std::time::Duration;

use daos_control::client::{AnsweredBy, ReplicaEntry, ReplicaKind, ReplicaSetStatus};

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

/// Which replica answered, and how fresh that is; empty when it is not known.
pub fn answered_by(answered: Option<&AnsweredBy>) -> String {
    let Some(AnsweredBy { host, replica }) = answered else { return String::new() };
    if replica.kind != ReplicaKind::Running {
        return String::new();
    }
    let behind = replica.last_log.saturating_sub(replica.applied);
    let heard = replica.last_contact.map(ago);
    let fresh = match (replica.role.as_str(), heard) {
        ("leader", _) => format!("the leader of term {}", replica.term),
        (role, Some(heard)) if !replica.leader.is_empty() => {
            format!("{role} of {}, heard of it {heard}, {behind} entries behind", replica.leader)
        }
        (role, _) => format!("{role} that knows of no leader, so this may be out of date"),
    };
    format!("Answered by {host}: {fresh}\n")
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

    use super::{ago, answered_by};

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
