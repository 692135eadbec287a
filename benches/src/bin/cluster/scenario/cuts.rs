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
    let mut leader = stage.leader().await?;
    loop {
        let mut forms = FORMS.to_vec();
        forms.shuffle(&mut stage.dice);
        for form in forms {
            let cut = form.at(leader, stage);
            stage.note(format!("{cut} ({} leads)", stage.system.hosts[leader].name()));
            stage.system.network.cut(std::slice::from_ref(&cut)).await?;
            if majority_can_talk(&cut, stage.system.replicas) {
                let replicas: Vec<_> = (0..stage.system.replicas).collect();
                let took = stage.first_write(&replicas, GOES_ON).await;
                worst = worst.max(took.with_context(|| cut.to_string())?);
            }
            sleep(HOLD).await;
            // Sometimes one thing goes wrong at the moment another is mended.
            if stage.dice.random_bool(0.7) {
                stage.system.network.cut(&[]).await?;
                leader = stage.leader().await.with_context(|| format!("healed after: {cut}"))?;
            }
            cuts += 1;
        }
        stage.system.network.cut(&[]).await?;
        leader = stage.leader().await?;
        if Instant::now() >= end {
            break;
        }
    }
    stage.figures.insert("cuts".to_owned(), json!(cuts));
    stage.figures.insert("cut_to_write_worst_ms".to_owned(), json!(worst.as_millis() as u64));
    Ok(())
}

/// A kind of cut, before it is said where.
#[derive(Debug, Clone, Copy)]
enum Form {
    LeaderNotHeardByOne,
    LeaderDoesNotHearOne,
    LinkOfLeader,
    LinkToEngines,
    LeaderDeaf,
    LeaderMute,
    LeaderAlone,
    LeaderWithEngines,
    FollowerAlone,
    FollowerFromClients,
}

const FORMS: [Form; 10] = [
    Form::LeaderNotHeardByOne,
    Form::LeaderDoesNotHearOne,
    Form::LinkOfLeader,
    Form::LinkToEngines,
    Form::LeaderDeaf,
    Form::LeaderMute,
    Form::LeaderAlone,
    Form::LeaderWithEngines,
    Form::FollowerAlone,
    Form::FollowerFromClients,
];

impl Form {
    /// Around the host that leads; any other choice is made by chance.
    fn at(self, leader: usize, stage: &mut Stage<'_>) -> Cut {
        let replicas = stage.system.replicas.max(2);
        let other = (leader + stage.dice.random_range(1..replicas)) % replicas;
        let engines = stage.system.network.hosts() - 1;
        match self {
            Self::LeaderNotHeardByOne => Cut::OneWay { from: leader, to: other },
            Self::LeaderDoesNotHearOne => Cut::OneWay { from: other, to: leader },
            Self::LinkOfLeader => Cut::Link(leader, other),
            Self::LinkToEngines => Cut::Link(leader, engines),
            Self::LeaderDeaf => Cut::Deaf(leader),
            Self::LeaderMute => Cut::Mute(leader),
            Self::LeaderAlone => Cut::Alone(leader),
            Self::LeaderWithEngines => Cut::Split(vec![leader, engines]),
            Self::FollowerAlone => Cut::Split(vec![other]),
            Self::FollowerFromClients => Cut::Clients(vec![other]),
        }
    }
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
            !majority_can_talk(&Cut::Clients(vec![0]), 3),
            "the client is cut, nothing is promised"
        );
        assert!(!majority_can_talk(&Cut::Split(vec![0]), 2), "two of two are needed");
        assert!(majority_can_talk(&Cut::Split(vec![0, 1]), 5));
    }
}
