//! `system events`: the event log, listed or followed.

use daos_control::client::{Client, EventPage, EventRange, Followed};
use daos_control::wire::CallError;
use serde_json::json;

use super::stream::{self, Reader};
use crate::cli::Events;
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn run(session: &Session, options: Events) -> Result<Outcome, Failure> {
    let client = session.client()?;
    let range = options.after.map_or(EventRange::Newest, EventRange::After);
    let asked = client.system_events_with_source(range, options.limit).await;
    let (page, source) = match asked {
        Err(error) if matches!(error.call(), Some(CallError::Unimplemented(_))) => {
            return Err(Failure::text("the servers have no event log (stock servers have none)"));
        }
        told => told?,
    };
    if options.follow {
        return follow(session, &client, page).await;
    }
    let stderr = print::stale_remark(source.as_ref());
    let response = json::events(&page).into();
    Ok(Outcome { stdout: text(&page), stderr, response, failure: None })
}

fn text(page: &EventPage) -> String {
    let missed = (page.missed > 0).then(|| print::missed(page.missed));
    let lines: String = missed.into_iter().chain(page.events.iter().map(print::event)).collect();
    if lines.is_empty() { "No events\n".to_owned() } else { lines }
}

/// Writes events as they come, for as long as anybody reads.
async fn follow(session: &Session, client: &Client, page: EventPage) -> Result<Outcome, Failure> {
    let after = page.events.last().map_or(page.last, |event| event.number);
    let mut pieces = vec![Followed::Missed(page.missed), Followed::Events(page.events)];
    let mut follower = client.follow_events(after);
    loop {
        for piece in pieces.drain(..) {
            if write(session, &piece)? == Reader::Gone {
                return Ok(Outcome::default());
            }
        }
        pieces.push(follower.next().await?);
    }
}

fn write(session: &Session, piece: &Followed) -> Result<Reader, Failure> {
    let lines = match (piece, session.as_json()) {
        (Followed::Missed(0), _) => return Ok(Reader::There),
        (Followed::Missed(count), true) => json::line(&json!({"missed": count})),
        (Followed::Missed(count), false) => print::missed(*count),
        (Followed::Events(events), true) => {
            events.iter().map(|event| json::line(&json::event(event))).collect()
        }
        (Followed::Events(events), false) => events.iter().map(print::event).collect(),
        (Followed::Lost { host, why }, _) => {
            stream::remark(&format!(
                "dmg: {host} sends no more events ({why}), asking another replica\n"
            ));
            return Ok(Reader::There);
        }
    };
    stream::write(&lines)
}
