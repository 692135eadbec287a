//! News about ranks that engines and other hosts report: which of them changes the system, and which is kept in its event
//! log (contract 6.7, 9.2).

use daos_membership::{
    EventKind, EventNote, Incarnation, Liveness, MembershipError, MembershipHandle, Rank, RankSet,
};
use tracing::{debug, info, warn};

use crate::drpc::{RasEvent, RasId};

/// Longest reason that is kept of an engine's end, in characters; engines send at most 128 bytes.
const LONGEST_REASON: usize = 256;

/// Events that change no state and that an administrator looks for afterwards: an engine that gave up or ended itself,
/// clocks apart, and what happened to devices.
const KEPT: [RasId; 10] = [
    RasId(3),
    RasId(4),
    RasId::ENGINE_SELF_TERMINATED,
    RasId(20),
    RasId(21),
    RasId(22),
    RasId(23),
    RasId(24),
    RasId(27),
    RasId(28),
];

/// Lets the system hear an event. Most events change nothing.
///
/// # Errors
/// When this replica does not lead, or the change cannot be committed.
pub async fn hear(membership: &MembershipHandle, event: &RasEvent) -> Result<(), MembershipError> {
    let Some(rank) = event.rank.and_then(Rank::new) else {
        debug!("event without a rank: {event}");
        return Ok(());
    };
    let incarnation = Some(event.incarnation).filter(|number| *number != 0).map(Incarnation);
    let membership = membership.on_behalf_of(teller(event));
    let came_of_it = match event.id {
        RasId::SWIM_RANK_DEAD => membership.mark_rank_dead(rank, incarnation).await?,
        RasId::SWIM_RANK_ALIVE => membership.mark_rank_alive(rank, incarnation).await?,
        RasId::ENGINE_DIED => {
            let how = event.message.chars().take(LONGEST_REASON).collect();
            membership.engine_died(rank, incarnation, how).await?
        }
        id if KEPT.contains(&id) => return keep(&membership, rank, incarnation, event).await,
        _ => {
            debug!("event that changes no rank: {event}");
            return Ok(());
        }
    };
    match came_of_it {
        Liveness::Changes(_) => info!("rank {rank} changes state: {}", event.id),
        Liveness::Held(_) => {
            warn!("rank {rank} was found dead like too many others, its exclusion waits");
        }
        other => debug!("rank {rank} keeps its state on {}: {other:?}", event.id),
    }
    Ok(())
}

fn teller(event: &RasEvent) -> String {
    match event.hostname.as_str() {
        "" => "engine".to_owned(),
        host => format!("engine on {}", host.chars().take(LONGEST_REASON).collect::<String>()),
    }
}

/// An engine that ends itself names a later start than the one that joined; news of an earlier one is old.
async fn keep(
    membership: &MembershipHandle,
    rank: Rank,
    incarnation: Option<Incarnation>,
    event: &RasEvent,
) -> Result<(), MembershipError> {
    let known = membership.view().read(|system| system.member(rank).cloned());
    let Some(member) = known else {
        debug!("event about a rank that is no member: {event}");
        return Ok(());
    };
    if incarnation.is_some_and(|incarnation| incarnation < member.incarnation) {
        debug!("event about an earlier start of rank {rank}: {event}");
        return Ok(());
    }
    let what = match event.message.as_str() {
        "" => event.id.to_string(),
        message => format!("{}: {message}", event.id),
    };
    let note = EventNote::new(EventKind::Engine, RankSet::from_iter([rank]), what);
    membership.record_event(note.on(member.address)).await.map(|_new| ())
}
