//! Replication of the system state: a command goes in, and comes back once it is durable and applied.
//!
//! [`Replicate`] is what the service needs; [`Local`] is the body for one replica. A quorum of replicas is
//! another body behind the same trait and passes the same suite. Knows nothing of joins or of the wire.

mod local;
mod message;
mod network;
mod quorum;
mod status;
mod view;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::watch;

pub use self::local::{Local, LocalOptions};
pub use self::message::{
    Answer, Append, Appended, Ask, MessageError, ReplicaBody, ReplicaMessage, RequestVote,
    SnapshotPart, SnapshotTaken, Voted,
};
pub use self::network::{ReplicaNetwork, ReplicaUnreachable};
pub(crate) use self::quorum::seat;
pub use self::quorum::{Quorum, QuorumOptions};
pub use self::status::{ReceiveRefused, ReplicaProgress, ReplicasError, ReplicasStatus};
pub use self::view::{SystemCell, SystemView};
use crate::address::ControlAddress;
use crate::command::{Applied, Command};
use crate::error::code;
use crate::replica::{Replica, ReplicaId};
use crate::store::StoreError;

/// What a replica is at the moment.
#[derive(Debug, Clone)]
pub enum Role {
    /// It decides and serves everything.
    Leader,
    /// It follows a leader and serves queries.
    Follower,
    /// It has no leader and asks for votes.
    Candidate,
    /// It is being brought up to date and has no vote yet.
    Learner,
    /// The others have removed it: it has no part in the system any more and does not ask for votes.
    Removed,
    /// It stopped by itself, since its storage failed it. Only a restart helps.
    Failed(Arc<StoreError>),
    /// It was shut down.
    Stopped,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("leader"),
            Self::Follower => f.write_str("follower"),
            Self::Candidate => f.write_str("candidate"),
            Self::Learner => f.write_str("learner"),
            Self::Removed => f.write_str("removed"),
            Self::Failed(cause) => write!(f, "failed ({cause})"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// What a replica knows about leadership.
#[derive(Debug, Clone)]
pub struct RoleInfo {
    /// What it is.
    pub role: Role,
    /// The term it knows of; rises with every election.
    pub term: u64,
    /// Its own address.
    pub me: ControlAddress,
    /// Who leads, if anybody is known to.
    pub leader: Option<ControlAddress>,
    /// All replicas.
    pub replicas: Vec<ControlAddress>,
}

impl RoleInfo {
    /// Whether this replica leads.
    ///
    /// # Errors
    /// What to tell a client that asked it to lead: who does, as in contract 1.4.
    pub fn check_leader(&self) -> Result<(), ReplicateError> {
        match &self.role {
            Role::Leader => Ok(()),
            Role::Stopped => Err(ReplicateError::Stopped),
            Role::Failed(cause) => Err(ReplicateError::Failed(Arc::clone(cause))),
            Role::Follower | Role::Candidate | Role::Learner | Role::Removed => {
                let others = self.replicas.iter().filter(|replica| **replica != self.me);
                let hint = self.leader.filter(|leader| *leader != self.me);
                Err(ReplicateError::NotLeader { hint, replicas: others.copied().collect() })
            }
        }
    }
}

/// Why a command was not committed, or is not known to be.
#[derive(Debug, Clone, Error)]
pub enum ReplicateError {
    /// Another replica leads.
    #[error("this replica does not lead")]
    NotLeader {
        /// Who leads, if anybody is known to.
        hint: Option<ControlAddress>,
        /// The other replicas.
        replicas: Vec<ControlAddress>,
    },
    /// The replica was shut down. The command was not committed.
    #[error("the replica was shut down")]
    Stopped,
    /// Time ran out. The command may be committed or may never be.
    #[error("no quorum in time; whether the change was committed is not known")]
    OutcomeUnknown,
    /// The replica cannot trust its storage any more and has stopped. Whether the command that met the failure
    /// was committed shows after a restart.
    #[error("the system database failed and this replica stopped")]
    Failed(#[source] Arc<StoreError>),
}

impl ReplicateError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotLeader { .. } | Self::Stopped => code::NOT_SERVED_HERE,
            Self::OutcomeUnknown => code::OUTCOME_UNKNOWN,
            Self::Failed(_) => code::REPLICA_FAILED,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::NotLeader { .. } => "send the request to the leader",
            Self::Stopped => "try again when the server is up",
            Self::OutcomeUnknown => "look whether the change is there before trying again",
            Self::Failed(_) => {
                "look at the space and health of the storage that holds the system database, then \
                 restart the server"
            }
        }
    }
}

/// A replicated [`crate::System`].
///
/// Commands are applied in one order on all replicas. The suite in `conformance` says precisely what a body
/// must keep.
#[async_trait]
pub trait Replicate: Send + Sync + fmt::Debug {
    /// Commits a command and applies it. When it returns, the command is durable and [`Replicate::view`] shows
    /// it. A caller that stops waiting does not take the command back. Where an answer depends on others, it
    /// comes within a deadline of the body's own, if only as [`ReplicateError::OutcomeUnknown`].
    ///
    /// # Errors
    /// [`ReplicateError`] says which of them leave the outcome open.
    async fn propose(&self, command: Command) -> Result<Applied, ReplicateError>;

    /// What the replica is, and every change of that.
    fn role(&self) -> watch::Receiver<RoleInfo>;

    /// Makes sure that this replica still leads, so that what it reads is not out of date.
    ///
    /// # Errors
    /// When it does not, or cannot tell in time.
    async fn confirm_leadership(&self, within: Duration) -> Result<(), ReplicateError>;

    /// The state that has been applied here. On a follower it may lag behind.
    fn view(&self) -> SystemView;

    /// Stores the state as a snapshot and drops the log before it.
    ///
    /// # Errors
    /// When it cannot be stored.
    async fn snapshot(&self) -> Result<(), ReplicateError>;

    /// What is known here about all replicas, at this moment.
    fn replicas(&self) -> ReplicasStatus;

    /// Lets a replica take part without a vote; it is brought up to date from now on. Returns when the others
    /// know of it, not when it is up to date ([`ReplicasStatus::lag_of`]). Adding it again changes nothing.
    ///
    /// # Errors
    /// [`ReplicasError`]; this replica has to lead.
    async fn add_learner(&self, replica: Replica) -> Result<(), ReplicasError>;

    /// Gives a vote to the replicas in `add`, which have to be learners, and takes those in `remove` out, in one
    /// change: at no moment can two majorities decide apart. Returns when it is complete. A change that was cut
    /// short, by a deadline or a new leader, is completed by whoever leads.
    ///
    /// # Errors
    /// [`ReplicasError`]; this replica has to lead. [`ReplicateError::OutcomeUnknown`] when it takes longer than
    /// `within`.
    async fn change_voters(
        &self,
        add: &[ReplicaId],
        remove: &[ReplicaId],
        within: Duration,
    ) -> Result<(), ReplicasError>;

    /// Stops leading, so that another replica takes over. If none does in a bounded time, it leads on. Until
    /// then it shows no leader and refuses what is proposed.
    ///
    /// # Errors
    /// [`ReplicasError::Alone`] when nobody could take over, [`ReplicateError::NotLeader`] when it does not lead.
    fn give_way(&self, reason: &str) -> Result<(), ReplicasError>;

    /// Ends the replica in good order and closes its store. Whatever is proposed afterwards is refused.
    async fn shutdown(&self);
}

/// An error with all its causes, for a message that names none of them otherwise.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Runs work that may wait for a disk where it disturbs nobody. `None` when the runtime is shutting down.
pub(crate) async fn run<T: Send + 'static>(
    blocks: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if !blocks {
        return Some(work());
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}
