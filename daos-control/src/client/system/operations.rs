//! Operations on ranks: stop, start, exclude, erase (R166, contract 6.9).

use super::query::SystemQuery;
use super::{MemberState, Selection};
use crate::client::error::ClientError;
use crate::client::rank_set::RankSet;
use crate::client::retry::{Policy, Reaction};
use crate::client::{Client, wire};
use crate::wire::CallError;

/// How ranks are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopMode {
    /// At once, as stock administrators' tools do.
    #[default]
    Kill,
    /// Engines prepare first; nothing is stopped if one of them cannot.
    Graceful,
}

/// What an operation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationReport {
    /// Rank by rank.
    pub results: Vec<RankOutcome>,
    /// Ranks that were named and do not exist.
    pub absent_ranks: RankSet,
    /// Hosts that were named and have no member.
    pub absent_hosts: String,
}

impl OperationReport {
    /// Whether everything that was asked for was done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.absent_ranks.is_empty()
            && self.absent_hosts.is_empty()
            && self.results.iter().all(|result| !result.errored)
    }
}

/// What an operation did to one rank.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RankOutcome {
    /// The rank.
    pub rank: u32,
    /// What was done, e.g. `stop`.
    pub action: String,
    /// Whether it failed.
    pub errored: bool,
    /// Why it failed, or more about it.
    pub message: String,
    /// State afterwards.
    pub state: MemberState,
    /// Control address of its host.
    pub address: String,
}

/// What draining or reintegrating did in one pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolRanks {
    /// The pool.
    pub pool: String,
    /// Rank by rank.
    pub results: Vec<RankOutcome>,
}

/// What a clean-up did in one pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// The pool.
    pub pool: String,
    /// Handles that were revoked.
    pub count: u32,
    /// Status of the data plane; 0 when it worked.
    pub status: i32,
    /// Why it failed.
    pub message: String,
}

/// Erasing asks nobody twice: a management service that is not there has nothing to erase.
const ERASE: Policy = Policy {
    reaction: |error: &CallError| {
        if error.is_unavailable() { Reaction::Fail } else { Reaction::Common }
    },
    ..Policy::COMMON
};

impl Client {
    /// Stops ranks; their servers keep running.
    ///
    /// `ignore_excluded`: leave out ranks that an administrator excluded instead of failing (622).
    ///
    /// # Errors
    /// What the service answered or why it could not be reached. Ranks that failed are in the report.
    pub async fn system_stop(
        &self,
        selection: &Selection,
        mode: StopMode,
        ignore_excluded: bool,
    ) -> Result<OperationReport, ClientError> {
        self.ask_management("SystemStop", Policy::COMMON, |connection| {
            wire::system::stop(connection, self.system(), selection.clone(), mode, ignore_excluded)
        })
        .await
    }

    /// Starts ranks that were stopped.
    ///
    /// # Errors
    /// As [`Client::system_stop`].
    pub async fn system_start(
        &self,
        selection: &Selection,
        ignore_excluded: bool,
    ) -> Result<OperationReport, ClientError> {
        self.ask_management("SystemStart", Policy::COMMON, |connection| {
            wire::system::start(connection, self.system(), selection.clone(), ignore_excluded)
        })
        .await
    }

    /// Excludes ranks from the system, or with `clear` lets them join again.
    ///
    /// # Errors
    /// As [`Client::system_stop`].
    pub async fn system_exclude(
        &self,
        selection: &Selection,
        clear: bool,
    ) -> Result<OperationReport, ClientError> {
        self.ask_management("SystemExclude", Policy::COMMON, |connection| {
            wire::system::exclude(connection, self.system(), selection.clone(), clear)
        })
        .await
    }

    /// Excludes ranks even when no usable engine is left on the hosts of the management service (fault 1415). A request of
    /// our own: stock servers have no such guard and do not know it.
    ///
    /// # Errors
    /// As [`Client::system_stop`].
    pub async fn system_exclude_even_last(
        &self,
        selection: &Selection,
    ) -> Result<OperationReport, ClientError> {
        self.ask_management("Exclude", Policy::COMMON, |connection| {
            wire::members::exclude_even_last(connection, self.system(), selection.clone())
        })
        .await
    }

    /// Moves the data of ranks to others in every pool, or with `reintegrate` back to them.
    ///
    /// # Errors
    /// Fault 1365 where there is no pool; otherwise as [`Client::system_stop`].
    pub async fn system_drain(
        &self,
        selection: &Selection,
        reintegrate: bool,
    ) -> Result<Vec<PoolRanks>, ClientError> {
        self.ask_management("SystemDrain", Policy::COMMON, |connection| {
            wire::system::drain(connection, self.system(), selection.clone(), reintegrate)
        })
        .await
    }

    /// Revokes the handles that a machine has in the pools of the system.
    ///
    /// # Errors
    /// As [`Client::system_stop`]. Pools where it failed are in the answer.
    pub async fn system_cleanup(&self, machine: &str) -> Result<Vec<Cleaned>, ClientError> {
        self.ask_management("SystemCleanup", Policy::COMMON, |connection| {
            wire::system::cleanup(connection, self.system(), machine.to_owned())
        })
        .await
    }

    /// The ranks that would have to be stopped before the system can be erased (contract 1.9).
    ///
    /// # Errors
    /// Why the service could not be asked; one that is not there has no ranks.
    pub async fn ranks_in_use(&self) -> Result<RankSet, ClientError> {
        match self.system_query(&SystemQuery::default()).await {
            Ok(status) => {
                let up = status.members.iter().filter(|member| member.state.is_available());
                Ok(up.map(|member| member.rank).collect())
            }
            Err(error) if error.call().is_some_and(has_no_members) => Ok(RankSet::default()),
            Err(error) => Err(error),
        }
    }

    /// Erases the system: its database and the superblocks of all ranks. The storage waits for a format afterwards.
    ///
    /// # Errors
    /// [`ClientError::RanksRunning`] when ranks are up; otherwise as [`Client::system_stop`].
    pub async fn system_erase(&self) -> Result<OperationReport, ClientError> {
        let ranks = self.ranks_in_use().await?;
        if !ranks.is_empty() {
            return Err(ClientError::RanksRunning { ranks });
        }
        self.ask_management("SystemErase", ERASE, |connection| {
            wire::system::erase(connection, self.system())
        })
        .await
    }
}

fn has_no_members(error: &CallError) -> bool {
    error.is_unavailable() || matches!(error, CallError::NotReplica { .. })
}
