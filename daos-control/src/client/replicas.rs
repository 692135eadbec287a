//! The replicas of the management service: what each says of itself, and what the leader says of all.
//!
//! Values and requests in the words of administrators; the wire forms are in `client::wire`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::error::ClientError;
use super::fanout::HostResults;
use super::host_list::{HostAddr, HostSet};
use super::rank_set::RankSet;
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
    /// Ranks that were found dead and whose exclusion waits, since too many were found dead at once.
    pub held_deaths: RankSet,
}

/// Which replica answered a query, and how fresh its answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredBy {
    /// The host that answered, as it was asked.
    pub host: String,
    /// What its replica said right after the answer.
    pub replica: ReplicaStatus,
}

/// A replica hears its leader many times a second; one that has not for this long may have missed changes.
const LEADER_SILENT: Duration = Duration::from_secs(2);

impl AnsweredBy {
    /// Why the answer may be out of date, in words; `None` when it comes from the leader or from a replica that hears it.
    #[must_use]
    pub fn stale(&self) -> Option<String> {
        let ReplicaStatus { kind, role, leader, last_contact, .. } = &self.replica;
        if *kind != ReplicaKind::Running {
            return Some("a host that did not say how fresh its answer is".to_owned());
        }
        match last_contact {
            _ if role == "leader" => None,
            Some(since) if !leader.is_empty() && *since > LEADER_SILENT => Some(format!(
                "{role} that has not heard the leader {leader} for {} s",
                since.as_secs()
            )),
            Some(_) if !leader.is_empty() => None,
            _ => Some(format!("{role} that knows of no leader")),
        }
    }
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

/// A host says what its replica is from memory.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// What each replica that can be reached says of itself, also when there is no leader: the hosts of this client, and those
    /// that they name as replicas.
    pub async fn replica_statuses(&self) -> HostResults<ReplicaStatus> {
        let ask = |client: &Self| {
            let client = client.clone();
            async move {
                client
                    .ask_hosts(STATUS_TIMEOUT, |connection| {
                        wire::replicas::status(connection, client.system())
                    })
                    .await
            }
        };
        let mut said = ask(self).await;
        let named = said.answers.iter().flat_map(|(_, status)| &status.replicas);
        let others: HostSet = named
            .filter_map(|text| HostAddr::parse(text).ok())
            .map(|host| host.or_port(self.default_port()))
            .filter(|host| !self.hosts().iter().any(|asked| asked == host))
            .collect();
        if !others.is_empty() {
            let more = ask(&self.clone().with_hosts(others)).await;
            said.answers.extend(more.answers);
            said.failures.extend(more.failures);
        }
        // A host may be known by a name and by an address.
        let mut seen = BTreeSet::new();
        said.answers.retain(|(_, one)| one.id.is_empty() || seen.insert(one.id.clone()));
        said
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

impl ReplicaSetStatus {
    /// The hosts that are wanted and do not vote yet. Of `named` hosts only, when all of those are addresses; a name may be
    /// any of them.
    #[must_use]
    pub fn pending(&self, named: &HostSet) -> Vec<&ReplicaEntry> {
        let by_address = named.iter().all(|host| host.host().parse::<IpAddr>().is_ok());
        let meant = |entry: &&ReplicaEntry| {
            !by_address || named.iter().any(|host| host.to_string() == entry.address)
        };
        let waits = |entry: &&ReplicaEntry| !entry.voter && entry.role != "leaving";
        self.replicas.iter().filter(waits).filter(meant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(role: &str, leader: &str, silent: Option<u64>) -> AnsweredBy {
        let replica = ReplicaStatus {
            kind: ReplicaKind::Running,
            role: role.into(),
            leader: leader.into(),
            last_contact: silent.map(Duration::from_millis),
            ..ReplicaStatus::default()
        };
        AnsweredBy { host: "h:1".into(), replica }
    }

    #[test]
    fn only_the_leader_and_who_hears_it_are_fresh() {
        assert_eq!(by("leader", "h:1", Some(0)).stale(), None);
        assert_eq!(by("follower", "g:1", Some(900)).stale(), None);
        let nobody = "candidate that knows of no leader";
        assert_eq!(by("candidate", "", Some(90)).stale().as_deref(), Some(nobody));
        let silent = "follower that has not heard the leader g:1 for 9 s";
        assert_eq!(by("follower", "g:1", Some(9000)).stale().as_deref(), Some(silent));
        assert!(by("learner", "g:1", None).stale().is_some());
        let mute = AnsweredBy { host: "h:1".into(), replica: ReplicaStatus::default() };
        assert!(mute.stale().is_some());
    }

    #[test]
    fn hosts_that_do_not_vote_yet_are_pending() {
        let entry = |address: &str, role: &str, voter| ReplicaEntry {
            address: address.into(),
            role: role.into(),
            voter,
            ..ReplicaEntry::default()
        };
        let set = ReplicaSetStatus {
            replicas: vec![
                entry("10.0.0.1:1", "leader", true),
                entry("10.0.0.2:1", "leaving", false),
                entry("10.0.0.8:1", "wanted", false),
                entry("10.0.0.9:1", "learner", false),
            ],
            ..ReplicaSetStatus::default()
        };
        let pending = |hosts: &str| -> Vec<String> {
            let named = HostSet::parse(hosts).unwrap().with_ports(1);
            set.pending(&named).into_iter().map(|entry| entry.address.clone()).collect()
        };
        assert!(pending("10.0.0.1").is_empty());
        assert_eq!(pending("10.0.0.[1,8]"), ["10.0.0.8:1"]);
        assert_eq!(pending("node8"), ["10.0.0.8:1", "10.0.0.9:1"]);
    }
}
