//! News about ranks that other hosts forward: which of them changes the system (contract 6.7, 9.2).

use daos_membership::{Incarnation, Liveness, MembershipError, MembershipHandle, Rank};
use tracing::{debug, info};

use crate::drpc::{RasEvent, RasId};

/// Longest reason that is kept of an engine's end, in characters; engines send at most 128 bytes.
const LONGEST_REASON: usize = 256;

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
    let came_of_it = match event.id {
        RasId::SWIM_RANK_DEAD => membership.mark_rank_dead(rank, incarnation).await?,
        RasId::ENGINE_DIED => {
            let how = event.message.chars().take(LONGEST_REASON).collect();
            membership.engine_died(rank, incarnation, how).await?
        }
        _ => {
            debug!("event that changes no rank: {event}");
            return Ok(());
        }
    };
    match came_of_it {
        Liveness::Changes(_) => info!("rank {rank} changes state: {}", event.id),
        other => debug!("rank {rank} keeps its state on {}: {other:?}", event.id),
    }
    Ok(())
}
