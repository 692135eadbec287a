//! The event log of the system, and results of our own orders about members (`daosx.v1`).

use daos_membership::{Event, EventPage};
use daos_proto::daosx::v1;

use crate::engine::RankOutcome;
use crate::system_ops::RankReport;

/// A page of events.
#[must_use]
pub fn events_response(page: &EventPage) -> v1::EventsResp {
    v1::EventsResp {
        events: page.events.iter().map(|each| event(each)).collect(),
        missed: page.missed,
        last: page.last,
    }
}

/// A page of events as they happen.
#[must_use]
pub fn follow_response(page: &EventPage) -> v1::FollowResp {
    let v1::EventsResp { events, missed, last } = events_response(page);
    v1::FollowResp { events, missed, last }
}

fn event(event: &Event) -> v1::Event {
    v1::Event {
        number: event.number,
        time: event.at.to_string(),
        kind: event.kind.text().to_owned(),
        ranks: event.ranks_text().to_owned(),
        host: event.host.map(|host| host.to_string()).unwrap_or_default(),
        from: event.from.map(|state| state.text().to_owned()).unwrap_or_default(),
        to: event.to.map(|state| state.text().to_owned()).unwrap_or_default(),
        reason: event.reason.to_string(),
        by: event.by.to_string(),
    }
}

/// What an operation did to one rank of the system.
#[must_use]
pub fn member_result(report: &RankReport) -> v1::MemberResult {
    v1::MemberResult {
        rank: report.rank.get(),
        action: report.action.to_owned(),
        errored: report.errored,
        message: report.message.clone(),
        state: report.state.text().to_owned(),
        address: report.address.clone(),
    }
}

/// What one host did to one of its ranks.
#[must_use]
pub fn member_outcome(outcome: RankOutcome) -> v1::MemberResult {
    v1::MemberResult {
        rank: outcome.rank.get(),
        action: outcome.action.text().to_owned(),
        errored: outcome.error.is_some(),
        message: outcome.error.unwrap_or(outcome.message),
        state: outcome.state.text().to_owned(),
        address: String::new(),
    }
}
