//! Why a request of the client failed.
//!
//! Owns the client's own failures; what a host answered stays the typed [`CallError`] it sent. Made by every part
//! of the client, printed by `dmg`. Knows no protobuf.

use std::path::PathBuf;
use std::time::Duration;

use super::host_list::{HostListError, HostSet};
use super::rank_set::{RankSet, RankSetError};
use crate::config::yaml::Diagnostic;
use crate::fault::{Der, Fault, code};
use crate::tls::TlsError;
use crate::wire::CallError;

/// A request that failed. Every variant has a number and a remedy, see [`ClientError::fault`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What a host answered, or why it could not be reached.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No replica of the management service could be reached.
    #[error("unable to contact the DAOS Management Service ({last})")]
    NoManagementService {
        /// The failure that came last.
        last: CallError,
    },
    /// The time for the whole request is over (contract 1.9).
    #[error("{request} request timed out after {after:?}")]
    TimedOut {
        /// Name of the request.
        request: &'static str,
        /// The time it had.
        after: Duration,
        /// What the last try ended with, if any try ended.
        last: Option<Box<CallError>>,
    },
    /// Everybody who answers knows of no leader of the management service.
    #[error(
        "the management service has no leader: no replica that answers has known of one for {} s",
        after.as_secs()
    )]
    NoLeader {
        /// Name of the request.
        request: &'static str,
        /// How long the leader was waited for.
        after: Duration,
        /// What the last try ended with.
        last: Box<CallError>,
    },
    /// There is no host to ask.
    #[error("the client configuration has an empty hostlist")]
    NoHosts,
    /// A stock server would format a system that runs (contract 1.9).
    #[error("storage format invoked on a running system")]
    FormatRunningSystem,
    /// Hosts that cannot show a plan were asked for one.
    #[error("{hosts} cannot show a format plan: no plan service there (stock servers have none)")]
    NoPlanService {
        /// The hosts.
        hosts: HostSet,
    },
    /// A host that cannot check itself was asked to.
    #[error("no preflight service there (stock servers have none)")]
    NoPreflightService,
    /// Something would be destroyed and nobody agreed.
    #[error("nothing was formatted: the plan destroys data and was not confirmed")]
    NotConfirmed,
    /// Erasing needs every rank stopped.
    #[error("system erase needs these ranks stopped first: {ranks}")]
    RanksRunning {
        /// The ranks that are up.
        ranks: RankSet,
    },
    /// A host list that cannot be read.
    #[error(transparent)]
    HostList(#[from] HostListError),
    /// A rank set that cannot be read.
    #[error(transparent)]
    RankSet(#[from] RankSetError),
    /// The configuration file named on the command line is not there (R102).
    #[error("configuration file {} does not exist", path.display())]
    NoConfigFile {
        /// The path that was named.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is not right.
    #[error("{0}")]
    Config(Box<Diagnostic>),
    /// A value in the configuration file is not right.
    #[error("{}: {key}: {problem}", path.display())]
    ConfigValue {
        /// Path of the file.
        path: PathBuf,
        /// Name of the key.
        key: &'static str,
        /// Number of the fault.
        code: i32,
        /// What is wrong.
        problem: String,
    },
    /// Certificates cannot be used, and insecure mode was not asked for (R103).
    #[error(transparent)]
    Certificates(#[from] TlsError),
}

impl ClientError {
    /// Stable number: that of contract 10.2 where the condition exists there, ours from 1340.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Call(error) | Self::NoManagementService { last: error } => {
                error.fault_code().unwrap_or(code::UNKNOWN)
            }
            Self::TimedOut { .. } => code::CLIENT_RPC_TIMEOUT,
            Self::NoLeader { .. } => code::CLIENT_NO_LEADER,
            Self::NoHosts => code::CLIENT_CONFIG_EMPTY_HOST_LIST,
            Self::FormatRunningSystem => code::CLIENT_FORMAT_RUNNING_SYSTEM,
            Self::HostList(error) => error.code(),
            Self::RankSet(error) => error.code(),
            Self::NoPlanService { .. } => code::CLIENT_NO_PLAN_SERVICE,
            Self::NoPreflightService => code::CLIENT_NO_PREFLIGHT_SERVICE,
            Self::NotConfirmed => code::CLIENT_NOT_CONFIRMED,
            Self::RanksRunning { .. } => code::CLIENT_RANKS_RUNNING,
            Self::NoConfigFile { .. } => code::CLIENT_NO_CONFIG_FILE,
            Self::Unreadable { .. } => code::CLIENT_UNREADABLE_FILE,
            Self::Config(diagnostic) => diagnostic.problem.code(),
            Self::ConfigValue { code, .. } => *code,
            Self::Certificates(error) => error.code(),
        }
    }

    /// What to do about it; empty when nothing is known.
    #[must_use]
    pub fn resolution(&self) -> String {
        let text = match self {
            Self::Call(CallError::Fault(fault))
            | Self::NoManagementService { last: CallError::Fault(fault) } => {
                return fault.resolution.clone();
            }
            Self::Call(_) => "",
            Self::NoManagementService { .. } => {
                "check that the hosts in hostlist run the management service, or name others with -l"
            }
            Self::TimedOut { .. } => "check that the hosts are up and repeat the command",
            Self::NoLeader { .. } => {
                "start the servers of the other replicas, so that a majority of them is up ('dmg system ms status' shows \
                 each), or see 'When a majority is lost' in docs/management-service.md"
            }
            Self::NoHosts => "set hostlist in daos_control.yml or name hosts with -l",
            Self::FormatRunningSystem => {
                "stop and erase the system first (dmg system stop, dmg system erase), then format"
            }
            Self::HostList(error) => error.resolution(),
            Self::RankSet(error) => error.resolution(),
            Self::NoPlanService { .. } => {
                "leave --dry-run out, or use a server that has the plan service"
            }
            Self::NoPreflightService => {
                "look with `daos_server preflight` on the host itself, or update its server"
            }
            Self::NotConfirmed => {
                "look at the plan (--dry-run), then type yes at a terminal, or give --yes"
            }
            Self::RanksRunning { .. } => "run dmg system stop, then repeat the command",
            Self::NoConfigFile { .. } => "name an existing file with -o",
            Self::Unreadable { .. } => "check that the file exists and that you may read it",
            Self::Config(_) | Self::ConfigValue { .. } => "correct the client configuration file",
            Self::Certificates(error) => error.resolution(),
        };
        text.to_owned()
    }

    /// The form in which an administrator sees it, when it has a number. A typed fault of a server is given as it
    /// came.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Call(CallError::Fault(fault)) => Some(fault.clone()),
            Self::Config(diagnostic) => Some(diagnostic.fault("client")),
            _ if self.code() == code::UNKNOWN => None,
            Self::Certificates(error) => Some(Fault::from(error)),
            _ => Some(Fault::new("client", self.code(), self.to_string(), self.resolution())),
        }
    }

    /// What a host answered, if that is what failed.
    #[must_use]
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) | Self::NoManagementService { last: error } => Some(error),
            _ => None,
        }
    }

    /// The status of the data plane at the root of it, if there is one (contract 8.3).
    #[must_use]
    pub fn status(&self) -> Option<Der> {
        match self.call() {
            Some(CallError::Der(status)) => Some(*status),
            _ => None,
        }
    }
}
