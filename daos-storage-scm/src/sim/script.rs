//! What a test told the simulation to do wrong, and when.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ScmError;

#[derive(Debug, Default)]
pub(super) struct Script {
    failures: BTreeMap<String, VecDeque<ScmError>>,
    delays: BTreeMap<String, Duration>,
}

impl Script {
    pub(super) fn fail_next(&mut self, step: &str, error: ScmError) {
        self.failures.entry(step.to_owned()).or_default().push_back(error);
    }

    pub(super) fn delay(&mut self, step: &str, delay: Duration) {
        self.delays.insert(step.to_owned(), delay);
    }

    pub(super) fn delay_of(&self, step: &str) -> Duration {
        self.delays.get(step).copied().unwrap_or_default()
    }

    pub(super) fn fail(&mut self, step: &str) -> Result<(), ScmError> {
        match self.failures.get_mut(step).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
