//! The rules by which requests to the management service are tried again, over a transport of the caller's own.
//!
//! For simulations and tests: the same loop, pauses and leader hints as [`super::Client`] has, without a connection.

use std::time::Duration;

use super::DEFAULT_PORT;
use super::error::ClientError;
use super::host_list::HostAddr;
use super::management;
use super::peer::JOIN;
use super::retry::{Policy, Retry};
use crate::wire::CallError;

/// Asks for a rank as servers do; `one_try` bounds each attempt.
///
/// # Errors
/// As `Client::join`.
pub async fn join_over<T, F, Fut>(
    hosts: Vec<HostAddr>,
    one_try: Duration,
    attempt: F,
) -> Result<T, ClientError>
where
    F: Fn(HostAddr) -> Fut,
    Fut: Future<Output = Result<T, CallError>>,
{
    let retry = Retry::new(management::first_hosts(hosts), DEFAULT_PORT, JOIN);
    management::ask("Join", JOIN.limit, retry, &|_| {}, |host, _deadline| {
        let call = attempt(host);
        async move {
            let late = || CallError::DeadlineExceeded("the join was not answered in time".into());
            let answer = tokio::time::timeout(one_try, call).await;
            answer.unwrap_or_else(|_| Err(late())).map(|answer| (0, answer))
        }
    })
    .await
}

/// Asks the management service as administrators do, for at most `limit`.
///
/// # Errors
/// The refusal of the management service, or that nobody could be asked in time.
pub async fn ask_over<T, F, Fut>(
    request: &'static str,
    hosts: Vec<HostAddr>,
    limit: Duration,
    attempt: F,
) -> Result<T, ClientError>
where
    F: Fn(HostAddr) -> Fut,
    Fut: Future<Output = Result<T, CallError>>,
{
    // For as long as the caller says, also without a leader.
    let policy = Policy { leaderless: None, ..Policy::COMMON };
    let retry = Retry::new(management::first_hosts(hosts), DEFAULT_PORT, policy);
    management::ask(request, limit, retry, &|_| {}, |host, _deadline| {
        let call = attempt(host);
        async move { call.await.map(|answer| (0, answer)) }
    })
    .await
}
