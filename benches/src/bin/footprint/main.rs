//! How long the main steps take and how much memory the programs need: medians over runs of release binaries.
//!
//! Run: `cargo run --release -p daos-benches --bin footprint -- [RUNS] [DIRECTORY]`, see `benches/README.md`. Builds the
//! programs one by one, or takes those in DIRECTORY, and prints one JSON object. Removes what it made, also after
//! Ctrl-C or a failure.

mod run;
mod samples;
mod sys;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use run::Bench;
use samples::Samples;

const LEAST_RUNS: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let runs = match arguments.next() {
        Some(text) => {
            text.to_str().and_then(|text| text.parse().ok()).context("RUNS is a number")?
        }
        None => LEAST_RUNS,
    };
    ensure!(runs >= LEAST_RUNS, "a median needs at least {LEAST_RUNS} runs");
    let programs = match arguments.next() {
        Some(directory) => PathBuf::from(directory).canonicalize().context("DIRECTORY")?,
        None => build()?,
    };
    let bench = Bench { programs };
    let mut samples = Samples::default();
    for run in 1..=runs {
        eprintln!("run {run} of {runs}");
        unless_interrupted(bench.run(&mut samples)).await?;
    }
    let report = samples.report(runs, bench.sizes()?)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// A run that is given up is dropped, and with it what it started and made.
async fn unless_interrupted(run: impl Future<Output = Result<()>>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = run => ended,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

fn build() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let programs = own.parent().context("this program lies in no directory")?.to_owned();
    ensure!(programs.ends_with("release"), "run this with --release: other binaries mean nothing");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // One at a time: built together they would share features, and dmg would carry the server's.
    for program in run::PROGRAMS {
        let mut one = Command::new(&cargo);
        one.args(["build", "--release", "--quiet", "-p", program]);
        ensure!(one.status()?.success(), "cargo build -p {program} failed");
    }
    Ok(programs)
}
