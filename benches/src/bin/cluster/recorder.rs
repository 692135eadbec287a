//! What clients were told, as it is recorded during a scenario, and the verdict on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use daos_benches::history::members::{self, Join, Outcome, Version, View};
use daos_benches::history::register::{self, Action, Operation};

/// Counts of what was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes that were acknowledged.
    pub writes: usize,
    /// Writes whose outcome nobody knows.
    pub unknown: usize,
    /// Writes that were refused for certain.
    pub refused: usize,
    /// Reads that were answered.
    pub reads: usize,
    /// Joins that were answered with a rank.
    pub joins: usize,
    /// Joins whose outcome nobody knows.
    pub joins_unknown: usize,
}

#[derive(Debug, Default)]
struct Records {
    registers: BTreeMap<String, Vec<Operation>>,
    initial: BTreeMap<String, u64>,
    /// What keys held or may have held in earlier scenarios.
    past: BTreeMap<String, BTreeSet<u64>>,
    joins: Vec<Join>,
    views: Vec<View>,
    versions: Vec<Version>,
    refused: usize,
}

/// Shared by everything that asks. The history of members goes on over scenarios, that of keys is for one.
#[derive(Debug, Default)]
pub struct Recorder {
    records: Mutex<Records>,
}

impl Recorder {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a key held before its history.
    pub fn starts_with(&self, key: &str, value: u64) {
        self.records().initial.insert(key.to_owned(), value);
    }

    /// An operation that had or may have had an effect.
    pub fn operation(&self, key: &str, operation: Operation) {
        self.records().registers.entry(key.to_owned()).or_default().push(operation);
    }

    /// A write that had none.
    pub fn refused(&self) {
        self.records().refused += 1;
    }

    /// A join.
    pub fn join(&self, join: Join) {
        self.records().joins.push(join);
    }

    /// A view of the members.
    pub fn view(&self, view: View) {
        self.records().views.push(view);
    }

    /// A version somebody showed.
    pub fn version(&self, version: Version) {
        self.records().versions.push(version);
    }

    /// What was recorded of the scenario.
    pub fn counts(&self) -> Counts {
        let records = self.records();
        let mut counts = Counts { refused: records.refused, ..Counts::default() };
        for operation in records.registers.values().flatten() {
            match (operation.action, operation.returned) {
                (Action::Write(_), Some(_)) => counts.writes += 1,
                (Action::Write(_), None) => counts.unknown += 1,
                (Action::Read(_), _) => counts.reads += 1,
            }
        }
        for join in &records.joins {
            match join.outcome {
                Outcome::Joined { .. } => counts.joins += 1,
                Outcome::Unknown => counts.joins_unknown += 1,
                Outcome::Refused => {}
            }
        }
        counts
    }

    /// Everything that is wrong with what was recorded, in words; empty when nothing is.
    pub fn verdict(&self) -> Vec<String> {
        let records = self.records();
        let registers = records.registers.iter().filter_map(|(key, history)| {
            let initial = records.initial.get(key).copied();
            let history = match records.past.get(key) {
                Some(past) => without_the_past(history, past, initial),
                None => history.clone(),
            };
            let wrong = register::check(initial, &history).err()?;
            Some(format!("{key}: {wrong}"))
        });
        let mut found: Vec<String> = registers.collect();
        let members = members::check(&records.joins, &records.views, &records.versions);
        found.extend(members.iter().map(ToString::to_string));
        found
    }

    /// The whole record as text, for the files of a failed run.
    pub fn listed(&self) -> String {
        let records = self.records();
        let mut lines = Vec::new();
        for (key, history) in &records.registers {
            lines.extend(history.iter().map(|operation| format!("{key}: {operation}")));
        }
        lines.extend(records.joins.iter().map(|join| format!("{join:?}")));
        lines.extend(records.views.iter().map(|view| format!("{view:?}")));
        lines.join("\n")
    }

    /// Forgets the keys, whose history has been judged; what is known of members stays true.
    pub fn next_scenario(&self) {
        let mut records = self.records();
        for (key, value) in std::mem::take(&mut records.initial) {
            records.past.entry(key).or_default().insert(value);
        }
        for (key, history) in std::mem::take(&mut records.registers) {
            let written = history.iter().filter_map(|operation| match operation.action {
                Action::Write(value) => Some(value),
                Action::Read(_) => None,
            });
            records.past.entry(key).or_default().extend(written);
        }
        records.versions.clear();
        records.refused = 0;
    }
}

/// A replica that has just started may lag behind the beginning of a scenario: what it shows before it shows anything of the scenario
/// is not judged. After that nothing of the past may come.
fn without_the_past(
    history: &[Operation],
    past: &BTreeSet<u64>,
    initial: Option<u64>,
) -> Vec<Operation> {
    let is_past = |operation: &Operation| match operation.action {
        Action::Read(Some(value)) => Some(value) != initial && past.contains(&value),
        _ => false,
    };
    let shown_more = |operation: &Operation| {
        history.iter().any(|other| {
            other.session == operation.session
                && other.returned.is_some_and(|returned| returned < operation.invoked)
                && !is_past(other)
        })
    };
    let lags = |operation: &&Operation| {
        operation.session.is_some() && is_past(operation) && !shown_more(operation)
    };
    history.iter().filter(|operation| !lags(operation)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use daos_benches::history::Moment;
    use daos_benches::history::register::{Action, Operation};

    use super::Recorder;

    #[test]
    fn a_lost_write_is_a_verdict_with_its_key() {
        let recorder = Recorder::default();
        recorder.starts_with("k", 0);
        recorder.operation("k", Operation::acknowledged(Action::Write(1), Moment(0), Moment(1)));
        assert_eq!(recorder.verdict(), Vec::<String>::new());
        recorder
            .operation("k", Operation::acknowledged(Action::Read(Some(0)), Moment(2), Moment(3)));
        let verdict = recorder.verdict();
        assert!(verdict.len() == 1 && verdict[0].starts_with("k: no order"), "{verdict:?}");
        assert_eq!((recorder.counts().writes, recorder.counts().reads), (1, 1));
        recorder.next_scenario();
        assert_eq!(recorder.verdict(), Vec::<String>::new());
    }

    #[test]
    fn a_replica_that_starts_may_show_the_past_and_then_no_more() {
        let recorder = Recorder::default();
        recorder.starts_with("k", 0);
        recorder.operation("k", Operation::acknowledged(Action::Write(1), Moment(0), Moment(1)));
        recorder.next_scenario();
        recorder.starts_with("k", 1);
        let read = |value, at| {
            Operation::acknowledged(Action::Read(Some(value)), Moment(at), Moment(at + 1))
        };
        recorder.operation("k", read(0, 10).in_session(1));
        recorder.operation("k", read(1, 12).in_session(1));
        assert_eq!(recorder.verdict(), Vec::<String>::new());
        recorder.operation("k", read(0, 14).in_session(1));
        assert_eq!(recorder.verdict().len(), 1);
        let recorder = Recorder::default();
        recorder.starts_with("k", 0);
        recorder.next_scenario();
        recorder.starts_with("k", 1);
        // Not from a replica that lags: lost.
        recorder.operation("k", read(0, 10));
        assert_eq!(recorder.verdict().len(), 1);
    }
}
