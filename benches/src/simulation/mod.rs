//! Deterministic simulation: the real membership, replication, join and engine code of many hosts in one thread, on
//! simulated network, clocks and disks, with faults from a seed.
//!
//! `world` moves time and breaks things, `host` is one host with its own runtime, `server` what runs on it (`replica`,
//! `deeds`, `fabric`, `gossip`, `peers`), `clients` the administrators. `record`, `log` and `writes` hold the rules.
//! One process runs one seed: some of tokio's randomness counts the runtimes of the process.

mod clients;
mod clock;
mod deeds;
mod dice;
mod disk;
mod fabric;
mod gossip;
mod host;
mod log;
mod message;
mod network;
mod options;
mod peers;
mod plan;
mod reconcile;
mod record;
mod replica;
mod server;
mod setting;
mod sys;
mod trace;
mod world;
mod writes;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use self::options::{Options, Sabotage};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Stands for everything that happened: equal for equal runs.
    pub hash: u64,
    /// Lines of the trace.
    pub lines: u64,
    /// Rules that were broken; the run is good when there are none.
    pub broken: Vec<String>,
    /// How long it took until all was whole.
    pub healed_in: Duration,
    /// Committed log entries.
    pub entries: usize,
    /// Terms that had a leader.
    pub terms: usize,
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, hash, lines, entries, terms, .. } = self;
        let healed = self.healed_in.as_secs_f64();
        write!(
            f,
            "seed {seed}: trace {hash:016x} of {lines} lines, {entries} entries, {terms} terms led, "
        )?;
        write!(f, "whole after {healed:.1} s;")?;
        self.counts.iter().try_for_each(|(what, count)| write!(f, " {what} {count},"))
    }
}

/// Runs one seed, on a thread of its own.
///
/// # Errors
/// When the simulation itself cannot run. Rules that are broken are part of the outcome.
pub fn simulate(options: Options) -> anyhow::Result<Outcome> {
    let run = move || {
        sys::seed_this_thread(options.seed);
        world::World::new(options).run()
    };
    let thread = std::thread::Builder::new().name("simulation".to_owned()).spawn(run)?;
    thread.join().map_err(|_| anyhow::anyhow!("the simulation broke off"))?
}
