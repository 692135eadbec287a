//! A replica among several, over an established Raft library. See `docs/membership.md` for how it works.
//!
//! The library replicates, counts votes and changes voters. Ours are the store, the messages, the question
//! whether there is to be an election, and every deadline. Knows nothing of joins or of the wire.

mod disk;
mod elect;
mod keeper;
mod log;
mod machine;
mod options;
mod peer;
mod receive;
pub(crate) mod seat;
mod shared;
#[cfg(all(test, feature = "testing"))]
mod suite_test;
mod types;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use openraft::error::{ChangeMembershipError, CheckIsLeaderError, ClientWriteError, RaftError};
use openraft::{ChangeMembers, Config, SnapshotPolicy};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::disk::Disk;
use self::elect::Elector;
use self::keeper::Keeper;
use self::log::Log;
use self::machine::{Growth, Machine};
pub use self::options::QuorumOptions;
use self::peer::Peers;
use self::receive::Receiver;
use self::shared::Shared;
use self::types::{Proposal, Raft, Seat, from_raft_id, recorded, replica_at};
use super::{
    ReceiveRefused, ReplicaMessage, ReplicaNetwork, ReplicaProgress, ReplicasError, ReplicasStatus,
    Replicate, ReplicateError, Role, RoleInfo, SystemView, run,
};
use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::command::{Applied, Change, Command};
use crate::replica::{Replica, ReplicaId};
use crate::store::{EntryContent, Store, StoreError, Vote};

/// One of the replicas of a system.
pub struct Quorum {
    shared: Arc<Shared>,
    raft: Raft,
    receiver: Receiver,
    /// Rounds of asking whether this replica leads: started, and the last one that succeeded.
    rounds: AtomicU64,
    confirmed: AtomicU64,
    asking: tokio::sync::Mutex<()>,
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quorum").field("me", &self.shared.me).finish_non_exhaustive()
    }
}

impl Quorum {
    /// Starts on a store. What happens next depends on what is in it:
    ///
    /// - nothing: the replica waits until a leader adds it ([`Replicate::add_learner`]);
    /// - a log in which it alone votes, also one that [`super::Local`] wrote: it leads at once;
    /// - anything else: it goes on as one of its replicas.
    ///
    /// `me` is where the others reach this replica, that is, where [`Quorum::receive`] gets its messages from.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this version does not understand.
    pub async fn start(
        store: Box<dyn Store>,
        me: ControlAddress,
        network: Arc<dyn ReplicaNetwork>,
        options: QuorumOptions,
    ) -> Result<Self, StoreError> {
        let seed = options.seed;
        let (store, known) = with_store(store, move |store| {
            let me = Replica { id: seat::identify(store, seed)?, address: me };
            seat::prepare(store, me)?;
            Known::read(store, me)
        })
        .await?;
        Self::open(store, known, network, options).await
    }

    /// Founds a system in an unused store: this replica is the only one that votes, and replicas are wanted at
    /// `wanted`, of which its own address should be one. All of that is one write, so a system is founded whole
    /// or not at all.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the store has been used before; else as [`Quorum::start`].
    pub async fn found(
        store: Box<dyn Store>,
        me: ControlAddress,
        wanted: Vec<ControlAddress>,
        at: Timestamp,
        network: Arc<dyn ReplicaNetwork>,
        options: QuorumOptions,
    ) -> Result<Self, StoreError> {
        let seed = options.seed;
        let (store, known) = with_store(store, move |store| {
            if !seat::is_unused(store)? {
                return Err(StoreError::Exists { path: store.place().to_owned() });
            }
            let me = Replica { id: seat::identify(store, seed)?, address: me };
            let change = Change::SetWantedReplicas { addresses: wanted };
            let command = Command::new(at, vec![change]).encode();
            seat::sit_alone(store, me, |known| known, vec![EntryContent::Command(command)])?;
            Known::read(store, me)
        })
        .await?;
        Self::open(store, known, network, options).await
    }

    /// Whether nothing has ever happened in a store: a system can be founded in it, or a leader can add it.
    /// A start that was cut short between making the store and founding the system leaves it like that.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_unused(store: &dyn Store) -> Result<bool, StoreError> {
        seat::is_unused(store)
    }

    /// The replica a store belongs to and where the others reach it, by the newest entry that says so; `None` before
    /// it was added.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn seat_of(store: &dyn Store) -> Result<Option<Replica>, StoreError> {
        let Some(id) = store.replica()? else { return Ok(None) };
        let known = seat::last_replicas(store)?;
        let address = known.and_then(|known| known.set.addresses.get(&id).copied());
        Ok(address.map(|address| Replica { id, address }))
    }

    async fn open(
        store: Box<dyn Store>,
        Known { me, vote, alone }: Known,
        network: Arc<dyn ReplicaNetwork>,
        options: QuorumOptions,
    ) -> Result<Self, StoreError> {
        let disk = Disk::new(store);
        let growth = Arc::new(Growth::new(options.snapshot_after));
        let opened = Machine::open(Arc::clone(&disk), Arc::clone(&growth)).await;
        let (machine, cell) = opened.map_err(|error| start_error(&disk, &error))?;
        let role = RoleInfo {
            role: Role::Learner,
            term: vote.term,
            me: me.address,
            leader: None,
            replicas: Vec::new(),
        };
        let config = Arc::new(config(&options));
        let seed = options.seed;
        let shared = Arc::new(Shared::new(me, options, Arc::clone(&disk), cell, network, role));
        shared.was_member.store(vote.voted_for == Some(me.id), Ordering::Release);
        let (peers, log) = (Peers(Arc::clone(&shared)), Log::new(Arc::clone(&disk)));
        let raft = Raft::new(me.id, config, peers, log, machine).await;
        let raft = raft.map_err(|error| start_error(&disk, &error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(Keeper::new(Arc::clone(&shared), raft.clone(), growth).run());
        tasks.spawn(Elector::new(Arc::clone(&shared), raft.clone(), seed).run());
        let this = Self {
            receiver: Receiver::new(Arc::clone(&shared)),
            shared,
            raft,
            rounds: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            asking: tokio::sync::Mutex::new(()),
            tasks: Mutex::new(tasks),
        };
        if alone {
            this.lead_alone().await;
        }
        Ok(this)
    }

    /// Nobody else can lead, so there is nothing to wait for.
    async fn lead_alone(&self) {
        if self.raft.trigger().elect().await.is_err() {
            return;
        }
        let mut role = self.role();
        let settled = role.wait_for(|info| {
            matches!(info.role, Role::Leader | Role::Failed(_) | Role::Stopped | Role::Removed)
        });
        // A slow disk delays the answer, not the start; the role shows when it leads.
        let _ = timeout(self.shared.options.propose_within, settled).await;
    }

    /// Which replica this is.
    #[must_use]
    pub fn me(&self) -> Replica {
        self.shared.me
    }

    /// Takes a message of another replica and says what to answer.
    ///
    /// # Errors
    /// When the message is not for this replica, or the replica has ended.
    pub async fn receive(&self, message: ReplicaMessage) -> Result<ReplicaMessage, ReceiveRefused> {
        self.receiver.receive(&self.raft, message).await
    }

    fn not_leading(&self) -> ReplicateError {
        let info = self.shared.role.borrow().clone();
        let not_leader = || ReplicateError::NotLeader {
            hint: info.leader.filter(|leader| *leader != info.me),
            replicas: info.replicas.iter().copied().filter(|at| *at != info.me).collect(),
        };
        info.check_leader().err().unwrap_or_else(not_leader)
    }

    /// The replica has ended. What had reached a log may be committed by others.
    fn ended(&self, logged: bool) -> ReplicateError {
        self.shared.show(&self.raft.metrics().borrow());
        match self.shared.disk.failure() {
            Some(cause) => ReplicateError::Failed(cause),
            None if logged => ReplicateError::OutcomeUnknown,
            None => ReplicateError::Stopped,
        }
    }

    /// Asks a quorum once, for everybody who asked before the round began.
    async fn confirm_round(&self) -> Result<(), ReplicateError> {
        let arrived = self.rounds.load(Ordering::Acquire);
        let _turn = self.asking.lock().await;
        if self.confirmed.load(Ordering::Acquire) > arrived {
            return Ok(());
        }
        let round = self.rounds.fetch_add(1, Ordering::AcqRel) + 1;
        loop {
            match self.raft.ensure_linearizable().await {
                Ok(_) => break,
                Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
                    sleep(self.shared.options.heartbeat).await;
                }
                Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_))) => {
                    return Err(self.not_leading());
                }
                Err(RaftError::Fatal(_)) => return Err(self.ended(false)),
            }
        }
        self.confirmed.store(round, Ordering::Release);
        self.shared.role.borrow().check_leader()
    }

    async fn change(&self, change: ChangeMembers<ReplicaId, Seat>) -> Result<(), ReplicasError> {
        let raft = self.raft.clone();
        let (done, outcome) = tokio::sync::oneshot::channel();
        // A change that has begun is made to its end, whoever stops waiting for it.
        let task = async move {
            let _ = done.send(raft.change_membership(change, false).await);
        };
        {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that have ended are not kept.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
        let outcome = outcome.await.map_err(|_| ReplicateError::OutcomeUnknown)?;
        outcome.map(|_| ()).map_err(|error| self.change_error(error))
    }

    fn change_error(
        &self,
        error: RaftError<ReplicaId, ClientWriteError<ReplicaId, Seat>>,
    ) -> ReplicasError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => {
                // The first half may have been committed.
                match self.shared.role.borrow().check_leader() {
                    Err(error) => error.into(),
                    Ok(()) => ReplicateError::OutcomeUnknown.into(),
                }
            }
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
                ChangeMembershipError::InProgress(_) => ReplicasError::Changing,
                ChangeMembershipError::EmptyMembership(_) => ReplicasError::NobodyLeft,
                ChangeMembershipError::LearnerNotFound(error) => {
                    ReplicasError::NoSuchReplica { id: error.node_id }
                }
            },
            RaftError::Fatal(_) => self.ended(true).into(),
        }
    }

    async fn change_to(
        &self,
        add: &[ReplicaId],
        remove: &[ReplicaId],
    ) -> Result<(), ReplicasError> {
        self.shared.role.borrow().check_leader()?;
        let known = recorded(&self.raft.metrics().borrow().membership_config);
        if known.set.voters.len() > 1 {
            return Err(ReplicasError::Changing);
        }
        let missing = add.iter().chain(remove).find(|id| !known.set.contains(**id));
        if let Some(id) = missing {
            return Err(ReplicasError::NoSuchReplica { id: *id });
        }
        let current: BTreeSet<ReplicaId> = known.set.voters.iter().flatten().copied().collect();
        let mut voters = current.clone();
        voters.extend(add);
        voters.retain(|id| !remove.contains(id));
        if voters.is_empty() {
            return Err(ReplicasError::NobodyLeft);
        }
        let learners: BTreeSet<ReplicaId> =
            remove.iter().copied().filter(|id| !current.contains(id)).collect();
        if voters != current {
            self.change(ChangeMembers::ReplaceAllVoters(voters)).await?;
        }
        if !learners.is_empty() {
            self.change(ChangeMembers::RemoveNodes(learners)).await?;
        }
        Ok(())
    }
}

/// What the store says before the start.
struct Known {
    me: Replica,
    vote: Vote,
    /// Nobody else votes.
    alone: bool,
}

impl Known {
    fn read(store: &dyn Store, me: Replica) -> Result<Self, StoreError> {
        let replicas = seat::last_replicas(store)?;
        let alone = replicas.is_some_and(|replicas| replicas.set.is_lone_voter(me.id));
        Ok(Self { me, vote: store.vote()?, alone })
    }
}

/// Does something with a store where that disturbs nobody, and hands both back.
async fn with_store<T: Send + 'static>(
    store: Box<dyn Store>,
    work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<(Box<dyn Store>, T), StoreError> {
    let blocks = store.blocks();
    let done = run(blocks, move || work(&*store).map(|done| (store, done))).await;
    done.unwrap_or_else(|| Err(stopping()))
}

fn stopping() -> StoreError {
    let (path, source) = ("system database".into(), Box::new(ReplicateError::Stopped));
    StoreError::Io { path, doing: "open", source }
}

/// The failure of the store in its own words, if that is why a start failed.
fn start_error(disk: &Disk, error: &(dyn std::error::Error + 'static)) -> StoreError {
    match disk.failure() {
        Some(cause) => cause.copy(),
        None => StoreError::Corrupt { path: disk.place().to_owned(), what: super::chain(error) },
    }
}

fn config(options: &QuorumOptions) -> Config {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    Config {
        cluster_name: "system".to_owned(),
        // The library takes this as deadline of every append. Heartbeats are sent by the keeper.
        heartbeat_interval: millis(options.reply_within),
        enable_heartbeat: false,
        // Elections are started by the elector; the second time is how long a vote is refused after a leader was
        // heard, the first one how long an answer to a candidate may take.
        enable_elect: false,
        election_timeout_min: millis(options.reply_within) + 1,
        election_timeout_max: millis(options.leader_lost_after)
            .max(millis(options.reply_within) + 2),
        max_payload_entries: 256,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: options.keep_entries,
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    }
}

#[async_trait]
impl Replicate for Quorum {
    async fn propose(&self, command: Command) -> Result<Applied, ReplicateError> {
        self.shared.role.borrow().check_leader()?;
        let proposal = Proposal::new(command);
        let answer = self.raft.client_write_ff(proposal.clone()).await;
        let answer = answer.map_err(|_| self.ended(false))?;
        match timeout(self.shared.options.propose_within, answer).await {
            Err(_) => Err(ReplicateError::OutcomeUnknown),
            Ok(Ok(Ok(written))) => written.data.ok_or(ReplicateError::OutcomeUnknown),
            Ok(Ok(Err(_))) if proposal.was_logged() => Err(ReplicateError::OutcomeUnknown),
            Ok(Ok(Err(_))) => Err(self.not_leading()),
            Ok(Err(_)) => Err(self.ended(proposal.was_logged())),
        }
    }

    fn role(&self) -> watch::Receiver<RoleInfo> {
        self.shared.role.subscribe()
    }

    async fn confirm_leadership(&self, within: Duration) -> Result<(), ReplicateError> {
        self.shared.role.borrow().check_leader()?;
        let confirmed = timeout(within, self.confirm_round()).await;
        confirmed.unwrap_or_else(|_| Err(self.not_leading()))
    }

    fn view(&self) -> SystemView {
        self.shared.cell.view()
    }

    async fn snapshot(&self) -> Result<(), ReplicateError> {
        let mut metrics = self.raft.metrics();
        let wanted = metrics.borrow().last_applied;
        self.raft.trigger().snapshot().await.map_err(|_| self.ended(false))?;
        let stored = metrics.wait_for(|now| now.snapshot >= wanted || now.running_state.is_err());
        let stored = timeout(self.shared.options.snapshot_within, stored).await;
        match stored {
            Err(_) => Err(ReplicateError::OutcomeUnknown),
            Ok(Ok(now)) if now.running_state.is_ok() => Ok(()),
            Ok(_) => Err(self.ended(false)),
        }
    }

    fn replicas(&self) -> ReplicasStatus {
        let metrics = self.raft.metrics().borrow().clone();
        let info = self.shared.role.borrow().clone();
        let replicas = recorded(&metrics.membership_config);
        let leads = info.check_leader().is_ok();
        let heard = self.shared.leader_heard().filter(|_| !metrics.state.is_leader());
        let leader = match leads {
            true => Some(self.shared.me),
            false => heard
                .filter(|_| info.leader.is_some())
                .and_then(|(_, id)| replica_at(&replicas.set, id)),
        };
        let progress = metrics.replication.unwrap_or_default().into_iter();
        let progress = progress.filter(|(id, _)| leads && *id != self.shared.me.id);
        let progress = progress.map(|(id, matched)| {
            let heard = self.shared.answered(id);
            (id, ReplicaProgress { matched: matched.map(from_raft_id), heard })
        });
        ReplicasStatus {
            me: self.shared.me,
            leader,
            info,
            changing: replicas.set.voters.len() > 1,
            replicas,
            last_log: self.raft.data_metrics().borrow().last_log.map(from_raft_id),
            applied: metrics.last_applied.map(from_raft_id),
            snapshot: metrics.snapshot.map(from_raft_id),
            progress: progress.collect(),
            leader_heard: heard.map(|(ago, _)| ago),
        }
    }

    async fn add_learner(&self, replica: Replica) -> Result<(), ReplicasError> {
        self.shared.role.borrow().check_leader()?;
        let known = recorded(&self.raft.metrics().borrow().membership_config);
        if known.set.addresses.get(&replica.id) == Some(&replica.address) {
            return Ok(());
        }
        let nodes = [(replica.id, Seat(replica.address))].into();
        let change = self.change(ChangeMembers::SetNodes(nodes));
        let done = timeout(self.shared.options.propose_within, change).await;
        done.unwrap_or_else(|_| Err(ReplicateError::OutcomeUnknown.into()))
    }

    async fn change_voters(
        &self,
        add: &[ReplicaId],
        remove: &[ReplicaId],
        within: Duration,
    ) -> Result<(), ReplicasError> {
        let done = timeout(within, self.change_to(add, remove)).await;
        done.unwrap_or_else(|_| Err(ReplicateError::OutcomeUnknown.into()))
    }

    fn give_way(&self, reason: &str) -> Result<(), ReplicasError> {
        self.shared.role.borrow().check_leader()?;
        let metrics = self.raft.metrics().borrow().clone();
        if recorded(&metrics.membership_config).set.is_lone_voter(self.me().id) {
            return Err(ReplicasError::Alone);
        }
        tracing::warn!(reason, "this leader gives way");
        self.shared.start_giving_way(self.shared.options.give_way_for);
        self.shared.show(&metrics);
        Ok(())
    }

    async fn shutdown(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = self.raft.shutdown().await;
        if ended.is_err() {
            tracing::error!("replication has ended by an error of its own");
        }
        drop(tasks);
        self.shared.disk.close().await;
        self.shared.role.send_if_modified(|info| {
            let failed = matches!(info.role, Role::Failed(_));
            if !failed {
                (info.role, info.leader) = (Role::Stopped, None);
            }
            !failed
        });
    }
}
