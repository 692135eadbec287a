//! Requests to the management service: whom to ask, whose answer counts, and asking again (contract 1.9).
//!
//! Drives the pure rules of `retry`. Called by the typed requests of `system`; knows no request itself.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::error::ClientError;
use super::host_list::HostAddr;
use super::retry::{JITTER_STEPS, Next, Retry, knows_no_leader};
use crate::wire::CallError;

/// Hosts of the configured list that are asked at first (contract 1.9).
const FIRST_HOSTS: usize = 5;
/// Time that slower hosts still get once one has answered: enough for a fresher answer, too short to be held up by a
/// host that is gone.
const STRAGGLER_GRACE: Duration = Duration::from_millis(500);

/// An answer and the version of the data it was made from; 0 where answers have none.
pub(crate) type Versioned<T> = (u64, T);

/// Some of the configured hosts, chosen at random so that no replica gets all the traffic.
pub(crate) fn first_hosts(configured: Vec<HostAddr>) -> Vec<HostAddr> {
    let mut hosts = configured;
    if hosts.len() > FIRST_HOSTS {
        hosts.sort_by_cached_key(|_| random());
        hosts.truncate(FIRST_HOSTS);
    }
    hosts
}

/// A number nobody needs to guess or repeat: spreads load and pauses.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

fn jitter() -> u32 {
    u32::try_from(random() % u64::from(JITTER_STEPS)).unwrap_or(0)
}

/// Carries one request to its end: tries, pauses, other hosts, until an answer, a final refusal or `limit`. `tell` hears what
/// each try that failed ended with.
pub(crate) async fn ask<T, F, Fut>(
    request: &'static str,
    limit: Duration,
    mut retry: Retry,
    tell: &(dyn Fn(&CallError) + Sync),
    attempt: F,
) -> Result<T, ClientError>
where
    F: Fn(HostAddr, Instant) -> Fut,
    Fut: Future<Output = Result<Versioned<T>, CallError>>,
{
    let begun = Instant::now();
    let deadline = begun + limit;
    let timed_out = |last| ClientError::TimedOut { request, after: limit, last };
    if retry.hosts().is_empty() {
        return Err(ClientError::NoHosts);
    }
    loop {
        let asked = begun.elapsed();
        tracing::debug!(request, hosts = retry.hosts().len(), "asking the management service");
        let patience = retry.leaderless_patience();
        let error = match one_try(retry.hosts(), deadline, patience, &attempt).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        tracing::debug!(request, %error, "no answer from the management service");
        tell(&error);
        if Instant::now() >= deadline {
            return Err(timed_out(Some(Box::new(error))));
        }
        match retry.after(&error, jitter(), asked, begun.elapsed()) {
            Next::NoLeader => {
                let (after, last) = (begun.elapsed(), Box::new(error));
                return Err(ClientError::NoLeader { request, after, last });
            }
            Next::GiveUp if error.is_connection_failure() => {
                return Err(ClientError::NoManagementService { last: error });
            }
            Next::GiveUp => return Err(error.into()),
            Next::Again { pause, .. } => {
                let until = Instant::now() + pause;
                if until >= deadline {
                    sleep_until(deadline).await;
                    return Err(timed_out(Some(Box::new(error))));
                }
                sleep_until(until).await;
            }
        }
    }
}

/// Asks all hosts at once. The answer made from the newest data counts, else the first. If nobody answers, the last
/// error counts, but one that a host sent counts more than a host that could not be reached, and a named leader more than
/// none. When all that was heard is that there is no leader, hosts that hang are waited for no longer than `patience`.
async fn one_try<T, F, Fut>(
    hosts: &[HostAddr],
    deadline: Instant,
    patience: Option<Duration>,
    attempt: &F,
) -> Result<T, CallError>
where
    F: Fn(HostAddr, Instant) -> Fut,
    Fut: Future<Output = Result<Versioned<T>, CallError>>,
{
    let begun = Instant::now();
    let mut pending: FuturesUnordered<Fut> =
        hosts.iter().map(|host| attempt(host.clone(), deadline)).collect();
    let mut best: Option<Versioned<T>> = None;
    let mut worst: Option<CallError> = None;
    let mut wait_until = deadline;
    while let Ok(Some(outcome)) = timeout_at(wait_until, pending.next()).await {
        match outcome {
            Ok((version, answer)) => {
                if best.is_none() {
                    wait_until = deadline.min(Instant::now() + STRAGGLER_GRACE);
                }
                if best.as_ref().is_none_or(|(newest, _)| version > *newest) {
                    best = Some((version, answer));
                }
            }
            Err(error) => {
                let leaderless = knows_no_leader(&error);
                let says_less = error.is_connection_failure() || leaderless;
                if worst.as_ref().is_none_or(|worst| !says_less || worst.is_connection_failure()) {
                    worst = Some(error);
                }
                if best.is_none() {
                    let all = worst.as_ref().is_some_and(knows_no_leader);
                    let patience = patience.filter(|_| all);
                    wait_until = patience.map_or(deadline, |limit| deadline.min(begun + limit));
                }
            }
        }
    }
    match (best, worst) {
        (Some((_, answer)), _) => Ok(answer),
        (None, Some(error)) => Err(error),
        (None, None) => Err(CallError::DeadlineExceeded("no host answered in time".to_owned())),
    }
}

#[cfg(test)]
#[path = "management_test.rs"]
mod tests;
