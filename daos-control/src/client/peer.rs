//! Requests servers make of each other. Same client, same retries; the caller is a server, not an administrator.

use std::time::Duration;

use super::retry::{Policy, Reaction};
use super::{Client, ClientError, wire};
use crate::drpc::RasEvent;
use crate::join::{JoinAnswer, JoinAsk};
use crate::wire::CallError;

/// A join is tried again whenever there was nobody to refuse it (contract 1.9).
pub(super) const JOIN: Policy = Policy {
    reaction: |error| {
        if is_passing(error) { Reaction::Retryable } else { Reaction::Common }
    },
    limit: Duration::from_secs(3600),
    leaderless: None,
};

/// An event is sent to whoever leads, also to one that is still to be elected, in the time of stock clients (contract 6.7).
const EVENT: Policy = Policy { reaction: JOIN.reaction, leaderless: None, ..Policy::COMMON };
/// One try to send an event.
const ONE_EVENT: Duration = Duration::from_secs(10);

impl Client {
    /// Asks for a rank; `one_try` bounds each attempt, the client's timeout all of them. `tell` hears what each attempt that
    /// failed ended with.
    ///
    /// # Errors
    /// The refusal of the management service, or that nobody could be asked in time.
    pub async fn join(
        &self,
        ask: &JoinAsk,
        one_try: Duration,
        tell: &(dyn Fn(&CallError) + Sync),
    ) -> Result<JoinAnswer, ClientError> {
        self.ask_management_telling("Join", JOIN, tell, |connection| {
            let call = wire::peer::join(connection, self.system(), ask.clone());
            async move {
                tokio::time::timeout(one_try, call).await.unwrap_or_else(|_| {
                    Err(CallError::DeadlineExceeded("the join was not answered in time".to_owned()))
                })
            }
        })
        .await
    }
}

impl Client {
    /// Forwards an event of this host to the leader of the management service.
    ///
    /// # Errors
    /// The refusal of the management service, or that nobody could be asked in time.
    pub async fn cluster_event(&self, sequence: u64, event: &RasEvent) -> Result<(), ClientError> {
        self.ask_management("ClusterEvent", EVENT, |connection| {
            let call = wire::peer::cluster_event(connection, sequence, event.clone());
            async move {
                tokio::time::timeout(ONE_EVENT, call).await.unwrap_or_else(|_| {
                    Err(CallError::DeadlineExceeded(
                        "the event was not answered in time".to_owned(),
                    ))
                })
            }
        })
        .await
    }
}

impl ClientError {
    /// Whether the request may succeed later without anybody mending anything on this host.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Call(error) => is_passing(error),
            Self::NoManagementService { .. } | Self::TimedOut { .. } | Self::NoLeader { .. } => {
                true
            }
            _ => false,
        }
    }
}

fn is_passing(error: &CallError) -> bool {
    error.is_connection_failure()
        || error.is_not_ready()
        || matches!(
            error,
            CallError::DeadlineExceeded(_)
                | CallError::NotLeader { .. }
                | CallError::NotReplica { .. }
        )
}
