//! The event log of the system: a ring of the newest events, filled while commands are applied.
//!
//! Part of the replicated state, so every replica can be asked for it. Numbers have no gaps; whoever comes too late
//! for a number learns how many are gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::event::{Draft, Event, EventKind};
use crate::member::Member;
use crate::rank::RankSet;
use crate::state::MemberState;

use super::System;

/// Events that are kept at most: a restart of a thousand hosts one after the other leaves three each.
pub const EVENTS_KEPT: usize = 4096;

/// Memory for events at most, in bytes. Reached before [`EVENTS_KEPT`] only by long lists of scattered ranks; it keeps
/// snapshots small.
pub const EVENT_BYTES_KEPT: usize = 2 << 20;

/// The newest events, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct EventLog {
    ring: VecDeque<Arc<Event>>,
    weight: usize,
}

impl EventLog {
    pub(super) fn from_stored(events: Vec<Arc<Event>>) -> Self {
        let mut log = Self::default();
        for event in events {
            log.push(event);
        }
        log
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.ring.iter()
    }

    fn last(&self) -> u64 {
        self.ring.back().map_or(0, |event| event.number)
    }

    fn push(&mut self, event: Arc<Event>) {
        self.weight += event.weight();
        self.ring.push_back(event);
        while self.ring.len() > EVENTS_KEPT
            || (self.weight > EVENT_BYTES_KEPT && self.ring.len() > 1)
        {
            if let Some(oldest) = self.ring.pop_front() {
                self.weight -= oldest.weight();
            }
        }
    }

    fn after(&self, after: u64, limit: usize) -> EventPage {
        let first = self.ring.front().map_or(1, |event| event.number);
        // Numbers have no gaps, so the place in the ring follows from the number.
        let skip = (after + 1).saturating_sub(first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.ring.len());
        EventPage {
            missed: first.saturating_sub(after + 1),
            events: self.ring.range(skip..).take(limit).cloned().collect(),
            last: self.last(),
        }
    }
}

/// Events after a number that the reader has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPage {
    /// How many events after that number are not kept any more.
    pub missed: u64,
    /// The next events, oldest first.
    pub events: Vec<Arc<Event>>,
    /// Number of the newest event there is; 0 when there is none.
    pub last: u64,
}

impl System {
    /// The events after a number, at most `limit` of them; after 0 are all that are kept.
    #[must_use]
    pub fn events_after(&self, after: u64, limit: usize) -> EventPage {
        self.events.after(after.min(u64::MAX - 1), limit)
    }

    /// Number of the newest event; 0 when there is none.
    #[must_use]
    pub fn last_event(&self) -> u64 {
        self.events.last()
    }

    pub(super) fn record(&mut self, notes: Notes, at: Timestamp, by: &str) {
        for draft in notes.drafts {
            let number = self.events.last().saturating_add(1);
            self.events.push(Arc::new(Event::of(draft, number, at, by)));
        }
    }
}

type Key = (EventKind, Option<MemberState>, Option<MemberState>, String);

/// What one command has brought about, ranks that share everything else together.
#[derive(Debug, Default)]
pub(super) struct Notes {
    drafts: Vec<Draft>,
    by_key: BTreeMap<Key, usize>,
}

impl Notes {
    /// Something that happened to a member, as it is now.
    pub(super) fn member(&mut self, kind: EventKind, from: Option<MemberState>, member: &Member) {
        self.of_member(kind, from, member, member.info.clone());
    }

    /// The same, with a reason that is not the member's own.
    pub(super) fn of_member(
        &mut self,
        kind: EventKind,
        from: Option<MemberState>,
        member: &Member,
        reason: String,
    ) {
        let to = Some(member.state);
        let key = (kind, from, to, reason);
        match self.by_key.get(&key).and_then(|at| self.drafts.get_mut(*at)) {
            Some(draft) => {
                draft.ranks.insert(member.rank);
                if draft.host != Some(member.address) {
                    draft.host = None;
                }
            }
            None => {
                let ranks = RankSet::from_iter([member.rank]);
                let host = Some(member.address);
                let reason = key.3.clone();
                self.by_key.insert(key, self.drafts.len());
                self.drafts.push(Draft { kind, ranks, host, from, to, reason });
            }
        }
    }

    /// Something that happened to no member.
    pub(super) fn plain(&mut self, kind: EventKind, reason: String) {
        self.draft(Draft { kind, ranks: RankSet::new(), host: None, from: None, to: None, reason });
    }

    pub(super) fn draft(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }
}
