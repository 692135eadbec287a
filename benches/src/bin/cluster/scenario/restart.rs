//! Servers that end and start again: one after the other in good order, or all at once by force.

use std::time::Duration;

use anyhow::Result;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Stage;
use crate::cluster::HOSTS;

/// Whole rounds over all hosts, in an order by chance, until the time is over.
pub async fn rolling(stage: &mut Stage<'_>) -> Result<()> {
    let end = stage.end();
    let mut restarts = 0;
    loop {
        let mut order: Vec<_> = (0..HOSTS).collect();
        order.shuffle(&mut stage.dice);
        for host in order {
            stage.note(format!("restart of {}", stage.system.hosts[host].name()));
            stage.system.hosts[host].stop().await?;
            stage.system.start(host)?;
            stage.system.healthy().await?;
            restarts += 1;
        }
        if Instant::now() >= end {
            break;
        }
    }
    stage.figures.insert("restarts".to_owned(), json!(restarts));
    Ok(())
}

/// kill -9 of all, an instant apart; all start again, an instant apart.
pub async fn all(stage: &mut Stage<'_>) -> Result<()> {
    let end = stage.end();
    let mut restarts = 0;
    let mut worst = Duration::ZERO;
    loop {
        let mut order: Vec<_> = (0..HOSTS).collect();
        order.shuffle(&mut stage.dice);
        stage.note("kill -9 of all servers");
        for host in &order {
            stage.system.hosts[*host].kill().await?;
        }
        order.shuffle(&mut stage.dice);
        let started = Instant::now();
        for host in order {
            stage.system.start(host)?;
            let apart = Duration::from_millis(stage.dice.random_range(0..300));
            sleep(apart).await;
        }
        stage.system.healthy().await?;
        worst = worst.max(started.elapsed());
        stage.note(format!("healthy after {} ms", started.elapsed().as_millis()));
        restarts += 1;
        if Instant::now() >= end {
            break;
        }
    }
    stage.figures.insert("restarts_of_all".to_owned(), json!(restarts));
    stage.figures.insert("healthy_worst_ms".to_owned(), json!(worst.as_millis() as u64));
    Ok(())
}
