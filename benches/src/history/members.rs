//! Whether the ranks that joins were answered with, and the members that replicas showed, are those of one system that
//! forgets nobody: no rank for two engines, no engine with two ranks, nobody lost, versions that only rise.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use super::Moment;

/// How a join ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with a rank and the version of the first group map that holds it.
    Joined {
        /// The rank.
        rank: u32,
        /// The version.
        map_version: u32,
    },
    /// It was refused for certain.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One join of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The engine.
    pub uuid: Uuid,
    /// When it was asked.
    pub invoked: Moment,
    /// When it ended.
    pub returned: Moment,
    /// How.
    pub outcome: Outcome,
}

/// The members as somebody was shown them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Who showed them, e.g. the address of a replica.
    pub shown_by: String,
    /// When it was asked.
    pub invoked: Moment,
    /// When it was answered.
    pub returned: Moment,
    /// Rank and engine of each member.
    pub members: Vec<(u32, Uuid)>,
    /// Whether the answer is from the leader with its leadership confirmed, so that nothing acknowledged before it was asked may be
    /// missing.
    pub current: bool,
}

/// A version somebody was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Who showed it.
    pub shown_by: String,
    /// When it was asked.
    pub invoked: Moment,
    /// When it was answered.
    pub returned: Moment,
    /// The version.
    pub version: u64,
}

/// What one system cannot have said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A rank belongs to two engines.
    RankTwice {
        /// The rank.
        rank: u32,
        /// The engines.
        engines: [Uuid; 2],
        /// Where the second was seen.
        seen: String,
    },
    /// An engine has two ranks.
    TwoRanks {
        /// The engine.
        engine: Uuid,
        /// The ranks.
        ranks: [u32; 2],
        /// Where the second was seen.
        seen: String,
    },
    /// An acknowledged member is missing from a current view.
    Lost {
        /// The engine.
        engine: Uuid,
        /// Its rank.
        rank: u32,
        /// In which view.
        view: String,
    },
    /// A join that was refused for certain became a member.
    RefusedJoined {
        /// The engine.
        engine: Uuid,
        /// In which view.
        view: String,
    },
    /// A join that was asked after another was answered got an older map.
    MapWentBack {
        /// The later join's engine.
        engine: Uuid,
        /// Versions of the earlier and of the later join.
        versions: [u32; 2],
    },
    /// Somebody showed an older version after a newer one.
    VersionWentBack {
        /// Who.
        shown_by: String,
        /// The newer one first.
        versions: [u64; 2],
        /// When the older one was shown.
        at: Moment,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RankTwice { rank, engines: [first, second], seen } => {
                write!(f, "rank {rank} belongs to {first} and, {seen}, to {second}")
            }
            Self::TwoRanks { engine, ranks: [first, second], seen } => {
                write!(f, "engine {engine} has rank {first} and, {seen}, rank {second}")
            }
            Self::Lost { engine, rank, view } => {
                write!(f, "rank {rank} of engine {engine} was acknowledged and is missing {view}")
            }
            Self::RefusedJoined { engine, view } => {
                write!(f, "engine {engine} was refused and is a member {view}")
            }
            Self::MapWentBack { engine, versions: [earlier, later] } => write!(
                f,
                "engine {engine} joined with map version {later} after another had {earlier}"
            ),
            Self::VersionWentBack { shown_by, versions: [newer, older], at } => {
                write!(f, "{shown_by} showed version {older} at {at} after version {newer}")
            }
        }
    }
}

/// Everything that one system cannot have said; empty when there is nothing.
#[must_use]
pub fn check(joins: &[Join], views: &[View], versions: &[Version]) -> Vec<Violation> {
    let mut found = identities(joins, views);
    found.extend(lost(joins, views));
    found.extend(refused(joins, views));
    found.extend(map_order(joins));
    found.extend(version_order(versions));
    found
}

fn where_seen(view: &View) -> String {
    format!("in what {} showed at {}", view.shown_by, view.returned)
}

fn identities(joins: &[Join], views: &[View]) -> Vec<Violation> {
    let joined = joins.iter().filter_map(|join| match join.outcome {
        Outcome::Joined { rank, .. } => {
            Some((rank, join.uuid, format!("in a join answered at {}", join.returned)))
        }
        _ => None,
    });
    let shown = views
        .iter()
        .flat_map(|view| view.members.iter().map(|(rank, uuid)| (*rank, *uuid, where_seen(view))));
    let (mut engine_of, mut rank_of) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (rank, engine, seen) in joined.chain(shown) {
        let first = *engine_of.entry(rank).or_insert(engine);
        if first != engine {
            found.push(Violation::RankTwice { rank, engines: [first, engine], seen: seen.clone() });
        }
        let first = *rank_of.entry(engine).or_insert(rank);
        if first != rank {
            found.push(Violation::TwoRanks { engine, ranks: [first, rank], seen });
        }
    }
    found
}

fn lost(joins: &[Join], views: &[View]) -> Vec<Violation> {
    let mut found = Vec::new();
    for view in views.iter().filter(|view| view.current) {
        for join in joins.iter().filter(|join| join.returned < view.invoked) {
            let Outcome::Joined { rank, .. } = join.outcome else { continue };
            if !view.members.iter().any(|(_, engine)| *engine == join.uuid) {
                found.push(Violation::Lost { engine: join.uuid, rank, view: where_seen(view) });
            }
        }
    }
    found
}

/// An engine is refused when every one of its joins was.
fn refused(joins: &[Join], views: &[View]) -> Vec<Violation> {
    let mut refused: BTreeMap<Uuid, bool> = BTreeMap::new();
    for join in joins {
        let all = refused.entry(join.uuid).or_insert(true);
        *all &= join.outcome == Outcome::Refused;
    }
    let shown = views.iter().flat_map(|view| view.members.iter().map(move |member| (view, member)));
    shown
        .filter(|(_, (_, engine))| refused.get(engine) == Some(&true))
        .map(|(view, (_, engine))| Violation::RefusedJoined {
            engine: *engine,
            view: where_seen(view),
        })
        .collect()
}

/// Maps only grow newer: whoever asked after somebody else was answered gets no older one.
fn map_order(joins: &[Join]) -> Vec<Violation> {
    let mut answered: Vec<(Moment, Moment, u32, Uuid)> = joins
        .iter()
        .filter_map(|join| match join.outcome {
            Outcome::Joined { map_version, .. } => {
                Some((join.invoked, join.returned, map_version, join.uuid))
            }
            _ => None,
        })
        .collect();
    let mut by_end = answered.clone();
    by_end.sort_by_key(|(_, returned, ..)| *returned);
    answered.sort_by_key(|(invoked, ..)| *invoked);
    let mut ended = by_end.into_iter().peekable();
    let mut newest = 0;
    let mut found = Vec::new();
    for (invoked, _, version, engine) in answered {
        while let Some((.., earlier, _)) = ended.next_if(|(_, returned, ..)| *returned < invoked) {
            newest = newest.max(earlier);
        }
        if version < newest {
            found.push(Violation::MapWentBack { engine, versions: [newest, version] });
        }
    }
    found
}

fn version_order(versions: &[Version]) -> Vec<Violation> {
    let mut by_shower: BTreeMap<&str, Vec<&Version>> = BTreeMap::new();
    for version in versions {
        by_shower.entry(&version.shown_by).or_default().push(version);
    }
    let mut found = Vec::new();
    for (shown_by, versions) in by_shower {
        for later in &versions {
            let before = versions.iter().filter(|earlier| earlier.returned < later.invoked);
            let newest = before.map(|earlier| earlier.version).max().unwrap_or(0);
            if later.version < newest {
                found.push(Violation::VersionWentBack {
                    shown_by: shown_by.to_owned(),
                    versions: [newest, later.version],
                    at: later.returned,
                });
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "members_test.rs"]
mod tests;
