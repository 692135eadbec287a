//! The event log as clients read it: a page, or a stream that goes on.
//!
//! Answered by any replica from what it has applied. A stream ends with the server, or when the replica ends; clients
//! go on at another replica with the number they have.

use std::time::Duration;

use daos_membership::{EventPage, MembershipHandle, Role, RoleInfo};
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most events in one message: far below the limit of gRPC even with the longest reasons.
pub const MOST_EVENTS: usize = 512;

/// A stream says at least this often that it lives, so that a client notices a connection that does not.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// One page: the oldest events after a number, or the newest ones there are.
#[must_use]
pub fn events(membership: &MembershipHandle, after: u64, limit: u32, newest: bool) -> EventPage {
    let limit = usize::try_from(limit).unwrap_or(MOST_EVENTS);
    let limit = if limit == 0 { MOST_EVENTS } else { limit.min(MOST_EVENTS) };
    if !newest {
        return membership.events(after, limit);
    }
    membership.view().read(|system| {
        let before = system.last_event().saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX));
        // Whoever asks for the newest does not miss the others.
        EventPage { missed: 0, ..system.events_after(after.max(before), limit) }
    })
}

struct Follower {
    membership: MembershipHandle,
    changes: watch::Receiver<u64>,
    role: watch::Receiver<RoleInfo>,
    end: CancellationToken,
    after: u64,
    begun: bool,
}

/// Pages as they come, from the event after a number on: the first at once, then one with each change of the event log
/// and an empty one as a sign of life.
pub fn follow(
    membership: MembershipHandle,
    after: u64,
    end: CancellationToken,
) -> impl Stream<Item = EventPage> + Send {
    let (changes, role) = (membership.changes(), membership.watch_role());
    let follower = Follower { membership, changes, role, end, after, begun: false };
    unfold(follower, |mut follower| async move {
        let page = follower.next().await?;
        Some((page, follower))
    })
}

impl Follower {
    async fn next(&mut self) -> Option<EventPage> {
        let alive = tokio::time::sleep(SIGN_OF_LIFE);
        tokio::pin!(alive);
        loop {
            self.changes.borrow_and_update();
            let page = self.membership.events(self.after, MOST_EVENTS);
            if page.missed > 0 || !page.events.is_empty() || !self.begun {
                self.begun = true;
                if let Some(newest) = page.events.last() {
                    self.after = newest.number;
                }
                return Some(page);
            }
            tokio::select! {
                () = self.end.cancelled() => return None,
                ended = self.role.wait_for(has_ended) => {
                    let _ = ended;
                    return None;
                }
                changed = self.changes.changed() => if changed.is_err() { return None },
                () = &mut alive => return Some(page),
            }
        }
    }
}

fn has_ended(info: &RoleInfo) -> bool {
    matches!(info.role, Role::Stopped | Role::Failed(_))
}
