//! Five hosts of one system in network namespaces: takes leaders, links, disks and hosts away under load, gives them back, and
//! checks that nothing acknowledged was lost.
//!
//! Run as root: `cargo run -p daos-benches --bin cluster -- run --scenario leader-kill --seed 7 --seconds 20`
//!
//! Everything happens in a mount, network and process namespace of its own, which the kernel takes down with this program. The
//! machine's own interfaces, mounts and processes cannot even be seen from within.

mod clean;
mod clients;
mod cluster;
mod cuts;
mod host;
mod isolation;
mod load;
mod network;
mod recorder;
mod run;
mod scenario;
mod security;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum as _};

use scenario::Scenario;

/// Five hosts in network namespaces that lose leaders, links, disks and hosts, and what their clients were told
#[derive(Debug, Parser)]
#[command(name = "cluster")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one scenario, or all
    Run(Run),
    /// Remove the directories of runs that failed or were killed
    Clean,
    /// List the scenarios
    List,
    /// What `run` starts in the namespaces of its own
    #[command(hide = true)]
    Inside(Inside),
}

/// What to run.
#[derive(Debug, Clone, Args)]
struct Run {
    /// The scenario
    #[arg(long, value_enum, required_unless_present = "all", conflicts_with = "all")]
    scenario: Option<Scenario>,
    /// All of them, one after the other on the same system
    #[arg(long)]
    all: bool,
    /// Decides every choice that is made at random; a new one when not given
    #[arg(long)]
    seed: Option<u64>,
    /// How long each scenario goes on at least
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Replicas of the management service: 1, 3 or 5
    #[arg(long, default_value_t = 3, value_parser = odd)]
    replicas: usize,
    /// Work without certificates
    #[arg(long)]
    insecure: bool,
    /// Keep the directory with all logs also when nothing failed
    #[arg(long)]
    keep: bool,
}

/// A run with its directory.
#[derive(Debug, Args)]
struct Inside {
    directory: PathBuf,
    #[command(flatten)]
    run: Run,
}

fn odd(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ (1 | 3 | 5)) => Ok(number),
        _ => Err("1, 3 or 5".to_owned()),
    }
}

impl Run {
    fn scenarios(&self) -> Vec<Scenario> {
        match self.scenario {
            Some(one) => vec![one],
            None => Scenario::value_variants().to_vec(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => isolation::run(arguments.keep).await,
        Command::Inside(Inside { directory, run }) => run::inside(&directory, &run).await,
        Command::Clean => clean::clean().map(|()| ExitCode::SUCCESS),
        Command::List => {
            scenario::list();
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("cluster: {error:#}");
        ExitCode::FAILURE
    })
}
