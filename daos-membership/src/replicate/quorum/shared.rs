//! What the parts of one replica share: who it is, what it has heard of the others, and whether it gives way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::QuorumOptions;
use super::disk::Disk;
use crate::replica::{RecordedReplicas, Replica, ReplicaId, ReplicaSet};
use crate::replicate::{
    Answer, ReplicaBody, ReplicaMessage, ReplicaNetwork, ReplicaUnreachable, RoleInfo, SystemCell,
};
use crate::store::LogId;

/// Shared by everything that makes up a replica.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: Replica,
    pub(super) options: QuorumOptions,
    pub(super) disk: Arc<Disk>,
    pub(super) cell: Arc<SystemCell>,
    pub(super) network: Arc<dyn ReplicaNetwork>,
    pub(super) role: watch::Sender<RoleInfo>,
    /// The others have removed it.
    pub(super) removed: AtomicBool,
    /// It has been one of the replicas.
    pub(super) was_member: AtomicBool,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// When a leader last sent something, and which.
    leader: Option<(Instant, ReplicaId)>,
    /// When another replica was last given a vote.
    voted: Option<Instant>,
    /// When a replica last answered something that was sent to it as leader.
    answers: BTreeMap<ReplicaId, Instant>,
    /// Replicas that did not answer when they were asked last.
    silent: BTreeSet<ReplicaId>,
    /// The newest entry that names the replicas without this one, as another replica said that is at the place of an earlier one.
    removed_at: Option<LogId>,
    /// Until when this replica lets others lead.
    giving_way: Option<Instant>,
}

impl Shared {
    pub(super) fn new(
        me: Replica,
        options: QuorumOptions,
        disk: Arc<Disk>,
        cell: Arc<SystemCell>,
        network: Arc<dyn ReplicaNetwork>,
        role: RoleInfo,
    ) -> Self {
        let (role, _) = watch::channel(role);
        let (removed, was_member) = (AtomicBool::new(false), AtomicBool::new(false));
        let heard = Mutex::default();
        Self { me, options, disk, cell, network, role, removed, was_member, heard }
    }

    /// Sends a question to another replica and waits for its answer. The log has a line when a replica falls silent, and one
    /// when it answers again.
    pub(super) async fn call(
        &self,
        to: Replica,
        body: ReplicaBody,
        within: Duration,
    ) -> Result<ReplicaBody, ReplicaUnreachable> {
        let answer = self.exchange(to, body, within).await;
        let silent = &mut self.heard().silent;
        match &answer {
            Ok(_) if silent.remove(&to.id) => tracing::info!("replica {to} answers again"),
            Err(error) if silent.insert(to.id) => tracing::warn!("{error}"),
            _ => {}
        }
        answer
    }

    async fn exchange(
        &self,
        to: Replica,
        body: ReplicaBody,
        within: Duration,
    ) -> Result<ReplicaBody, ReplicaUnreachable> {
        let unreachable = |reason: &str| ReplicaUnreachable { to, reason: reason.to_owned() };
        let system = self.disk.identity().uuid;
        let message = ReplicaMessage { system, from: self.me, to: to.id, body };
        let answer = timeout(within, self.network.call(&to, message)).await;
        let answer = answer.map_err(|_| unreachable("no answer in time"))??;
        if answer.system != system || answer.to != self.me.id {
            return Err(unreachable("another replica answered"));
        }
        if answer.from.id != to.id {
            if let ReplicaBody::Answer(Answer { member: false, replicas_at, .. }) = answer.body {
                let removed_at = &mut self.heard().removed_at;
                *removed_at = replicas_at.max(*removed_at);
            }
            return Err(unreachable("another replica is there"));
        }
        Ok(answer.body)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hear_leader(&self, leader: ReplicaId) {
        let mut heard = self.heard();
        heard.leader = Some((Instant::now(), leader));
        heard.giving_way = None;
        self.removed.store(false, Ordering::Release);
    }

    pub(super) fn hear_candidate(&self) {
        self.heard().voted = Some(Instant::now());
    }

    pub(super) fn hear_answer(&self, from: ReplicaId) {
        self.heard().answers.insert(from, Instant::now());
    }

    /// The leader that was heard last, and how long ago.
    pub(super) fn leader_heard(&self) -> Option<(Duration, ReplicaId)> {
        self.heard().leader.map(|(when, leader)| (when.elapsed(), leader))
    }

    /// Whether a leader was heard so recently that nobody else is to lead.
    pub(super) fn hears_leader(&self) -> bool {
        self.leader_heard().is_some_and(|(ago, _)| ago <= self.options.leader_lost_after)
    }

    /// How long nothing has happened that makes an election needless: a leader, or another candidate.
    pub(super) fn silent_for(&self, since_start: Duration) -> Duration {
        let heard = self.heard();
        let last = heard.leader.map(|(when, _)| when).max(heard.voted);
        last.map_or(since_start, |when| when.elapsed())
    }

    pub(super) fn answered(&self, id: ReplicaId) -> Option<Duration> {
        self.heard().answers.get(&id).map(Instant::elapsed)
    }

    /// How long ago a quorum, this replica included, was last heard. `None` if never.
    pub(super) fn quorum_heard(&self, set: &ReplicaSet) -> Option<Duration> {
        let mut counted = BTreeSet::from([self.me.id]);
        if set.is_quorum(&counted) {
            return Some(Duration::ZERO);
        }
        let heard = self.heard();
        let mut latest: Vec<(Instant, ReplicaId)> =
            heard.answers.iter().map(|(id, when)| (*when, *id)).collect();
        latest.sort_unstable();
        for (when, id) in latest.into_iter().rev() {
            counted.insert(id);
            if set.is_quorum(&counted) {
                return Some(when.elapsed());
            }
        }
        None
    }

    /// Whether another replica knows of later replicas than these, without this one.
    pub(super) fn was_removed_since(&self, known: &RecordedReplicas) -> bool {
        self.heard().removed_at.is_some_and(|at| Some(at) > known.at)
    }

    pub(super) fn start_giving_way(&self, for_: Duration) {
        self.heard().giving_way = Some(Instant::now() + for_);
    }

    /// How long ago this replica went on leading, since nobody had taken over.
    pub(super) fn leads_on_for(&self) -> Option<Duration> {
        self.heard().giving_way.map(|until| until.elapsed())
    }

    pub(super) fn gives_way(&self) -> bool {
        self.heard().giving_way.is_some_and(|until| Instant::now() < until)
    }
}
