//! Pushes the group map to the first running engine of this host that belongs to the group, while this host's replica leads:
//! one map at a time, versions rising, of many changes only the last (contract 6.6).
//!
//! One task, ended by the server. Engines forward the map among themselves.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::{GroupMap, RoleInfo};
use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::engine::{EngineState, EngineStatus};
use crate::supervisor::Supervisor;

/// First pause before a push that failed is tried again; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// In a storm of changes pushing takes at most a fifth of the time: a pause of so many times what the last push took.
const REST: u32 = 4;
/// The longest such pause (the tick of contract 6.6).
const LONGEST_REST: Duration = Duration::from_millis(500);

/// An engine that was told a map: the same process is not told the same version again.
type Told = (u32, u32, u32);

/// Pushes until told to end, or until the system is closed. A new map, an engine that begins to run, and becoming leader are
/// reasons to push; an engine that has the version already is left alone.
pub async fn push_group_map(
    mut maps: watch::Receiver<GroupMap>,
    mut role: watch::Receiver<RoleInfo>,
    mut statuses: Vec<watch::Receiver<EngineStatus>>,
    supervisor: Arc<dyn Supervisor>,
    end: CancellationToken,
) {
    let mut told: Option<Told> = None;
    let mut pause = FIRST_PAUSE;
    let mut failures = 0;
    let mut rest = Instant::now();
    loop {
        if !until_rested(rest, &end).await {
            return;
        }
        let map = maps.borrow_and_update().clone();
        let leads = role.borrow_and_update().check_leader().is_ok();
        let running = running_members(&mut statuses, &map);
        // An engine that does not take it keeps nobody else from getting it.
        let wanted = running.get(failures % running.len().max(1)).copied().filter(|_| leads);
        let mut failed = false;
        if let Some((index, pid)) = wanted {
            let this = (index, pid, map.version());
            if told != Some(this) {
                let began = Instant::now();
                match supervisor.update_group(index, &map).await {
                    Ok(()) => {
                        debug!("engine {index} has group map version {}", map.version());
                        told = Some(this);
                        (pause, failures) = (FIRST_PAUSE, 0);
                        rest = Instant::now() + (began.elapsed() * REST).min(LONGEST_REST);
                    }
                    Err(refused) => {
                        warn!(
                            "group map version {} did not reach engine {index}: {refused}",
                            map.version()
                        );
                        failed = true;
                        failures += 1;
                    }
                }
            }
        }
        tokio::select! {
            () = end.cancelled() => return,
            changed = maps.changed() => if changed.is_err() { return },
            changed = role.changed() => if changed.is_err() { return },
            () = any_changed(&mut statuses) => {}
            () = tokio::time::sleep(pause), if failed => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

/// Lets others work; `false` when the end comes first.
async fn until_rested(rest: Instant, end: &CancellationToken) -> bool {
    rest <= Instant::now()
        || end.run_until_cancelled(tokio::time::sleep_until(rest)).await.is_some()
}

/// Index and process of the running engines of this host that the map names, in this very incarnation: one that
/// runs on from a system that is gone has nothing to do with the group of the new one.
fn running_members(
    statuses: &mut [watch::Receiver<EngineStatus>],
    map: &GroupMap,
) -> Vec<(u32, u32)> {
    let member = |status: &mut watch::Receiver<EngineStatus>| {
        // Every status is marked as seen, so that the next change wakes the loop.
        let seen = status.borrow_and_update();
        let EngineState::Running { pid, rank, incarnation } = seen.state else { return None };
        let known = map.engine(rank)?;
        (known.incarnation == incarnation).then_some((seen.index, pid))
    };
    statuses.iter_mut().filter_map(member).collect()
}

async fn any_changed(statuses: &mut [watch::Receiver<EngineStatus>]) {
    let changes: Vec<_> = statuses
        .iter_mut()
        .map(|status| {
            Box::pin(async {
                if status.changed().await.is_err() {
                    // Its engine has ended for good and will not change any more.
                    std::future::pending::<()>().await;
                }
            })
        })
        .collect();
    if changes.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(changes).await;
}

#[cfg(test)]
#[path = "push_test.rs"]
mod tests;
