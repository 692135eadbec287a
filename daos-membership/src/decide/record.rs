//! What of the news from engines and servers is kept in the event log.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::command::Change;
use crate::event::{EventNote, LONGEST_REASON};
use crate::system::{System, age};

/// The same news again within this time is not kept: an engine that may not join asks every few seconds.
pub const SAME_AGAIN: Duration = Duration::from_secs(600);

/// Events that are looked at for the same news; more than that many different ones within ten minutes are kept twice.
const LOOKED_AT: u64 = 256;

/// The change that records this news; `None` when the same was recorded a short while ago.
#[must_use]
pub fn record(system: &System, mut note: EventNote, at: Timestamp) -> Option<Change> {
    note.reason = note.reason.chars().take(LONGEST_REASON).collect();
    let ranks = note.ranks.to_string();
    let newest = system.events_after(system.last_event().saturating_sub(LOOKED_AT), usize::MAX);
    let told = newest.events.iter().any(|event| {
        event.kind == note.kind
            && event.ranks_text() == ranks
            && *event.reason == *note.reason
            && event.host == note.host
            && age(event.at, at) < SAME_AGAIN
    });
    (!told).then_some(Change::RecordEvent { event: note })
}
