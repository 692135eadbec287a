//! Wire forms of our own requests about members: events, and exclusions that may go further than those of DAOS 2.8.

use daos_proto::daosx::v1;
use daos_proto::daosx::v1::members_client::MembersClient;
use tonic::Streaming;

use super::stub;
use crate::client::HostAddr;
use crate::client::connect::Connection;
use crate::client::management::Versioned;
use crate::client::system::{
    Event, EventPage, EventRange, MemberState, OperationReport, RankOutcome, Selection,
};
use crate::wire::CallError;

type Answer<T> = Result<Versioned<T>, CallError>;

pub(in crate::client) async fn events(
    connection: Connection,
    sys: String,
    range: EventRange,
    limit: u32,
) -> Answer<EventPage> {
    let (after, newest) = match range {
        EventRange::After(number) => (number, false),
        EventRange::Newest => (0, true),
    };
    let message = v1::EventsReq { sys, after, limit, newest };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(MembersClient, channel).events(request).await
        })
        .await?;
    let last = answer.last;
    Ok((last, page(answer.events, answer.missed, last)))
}

fn page(events: Vec<v1::Event>, missed: u64, last: u64) -> EventPage {
    EventPage { missed, events: events.into_iter().map(event).collect(), last }
}

fn event(event: v1::Event) -> Event {
    let v1::Event { number, time, kind, ranks, host, from, to, reason, by } = event;
    Event { number, time, kind, ranks, host, from, to, reason, by }
}

/// Pages of events as a replica sends them.
#[derive(Debug)]
pub(in crate::client) struct Pages {
    host: HostAddr,
    stream: Streaming<v1::FollowResp>,
}

impl Pages {
    /// The next page; `None` when the replica ends the stream.
    pub(in crate::client) async fn next(&mut self) -> Result<Option<EventPage>, CallError> {
        let host = &self.host;
        let next = self.stream.message().await;
        let next = next.map_err(|status| CallError::from_status(&status, &host.to_string()))?;
        Ok(next.map(|answer| page(answer.events, answer.missed, answer.last)))
    }
}

pub(in crate::client) async fn follow(
    connection: Connection,
    sys: String,
    after: u64,
) -> Result<Pages, CallError> {
    let host = connection.host().clone();
    let stream = connection
        .call(v1::FollowReq { sys, after }, |channel, request| async move {
            stub!(MembersClient, channel).follow(request).await
        })
        .await?;
    Ok(Pages { host, stream })
}

pub(in crate::client) async fn exclude_even_last(
    connection: Connection,
    sys: String,
    selection: Selection,
) -> Answer<OperationReport> {
    let (ranks, hosts) = selection.texts();
    let message = v1::ExcludeReq { sys, ranks, hosts, clear: false, force_last_usable: true };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(MembersClient, channel).exclude(request).await
        })
        .await?;
    let mut results: Vec<RankOutcome> = answer.results.into_iter().map(outcome).collect();
    results.sort_by_key(|result| result.rank);
    Ok((0, OperationReport { results, ..OperationReport::default() }))
}

fn outcome(result: v1::MemberResult) -> RankOutcome {
    let v1::MemberResult { rank, action, errored, message, state, address } = result;
    let state = MemberState::from_word(&state);
    RankOutcome { rank, action, errored, message, state, address }
}
