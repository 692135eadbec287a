//! One host asked about its ranks, over the same gRPC that its administrator uses (component `server`).

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::{ControlAddress, Rank, RankSet};
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::ctl::{RanksReq, RanksResp};
use tokio::time::Instant;

use super::fanout::RankReply;
use crate::client::HostAddr;
use crate::client::connect::{Connector, MAX_ANSWER};
use crate::engine::RankAction;
use crate::tls::Security;
use crate::wire::{CallError, Component};

/// What one host is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanksCall {
    /// The operation.
    pub action: RankAction,
    /// The ranks, all of them on that host as far as the system knows.
    pub ranks: RankSet,
    /// End processes without grace; only for a stop.
    pub force: bool,
    /// Start as checkers; only for a start.
    pub check_mode: bool,
}

/// Asks other hosts, and this one, about their ranks.
#[async_trait]
pub trait Peers: Send + Sync + Debug {
    /// Asks one host; the answer, or the reason why there is none, comes by `deadline`.
    ///
    /// # Errors
    /// Why the host did not answer.
    async fn ranks(
        &self,
        host: ControlAddress,
        call: &RanksCall,
        deadline: Instant,
    ) -> Result<Vec<RankReply>, CallError>;
}

/// How long hosts may take for each operation.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Getting ready to stop.
    pub prepare: Duration,
    /// Ending all engines of a host.
    pub stop: Duration,
    /// Starting all engines of a host until they serve.
    pub start: Duration,
    /// Removing superblocks.
    pub reset: Duration,
}

impl Default for Limits {
    /// Generous for real engines on a busy host (engine-observed: 66 s for a stop, seconds for a start), and below the
    /// five minutes that clients wait.
    fn default() -> Self {
        Self {
            prepare: Duration::from_secs(30),
            stop: Duration::from_secs(150),
            start: Duration::from_secs(240),
            reset: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// The time for one operation.
    #[must_use]
    pub fn of(&self, action: RankAction) -> Duration {
        match action {
            RankAction::PrepareShutdown => self.prepare,
            RankAction::Stop => self.stop,
            RankAction::Start => self.start,
            RankAction::ResetFormat => self.reset,
        }
    }
}

/// The real body: one connection per call.
#[derive(Debug, Clone)]
pub struct GrpcPeers {
    connector: Connector,
}

impl GrpcPeers {
    /// Over connections that are secured in this way, in the name of a server.
    #[must_use]
    pub fn new(security: Security) -> Self {
        Self { connector: Connector::new(Component::Server, security) }
    }
}

#[async_trait]
impl Peers for GrpcPeers {
    async fn ranks(
        &self,
        host: ControlAddress,
        call: &RanksCall,
        deadline: Instant,
    ) -> Result<Vec<RankReply>, CallError> {
        let host = HostAddr::parse(&host.to_string())
            .map_err(|error| CallError::text(error.to_string()))?;
        let connection = self.connector.open(&host, deadline).await?;
        let message = RanksReq {
            force: call.force,
            ranks: call.ranks.to_string(),
            check_mode: call.check_mode,
        };
        let action = call.action;
        let answer: RanksResp = connection
            .call(message, |channel, request| async move {
                let mut client = CtlSvcClient::new(channel).max_decoding_message_size(MAX_ANSWER);
                match action {
                    RankAction::PrepareShutdown => client.prep_shutdown_ranks(request).await,
                    RankAction::Stop => client.stop_ranks(request).await,
                    RankAction::Start => client.start_ranks(request).await,
                    RankAction::ResetFormat => client.reset_format_ranks(request).await,
                }
            })
            .await?;
        Ok(answer.results.into_iter().filter_map(reply).collect())
    }
}

/// One row of the answer; a row about no rank says nothing.
fn reply(row: daos_proto::shared::RankResult) -> Option<RankReply> {
    Some(RankReply {
        rank: Rank::new(row.rank)?,
        errored: row.errored,
        message: row.msg,
        state: row.state.parse().unwrap_or_default(),
    })
}
