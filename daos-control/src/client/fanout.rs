//! Asking many hosts side by side, each result kept apart.
//!
//! One dead host delays nobody and hides nobody: what failed is returned beside what succeeded (R96, W33, W36).
//! Knows nothing about what is asked.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use tokio::time::{Duration, Instant};

use super::connect::{Connection, Connector};
use super::error::ClientError;
use super::host_list::{HostAddr, HostSet};
use crate::Fault;
use crate::fault::code;
use crate::wire::CallError;

/// Hosts asked at the same time. Below the usual limit of 1024 open files, with room for the rest of the program.
const MAX_AT_ONCE: usize = 256;

/// What became of one request to many hosts. Both lists are in the order of hosts.
#[derive(Debug)]
pub struct HostResults<T> {
    /// Hosts that answered.
    pub answers: Vec<(HostAddr, T)>,
    /// Hosts that refused or could not be reached.
    pub failures: Vec<(HostAddr, ClientError)>,
}

impl<T> Default for HostResults<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), failures: Vec::new() }
    }
}

impl<T> HostResults<T> {
    /// Whether every host answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// The failed hosts by what went wrong: for faults only the description, and without the host's own name, so
    /// that hosts that failed alike are together (contract 8.5).
    #[must_use]
    pub fn failures_by_text(&self) -> BTreeMap<String, HostSet> {
        let mut groups: BTreeMap<String, HostSet> = BTreeMap::new();
        for (host, error) in &self.failures {
            let text = match error.fault() {
                Some(fault) => fault.description,
                None => error.to_string(),
            };
            // As a prefix it is what the table says beside it; in a sentence something has to stand for it.
            let own = format!("host {host}");
            let text =
                text.strip_prefix(&format!("{own}: ")).unwrap_or(&text).replace(&own, "host");
            groups.entry(text).or_default().insert(host.clone());
        }
        groups
    }
}

/// Makes one call to each host, at most [`MAX_AT_ONCE`] at a time, all within `limit`.
pub(crate) async fn fan_out<T, F, Fut>(
    connector: Connector,
    hosts: impl IntoIterator<Item = HostAddr>,
    limit: Duration,
    call: F,
) -> HostResults<T>
where
    F: Fn(Connection) -> Fut,
    Fut: Future<Output = Result<T, CallError>>,
{
    let deadline = Instant::now() + limit;
    each(hosts, |host| {
        let (connector, call) = (connector.clone(), &call);
        async move { call(connector.open(&host, deadline).await?).await }
    })
    .await
}

async fn each<T, F, Fut>(hosts: impl IntoIterator<Item = HostAddr>, ask: F) -> HostResults<T>
where
    F: Fn(HostAddr) -> Fut,
    Fut: Future<Output = Result<T, CallError>>,
{
    let calls = hosts.into_iter().map(|host| {
        let answer = ask(host.clone());
        async move { (host, answer.await) }
    });
    let mut results = HostResults::default();
    let mut ended = stream::iter(calls).buffer_unordered(MAX_AT_ONCE);
    while let Some((host, outcome)) = ended.next().await {
        match outcome {
            Ok(answer) => {
                tracing::debug!(%host, "answered");
                results.answers.push((host, answer));
            }
            Err(error) => {
                tracing::debug!(%host, %error, "failed");
                results.failures.push((host, ClientError::Call(with_number(error))));
            }
        }
    }
    results.answers.sort_by(|(left, _), (right, _)| left.cmp(right));
    results.failures.sort_by(|(left, _), (right, _)| left.cmp(right));
    results
}

/// A call that ran out of time has the number of a request that did: there are no further tries (contract 1.9).
fn with_number(error: CallError) -> CallError {
    match error {
        CallError::DeadlineExceeded(text) => CallError::Fault(Fault::new(
            "client",
            code::CLIENT_RPC_TIMEOUT,
            text,
            "check that daos_server on the host is not stuck, and repeat the command",
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{MAX_AT_ONCE, each};
    use crate::client::{HostAddr, HostSet};
    use crate::wire::CallError;

    /// R96, W33: a slow and a failing host change nothing for the others.
    #[tokio::test(start_paused = true)]
    async fn results_are_kept_apart_and_in_order() {
        let hosts = HostSet::parse("n[1-4]").unwrap();
        let start = tokio::time::Instant::now();
        let results = each(hosts, |host: HostAddr| async move {
            tokio::time::sleep(Duration::from_secs(if host.host() == "n1" { 9 } else { 1 })).await;
            if host.host() == "n3" {
                Err(CallError::text("no, host n3"))
            } else {
                Ok(host.host().to_owned())
            }
        })
        .await;
        assert_eq!(start.elapsed(), Duration::from_secs(9));
        let names: Vec<&str> = results.answers.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["n1", "n2", "n4"]);
        assert_eq!(results.failures_by_text()["no, host"].to_string(), "n3");
        assert!(!results.is_complete());
    }

    #[test]
    fn failures_do_not_begin_with_a_host_that_is_named_beside_them() {
        let failed = |host: &str, text: &str| {
            let fault = crate::Fault::new("security", 1406, text, "use both");
            (HostAddr::parse(host).unwrap(), crate::client::ClientError::Call(fault.into()))
        };
        let results: super::HostResults<()> = super::HostResults {
            answers: Vec::new(),
            failures: vec![
                failed("n1", "host n1: the peer does not speak TLS"),
                failed("n2", "host n2: the peer does not speak TLS"),
                failed("n3", "no connection to host n3"),
            ],
        };
        let groups = results.failures_by_text();
        assert_eq!(groups["the peer does not speak TLS"].to_string(), "n[1-2]");
        assert_eq!(groups["no connection to host"].to_string(), "n3");
    }

    /// The number of open connections stays bounded however long the list is.
    #[tokio::test(start_paused = true)]
    async fn parallelism_is_bounded() {
        let (now, most) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let results = each(HostSet::parse("n[1-1000]").unwrap(), |_| async move {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        })
        .await;
        assert_eq!(results.answers.len(), 1000);
        assert_eq!(most.load(Ordering::Relaxed), MAX_AT_ONCE);
    }
}
