//! `daosx.v1.Members`: what happened to the members, and orders about them that DAOS 2.8 has no words for.

use std::pin::Pin;

use daos_membership::{ExcludeAction, RankSet};
use daos_proto::daosx::v1::members_server::Members;
use daos_proto::daosx::v1::{
    EventsReq, EventsResp, ExcludeReq, ExcludeResp, FollowReq, FollowResp, RejoinReq, RejoinResp,
};
use futures_util::stream::{Stream, StreamExt};
use tonic::{Request, Status};

use super::gate::{Call, Gate, Reply};
use super::mgmt::administrator;
use crate::engine::Engines;
use crate::fault::{Fault, code};
use crate::management::Management;
use crate::system_ops::{LastUsable, SystemOps, events, follow, select};
use crate::wire::{CallError, to_proto};

/// Serves the event log on every replica, and orders on the leader.
#[derive(Debug, Clone)]
pub(super) struct MembersService {
    pub gate: Gate,
    pub management: Management,
    pub operations: SystemOps,
    pub engines: Engines,
}

impl MembersService {
    async fn excluded(&self, call: Call<ExcludeReq>) -> Result<ExcludeResp, CallError> {
        let who = administrator(&call);
        let message = call.message;
        let membership = self.management.leader().await?.on_behalf_of(who);
        let selection = select(&message.ranks, &message.hosts).await?;
        let action = if message.clear { ExcludeAction::Clear } else { ExcludeAction::Exclude };
        let last = if message.force_last_usable { LastUsable::MayGo } else { LastUsable::Keep };
        let reports = self.operations.exclude(membership, selection, action, last).await?;
        Ok(ExcludeResp { results: reports.iter().map(to_proto::member_result).collect() })
    }

    async fn rejoined(&self, ranks: &str) -> Result<RejoinResp, CallError> {
        let ranks: RankSet = ranks.parse().map_err(|error| {
            let what = format!("a list of ranks cannot be used: {error}");
            Fault::new("system", code::BAD_SELECTION, what, "write ranks like 0-3,5")
        })?;
        let outcomes = self.engines.rejoin(&ranks).await;
        Ok(RejoinResp { results: outcomes.into_iter().map(to_proto::member_outcome).collect() })
    }
}

#[tonic::async_trait]
impl Members for MembersService {
    async fn events(&self, request: Request<EventsReq>) -> Reply<EventsResp> {
        self.gate
            .serve(request, |Call { message, .. }| async move {
                let membership = self.management.replica()?;
                let EventsReq { after, limit, newest, .. } = message;
                Ok(to_proto::events_response(&events(&membership, after, limit, newest)))
            })
            .await
    }

    type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowResp, Status>> + Send>>;

    async fn follow(&self, request: Request<FollowReq>) -> Reply<Self::FollowStream> {
        self.gate
            .stream(request, |Call { message, .. }| async move {
                let membership = self.management.replica()?;
                let pages = follow(membership, message.after, self.operations.ending());
                let stream: Self::FollowStream =
                    Box::pin(pages.map(|page| Ok(to_proto::follow_response(&page))));
                Ok(stream)
            })
            .await
    }

    async fn exclude(&self, request: Request<ExcludeReq>) -> Reply<ExcludeResp> {
        self.gate.serve(request, |call| self.excluded(call)).await
    }

    async fn rejoin(&self, request: Request<RejoinReq>) -> Reply<RejoinResp> {
        self.gate
            .serve(request, |call| async move { self.rejoined(&call.message.ranks).await })
            .await
    }
}
