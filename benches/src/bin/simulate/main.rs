//! Runs one seed of the simulation, or a set of them, each in a process of its own. See `benches/README.md`.

use std::time::Duration;

use clap::Parser;
use daos_benches::simulation::{Options, simulate};

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    seed: u64,
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    #[arg(long, default_value_t = 12)]
    ranks: u32,
    #[arg(long, default_value_t = 30)]
    virtual_time: u64,
    #[arg(long)]
    trace: bool,
}

fn main() -> anyhow::Result<()> {
    let a = Arguments::parse();
    let options = Options {
        seed: a.seed,
        replicas: a.replicas,
        ranks: a.ranks,
        faults: Duration::from_secs(a.virtual_time),
        heal: Duration::from_secs(120),
        trace: a.trace,
    };
    let outcome = simulate(options)?;
    println!("{outcome}");
    for rule in &outcome.broken {
        println!("BROKEN {rule}");
    }
    anyhow::ensure!(outcome.broken.is_empty(), "a rule is broken");
    Ok(())
}
