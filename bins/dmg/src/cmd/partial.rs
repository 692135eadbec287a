//! Partial failure: every failed host is told, and the exit status says that there was one (W33).

use std::collections::BTreeMap;

use daos_control::Fault;
use daos_control::client::{HostAddr, HostResults, HostSet};

use crate::outcome::Failure;
use crate::print::{self, HostNames};

/// The hosts where something went wrong, by what it was.
#[derive(Debug, Default)]
pub struct Failed {
    by_text: BTreeMap<String, HostSet>,
    hosts: HostSet,
    faults: Vec<Fault>,
}

impl Failed {
    /// The hosts that did not answer.
    pub fn of<T>(results: &HostResults<T>) -> Self {
        Self {
            by_text: results.failures_by_text(),
            hosts: results.failures.iter().map(|(host, _)| host.clone()).collect(),
            faults: results.failures.iter().filter_map(|(_, error)| error.fault()).collect(),
        }
    }

    /// A host that answered, but with something that went wrong.
    pub fn add(&mut self, host: &HostAddr, text: impl Into<String>) {
        self.by_text.entry(text.into()).or_default().insert(host.clone());
        self.hosts.insert(host.clone());
    }

    /// The same for a fault, whose remedy may be printed.
    pub fn add_fault(&mut self, host: &HostAddr, what: &str, fault: &Fault) {
        self.add(host, print::of_device(what, &fault.description));
        self.faults.push(fault.clone());
    }

    /// Adds the failures of another step of the same command.
    pub fn merge(&mut self, other: Self) {
        for (text, hosts) in other.by_text {
            for host in hosts {
                self.add(&host, text.as_str());
            }
        }
        self.faults.extend(other.faults);
    }

    pub fn by_text(&self) -> &BTreeMap<String, HostSet> {
        &self.by_text
    }

    /// The `Errors:` block.
    pub fn table(&self, names: HostNames) -> String {
        print::errors(&self.by_text, names)
    }

    /// Why the command failed, with the remedy when one fits all.
    pub fn failure(&self) -> Option<Failure> {
        if self.hosts.is_empty() {
            return None;
        }
        let text = match self.hosts.len() {
            1 => "1 host had errors".to_owned(),
            number => format!("{number} hosts had errors"),
        };
        let first = self.faults.first();
        let same = |fault: &&Fault| {
            self.faults
                .iter()
                .all(|other| other.code == fault.code && other.resolution == fault.resolution)
        };
        Some(Failure::text(text).with_remedy_of(first.filter(same).cloned()))
    }
}
