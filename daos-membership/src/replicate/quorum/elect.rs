//! When this replica wants to lead. The library only counts votes; whether there is to be an election at all is
//! decided here: the leader must be silent for a while, and a majority must miss it as well (pre-vote). So a
//! replica that was cut off or paused disturbs nobody when it is back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::shared::Shared;
use super::types::{Raft, from_raft_id, recorded};
use crate::replica::{RecordedReplicas, Replica};
use crate::replicate::{Answer, Ask, ReplicaBody};

/// Watches the leader and stands for election when it is lost. Runs until it is dropped.
pub(super) struct Elector {
    shared: Arc<Shared>,
    raft: Raft,
    rng: StdRng,
    started: Instant,
    /// The term in which it last stood, and when.
    stood: Option<(u64, Instant)>,
}

/// How long a candidature may wait for the disk before there is another one. One that waits is not helped by more of them: each would
/// undo the one before it once the disk answers.
const DISK_PATIENCE: Duration = Duration::from_secs(20);

/// What the others say about a candidature.
#[derive(Debug, Default)]
struct Opinion {
    /// Who would vote for this replica, itself included.
    would_vote: BTreeSet<crate::replica::ReplicaId>,
    /// It is not one of the replicas any more.
    removed: bool,
}

impl Elector {
    pub(super) fn new(shared: Arc<Shared>, raft: Raft, seed: Option<u64>) -> Self {
        let rng = seed.map_or_else(StdRng::from_os_rng, StdRng::seed_from_u64);
        Self { shared, raft, rng, started: Instant::now(), stood: None }
    }

    pub(super) async fn run(mut self) {
        loop {
            let patience = self.shared.options.leader_lost_after + self.jitter();
            loop {
                let silent = self.shared.silent_for(self.started.elapsed());
                match patience.checked_sub(silent) {
                    Some(rest) if !rest.is_zero() => sleep(rest).await,
                    _ => break,
                }
            }
            self.stand().await;
            // Time for the votes, and by chance more, so that two candidates do not go on side by side.
            sleep(self.shared.options.reply_within / 2 + self.jitter()).await;
        }
    }

    fn jitter(&mut self) -> Duration {
        let most = self.shared.options.election_spread.as_millis().try_into().unwrap_or(u64::MAX);
        Duration::from_millis(self.rng.random_range(0..=most))
    }

    /// Asks the others, and stands if a quorum is for it.
    async fn stand(&mut self) {
        let metrics = self.raft.metrics().borrow().clone();
        let known = recorded(&metrics.membership_config);
        let me = self.shared.me.id;
        if metrics.running_state.is_err()
            || metrics.state.is_leader()
            || known.set == <_>::default()
            || self.still_standing(metrics.current_term)
        {
            return;
        }
        let votes = known.set.is_voter(me);
        if !(votes && known.set.is_lone_voter(me)) {
            let last = self.raft.data_metrics().borrow().last_log.map(from_raft_id);
            let opinion = self.ask_all(&known, Ask { term: metrics.current_term, last }).await;
            if opinion.removed && !self.shared.hears_leader() {
                if !self.shared.removed.swap(true, Ordering::AcqRel) {
                    tracing::warn!(replica = %me, "the others have removed this replica");
                }
                return;
            }
            if !votes || self.shared.hears_leader() || !known.set.is_quorum(&opinion.would_vote) {
                return;
            }
        }
        if self.shared.gives_way() {
            return;
        }
        tracing::info!(replica = %me, term = metrics.current_term, "stands for election");
        self.stood = Some((metrics.current_term, Instant::now()));
        // An error means that the replica has ended.
        let _ = self.raft.trigger().elect().await;
    }

    /// Whether the last candidature has not been written down yet: that makes a new term.
    fn still_standing(&self, term: u64) -> bool {
        self.stood.is_some_and(|(then, when)| then == term && when.elapsed() < DISK_PATIENCE)
    }

    async fn ask_all(&self, known: &RecordedReplicas, ask: Ask) -> Opinion {
        let me = self.shared.me.id;
        let others = known.set.addresses.iter().filter(|(id, _)| **id != me);
        let mut asked = JoinSet::new();
        for (id, address) in others {
            let (shared, to) = (Arc::clone(&self.shared), Replica { id: *id, address: *address });
            asked.spawn(async move {
                let body = ReplicaBody::Ask(ask);
                let answer = shared.call(to, body, shared.options.reply_within).await;
                (to, answer)
            });
        }
        let was_member = known.set.contains(me) || self.shared.was_member.load(Ordering::Acquire);
        let mut opinion = Opinion { would_vote: BTreeSet::from([me]), removed: false };
        while let Some(done) = asked.join_next().await {
            let Ok((to, Ok(ReplicaBody::Answer(answer)))) = done else { continue };
            if answer.would_vote {
                opinion.would_vote.insert(to.id);
            }
            opinion.removed |= was_member && removes(&answer, known);
            if known.set.is_quorum(&opinion.would_vote) {
                break;
            }
        }
        opinion.removed |= was_member && self.shared.was_removed_since(known);
        opinion
    }
}

/// Whether a replica says, from later knowledge than there is here, that this one is none any more.
fn removes(answer: &Answer, known: &RecordedReplicas) -> bool {
    !answer.member && answer.replicas_at >= known.at
}
