//! How many members may be excluded at once because they were found dead.
//!
//! One dead engine or host is excluded at once. When more die within a window than is likely, it is rather the network
//! or the observers that failed, and excluding all of them would take the system apart for hours: those beyond the
//! limit are held, shown as an event, and excluded later at the same rate unless they turn out to be alive. Pure; asked
//! by [`crate::decide::liveness`] and by the service when time has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::command::{Change, DeathReport, StateUpdate};
use crate::decide::liveness::and_then;
use crate::member::Member;
use crate::rank::RankSet;
use crate::state::MemberState;
use crate::system::{HeldDeath, REMEMBERED, System, age};

/// How many deaths are believed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damping {
    /// Percentage of the joined members that may be excluded within one window, 0 to 100; always at least one member,
    /// and always all engines of one host. 100 turns damping off. By default 25: a rack of four, or one of several
    /// racks, is excluded at once, and half of a system never is.
    pub percent: u8,
    /// The window, and how long a held death waits; up to an hour. By default a minute: engines find a death within 23 s
    /// by default (SWIM), so the reports of one incident lie within it, and an engine that was cut off or restarted has
    /// time to come back.
    pub window: Duration,
}

impl Default for Damping {
    fn default() -> Self {
        Self { percent: 25, window: Duration::from_secs(60) }
    }
}

impl Damping {
    /// Every death is believed.
    pub const OFF: Self = Self { percent: 100, window: Duration::ZERO };

    fn window(&self) -> Duration {
        self.window.min(REMEMBERED)
    }
}

/// What the present window has room for.
struct Window {
    /// Exclusions in it.
    excluded: usize,
    /// Their hosts.
    hosts: BTreeSet<ControlAddress>,
    /// Exclusions that it may hold.
    limit: usize,
    /// Members that were joined when it began.
    joined: usize,
    oldest: Option<Timestamp>,
}

impl Window {
    fn of(system: &System, at: Timestamp, damping: &Damping) -> Self {
        let recent: Vec<_> = system.deaths().recent(at, damping.window()).collect();
        let joined = system.count_in_state(MemberState::Joined) + recent.len();
        let share = joined.saturating_mul(usize::from(damping.percent.min(100))) / 100;
        Self {
            excluded: recent.len(),
            hosts: recent.iter().map(|(_, host)| *host).collect(),
            limit: share.max(1),
            joined,
            oldest: recent.iter().map(|(when, _)| *when).min(),
        }
    }

    /// Whether one more death fits: there is room, or all of them are engines of one host.
    fn fits(&self, host: ControlAddress) -> bool {
        self.excluded < self.limit || self.hosts.iter().all(|other| *other == host)
    }

    fn take(&mut self, host: ControlAddress) {
        self.excluded += 1;
        self.hosts.insert(host);
    }
}

/// Why this death cannot be believed yet; `None` when it can.
#[must_use]
pub fn held_because(
    system: &System,
    member: &Member,
    at: Timestamp,
    damping: &Damping,
) -> Option<String> {
    let window = Window::of(system, at, damping);
    (!window.fits(member.address)).then(|| {
        format!(
            "found dead, but {} of {} joined members were excluded within {} s; waits to see whether it comes back",
            window.excluded,
            window.joined,
            damping.window().as_secs(),
        )
    })
}

/// What has become of held deaths: those that waited for a whole window are excluded, oldest first and as many as
/// have room; those that mean an earlier start than the one that joined are dropped.
#[must_use]
pub fn look_again(system: &System, at: Timestamp, damping: &Damping) -> Vec<Change> {
    let mut window = Window::of(system, at, damping);
    let mut waiting: Vec<_> = system.deaths().held().iter().collect();
    waiting.sort_by_key(|(rank, held)| (held.since, **rank));
    let (mut updates, mut gone) = (Vec::new(), RankSet::new());
    for (rank, held) in waiting {
        let Some(member) = system.member(*rank).filter(|member| still_meant(member, held)) else {
            gone.insert(*rank);
            continue;
        };
        if waited(held, at, damping) && window.fits(member.address) {
            window.take(member.address);
            let silent = age(held.since, at).as_secs();
            let news = format!("found dead, and silent for {silent} s since");
            let info = and_then(&member.info, &news);
            updates.push(StateUpdate { rank: *rank, state: MemberState::Excluded, info });
        }
    }
    let mut changes = Vec::new();
    if !updates.is_empty() {
        changes.push(Change::UpdateStates { updates });
    }
    if !gone.is_empty() {
        let reason = "it is not the engine that was found dead any more".to_owned();
        changes.push(Change::DropDeaths { ranks: gone, reason });
    }
    changes
}

/// How long until [`look_again`] may have something to say; `None` when no death is held. Never longer than a window.
#[must_use]
pub fn next_look(system: &System, at: Timestamp, damping: &Damping) -> Option<Duration> {
    let held = system.deaths().held().values();
    let first = held.map(|held| left(held.since, at, damping)).min()?;
    let window = Window::of(system, at, damping);
    let room = match window.oldest.filter(|_| window.excluded >= window.limit) {
        Some(oldest) => left(oldest, at, damping),
        None => Duration::ZERO,
    };
    Some(first.max(room))
}

/// The change that takes back a held death, when there is one.
#[must_use]
pub fn drop_held(system: &System, report: DeathReport, reason: &str) -> Option<Change> {
    let held = system.deaths().held().get(&report.rank)?;
    // News of an earlier start says nothing about the one that was found dead.
    if report.incarnation.is_some_and(|alive| Some(alive) < held.incarnation) {
        return None;
    }
    let ranks = RankSet::from_iter([report.rank]);
    Some(Change::DropDeaths { ranks, reason: reason.to_owned() })
}

fn still_meant(member: &Member, held: &HeldDeath) -> bool {
    let same = held.incarnation.is_none_or(|incarnation| incarnation >= member.incarnation);
    same && member.state.may_become(MemberState::Excluded)
}

fn waited(held: &HeldDeath, at: Timestamp, damping: &Damping) -> bool {
    left(held.since, at, damping).is_zero()
}

/// What is left of a window that began then. The clocks of two leaders differ: a beginning a little in the future
/// counts as now, one far in the future is not waited for.
fn left(since: Timestamp, at: Timestamp, damping: &Damping) -> Duration {
    match age(at, since) < damping.window() {
        true => damping.window().saturating_sub(age(since, at)),
        false => Duration::ZERO,
    }
}
