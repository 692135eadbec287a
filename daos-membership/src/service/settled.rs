//! Whether a replica that has just started shows as much as it held before: what was committed when it stopped is applied only once a
//! leader says that it was.
//!
//! Asked through the handle before reads are answered. Decides nothing about leadership.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::replicate::{ReplicasStatus, Replicate, Role};

/// How long reads wait for a leader. Without one for so long, old answers are better than none: whoever asks is told how old
/// they are.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Settled {
    since: Instant,
    done: AtomicBool,
}

impl Settled {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), done: AtomicBool::new(false) }
    }

    /// Once it has settled it stays so: a replica that lags behind later still answers in order.
    pub(super) fn is(&self, replicate: &dyn Replicate) -> bool {
        if self.done.load(Ordering::Acquire) {
            return true;
        }
        let settled = self.since.elapsed() >= PATIENCE || has_caught_up(&replicate.replicas());
        if settled {
            self.done.store(true, Ordering::Release);
        }
        settled
    }
}

fn has_caught_up(status: &ReplicasStatus) -> bool {
    let follows = status.leader_heard.is_some() && status.applied >= status.last_log;
    matches!(status.info.role, Role::Leader) || follows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::replica::{RecordedReplicas, Replica, ReplicaId};
    use crate::replicate::RoleInfo;
    use crate::store::LogId;

    fn status(role: Role, applied: u64, heard: bool) -> ReplicasStatus {
        let address = "10.0.0.1:10001".parse().unwrap();
        let at = |index| (index > 0).then_some(LogId { term: 1, index });
        ReplicasStatus {
            me: Replica { id: ReplicaId(1), address },
            info: RoleInfo { role, term: 1, me: address, leader: None, replicas: vec![address] },
            leader: None,
            replicas: RecordedReplicas::default(),
            changing: false,
            last_log: at(7),
            applied: at(applied),
            snapshot: None,
            progress: BTreeMap::new(),
            leader_heard: heard.then_some(Duration::ZERO),
        }
    }

    #[test]
    fn a_replica_settles_when_a_leader_was_heard_and_all_it_has_is_applied() {
        assert!(!has_caught_up(&status(Role::Follower, 7, false)), "nobody said what is committed");
        assert!(!has_caught_up(&status(Role::Follower, 6, true)), "an entry is not applied");
        assert!(!has_caught_up(&status(Role::Follower, 0, true)), "nothing is applied");
        assert!(has_caught_up(&status(Role::Follower, 7, true)));
        assert!(has_caught_up(&status(Role::Leader, 6, false)));
    }
}
