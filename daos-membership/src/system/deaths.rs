//! What the system remembers of deaths: recent exclusions, and reports that wait ([`crate::decide::damping`]).
//!
//! Replicated, so that a new leader goes on where the old one was. Changed by `apply` only.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::System;
use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::command::DeathReport;
use crate::error::ChangeRefused;
use crate::rank::{Incarnation, Rank};

/// Exclusions are remembered this long: the longest window there can be.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3600);

/// Exclusions that are remembered at most; a system where more members die within an hour has other sorrows.
const MOST_REMEMBERED: usize = 65_536;

/// Deaths of members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deaths {
    /// Members that were excluded because they were found dead, oldest first: when, and on which host.
    #[serde(default)]
    recent: VecDeque<(Timestamp, ControlAddress)>,
    /// Reports that wait.
    #[serde(default)]
    held: BTreeMap<Rank, HeldDeath>,
}

/// A member that was found dead and is not excluded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldDeath {
    /// Which start of it is meant; `None` when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// When the first report came.
    pub since: Timestamp,
}

impl Deaths {
    /// When and where members were excluded within the window that ends at `at`. Times a little after `at` count, since
    /// the clocks of two leaders differ.
    pub fn recent(
        &self,
        at: Timestamp,
        window: Duration,
    ) -> impl Iterator<Item = (Timestamp, ControlAddress)> + '_ {
        let within = move |when| age(when, at) < window && age(at, when) < window;
        self.recent.iter().copied().filter(move |(when, _)| within(*when))
    }

    /// Reports that wait, by rank.
    #[must_use]
    pub fn held(&self) -> &BTreeMap<Rank, HeldDeath> {
        &self.held
    }

    pub(super) fn excluded(&mut self, rank: Rank, host: ControlAddress, at: Timestamp) {
        self.held.remove(&rank);
        while self.recent.len() >= MOST_REMEMBERED
            || self.recent.front().is_some_and(|(when, _)| age(*when, at) >= REMEMBERED)
        {
            self.recent.pop_front();
        }
        self.recent.push_back((at, host));
    }

    pub(super) fn forget(&mut self, rank: Rank) {
        self.held.remove(&rank);
    }

    fn hold(&mut self, report: DeathReport, at: Timestamp) {
        let new = HeldDeath { incarnation: report.incarnation, since: at };
        let held = self.held.entry(report.rank).or_insert(new);
        held.incarnation = held.incarnation.max(report.incarnation);
    }
}

/// Time from `when` to `at`; none when the clock went back.
pub(crate) fn age(when: Timestamp, at: Timestamp) -> Duration {
    Duration::from_nanos(at.0.saturating_sub(when.0))
}

impl System {
    /// What is remembered of deaths.
    #[must_use]
    pub fn deaths(&self) -> &Deaths {
        &self.deaths
    }

    pub(super) fn hold_deaths(
        &mut self,
        deaths: &[DeathReport],
        at: Timestamp,
    ) -> Result<(), ChangeRefused> {
        let stranger = deaths.iter().find(|report| self.member(report.rank).is_none());
        if let Some(DeathReport { rank, .. }) = stranger {
            return Err(ChangeRefused::NoSuchRank { rank: *rank });
        }
        for report in deaths {
            self.deaths.hold(*report, at);
        }
        Ok(())
    }
}
