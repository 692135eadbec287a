//! What is done to a system under load. Each scenario takes things away, looks whether the system goes on as it should, and
//! leaves the giving back to its end; the run checks health and history after it.

mod cuts;
mod disk;
mod hosts;
mod leader;
mod pause;
mod quiet;
mod restart;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use daos_benches::history::Moment;
use daos_benches::history::register::{Action, Operation};
use rand::rngs::StdRng;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::clients::Ended;
use crate::cluster::Cluster;

/// What can be done to a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Nothing is taken away: nobody is elected
    Quiet,
    /// kill -9 of the leader, nine times; how long until a write is accepted again
    LeaderKill,
    /// Links cut in every asymmetric form, and healed
    Cuts,
    /// A server stopped for longer than an election takes, and continued
    Pause,
    /// The disk of one replica is full
    FullDisk,
    /// One server after the other is stopped in order and started
    RollingRestart,
    /// All servers killed and started at once
    RestartAll,
    /// A host that is no replica is lost: its engines are seen to be dead
    EngineHostLost,
}

/// What a scenario plays with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The system.
    pub system: &'a mut Cluster,
    /// Every choice comes from here.
    pub dice: StdRng,
    /// How long it should go on at least.
    pub seconds: u64,
    /// What it measured.
    pub figures: Map<String, Value>,
}

/// Prints the scenarios.
pub fn list() {
    for scenario in Scenario::value_variants() {
        let value = scenario.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help()).map(ToString::to_string);
        println!("{:<18} {}", scenario.name(), help.unwrap_or_default());
    }
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Plays it.
    pub async fn play(self, stage: &mut Stage<'_>) -> Result<()> {
        match self {
            Self::Quiet => quiet::play(stage).await,
            Self::LeaderKill => leader::play(stage).await,
            Self::Cuts => cuts::play(stage).await,
            Self::Pause => pause::play(stage).await,
            Self::FullDisk => disk::play(stage).await,
            Self::RollingRestart => restart::rolling(stage).await,
            Self::RestartAll => restart::all(stage).await,
            Self::EngineHostLost => hosts::play(stage).await,
        }
    }
}

/// Pause between two tries of a probe that measures.
const PROBE: Duration = Duration::from_millis(10);

impl Stage<'_> {
    /// Notes what happens now.
    pub fn note(&self, what: impl Into<String>) {
        self.system.timeline.note(what);
    }

    /// When the scenario may end.
    pub fn end(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.seconds)
    }

    /// The leader, once all replicas agree.
    pub async fn leader(&mut self) -> Result<usize> {
        let limit = crate::cluster::PATIENCE;
        self.system
            .until("one leader", limit, async |system| Ok(system.agreed_leader().await))
            .await
    }

    /// Waits until one of these hosts accepts a write. How long that took.
    ///
    /// # Errors
    /// When none does within `limit`.
    pub async fn first_write(&mut self, hosts: &[usize], limit: Duration) -> Result<Duration> {
        let began = Instant::now();
        let probes = hosts.iter().map(|host| Box::pin(probe(self.system, *host)));
        let first = futures_first(probes.collect());
        tokio::time::timeout(limit, first)
            .await
            .with_context(|| format!("no write was accepted within {limit:?}"))?;
        Ok(began.elapsed())
    }
}

/// Writes to one host again and again until it accepts one; every try is in the record.
async fn probe(system: &Cluster, host: usize) {
    const KEY: &str = "probe";
    loop {
        let invoked = system.timeline.now();
        let Moment(value) = invoked;
        // Two hosts may be asked in the same microsecond.
        let value = value * 10 + host as u64;
        match system.clients.write(host, KEY, value).await {
            Ended::Answered(()) => {
                let returned = system.timeline.now();
                let write = Operation::acknowledged(Action::Write(value), invoked, returned);
                system.recorder.operation(KEY, write);
                return;
            }
            Ended::Unknown(_) => {
                system.recorder.operation(KEY, Operation::unknown(value, invoked));
            }
            Ended::Refused { .. } => system.recorder.refused(),
        }
        sleep(PROBE).await;
    }
}

/// Completes with the first of them.
async fn futures_first<F: Future<Output = ()> + Unpin>(mut all: Vec<F>) {
    std::future::poll_fn(|context| {
        let ready = all.iter_mut().any(|one| std::pin::Pin::new(one).poll(context).is_ready());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
