//! The whole of one host in a minute: start, plan, format, join, query, scan, stop, start again, end.
//!
//! Run: `cargo run -p daos-examples --bin try_it`
//!
//! Runs the real programs as a user would and prints what they print. Works without root: with the right to mount
//! (tried by the server, never guessed) the storage is a tmpfs of its own, otherwise a directory on one. Leaves
//! nothing behind, also after Ctrl-C.

mod programs;
mod stage;

use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use stage::Stage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match tour().await {
        Ok(Ended::Finished) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => {
            println!("\nInterrupted; everything was cleaned up.");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("\ntry_it: {error:#}");
            ExitCode::FAILURE
        }
    }
}

enum Ended {
    Finished,
    Interrupted,
}

async fn tour() -> Result<Ended> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut stage = tokio::select! {
        built = programs::build() => Stage::set(&built.context("building the programs")?)?,
        _ = interrupted.recv() => return Ok(Ended::Interrupted),
        _ = terminated.recv() => return Ok(Ended::Interrupted),
    };
    let outcome = tokio::select! {
        outcome = play(&mut stage) => outcome.map(|()| Ended::Finished),
        _ = interrupted.recv() => Ok(Ended::Interrupted),
        _ = terminated.recv() => Ok(Ended::Interrupted),
    };
    let log = outcome.is_err().then(|| stage.server_log());
    let cleared = stage.clear().await;
    if let Some(log) = log {
        eprintln!("\nThe server's last lines:\n{log}");
    }
    let ended = outcome?;
    cleared.context("cleaning up")?;
    Ok(ended)
}

async fn play(stage: &mut Stage) -> Result<()> {
    tell(
        "A server starts with two engines. RAM stands in for persistent memory and files for NVMe; nothing is formatted yet.",
    );
    stage.start_server().await?;
    stage.dmg(&["system", "query"]).await?;

    tell("What would a format do? A dry run shows the plan and changes nothing.");
    stage.dmg(&["storage", "format", "--dry-run"]).await?;

    tell(
        "Format. The devices are blank, so nothing has to be confirmed; the engines start by themselves.",
    );
    stage.dmg(&["storage", "format"]).await?;
    stage.wait_for_ranks().await?;
    let first = stage.dmg(&["system", "query", "--verbose"]).await?;

    tell(
        "What storage does the host have? RAM shows as namespaces; files in place of NVMe are no controllers.",
    );
    stage.dmg(&["storage", "scan"]).await?;

    tell("Stop the ranks, and start them again: they come back with the same ranks.");
    stage.dmg(&["system", "stop"]).await?;
    stage.dmg(&["system", "query"]).await?;
    stage.dmg(&["system", "start"]).await?;
    stage.wait_for_ranks().await?;
    let second = stage.dmg(&["system", "query", "--verbose"]).await?;
    stage::same_ranks(&first, &second)?;

    tell("A second format is refused: the data is safe.");
    stage.dmg_refused(&["storage", "format"]).await?;

    tell("The end: the server stops its engines and goes.");
    stage.stop_server().await
}

fn tell(text: &str) {
    println!("\n# {text}");
}
