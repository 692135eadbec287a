//! How fast engines join, how much memory and processor time that takes, how long a query of all members takes, and
//! how long a system is without a leader: measured on release programs, real processes, loopback gRPC and a disk.
//!
//! Run: `cargo run --release -p daos-benches --bin join -- --members 10000 --connections 16`, see `benches/README.md`.
//! Prints one JSON object for each measurement to standard output, a table to standard error. Removes what it made,
//! also after Ctrl-C or a failure.

mod arguments;
mod cluster;
mod disk;
mod engine_log;
mod joining;
mod leader_loss;
mod process;
mod query;
mod report;
mod rounds;
mod storm;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use arguments::{Arguments, Measure};
use report::Report;

const PROGRAMS: [&str; 3] = ["daos_server", "dmg", "daos_io_server"];

// One thread: this program shares the cores with what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let programs = match &arguments.programs {
        Some(directory) => directory.canonicalize().context("--programs")?,
        None => build()?,
    };
    let mut report = Report::default();
    let measured = unless_interrupted(measure(&arguments, &programs, &mut report)).await;
    // What was measured before a failure counts all the same.
    report.table();
    measured
}

async fn measure(arguments: &Arguments, programs: &Path, report: &mut Report) -> Result<()> {
    match arguments.measure {
        Measure::Joins => rounds::joins(arguments, programs, report).await,
        Measure::LeaderLoss => leader_loss::rounds(arguments, programs, report).await,
    }
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
    for program in PROGRAMS {
        let mut one = Command::new(&cargo);
        one.args(["build", "--release", "--quiet", "-p", program]);
        ensure!(one.status()?.success(), "cargo build -p {program} failed");
    }
    Ok(programs)
}
