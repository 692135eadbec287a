//! Asking the management service what it knows: members, leader, pools.

use std::time::Duration;

use super::Selection;
use super::member::{Member, StateMask};
use crate::client::error::ClientError;
use crate::client::fanout::fan_out;
use crate::client::host_list::{HostAddr, HostSet};
use crate::client::rank_set::RankSet;
use crate::client::replicas::AnsweredBy;
use crate::client::retry::Policy;
use crate::client::{Client, wire};

/// A replica that has not said within this time whether it is up is down.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(10);

/// What to ask about the members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemQuery {
    /// Which members.
    pub selection: Selection,
    /// In which states.
    pub states: StateMask,
}

/// What the management service knows about the members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemStatus {
    /// The members, by rank.
    pub members: Vec<Member>,
    /// Ranks that were named and do not exist.
    pub absent_ranks: RankSet,
    /// Hosts that were named and have no member.
    pub absent_hosts: String,
    /// Fabric providers of the system.
    pub providers: Vec<String>,
    /// What the system heals by itself: words joined by `;`.
    pub self_heal: String,
    /// Which replica answered and how fresh it is; `None` where the server cannot say, as stock ones.
    pub answered_by: Option<AnsweredBy>,
    /// Nobody shows certificates: this was asked without them, and a server that uses them would not have answered.
    pub insecure: bool,
}

/// Who leads the management service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leader {
    /// Address of the leader; empty during an election.
    pub current: String,
    /// Addresses of all replicas.
    pub replicas: Vec<String>,
    /// Replicas that did not answer.
    pub down: Vec<String>,
}

/// A pool as the system database has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// Uuid.
    pub uuid: String,
    /// Label; may be empty.
    pub label: String,
    /// Ranks of its service.
    pub service_replicas: Vec<u32>,
    /// State in words, e.g. `Ready`.
    pub state: String,
}

impl Client {
    /// Asks for the members (R165). A management service that is not there yet is returned as an error at once.
    ///
    /// # Errors
    /// [`crate::wire::CallError::NotReady`] before the first format and before the first member; otherwise what the
    /// service answered or why it could not be reached.
    pub async fn system_query(&self, query: &SystemQuery) -> Result<SystemStatus, ClientError> {
        let insecure = self.connector.is_insecure();
        let asked = self.ask_management("SystemQuery", Policy::ANSWER_AT_ONCE, |connection| {
            let told = wire::system::query(connection.clone(), self.system(), query.clone());
            wire::replicas::with_source(connection, self.system(), told)
        });
        let (status, answered_by) = asked.await?;
        Ok(SystemStatus { answered_by, insecure, ..status })
    }

    /// Asks who leads, then every replica whether it is up (R164).
    ///
    /// # Errors
    /// What the service answered or why it could not be reached.
    pub async fn leader_query(&self) -> Result<Leader, ClientError> {
        let mut leader = self
            .ask_management("LeaderQuery", Policy::LOOK_UP, |connection| {
                wire::system::leader(connection, self.system())
            })
            .await?;
        let replicas: HostSet = leader
            .replicas
            .iter()
            .filter_map(|text| HostAddr::parse(text).ok())
            .map(|host| host.or_port(self.default_port()))
            .collect();
        let asked =
            fan_out(self.connector.clone(), replicas, self.limit(REPLICA_TIMEOUT), |connection| {
                wire::system::leader(connection, self.system())
            });
        leader.down = asked.await.failures.into_iter().map(|(host, _)| host.to_string()).collect();
        Ok(leader)
    }

    /// Lists the pools in the system database, whatever their state.
    ///
    /// # Errors
    /// What the service answered or why it could not be reached.
    pub async fn list_pools(&self) -> Result<Vec<Pool>, ClientError> {
        self.ask_management("ListPools", Policy::LOOK_UP, |connection| {
            wire::system::list_pools(connection, self.system())
        })
        .await
    }
}
