//! Waiting until the members are as wanted. What is wanted is judged purely; when to look again is told by the event
//! log, or by the clock where a server has none.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::Selection;
use super::events::{EventFollower, EventRange, Followed};
use super::member::{MemberState, StateMask};
use super::query::{SystemQuery, SystemStatus};
use crate::client::Client;
use crate::client::error::ClientError;
use crate::client::rank_set::RankSet;
use crate::wire::CallError;

/// The members are looked at again after this time even when nothing was told: another replica may have answered.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Time for the first look.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// At least so many of the chosen members are in a state: `joined=5`.
    AtLeast(MemberState, usize),
    /// Every chosen member is in a state: `all-joined`. Of all members, those that an administrator excluded do not count;
    /// ranks that were named and are not there do.
    All(MemberState),
}

impl FromStr for WaitFor {
    type Err = String;

    /// Reads `joined=N`, `all-joined`, and the same with any other state's name.
    fn from_str(text: &str) -> Result<Self, String> {
        let state = |word: &str| MemberState::named(word);
        match (text.strip_prefix("all-"), text.split_once('=')) {
            (Some(word), _) => Ok(Self::All(state(word)?)),
            (None, Some((word, number))) => {
                let number = number.trim().parse::<usize>().ok().filter(|number| *number > 0);
                let number = number.ok_or_else(|| format!("{text:?} lacks a number above 0"))?;
                Ok(Self::AtLeast(state(word.trim())?, number))
            }
            (None, None) => Err(format!("{text:?} is not of the form joined=N or all-joined")),
        }
    }
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(state, number) => write!(f, "{}={number}", state.wire_str()),
            Self::All(state) => write!(f, "all-{}", state.wire_str()),
        }
    }
}

/// How the members stand to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is so.
    pub met: bool,
    /// How it is, in words: how many there are, and which are missing.
    pub text: String,
}

impl WaitFor {
    /// Judges the chosen members. An answer that may be out of date meets nothing.
    #[must_use]
    pub fn judge(&self, selection: &Selection, status: &SystemStatus) -> Standing {
        let (Self::AtLeast(wanted, _) | Self::All(wanted)) = *self;
        let counted: Vec<_> = status
            .members
            .iter()
            .filter(|member| {
                let kept_out = member.state == MemberState::AdminExcluded && member.state != wanted;
                !(kept_out && *selection == Selection::All)
            })
            .collect();
        let there = counted.iter().filter(|member| member.state == wanted).count();
        let others = counted.iter().filter(|member| member.state != wanted);
        let mut missing: Vec<(MemberState, RankSet)> = Vec::new();
        for member in others {
            match missing.iter_mut().find(|(state, _)| *state == member.state) {
                Some((_, ranks)) => ranks.insert(member.rank),
                None => missing.push((member.state, RankSet::from_iter([member.rank]))),
            }
        }
        missing.sort_by_key(|(state, _)| *state);
        let absent = !status.absent_ranks.is_empty() || !status.absent_hosts.is_empty();
        let stale = status.answered_by.as_ref().and_then(|by| Some((&by.host, by.stale()?)));
        let as_wanted = match *self {
            Self::AtLeast(_, number) => there >= number,
            Self::All(_) => !counted.is_empty() && missing.is_empty() && !absent,
        };
        let mut text = format!("{there} of {} members are {}", counted.len(), wanted.wire_str());
        for (state, ranks) in &missing {
            text.push_str(&format!("; {} {ranks} {}", ranks_word(ranks), state.wire_str()));
        }
        if !status.absent_ranks.is_empty() {
            let ranks = &status.absent_ranks;
            text.push_str(&format!("; {} {ranks} not in the system", ranks_word(ranks)));
        }
        if !status.absent_hosts.is_empty() {
            text.push_str(&format!("; no member on hosts {}", status.absent_hosts));
        }
        if let Some((host, why)) = &stale {
            text.push_str(&format!("; {host} said so, a {why}: this may be out of date"));
        }
        Standing { met: as_wanted && stale.is_none(), text }
    }
}

fn ranks_word(ranks: &RankSet) -> &'static str {
    if ranks.len() == 1 { "rank" } else { "ranks" }
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waited {
    /// How the members stand.
    pub standing: Standing,
    /// The members as they were seen last.
    pub status: SystemStatus,
}

impl Client {
    /// Waits until the chosen members are as wanted, or the time is over; [`Standing::met`] says which. A management
    /// service that is not there yet is waited for as well.
    ///
    /// # Errors
    /// A refusal that does not pass, e.g. ranks and hosts at once.
    pub async fn system_wait(
        &self,
        wanted: WaitFor,
        selection: &Selection,
        within: Duration,
    ) -> Result<Waited, ClientError> {
        let begun = Instant::now();
        let deadline = begun + within;
        let mut changes = Changes::of(self);
        let mut waited = Waited {
            standing: Standing { met: false, text: "nothing is known of the members".to_owned() },
            status: SystemStatus::default(),
        };
        loop {
            // However short the time is, the members are looked at once.
            let limit = deadline.max(begun + FIRST_LOOK);
            match timeout_at(limit, self.members_now(selection)).await {
                Ok(Ok(Some(status))) => {
                    let standing = wanted.judge(selection, &status);
                    waited = Waited { standing, status };
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_late) => return Ok(waited),
            }
            if waited.standing.met || Instant::now() >= deadline {
                return Ok(waited);
            }
            changes.next(deadline.min(Instant::now() + LOOK_AGAIN)).await;
        }
    }

    /// The chosen members; `None` while nobody can be asked.
    async fn members_now(
        &self,
        selection: &Selection,
    ) -> Result<Option<SystemStatus>, ClientError> {
        let query = SystemQuery { selection: selection.clone(), states: StateMask::ALL };
        match self.system_query(&query).await {
            Ok(status) => Ok(Some(status)),
            Err(error) if passes(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::NoManagementService { .. }
        | ClientError::TimedOut { .. }
        | ClientError::NoLeader { .. } => true,
        error => error.call().is_some_and(|call| call.is_not_ready() || call.is_unavailable()),
    }
}

/// Tells when the members may have changed.
#[derive(Debug)]
pub struct Changes {
    client: Client,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Nobody was asked yet, or nobody answered.
    Unknown,
    /// The event log.
    Events(Box<EventFollower>),
    /// No server has an event log.
    Clock,
}

impl Changes {
    /// Changes from now on.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        Self { client: client.clone().with_timeout(LOOK_AGAIN), source: Source::Unknown }
    }

    /// Waits for a change, or until the moment has come. The first time it comes back at once when it has found the event
    /// log, since something may have changed before.
    pub async fn next(&mut self, latest: Instant) {
        match &mut self.source {
            Source::Unknown => match self.client.system_events(EventRange::Newest, 1).await {
                Ok(page) => {
                    let follower = self.client.follow_events(page.last);
                    self.source = Source::Events(Box::new(follower));
                    return;
                }
                Err(error) if matches!(error.call(), Some(CallError::Unimplemented(_))) => {
                    self.source = Source::Clock;
                }
                Err(_) => {}
            },
            Source::Events(follower) => match timeout_at(latest, follower.next()).await {
                Ok(Ok(Followed::Lost { .. })) => {}
                Ok(Ok(_)) | Err(_) => return,
                Ok(Err(_)) => self.source = Source::Unknown,
            },
            Source::Clock => {}
        }
        sleep_until(latest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{AnsweredBy, Member, ReplicaKind, ReplicaStatus};

    fn status(states: &[MemberState]) -> SystemStatus {
        let member = |(rank, state): (u32, &MemberState)| Member {
            rank,
            state: *state,
            ..Member::default()
        };
        let members = (0..).zip(states).map(member).collect();
        SystemStatus { members, ..SystemStatus::default() }
    }

    fn judged(wanted: &str, selection: &Selection, status: &SystemStatus) -> (bool, String) {
        let Standing { met, text } = wanted.parse::<WaitFor>().unwrap().judge(selection, status);
        (met, text)
    }

    #[test]
    fn what_is_wanted_is_read_from_words() {
        for text in ["joined=5", "all-joined", "stopped=1", "all-adminexcluded"] {
            assert_eq!(text.parse::<WaitFor>().unwrap().to_string(), text);
        }
        for text in ["", "joined", "joined=0", "joined=x", "happy=1", "all-", "all", "unknown=1"] {
            assert!(text.parse::<WaitFor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_no_state_is_told_with_those_that_are() {
        let told = "bogus=1".parse::<WaitFor>().unwrap_err();
        assert!(
            told.starts_with("\"bogus\" is not a member state; known: awaitformat, "),
            "{told}"
        );
    }

    /// Nobody leads: what the replica that is left remembers is no proof that the members are as wanted.
    #[test]
    fn an_answer_that_may_be_out_of_date_meets_nothing() {
        let by = |role: &str, leader: &str| AnsweredBy {
            host: "10.0.0.1:1".into(),
            replica: ReplicaStatus {
                kind: ReplicaKind::Running,
                role: role.into(),
                leader: leader.into(),
                last_contact: Some(Duration::from_millis(90)),
                ..ReplicaStatus::default()
            },
        };
        let mut seen = status(&[MemberState::Joined]);
        seen.answered_by = Some(by("candidate", ""));
        let text = "1 of 1 members are joined; 10.0.0.1:1 said so, a candidate that knows of no leader: this may be out \
                    of date";
        for wanted in ["joined=1", "all-joined"] {
            assert_eq!(judged(wanted, &Selection::All, &seen), (false, text.to_owned()));
        }
        seen.answered_by = Some(by("follower", "10.0.0.2:1"));
        assert!(judged("joined=1", &Selection::All, &seen).0);
        seen.answered_by = Some(by("leader", "10.0.0.1:1"));
        assert!(judged("joined=1", &Selection::All, &seen).0);
    }

    #[test]
    fn members_are_counted_and_the_missing_ones_named() {
        use MemberState::{AdminExcluded, Errored, Joined, Stopped};
        let five = status(&[Joined, Stopped, Joined, Errored, Stopped]);
        let text = "2 of 5 members are joined; ranks 1,4 stopped; rank 3 errored";
        assert_eq!(judged("joined=3", &Selection::All, &five), (false, text.to_owned()));
        assert!(judged("joined=2", &Selection::All, &five).0);
        assert_eq!(judged("all-joined", &Selection::All, &five), (false, text.to_owned()));
        assert!(!judged("all-joined", &Selection::All, &SystemStatus::default()).0);

        // Whoever an administrator keeps out is not waited for, unless it was named.
        let kept_out = status(&[Joined, AdminExcluded]);
        assert!(judged("all-joined", &Selection::All, &kept_out).0);
        let named = Selection::Ranks("0-1".parse().unwrap());
        assert!(!judged("all-joined", &named, &kept_out).0);
        assert!(judged("adminexcluded=1", &Selection::All, &kept_out).0);

        let absent = SystemStatus {
            absent_ranks: "7-8".parse().unwrap(),
            absent_hosts: "n9".to_owned(),
            ..status(&[Joined])
        };
        let text = "1 of 1 members are joined; ranks 7-8 not in the system; no member on hosts n9";
        assert_eq!(judged("all-joined", &named, &absent), (false, text.to_owned()));
    }
}
