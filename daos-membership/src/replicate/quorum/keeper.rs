//! What a replica does all the time: it shows its role, sends heartbeats, completes changes of the voters, has
//! snapshots made, and gives way when it cannot lead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::{ChangeMembers, RaftMetrics, ServerState};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::machine::Growth;
use super::shared::Shared;
use super::types::{Raft, Seat, from_raft_id, recorded, replica_at};
use crate::replica::{RecordedReplicas, ReplicaId};
use crate::replicate::{Role, RoleInfo};

type Metrics = RaftMetrics<ReplicaId, Seat>;

/// Keeps one replica going. Runs until it is dropped.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    raft: Raft,
    growth: Arc<Growth>,
    /// The term this replica leads, and since when.
    leading: Option<(u64, Instant)>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, raft: Raft, growth: Arc<Growth>) -> Self {
        Self { shared, raft, growth, leading: None }
    }

    pub(super) async fn run(mut self) {
        let mut metrics = self.raft.metrics();
        let mut beat = interval(self.shared.options.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = beat.tick() => self.beat().await,
                () = self.growth.due() => {
                    let _ = self.raft.trigger().snapshot().await;
                }
                changed = metrics.changed() => if changed.is_err() { break },
            }
            let now = metrics.borrow_and_update().clone();
            let over = now.running_state.is_err();
            self.note(&now);
            self.shared.show(&now);
            if over {
                break;
            }
        }
    }

    fn note(&mut self, metrics: &Metrics) {
        match (metrics.state, self.leading) {
            (ServerState::Leader, Some((term, _))) if term == metrics.current_term => {}
            (ServerState::Leader, _) => {
                self.leading = Some((metrics.current_term, Instant::now()));
            }
            _ => self.leading = None,
        }
        let known = recorded(&metrics.membership_config);
        if known.set.contains(self.shared.me.id) {
            self.shared.was_member.store(true, Ordering::Release);
        }
    }

    async fn beat(&mut self) {
        let metrics = self.raft.metrics().borrow().clone();
        self.note(&metrics);
        let Some((_, since)) = self.leading else { return };
        let known = recorded(&metrics.membership_config);
        if self.shared.was_removed_since(&known) {
            if !self.shared.removed.swap(true, Ordering::AcqRel) {
                tracing::warn!("this leader was removed: a replica went on without it");
            }
            return;
        }
        if known.set.addresses.len() > 1 {
            self.check_fitness(&known, since.elapsed());
            if !self.shared.gives_way() {
                let _ = self.raft.trigger().heartbeat().await;
            }
        }
        let applied = metrics.last_applied.map(from_raft_id);
        if known.set.voters.len() > 1 && known.at <= applied {
            self.complete_change().await;
        }
    }

    /// Gives way when no quorum answers, or when the disk stalls: another replica may do better. A replica that
    /// hears nobody cannot hand over, but one that is only not answered can.
    fn check_fitness(&self, known: &RecordedReplicas, led: Duration) {
        let options = &self.shared.options;
        if self.shared.gives_way() || known.set.is_lone_voter(self.shared.me.id) {
            return;
        }
        let stalled = self.shared.disk.writing_for().filter(|long| *long > options.stall_after);
        // Nobody was asked while this replica gave way, so nobody can have answered.
        let led = self.shared.leads_on_for().map_or(led, |on| on.min(led));
        let heard = self.shared.quorum_heard(&known.set).unwrap_or(led).min(led);
        if let Some(long) = stalled {
            tracing::warn!(seconds = long.as_secs_f64(), "the disk stalls, this leader gives way");
        } else if heard > options.quorum_lost_after {
            tracing::warn!(
                seconds = heard.as_secs_f64(),
                "no majority answers, this leader gives way"
            );
        } else {
            return;
        }
        self.shared.start_giving_way(options.give_way_for);
    }

    /// Ends a change of the voters that was cut short. Its target is the second group.
    async fn complete_change(&self) {
        let change = ChangeMembers::AddVoterIds(Default::default());
        let done = self.raft.change_membership(change, false);
        // Whoever makes the change completes it as well; then this one is refused, or changes nothing.
        let _ = timeout(self.shared.options.heartbeat, done).await;
    }
}

impl Shared {
    /// Shows the role that follows from what the library says and from what is known beyond that.
    pub(super) fn show(&self, metrics: &Metrics) {
        let next = self.judge(metrics);
        self.role.send_if_modified(|shown| {
            let changed = !same(shown, &next);
            if changed {
                *shown = next;
            }
            changed
        });
    }

    fn judge(&self, metrics: &Metrics) -> RoleInfo {
        let known = recorded(&metrics.membership_config);
        let role = self.role_of(metrics, &known);
        let leader = match role {
            Role::Leader => Some(self.me.address),
            Role::Follower | Role::Learner if !metrics.state.is_leader() => {
                let heard = self.leader_heard().filter(|_| self.hears_leader());
                heard.and_then(|(_, id)| replica_at(&known.set, id)).map(|leader| leader.address)
            }
            _ => None,
        };
        let replicas = known.set.voting().into_iter().map(|replica| replica.address).collect();
        RoleInfo { role, term: metrics.current_term, me: self.me.address, leader, replicas }
    }

    fn role_of(&self, metrics: &Metrics, known: &RecordedReplicas) -> Role {
        if let Some(cause) = self.disk.failure() {
            return Role::Failed(cause);
        }
        if metrics.running_state.is_err() {
            return Role::Stopped;
        }
        if self.removed.load(Ordering::Acquire) {
            return Role::Removed;
        }
        // A new leader has applied all that was committed before when it has applied an entry of its own.
        let caught_up = |term| metrics.last_applied.is_some_and(|id| id.leader_id.term == term);
        match metrics.state {
            ServerState::Leader if self.gives_way() => Role::Follower,
            ServerState::Leader if caught_up(metrics.current_term) => Role::Leader,
            ServerState::Leader | ServerState::Candidate => Role::Candidate,
            ServerState::Follower => Role::Follower,
            ServerState::Learner if known.set.is_voter(self.me.id) => Role::Follower,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Stopped,
        }
    }
}

fn same(a: &RoleInfo, b: &RoleInfo) -> bool {
    std::mem::discriminant(&a.role) == std::mem::discriminant(&b.role)
        && (a.term, a.me, a.leader, &a.replicas) == (b.term, b.me, b.leader, &b.replicas)
}
