//! Runs one seed of the simulation, or a set of seeds. How to read what it says: `benches/README.md`.

mod set;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use daos_benches::simulation::{Options, Sabotage, simulate};

/// Simulates a whole system under faults. A seed that is run twice does the same twice.
#[derive(Debug, Parser)]
struct Arguments {
    /// Run this seed.
    #[arg(long, conflicts_with_all = ["seeds", "regressions"])]
    seed: Option<u64>,
    /// Run these seeds: the first, two dots, and the one after the last.
    #[arg(long, value_name = "FROM..TO")]
    seeds: Option<String>,
    /// Run the seeds that once showed a defect.
    #[arg(long)]
    regressions: bool,
    /// Begin no further seed of a set after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    budget: Option<Duration>,
    /// Fail when fewer seeds of a set than this could be run.
    #[arg(long, default_value_t = 1)]
    at_least: usize,
    /// Replicas of the management service; by default the seed says how many.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=7))]
    replicas: Option<u8>,
    /// Ranks; by default the seed says how many.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    ranks: Option<u32>,
    /// How long there are faults, in simulated seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    virtual_time: Option<Duration>,
    /// Print everything that happens.
    #[arg(long)]
    trace: bool,
    /// Break something on purpose, to see that it is found.
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
}

/// Seconds, with or without their unit.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    number.parse().map(Duration::from_secs).map_err(|error| error.to_string())
}

impl Arguments {
    fn options(&self, seed: u64) -> Options {
        let usual = Options::of_seed(seed);
        Options {
            replicas: self.replicas.map_or(usual.replicas, usize::from),
            ranks: self.ranks.unwrap_or(usual.ranks),
            faults: self.virtual_time.unwrap_or(usual.faults),
            trace: self.trace,
            sabotage: self.sabotage,
            ..usual
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(seed) = arguments.seed {
        return one(arguments.options(seed));
    }
    let runs = match (&arguments.seeds, arguments.regressions) {
        (Some(range), _) => {
            let (from, to) = range.split_once("..").context("seeds are given as FROM..TO")?;
            let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
            (from..to).map(|seed| arguments.options(seed)).collect()
        }
        (None, true) => Options::regressions(),
        (None, false) => anyhow::bail!("say --seed, --seeds or --regressions"),
    };
    set::run(&runs, arguments.budget, arguments.at_least)
}

fn one(options: Options) -> anyhow::Result<()> {
    let outcome = simulate(options)?;
    println!("{outcome}");
    for rule in &outcome.broken {
        println!("seed {} broken: {rule}", outcome.seed);
    }
    ensure!(outcome.broken.is_empty(), "seed {} broke a rule", outcome.seed);
    Ok(())
}
