//! A run inside its namespaces: one system, one scenario after the other, a verdict after each.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use daos_benches::history::register::{Action, Operation};
use daos_control::testing::programs_beside;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::Run;
use crate::clients::{Ended, PROPERTY};
use crate::cluster::Cluster;
use crate::host::last_lines;
use crate::isolation;
use crate::load::{Load, Numbers};
use crate::scenario::{Scenario, Stage};

/// What an interrupted program answers.
const INTERRUPTED: u8 = 130;

/// The whole run. Fails when a scenario does.
pub async fn inside(directory: &Path, arguments: &Run) -> Result<ExitCode> {
    isolation::settle()?;
    let told_to_end = isolation::told_to_end();
    let seed = arguments.seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
    let programs = programs_beside(&std::env::current_exe()?)?;
    let mut system =
        Cluster::make(directory, &programs, arguments.replicas, arguments.insecure).await?;
    system.timeline.note(format!(
        "seed {seed}, {} replicas, {}, logs in {}",
        arguments.replicas,
        if arguments.insecure { "insecure" } else { "certificates" },
        directory.display()
    ));
    let ended = tokio::select! {
        ended = all(&mut system, arguments, seed) => ended,
        _ = told_to_end => {
            eprintln!("# interrupted; everything goes");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    if let Err(error) = &ended {
        report(&system, directory, seed, error);
    }
    ended.map(|()| ExitCode::SUCCESS)
}

async fn all(system: &mut Cluster, arguments: &Run, seed: u64) -> Result<()> {
    system.form().await.context("forming the system")?;
    let mut property = 0;
    let numbers = Numbers::default();
    for (number, scenario) in arguments.scenarios().into_iter().enumerate() {
        let seed = seed.wrapping_add(1000 * number as u64);
        let label = format!("{}{number}", scenario.name());
        system.timeline.note(format!("== {}", scenario.name()));
        let load = Load::begin(system, &label, &numbers, property, seed);
        property = one(system, scenario, arguments.seconds, load, seed)
            .await
            .with_context(|| format!("scenario {}", scenario.name()))?;
    }
    system.end().await
}

/// One scenario to its verdict. What the property holds at its end.
async fn one(
    system: &mut Cluster,
    scenario: Scenario,
    seconds: u64,
    load: Load,
    seed: u64,
) -> Result<u64> {
    let began = system.timeline.now();
    let mut stage =
        Stage { system, dice: StdRng::seed_from_u64(seed), seconds, figures: Map::new() };
    let played = scenario.play(&mut stage).await;
    let figures = stage.figures;
    let keys = load.keys().to_vec();
    // What clients were told counts, also when the scenario itself did not go as it should.
    let mended = system.mend().await;
    load.end().await;
    played?;
    mended?;
    system.healthy().await.context("after the scenario")?;
    let property = last_reads(system, &keys).await?;
    let wrong = system.recorder.verdict();
    ensure!(wrong.is_empty(), "the history is wrong:\n{}", wrong.join("\n"));
    tell(system, scenario, began.0, figures);
    system.recorder.next_scenario();
    Ok(property)
}

/// Reads every key from the leader, after a write that shows that it leads: nothing acknowledged may be missing.
async fn last_reads(system: &mut Cluster, keys: &[String]) -> Result<u64> {
    system.leaders_view().await?;
    let leader = system.agreed_leader().await.map_err(anyhow::Error::msg)?;
    let mut property = 0;
    for key in keys {
        let invoked = system.timeline.now();
        let value = match system.clients.read(leader, key).await {
            Ended::Answered(value) => value,
            ended => anyhow::bail!("the leader does not show {key}: {ended:?}"),
        };
        let returned = system.timeline.now();
        let read = Operation::acknowledged(Action::Read(value), invoked, returned);
        system.recorder.operation(key, read);
        if key == PROPERTY {
            property = value.unwrap_or(0);
        }
    }
    Ok(property)
}

fn tell(system: &Cluster, scenario: Scenario, began: u64, figures: Map<String, Value>) {
    let counts = system.recorder.counts();
    let took = (system.timeline.now().0 - began) as f64 / 1e6;
    let mut line = json!({
        "scenario": scenario.name(),
        "ok": true,
        "seconds": (took * 10.0).round() / 10.0,
        "writes": counts.writes,
        "writes_refused": counts.refused,
        "writes_unknown": counts.unknown,
        "reads": counts.reads,
        "joins_so_far": counts.joins,
        "joins_unknown": counts.joins_unknown,
    });
    if let Some(line) = line.as_object_mut() {
        line.extend(figures);
    }
    println!("{line}");
}

/// Everything somebody needs who looks into a failure.
fn report(system: &Cluster, directory: &Path, seed: u64, error: &anyhow::Error) {
    let timeline = format!("{}\n{error:#}\n", system.timeline.so_far());
    let written = fs::write(directory.join("timeline.txt"), &timeline)
        .and_then(|()| fs::write(directory.join("history.txt"), system.recorder.listed()));
    eprintln!("\n# FAILED, seed {seed}: {error:#}\n\n# what happened:\n{timeline}");
    for host in &system.hosts {
        let log = host.log().unwrap_or_default();
        eprintln!("# the last lines of {}:\n{}", host.name(), last_lines(&log, 8));
    }
    if let Err(error) = written {
        eprintln!("# the timeline could not be written: {error}");
    }
}
