//! What is simulated, and how a seed says it where nobody else does.

use std::fmt;
use std::time::Duration;

use super::setting::SPARE_REPLICAS;

/// Seeds that once showed a defect, with what is needed to run them again.
const REGRESSIONS: &str = include_str!("regressions.txt");

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// From which everything follows.
    pub seed: u64,
    /// Replicas of the management service: 1, 3, 5 or 7.
    pub replicas: usize,
    /// Ranks at least; all hosts have equally many engines.
    pub ranks: u32,
    /// How long there are faults, in the time of the simulation.
    pub faults: Duration,
    /// Within which time everything must be whole again afterwards.
    pub heal: Duration,
    /// Print every line of the trace.
    pub trace: bool,
    /// What is wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

/// Defects that no real part has, to show that the rules would find one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// Disks say that a write is durable before it is.
    LyingDisks,
    /// The network turns every refused vote into a granted one.
    GenerousVotes,
    /// Every replica answers reads, whether or not it leads.
    StaleReads,
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LyingDisks => "lying-disks",
            Self::GenerousVotes => "generous-votes",
            Self::StaleReads => "stale-reads",
        })
    }
}

impl Options {
    /// What this seed is run with when nobody says otherwise: mostly small systems, now and then a large one.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let replicas = [3, 3, 5, 3, 7, 3, 5, 1];
        let ranks = match seed % 32 {
            15 => 512,
            31 => 2048,
            small => 12 + (small * 7 % 29) as u32,
        };
        Self {
            seed,
            replicas: replicas[(seed / 2 % 8) as usize],
            ranks,
            faults: Duration::from_secs(if ranks > 100 { 15 } else { 30 }),
            heal: Duration::from_secs(180),
            trace: false,
            sabotage: None,
        }
    }

    /// The runs that once showed a defect: one a line, seed, replicas, ranks and seconds of faults.
    #[must_use]
    pub fn regressions() -> Vec<Self> {
        let lines = REGRESSIONS.lines().filter(|line| !line.starts_with('#'));
        let numbers = lines.map(|line| line.split_whitespace().map_while(|word| word.parse().ok()));
        let run = |numbers: Vec<u64>| match numbers.as_slice() {
            [seed, replicas, ranks, faults, ..] => Some(Self {
                replicas: usize::try_from(*replicas).ok()?,
                ranks: u32::try_from(*ranks).ok()?,
                faults: Duration::from_secs(*faults),
                ..Self::of_seed(*seed)
            }),
            _ => None,
        };
        numbers.filter_map(|numbers| run(numbers.collect())).collect()
    }

    /// Hosts, and engines of each.
    #[must_use]
    pub fn layout(&self) -> (usize, u32) {
        let least = self.replicas + SPARE_REPLICAS;
        let hosts = (self.ranks as usize / 3).clamp(least, 32.max(least));
        (hosts, self.ranks.div_ceil(hosts as u32))
    }

    /// How long nothing is broken in the beginning. Half of all runs have faults from the start.
    #[must_use]
    pub(super) fn quiet_start(&self) -> Duration {
        if self.seed.is_multiple_of(2) { Duration::from_secs(5) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, REGRESSIONS};

    #[test]
    fn every_line_of_the_regressions_is_a_run() {
        let lines = REGRESSIONS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        assert_eq!(Options::regressions().len(), lines.count());
    }

    #[test]
    fn a_set_has_every_size() {
        let set: Vec<Options> = (0..32).map(Options::of_seed).collect();
        for replicas in [1, 3, 5, 7] {
            assert!(set.iter().any(|run| run.replicas == replicas));
        }
        assert!(set.iter().any(|run| run.ranks == 2048) && set.iter().any(|run| run.ranks < 20));
        assert!(
            set.iter().all(|run| run.layout().0 * run.layout().1 as usize >= run.ranks as usize)
        );
    }
}
