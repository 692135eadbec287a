//! What a run has shown so far, and the rules it must keep. Everything that can be seen is told here at once; the
//! first broken rule ends the run. Written by hosts, read by `world`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daos_control::join::JoinAnswer;
use daos_membership::{GroupMap, Incarnation, Rank};
use uuid::Uuid;

use super::network::HostId;
use super::trace::Trace;
use super::writes::Writes;

/// A join that was answered with a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// The engine.
    pub uuid: Uuid,
    /// Its rank.
    pub rank: Rank,
    /// The start that joined.
    pub incarnation: Incarnation,
}

/// One process of an engine: host, life of the host's server, index, incarnation.
type ProcessName = (HostId, u64, u32, Incarnation);

#[derive(Debug, Default)]
struct State {
    now: Duration,
    broken: Vec<String>,
    leaders: BTreeMap<u64, HostId>,
    /// Content of the group map of each version.
    maps: BTreeMap<u32, u64>,
    seen: BTreeMap<ProcessName, u32>,
    pushed: BTreeMap<(HostId, u64, u32), u32>,
    asked: BTreeSet<(Uuid, Incarnation)>,
    joins: Vec<Acknowledged>,
    writes: Writes,
    counts: BTreeMap<&'static str, u64>,
}

/// The record of one run.
#[derive(Debug)]
pub struct Record {
    trace: Arc<Trace>,
    state: Mutex<State>,
}

impl Record {
    /// A record that writes to this trace.
    #[must_use]
    pub fn new(trace: Arc<Trace>) -> Self {
        Self { trace, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of the world moves on.
    pub fn set_now(&self, now: Duration) {
        self.state().now = now;
    }

    /// Something happened that is worth a line.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.state().now;
        self.trace.note(now, what);
    }

    /// Counts something for the report.
    pub fn count(&self, what: &'static str) {
        *self.state().counts.entry(what).or_default() += 1;
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state().counts.clone()
    }

    /// A rule is broken.
    pub fn broke(&self, rule: impl Into<String>) {
        let rule = rule.into();
        self.note(format_args!("BROKEN: {rule}"));
        self.state().broken.push(rule);
    }

    /// The rules that were broken.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }

    /// Rule: at most one leader in each term.
    pub fn leads(&self, host: HostId, term: u64) {
        let first = *self.state().leaders.entry(term).or_insert(host);
        if first != host {
            self.broke(format!("hosts {first} and {host} both led in term {term}"));
        }
    }

    /// How many terms had a leader.
    #[must_use]
    pub fn terms_led(&self) -> usize {
        self.state().leaders.len()
    }

    /// Rule: what one server pushes to an engine has rising versions, and a version has one content.
    pub fn map_pushed(&self, host: HostId, life: u64, index: u32, map: &GroupMap) {
        self.count("maps pushed");
        self.note(format_args!(
            "host {host} engine {index} is told map {} of {}",
            map.version(),
            map.len()
        ));
        let before = self.state().pushed.insert((host, life, index), map.version());
        if before.is_some_and(|before| before > map.version()) {
            self.broke(format!("host {host} pushed map {} after {before:?}", map.version()));
        }
        let mut hasher = DefaultHasher::new();
        for engine in map.engines() {
            (engine.rank, &*engine.uri, engine.incarnation).hash(&mut hasher);
        }
        let content = hasher.finish();
        let first = *self.state().maps.entry(map.version()).or_insert(content);
        if first != content {
            self.broke(format!("two different group maps have version {}", map.version()));
        }
    }

    /// Rule: the versions that an engine takes strictly rise.
    pub fn map_seen(
        &self,
        host: HostId,
        life: u64,
        index: u32,
        incarnation: Incarnation,
        map: &GroupMap,
    ) {
        let version = map.version();
        let before = self.state().seen.insert((host, life, index, incarnation), version);
        if before.is_some_and(|before| before >= version) {
            self.broke(format!(
                "engine {index} of host {host} took map {version} after {before:?}"
            ));
        }
    }

    /// An engine asks to join.
    pub fn asked(&self, uuid: Uuid, incarnation: Incarnation) {
        self.count("joins asked");
        self.state().asked.insert((uuid, incarnation));
    }

    /// Whether an engine asked to join in this incarnation.
    #[must_use]
    pub fn has_asked(&self, uuid: Uuid, incarnation: Incarnation) -> bool {
        self.state().asked.contains(&(uuid, incarnation))
    }

    /// An engine was told its rank.
    pub fn joined(&self, uuid: Uuid, incarnation: Incarnation, answer: JoinAnswer) {
        self.count("joins answered");
        self.state().joins.push(Acknowledged { uuid, rank: answer.rank, incarnation });
    }

    /// The joins that were answered since this was asked last.
    #[must_use]
    pub fn take_joins(&self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.state().joins)
    }

    /// Works with the history of attribute writes.
    pub fn writes<T>(&self, work: impl FnOnce(&mut Writes) -> T) -> T {
        work(&mut self.state().writes)
    }
}
