//! The group map: what engines are told about each other, with its version.
//!
//! Built from the system state and published by the service; pushed to engines by the control plane over
//! dRPC 232. Copies are cheap: they share their parts, and a change copies one part only.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::member::Member;
use crate::rank::{Incarnation, Rank};
use crate::system::System;

/// Ranks per shared part. A change of one engine copies at most this many entries.
const PART: u32 = 256;

/// One engine in the group map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMapEngine {
    /// Its rank.
    pub rank: Rank,
    /// Where it is reached over the fabric.
    pub uri: Arc<str>,
    /// Which start of it is meant.
    pub incarnation: Incarnation,
}

impl GroupMapEngine {
    fn of(member: &Member) -> Self {
        Self {
            rank: member.rank,
            uri: member.fabric_uri.as_str().into(),
            incarnation: member.incarnation,
        }
    }
}

/// All engines that belong to the group, at one version (contract 6.6).
///
/// Members that wait for a format or are excluded (mask 0x241), and members without a URI, are not in it.
/// Stopped, errored and unresponsive ones are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupMap {
    version: u32,
    engines: usize,
    parts: BTreeMap<u32, Arc<Vec<GroupMapEngine>>>,
}

impl GroupMap {
    /// The group map of a system as it is now.
    #[must_use]
    pub fn of(system: &System) -> Self {
        let mut map = Self { version: system.map_version(), ..Self::default() };
        for member in system.members() {
            map.refresh(member.rank, Some(member));
        }
        map
    }

    /// A map of these engines, for those who keep their own members; the last of a doubled rank counts.
    #[must_use]
    pub fn from_engines(version: u32, engines: impl IntoIterator<Item = GroupMapEngine>) -> Self {
        let by_rank: BTreeMap<Rank, GroupMapEngine> =
            engines.into_iter().map(|engine| (engine.rank, engine)).collect();
        let mut map = Self { version, engines: by_rank.len(), ..Self::default() };
        for engine in by_rank.into_values() {
            let part = map.parts.entry(engine.rank.get() / PART).or_default();
            Arc::make_mut(part).push(engine);
        }
        map
    }

    /// Its version; rises with every publication.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The engines in order of their ranks.
    pub fn engines(&self) -> impl Iterator<Item = &GroupMapEngine> {
        self.parts.values().flat_map(|part| part.iter())
    }

    /// How many engines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engines
    }

    /// Whether there are none. Engines must not be sent such a map.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.engines == 0
    }

    /// The engine with this rank, if it belongs to the group.
    #[must_use]
    pub fn engine(&self, rank: Rank) -> Option<&GroupMapEngine> {
        let part = self.parts.get(&(rank.get() / PART))?;
        part.binary_search_by_key(&rank, |engine| engine.rank).ok().map(|at| &part[at])
    }

    /// Sets the version that the next publication carries.
    pub(crate) fn set_version(&mut self, version: u32) {
        self.version = version;
    }

    /// Takes over what has become of one rank; `None` when there is no such member any more. Says whether
    /// anything changed.
    pub(crate) fn refresh(&mut self, rank: Rank, member: Option<&Member>) -> bool {
        let wanted = member.filter(|member| member.is_in_group()).map(GroupMapEngine::of);
        if self.engine(rank) == wanted.as_ref() {
            return false;
        }
        let key = rank.get() / PART;
        let part = Arc::make_mut(self.parts.entry(key).or_default());
        match (part.binary_search_by_key(&rank, |engine| engine.rank), wanted) {
            (Ok(at), Some(engine)) => part[at] = engine,
            (Err(at), Some(engine)) => {
                part.insert(at, engine);
                self.engines += 1;
            }
            (Ok(at), None) => {
                part.remove(at);
                self.engines -= 1;
            }
            (Err(_), None) => {}
        }
        if part.is_empty() {
            self.parts.remove(&key);
        }
        true
    }
}
