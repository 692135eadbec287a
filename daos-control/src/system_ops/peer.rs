//! One host asked about its ranks, over the same gRPC that its administrator uses (component `server`).

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::{ControlAddress, Rank, RankSet};
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::ctl::{RanksReq, RanksResp};
use daos_proto::daosx::v1::host_client::HostClient;
use daos_proto::daosx::v1::members_client::MembersClient;
use daos_proto::daosx::v1::{MemberResult, RejoinReq, StateReq, StateResp};
use daos_proto::shared::RankResult;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

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

    /// Whether an engine with this rank is at home on a host. One that cannot be reached has none; one that does not say,
    /// within the time or at all, is taken to have it.
    async fn serves(&self, host: ControlAddress, rank: Rank, deadline: Instant) -> bool {
        let _ = (host, rank, deadline);
        true
    }
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
    /// Generous for real engines on a busy host (daos_engine 2.8.0 was seen to take 66 s for a stop, and seconds for a start), and below the
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
            RankAction::Rejoin => self.prepare,
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
                let mut client =
                    CtlSvcClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER);
                match action {
                    RankAction::PrepareShutdown => client.prep_shutdown_ranks(request).await,
                    RankAction::Stop => client.stop_ranks(request).await,
                    RankAction::Start => client.start_ranks(request).await,
                    RankAction::ResetFormat => client.reset_format_ranks(request).await,
                    RankAction::Rejoin => rejoin(channel, request).await,
                }
            })
            .await?;
        Ok(answer.results.into_iter().filter_map(reply).collect())
    }

    async fn serves(&self, host: ControlAddress, rank: Rank, deadline: Instant) -> bool {
        let Ok(host) = HostAddr::parse(&host.to_string()) else { return true };
        let connection = match self.connector.open(&host, deadline).await {
            Ok(connection) => connection,
            Err(error) => return !error.is_connection_failure(),
        };
        let state = connection.call(StateReq {}, |channel, request| async move {
            HostClient::new(channel).max_decoding_message_size(MAX_ANSWER).state(request).await
        });
        let serves =
            |state: StateResp| state.engines.iter().any(|each| each.rank == Some(rank.get()));
        state.await.map_or(true, serves)
    }
}

/// Stock hosts have no such request; theirs is the answer that they do not.
async fn rejoin(
    channel: Channel,
    request: Request<RanksReq>,
) -> Result<Response<RanksResp>, Status> {
    let mut client = MembersClient::new(channel).max_decoding_message_size(MAX_ANSWER);
    let answer = client.rejoin(request.map(|ranks| RejoinReq { ranks: ranks.ranks })).await?;
    Ok(answer.map(|answer| RanksResp {
        results: answer.results.into_iter().map(stock_result).collect(),
    }))
}

fn stock_result(row: MemberResult) -> RankResult {
    let MemberResult { rank, action, errored, message, state, address } = row;
    RankResult { rank, action, errored, msg: message, state, addr: address }
}

/// One row of the answer; a row about no rank says nothing.
fn reply(row: RankResult) -> Option<RankReply> {
    Some(RankReply {
        rank: Rank::new(row.rank)?,
        errored: row.errored,
        message: row.msg,
        state: row.state.parse().unwrap_or_default(),
    })
}
