//! What a replica knows about all replicas, and why a change of them is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::{ReplicateError, RoleInfo};
use crate::error::code;
use crate::replica::{RecordedReplicas, Replica, ReplicaId};
use crate::store::{LogId, StoreError};

/// What one replica knows about all of them at one moment.
#[derive(Debug, Clone)]
pub struct ReplicasStatus {
    /// The replica that says this.
    pub me: Replica,
    /// Its role, as [`super::Replicate::role`] shows it.
    pub info: RoleInfo,
    /// The leader it knows of, itself if it leads.
    pub leader: Option<Replica>,
    /// The replicas by the newest entry it has, committed or not; that is what elections count.
    pub replicas: RecordedReplicas,
    /// Whether a change of the voters is under way (two groups of voters).
    pub changing: bool,
    /// Its last log entry.
    pub last_log: Option<LogId>,
    /// The last entry that it has applied.
    pub applied: Option<LogId>,
    /// The last entry that its stored snapshot holds.
    pub snapshot: Option<LogId>,
    /// On the leader: how far the others are, learners included.
    pub progress: BTreeMap<ReplicaId, ReplicaProgress>,
    /// On all others: how long ago the leader was last heard. `None` if never since the start.
    pub leader_heard: Option<Duration>,
}

/// How far a replica is, as its leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaProgress {
    /// The last entry that it is known to share.
    pub matched: Option<LogId>,
    /// How long ago it last answered. `None` if not yet in this leader's time.
    pub heard: Option<Duration>,
}

impl ReplicasStatus {
    /// Entries that this replica, which leads, has and the other one is not known to have. `None` when it
    /// leads not, or has heard nothing of that replica.
    #[must_use]
    pub fn lag_of(&self, id: ReplicaId) -> Option<u64> {
        let mine = self.last_log.map_or(0, |id| id.index);
        if id == self.me.id {
            return self.info.check_leader().is_ok().then_some(0);
        }
        Some(mine.saturating_sub(self.progress.get(&id)?.matched?.index))
    }
}

/// Why the replicas were not changed, or are not known to be.
#[derive(Debug, Clone, Error)]
pub enum ReplicasError {
    /// It does not lead, was stopped, has failed, or time ran out.
    #[error(transparent)]
    Replicate(#[from] ReplicateError),
    /// A change of the replicas is under way already.
    #[error("another change of the replicas is under way")]
    Changing,
    /// No such replica, or it has to be added as a learner first.
    #[error("there is no replica {id}")]
    NoSuchReplica {
        /// Which one.
        id: ReplicaId,
    },
    /// None of the replicas would vote afterwards.
    #[error("no replica with a vote would be left")]
    NobodyLeft,
    /// There is nobody else.
    #[error("this replica is alone; nobody can take over from it or replicate with it")]
    Alone,
}

impl ReplicasError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Replicate(error) => error.code(),
            Self::Changing => code::REPLICAS_CHANGING,
            Self::NoSuchReplica { .. } => code::NO_SUCH_REPLICA,
            Self::NobodyLeft => code::NO_VOTER_LEFT,
            Self::Alone => code::REPLICA_ALONE,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Replicate(error) => error.resolution(),
            Self::Changing => "try again when it has ended (dmg system ms status)",
            Self::NoSuchReplica { .. } => "look which replicas there are (dmg system ms status)",
            Self::NobodyLeft => "leave at least one replica",
            Self::Alone => "add a replica first (dmg system ms add)",
        }
    }
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Error)]
pub enum ReceiveRefused {
    /// It is meant for a replica that was at this address before.
    #[error("this is replica {me}, not {asked}")]
    OtherReplica {
        /// Who was meant.
        asked: ReplicaId,
        /// Who got it.
        me: ReplicaId,
    },
    /// It comes from a replica of another system.
    #[error("this is a replica of system {mine}, not of {asked}")]
    OtherSystem {
        /// The system of the sender.
        asked: uuid::Uuid,
        /// The system of this replica.
        mine: uuid::Uuid,
    },
    /// It is an answer, and nobody has asked.
    #[error("an answer that nobody has asked for")]
    Unasked,
    /// The replica was shut down.
    #[error("the replica was shut down")]
    Stopped,
    /// The replica has stopped by itself.
    #[error("the system database failed and this replica stopped")]
    Failed(#[source] Arc<StoreError>),
}

impl ReceiveRefused {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::OtherReplica { .. } | Self::Unasked => code::REPLICA_MESSAGE,
            Self::OtherSystem { .. } => code::STORE_FOREIGN,
            Self::Stopped => code::NOT_SERVED_HERE,
            Self::Failed(_) => code::REPLICA_FAILED,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::OtherReplica { .. } => {
                "replace the replica that was there before (dmg system ms status)"
            }
            Self::OtherSystem { .. } => "look which hosts belong to which system",
            Self::Unasked => "bring the servers of all replicas to the same version",
            Self::Stopped => "try again when the server is up",
            Self::Failed(_) => "look at the storage that holds the system database of that host",
        }
    }
}
