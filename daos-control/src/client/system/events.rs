//! The event log of the system: a page of it, or all that happens from now on.
//!
//! A follower reads from one replica after the other: each numbers events alike, so it goes on where it was. Which
//! server lacks the log, and which is only away, is told by what it answers.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::client::error::ClientError;
use crate::client::host_list::HostAddr;
use crate::client::replicas::AnsweredBy;
use crate::client::retry::Policy;
use crate::client::wire::members::Pages;
use crate::client::{Client, wire};
use crate::wire::CallError;

/// Time for a replica to begin a stream. It answers from memory.
const BEGIN: Duration = Duration::from_secs(5);
/// A replica says every five seconds that it lives; one that has said nothing for this long is away.
const SILENCE: Duration = Duration::from_secs(15);
/// Pause before all hosts are tried again.
const ROUND: Duration = Duration::from_millis(500);
/// How long a follower looks for a replica that answers.
const PATIENCE: Duration = Duration::from_secs(300);

/// One thing that happened to the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Rises by one from event to event, from 1 on.
    pub number: u64,
    /// When: RFC 3339 in UTC.
    pub time: String,
    /// What kind of thing it is, e.g. `joined`, `excluded`, `leader`.
    pub kind: String,
    /// The ranks it happened to, e.g. `0-3,5`; empty when it is about none.
    pub ranks: String,
    /// Control address of their host; empty when there are several or none.
    pub host: String,
    /// State before, in the words that travel; empty when it is no change of state.
    pub from: String,
    /// State afterwards.
    pub to: String,
    /// Why, or what exactly.
    pub reason: String,
    /// On whose behalf.
    pub by: String,
}

/// Events after a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// Events after that number that are not kept any more.
    pub missed: u64,
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// Number of the newest event there is.
    pub last: u64,
}

/// Which events to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventRange {
    /// The oldest after this number; 0 for all that are kept.
    After(u64),
    /// The newest.
    Newest,
}

/// What a follower has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Events, oldest first.
    Events(Vec<Event>),
    /// So many events before the next ones are not kept any more.
    Missed(u64),
    /// The replica is away; another one is asked.
    Lost {
        /// Its address.
        host: String,
        /// Why.
        why: String,
    },
}

impl Client {
    /// Lists events, at most `limit` of them; 0 for as many as a server gives at once. Any replica answers.
    ///
    /// # Errors
    /// What the service answered or why it could not be reached; [`CallError::Unimplemented`] where it has no event log.
    pub async fn system_events(
        &self,
        range: EventRange,
        limit: u32,
    ) -> Result<EventPage, ClientError> {
        self.ask_management("Events", Policy::LOOK_UP, |connection| {
            wire::members::events(connection, self.system(), range, limit)
        })
        .await
    }

    /// The same with the replica that answered, which may be out of date.
    ///
    /// # Errors
    /// As [`Client::system_events`].
    pub async fn system_events_with_source(
        &self,
        range: EventRange,
        limit: u32,
    ) -> Result<(EventPage, Option<AnsweredBy>), ClientError> {
        self.ask_management("Events", Policy::LOOK_UP, |connection| {
            let told = wire::members::events(connection.clone(), self.system(), range, limit);
            wire::replicas::with_source(connection, self.system(), told)
        })
        .await
    }

    /// Follows the events after a number.
    #[must_use]
    pub fn follow_events(&self, after: u64) -> EventFollower {
        let hosts: Vec<HostAddr> = self.hosts().iter().cloned().collect();
        let patience = self.limit(PATIENCE);
        EventFollower { client: self.clone(), hosts, turn: 0, after, stream: None, patience }
    }
}

/// Reads events as they happen, wherever a replica is up.
#[derive(Debug)]
pub struct EventFollower {
    client: Client,
    hosts: Vec<HostAddr>,
    turn: usize,
    after: u64,
    stream: Option<(HostAddr, Pages)>,
    patience: Duration,
}

impl EventFollower {
    /// Number of the last event it has told.
    #[must_use]
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Waits for the next thing to tell. May be given up and called again: nothing is lost.
    ///
    /// # Errors
    /// A refusal that another replica would repeat, or that none could be reached for a long time.
    pub async fn next(&mut self) -> Result<Followed, ClientError> {
        loop {
            let Some((host, stream)) = &mut self.stream else {
                self.connect().await?;
                continue;
            };
            let lost = match timeout(SILENCE, stream.next()).await {
                Ok(Ok(Some(page))) if page.missed > 0 => {
                    // Told first; the events come with the next call, from a new stream.
                    self.after += page.missed;
                    self.stream = None;
                    return Ok(Followed::Missed(page.missed));
                }
                Ok(Ok(Some(page))) => match page.events.last() {
                    Some(newest) => {
                        self.after = newest.number;
                        return Ok(Followed::Events(page.events));
                    }
                    None => continue,
                },
                Ok(Ok(None)) => "it ended".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_silent) => format!("nothing was heard for {} s", SILENCE.as_secs()),
            };
            let host = host.to_string();
            self.stream = None;
            return Ok(Followed::Lost { host, why: lost });
        }
    }

    /// Begins a stream at the next host that has one.
    async fn connect(&mut self) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.patience;
        if self.hosts.is_empty() {
            return Err(ClientError::NoHosts);
        }
        let mut failed = 0;
        loop {
            let index = self.turn % self.hosts.len();
            self.turn = self.turn.wrapping_add(1);
            let Some(host) = self.hosts.get(index).cloned() else {
                return Err(ClientError::NoHosts);
            };
            let error = match self.begin(&host).await {
                Ok(stream) => {
                    self.stream = Some((host, stream));
                    return Ok(());
                }
                Err(error) => error,
            };
            tracing::debug!(%host, %error, "events cannot be followed there");
            match &error {
                CallError::NotReplica { replicas } => self.learn(replicas),
                error if !may_pass(error) => return Err(error.clone().into()),
                _ => {}
            }
            failed += 1;
            if Instant::now() >= deadline {
                return Err(ClientError::TimedOut {
                    request: "Follow",
                    after: self.patience,
                    last: Some(Box::new(error)),
                });
            }
            if failed % self.hosts.len() == 0 {
                sleep_until(deadline.min(Instant::now() + ROUND)).await;
            }
        }
    }

    async fn begin(&self, host: &HostAddr) -> Result<Pages, CallError> {
        let connection = self.client.connector.open(host, Instant::now() + BEGIN).await?;
        wire::members::follow(connection, self.client.system(), self.after).await
    }

    /// Hosts that were named as replicas are asked too.
    fn learn(&mut self, replicas: &[String]) {
        let parsed = replicas.iter().filter_map(|text| HostAddr::parse(text).ok());
        for host in parsed.map(|host| host.or_port(self.client.default_port())) {
            if !self.hosts.contains(&host) {
                self.hosts.push(host);
            }
        }
    }
}

fn may_pass(error: &CallError) -> bool {
    error.is_connection_failure()
        || error.is_not_ready()
        || error.is_unavailable()
        || matches!(error, CallError::DeadlineExceeded(_) | CallError::Cancelled(_))
}
