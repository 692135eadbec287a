//! The replicas of the management service: what each says of itself, and what the leader says of all.
//!
//! Values and requests in the words of administrators; the wire forms are in `client::wire`.

use std::time::Duration;

use uuid::Uuid;

use super::error::ClientError;
use super::host_list::HostSet;
use super::retry::Policy;
use super::{Client, wire};

/// The part a host has in the management service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplicaKind {
    /// It is no replica.
    #[default]
    None,
    /// It is to be a replica and has no system yet.
    Uninitialized,
    /// Its replica works.
    Running,
    /// It has a database and cannot use it.
    Failed,
}

impl ReplicaKind {
    /// Name as it travels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Uninitialized => "uninitialized",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::None, Self::Uninitialized, Self::Running, Self::Failed];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a host says about its replica. From `role` on only when it is running.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// What part it has.
    pub kind: ReplicaKind,
    /// Why it failed, or what it waits for; may be empty.
    pub reason: String,
    /// Name of the system in its configuration.
    pub system_name: String,
    /// The system it knows of, from its database or from its storage.
    pub system: Option<Uuid>,
    /// Replicas in its configuration, `ip:port`, in order.
    pub configured: Vec<String>,
    /// Id of the replica.
    pub id: String,
    /// `leader`, `follower`, `candidate`, `learner`, `failed` or `stopped`.
    pub role: String,
    /// The term it knows of.
    pub term: u64,
    /// Address of the leader; empty when none is known.
    pub leader: String,
    /// Addresses of all replicas, as replicated.
    pub replicas: Vec<String>,
    /// The newest log entry that is applied here.
    pub applied: u64,
    /// The newest log entry that is stored here.
    pub last_log: u64,
    /// Time since the leader was heard of, nothing on the leader itself. `None` when it never was.
    pub last_contact: Option<Duration>,
    /// Version of the state applied here.
    pub data_version: u64,
}

/// Which replica answered a query, and how fresh its answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredBy {
    /// The host that answered, as it was asked.
    pub host: String,
    /// What its replica said right after the answer.
    pub replica: ReplicaStatus,
}

/// All replicas, as the leader sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaSetStatus {
    /// The replicas in order of their addresses, and hosts that are wanted as replicas.
    pub replicas: Vec<ReplicaEntry>,
    /// The leader's term.
    pub term: u64,
    /// The newest log entry that is committed.
    pub committed: u64,
    /// What makes the service weaker than it should be, in words.
    pub notes: Vec<String>,
}

/// One replica, as the leader sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaEntry {
    /// `ip:port` of its host.
    pub address: String,
    /// Its id; empty for a host that is wanted and has none yet.
    pub id: String,
    /// `leader`, `follower`, `learner`, `wanted` or `leaving`.
    pub role: String,
    /// Whether it votes.
    pub voter: bool,
    /// The newest log entry it is known to have.
    pub stored: u64,
    /// Entries the leader has and it has not.
    pub lag: u64,
    /// Time since it answered; `None` when it never did.
    pub last_contact: Option<Duration>,
    /// What is wrong with it or what it waits for; may be empty.
    pub note: String,
}

/// A change of the replicas may wait for hosts to catch up, so it is given more time than a look-up.
const CHANGE: Policy = Policy { limit: Duration::from_secs(120), ..Policy::COMMON };

impl Client {
    /// The replicas as the leader sees them.
    ///
    /// # Errors
    /// What the service answered or why it could not be reached.
    pub async fn replica_set(&self) -> Result<ReplicaSetStatus, ClientError> {
        self.ask_management("ListReplicas", Policy::LOOK_UP, |connection| {
            wire::replicas::list(connection, self.system())
        })
        .await
    }

    /// Adds replicas while the system runs. Answers when they vote, or after a while with what they wait for.
    ///
    /// # Errors
    /// Faults 1390-1393 for a change that would do harm; otherwise as [`Client::replica_set`].
    pub async fn add_replicas(
        &self,
        hosts: &HostSet,
        force_even: bool,
    ) -> Result<ReplicaSetStatus, ClientError> {
        self.ask_management("AddReplicas", CHANGE, |connection| {
            wire::replicas::add(connection, self.system(), hosts.clone(), force_even)
        })
        .await
    }

    /// Removes replicas while the system runs.
    ///
    /// # Errors
    /// As [`Client::add_replicas`].
    pub async fn remove_replicas(
        &self,
        hosts: &HostSet,
        force_even: bool,
    ) -> Result<ReplicaSetStatus, ClientError> {
        self.ask_management("RemoveReplicas", CHANGE, |connection| {
            wire::replicas::remove(connection, self.system(), hosts.clone(), force_even)
        })
        .await
    }
}
