//! A server is stopped (SIGSTOP) for longer than an election takes: a leader that wakes up after its time must not go on as if
//! nothing had happened, and a follower that wakes up must not disturb.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::Rng as _;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Stage;

/// Longer than any election.
const PAUSE: Duration = Duration::from_secs(4);
const GOES_ON: Duration = Duration::from_secs(15);

/// The leader and a follower in turn, until the time is over.
pub async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let end = stage.end();
    let (mut pauses, mut worst) = (0, Duration::ZERO);
    loop {
        worst = worst.max(leader(stage).await?);
        pauses += 1;
        if stage.system.replicas > 1 {
            follower(stage).await?;
            pauses += 1;
        }
        if Instant::now() >= end {
            break;
        }
    }
    stage.figures.insert("pauses".to_owned(), json!(pauses));
    stage.figures.insert("pause_to_write_worst_ms".to_owned(), json!(worst.as_millis() as u64));
    Ok(())
}

async fn leader(stage: &mut Stage<'_>) -> Result<Duration> {
    let leader = stage.leader().await?;
    let paused = Instant::now();
    stop(stage, leader)?;
    let others: Vec<_> = (0..stage.system.replicas).filter(|host| *host != leader).collect();
    let took = if others.is_empty() {
        Ok(Duration::ZERO)
    } else {
        stage.first_write(&others, GOES_ON).await
    };
    sleep(PAUSE.saturating_sub(paused.elapsed())).await;
    go_on(stage, leader)?;
    let next = stage.leader().await?;
    if let Ok(took) = &took {
        stage.note(format!(
            "{} leads; a write was accepted {} ms after the stop",
            stage.system.hosts[next].name(),
            took.as_millis()
        ));
    }
    took
}

/// The leader stays while a follower sleeps and after it wakes.
async fn follower(stage: &mut Stage<'_>) -> Result<()> {
    let leader = stage.leader().await?;
    let follower =
        (leader + stage.dice.random_range(1..stage.system.replicas)) % stage.system.replicas;
    stop(stage, follower)?;
    sleep(PAUSE).await;
    go_on(stage, follower)?;
    let next = stage.leader().await?;
    ensure!(
        next == leader,
        "{} leads instead of {} because a follower slept",
        stage.system.hosts[next].name(),
        stage.system.hosts[leader].name()
    );
    Ok(())
}

fn stop(stage: &Stage<'_>, host: usize) -> Result<()> {
    stage.note(format!("SIGSTOP for {}", stage.system.hosts[host].name()));
    stage.system.hosts[host].signal(Signal::STOP)
}

fn go_on(stage: &Stage<'_>, host: usize) -> Result<()> {
    stage.note(format!("SIGCONT for {}", stage.system.hosts[host].name()));
    stage.system.hosts[host].signal(Signal::CONT)
}
