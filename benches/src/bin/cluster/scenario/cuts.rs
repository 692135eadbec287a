//! Links are cut in every asymmetric form. A majority that can talk to each other accepts writes, whatever else is cut.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Stage;
use crate::cuts::Cut;

/// A majority that is left must go on within this time.
const GOES_ON: Duration = Duration::from_secs(15);
/// How long a cut lasts after that, so that what it does to the system has time to show.
const HOLD: Duration = Duration::from_millis(700);

/// Every form at least once, in an order by chance, then again until the time is over.
pub async fn play(stage: &mut Stage<'_>) -> Result<()> {
    let end = stage.end();
    let (mut cuts, mut worst) = (0, Duration::ZERO);
    loop {
        let leader = stage.leader().await?;
        for cut in round(stage, leader) {
            stage.note(cut.to_string());
            stage.system.network.cut(std::slice::from_ref(&cut)).await?;
            // The client asks whom it reaches.
            let reached: Vec<_> = match &cut {
                Cut::Clients(hosts) => {
                    (0..stage.system.replicas).filter(|host| !hosts.contains(host)).collect()
                }
                _ => (0..stage.system.replicas).collect(),
            };
            if majority_can_talk(&cut, stage.system.replicas) {
                let took =
                    stage.first_write(&reached, GOES_ON).await.with_context(|| cut.to_string())?;
                worst = worst.max(took);
            }
            sleep(HOLD).await;
            if stage.dice.random_bool(0.7) {
                stage.system.network.cut(&[]).await?;
                stage.leader().await.with_context(|| format!("healed after: {cut}"))?;
            }
            cuts += 1;
        }
        stage.system.network.cut(&[]).await?;
        if Instant::now() >= end {
            break;
        }
    }
    stage.figures.insert("cuts".to_owned(), json!(cuts));
    stage.figures.insert("cut_to_write_worst_ms".to_owned(), json!(worst.as_millis() as u64));
    Ok(())
}

/// One cut of each form; most of them hit the leader of the moment.
fn round(stage: &mut Stage<'_>, leader: usize) -> Vec<Cut> {
    let replicas = stage.system.replicas;
    let hosts = stage.system.network.hosts();
    let dice = &mut stage.dice;
    let mut other = |not: usize| loop {
        let host = dice.random_range(0..hosts.min(replicas.max(2)));
        if host != not {
            break host;
        }
    };
    let (first, second, third) = (other(leader), other(leader), other(leader));
    let engines_only = hosts - 1;
    let mut cuts = vec![
        Cut::OneWay { from: leader, to: first },
        Cut::OneWay { from: second, to: leader },
        Cut::Link(leader, third),
        Cut::Link(first, engines_only),
        Cut::Deaf(leader),
        Cut::Mute(leader),
        Cut::Alone(leader),
        Cut::Split(vec![leader, engines_only]),
        Cut::Split(vec![first]),
    ];
    if replicas > 1 {
        cuts.push(Cut::Clients(vec![first]));
    }
    cuts.shuffle(dice);
    cuts
}

/// Whether more than half of the replicas form a group in which everybody hears everybody, and the leader's side takes requests.
fn majority_can_talk(cut: &Cut, replicas: usize) -> bool {
    let severed = cut.pairs(crate::cluster::HOSTS);
    let talk = |a: usize, b: usize| !severed.contains(&(a, b)) && !severed.contains(&(b, a));
    let groups = 0..1_u32 << replicas;
    groups.filter(|group| group.count_ones() as usize > replicas / 2).any(|group| {
        let members: Vec<_> = (0..replicas).filter(|host| group & (1 << host) != 0).collect();
        members.iter().all(|a| members.iter().all(|b| a == b || talk(*a, *b)))
    }) && !matches!(cut, Cut::Clients(_))
}

#[cfg(test)]
mod tests {
    use super::majority_can_talk;
    use crate::cuts::Cut;

    #[test]
    fn a_majority_is_more_than_half_that_hear_each_other() {
        assert!(majority_can_talk(&Cut::Alone(0), 3));
        assert!(majority_can_talk(&Cut::Link(0, 1), 3));
        assert!(majority_can_talk(&Cut::OneWay { from: 0, to: 1 }, 3));
        assert!(
            !majority_can_talk(&Cut::Split(vec![0, 3]), 1) || majority_can_talk(&Cut::Alone(0), 1)
        );
        assert!(!majority_can_talk(&Cut::Clients(vec![0]), 3));
        assert!(majority_can_talk(&Cut::Split(vec![0, 1]), 5));
    }
}
