//! Whether the operations on one key are those of a single value that changes at one moment inside each operation
//! (linearizable), where some writes ended without an answer, and some reads were answered by a replica that may lag.
//!
//! The search is exhaustive: it tries every order that time allows, remembering where it has been. Values written are
//! unique, so that a read says which write it saw.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Moment;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Write this value; no other write of the key has it.
    Write(u64),
    /// A read that was answered with this value, `None` when there was none.
    Read(Option<u64>),
}

/// One operation that may have had an effect. A write that was refused for certain has none and is left out, and so is a read
/// without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What was asked.
    pub action: Action,
    /// When it was asked.
    pub invoked: Moment,
    /// When it was answered; `None` when nobody knows whether it happened, or when.
    pub returned: Option<Moment>,
    /// For a read that one replica answered from what it had: that replica, since its last start. The value may be an old one, but
    /// of each session never older than the one before.
    pub session: Option<u64>,
}

impl Operation {
    /// An operation that was answered.
    #[must_use]
    pub fn acknowledged(action: Action, invoked: Moment, returned: Moment) -> Self {
        Self { action, invoked, returned: Some(returned), session: None }
    }

    /// A write whose outcome is unknown: it may happen at any time from then on, or never.
    #[must_use]
    pub fn unknown(value: u64, invoked: Moment) -> Self {
        Self { action: Action::Write(value), invoked, returned: None, session: None }
    }

    /// The same operation, answered by a replica that may lag.
    #[must_use]
    pub fn in_session(self, session: u64) -> Self {
        Self { session: Some(session), ..self }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::Write(value) => write!(f, "write {value}")?,
            Action::Read(Some(value)) => write!(f, "read {value}")?,
            Action::Read(None) => write!(f, "read nothing")?,
        }
        if let Some(session) = self.session {
            write!(f, " in session {session}")?;
        }
        match self.returned {
            Some(returned) => write!(f, ", asked at {}, answered at {returned}", self.invoked),
            None => write!(f, ", asked at {}, never answered", self.invoked),
        }
    }
}

/// Why a history is not that of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Two writes have the same value, so the history says nothing. A fault of the test, not of the service.
    NotUnique(u64),
    /// No order explains the answers.
    NoOrder {
        /// How many operations the best order explains.
        explained: usize,
        /// Those it cannot go on with, earliest first.
        stuck: Vec<Operation>,
        /// The value at that point.
        value: Option<u64>,
    },
    /// The search was given up after this many states: neither right nor wrong was shown.
    Undecided(usize),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnique(value) => write!(f, "the value {value} was written twice"),
            Self::Undecided(states) => write!(f, "undecided after {states} states"),
            Self::NoOrder { explained, stuck, value } => {
                write!(
                    f,
                    "no order of the operations explains the answers: after {explained} of them the value is "
                )?;
                match value {
                    Some(value) => write!(f, "{value}")?,
                    None => write!(f, "nothing")?,
                }
                write!(f, ", and none of these can follow")?;
                stuck.iter().try_for_each(|operation| write!(f, "\n  {operation}"))
            }
        }
    }
}

/// States after which the search is given up. A history of a few hundred operations by a handful of clients has some
/// thousand.
const MOST_STATES: usize = 2_000_000;
/// Operations shown as evidence.
const SHOWN: usize = 8;

/// Searches for an order that explains a history of one key, from its value at the start.
///
/// # Errors
/// [`Violation`] when there is none, or when it cannot be decided.
pub fn check(initial: Option<u64>, history: &[Operation]) -> Result<(), Violation> {
    let operations = relevant(history)?;
    let mut search = Search { operations: &operations, seen: HashSet::new(), best: None };
    search.run(initial)
}

/// Without the writes that nobody answered and nobody saw: they may as well never have happened.
fn relevant(history: &[Operation]) -> Result<Vec<Operation>, Violation> {
    let mut written = HashSet::new();
    for operation in history {
        if let Action::Write(value) = operation.action
            && !written.insert(value)
        {
            return Err(Violation::NotUnique(value));
        }
    }
    let read: HashSet<u64> = history
        .iter()
        .filter_map(|operation| match operation.action {
            Action::Read(value) => value,
            Action::Write(_) => None,
        })
        .collect();
    let mut operations: Vec<Operation> = history
        .iter()
        .filter(|operation| match operation.action {
            Action::Write(value) => operation.returned.is_some() || read.contains(&value),
            Action::Read(_) => operation.returned.is_some(),
        })
        .cloned()
        .collect();
    operations.sort_by_key(|operation| operation.invoked);
    Ok(operations)
}

/// Which operations have been put in order: everything below `first`, and the numbered ones after it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Done {
    first: usize,
    beyond: Vec<usize>,
}

impl Done {
    fn has(&self, index: usize) -> bool {
        index < self.first || self.beyond.binary_search(&index).is_ok()
    }

    fn with(&self, index: usize) -> Self {
        let mut next = self.clone();
        if let Err(place) = next.beyond.binary_search(&index) {
            next.beyond.insert(place, index);
        }
        let mut closed = 0;
        while next.beyond.get(closed) == Some(&next.first) {
            next.first += 1;
            closed += 1;
        }
        next.beyond.drain(..closed);
        next
    }

    fn count(&self) -> usize {
        self.first + self.beyond.len()
    }
}

struct Search<'a> {
    operations: &'a [Operation],
    seen: HashSet<(Done, Option<u64>)>,
    best: Option<(Done, Option<u64>)>,
}

impl Search<'_> {
    fn run(&mut self, initial: Option<u64>) -> Result<(), Violation> {
        let start = Done { first: 0, beyond: Vec::new() };
        let mut open = vec![(start, initial)];
        while let Some((done, value)) = open.pop() {
            let Some(candidates) = self.next(&done) else {
                return Ok(());
            };
            if !self.seen.insert((done.clone(), value)) {
                continue;
            }
            if self.seen.len() > MOST_STATES {
                return Err(Violation::Undecided(self.seen.len()));
            }
            if self.best.as_ref().is_none_or(|(best, _)| best.count() < done.count()) {
                self.best = Some((done.clone(), value));
            }
            self.follow(&done, value, &candidates, &mut open);
        }
        let (done, value) =
            self.best.take().unwrap_or((Done { first: 0, beyond: Vec::new() }, initial));
        let stuck = self.next(&done).unwrap_or_default();
        let stuck = stuck.into_iter().take(SHOWN).map(|index| self.operations[index].clone());
        Err(Violation::NoOrder { explained: done.count(), stuck: stuck.collect(), value })
    }

    /// The operations that may come next: asked before any of the others was answered. `None` when all that were answered
    /// are in order.
    fn next(&self, done: &Done) -> Option<Vec<usize>> {
        let left = || (done.first..self.operations.len()).filter(|index| !done.has(*index));
        let limit = left().filter_map(|index| self.operations[index].returned).min()?;
        let mut sessions: HashMap<u64, Moment> = HashMap::new();
        for operation in left().map(|index| &self.operations[index]) {
            if let (Some(session), Some(returned)) = (operation.session, operation.returned) {
                let first = sessions.entry(session).or_insert(returned);
                *first = returned.min(*first);
            }
        }
        let may_come = |index: &usize| {
            let operation = &self.operations[*index];
            // Within a session it is whatever the replica had: only answers of that session hold it back.
            let held_by = operation.session.and_then(|session| sessions.get(&session));
            operation.invoked <= *held_by.unwrap_or(&limit)
        };
        Some(left().filter(may_come).collect())
    }

    /// A read that fits changes nothing, so putting it next loses no order; otherwise each write is tried.
    fn follow(
        &self,
        done: &Done,
        value: Option<u64>,
        candidates: &[usize],
        open: &mut Vec<(Done, Option<u64>)>,
    ) {
        let fits = |index: &&usize| self.operations[**index].action == Action::Read(value);
        if let Some(read) = candidates.iter().find(fits) {
            open.push((done.with(*read), value));
            return;
        }
        // The earliest is tried first, so it is pushed last.
        for index in candidates.iter().rev() {
            if let Action::Write(new) = self.operations[*index].action {
                open.push((done.with(*index), Some(new)));
            }
        }
    }
}

#[cfg(test)]
#[path = "register_test.rs"]
mod tests;
