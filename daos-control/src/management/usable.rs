//! Whether a leader should give way: its host has had no usable engine for a while, and another one has (contract 6.8).
//!
//! A leader tells the engines of its own host who belongs to the group; without one it can tell nobody. At the very
//! first start no host has an engine yet, so nobody gives way. Run by `server`.

use std::time::Duration;

use daos_membership::{MemberState, Replicate, System};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::keeper::ManagementKeeper;
use super::reconcile::seen;
use super::running::Serving;
use crate::engine::{EngineState, Engines};

/// How long a leader may be without an engine: engines that restart take half of it.
pub const WITHOUT_ENGINE: Duration = Duration::from_secs(60);
/// How often this is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Lets the leader give way when its host has no running engine for `limit`, until the end.
pub async fn give_way_without_engine(
    keeper: ManagementKeeper,
    engines: Engines,
    limit: Duration,
    end: CancellationToken,
) {
    let mut looks = tokio::time::interval(LOOK);
    let mut since: Option<Instant> = None;
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = looks.tick() => {}
        }
        let Some(leading) = keeper.serving().filter(leads) else {
            since = None;
            continue;
        };
        let states = engines.states();
        if states.iter().any(|engine| matches!(engine.state, EngineState::Running { .. })) {
            since = None;
            continue;
        }
        let without = since.get_or_insert_with(Instant::now).elapsed();
        if without >= limit && another_could_lead(&leading) {
            let reason = format!("no engine of this host has run for {} s", without.as_secs());
            if let Err(refused) = leading.replica.give_way(&reason) {
                warn!("this leader has no usable engine and cannot give way: {refused}");
            }
            since = None;
        }
    }
}

fn leads(serving: &Serving) -> bool {
    serving.replica.role().borrow().check_leader().is_ok()
}

/// Whether a replica that is live and up to date is on a host with a joined engine.
fn another_could_lead(serving: &Serving) -> bool {
    let me = serving.replica.me().id;
    let now = seen(&*serving.replica);
    let others = now
        .taking_part
        .iter()
        .filter(|replica| replica.id != me && replica.voter && replica.live && replica.caught_up);
    let addresses: Vec<_> = others.map(|replica| replica.address).collect();
    let joined = |system: &System| {
        addresses
            .iter()
            .any(|at| system.members_at(*at).any(|member| member.state == MemberState::Joined))
    };
    serving.membership.view().read(joined)
}
