//! Requests to servers themselves: their state and their engines' log masks.

use std::time::Duration;

use super::hosts::{Client, DEFAULT_TIMEOUT};
use super::{HostResults, wire};

/// Time to ask a server for its state: it answers from memory.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

/// What one server is doing. Stock servers cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostState {
    /// Name of the system it belongs to.
    pub system: String,
    /// Version of the server.
    pub version: String,
    /// Whether it speaks insecure mode.
    pub insecure: bool,
    /// What its management service waits for, in words; empty when for nothing.
    pub management: String,
    /// Its engines.
    pub engines: Vec<EngineState>,
}

/// What one engine is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineState {
    /// Number of the engine on its host, from 0.
    pub index: u32,
    /// Name of the state, e.g. `running`.
    pub state: String,
    /// Why it is in that state.
    pub reason: String,
    /// Its rank, once it has one.
    pub rank: Option<u32>,
    /// Process id; `None` when it does not run.
    pub pid: Option<u32>,
    /// Mount point of its SCM.
    pub scm_mount: String,
}

impl EngineState {
    /// Whether it waits for `storage format`.
    #[must_use]
    pub fn waits_for_format(&self) -> bool {
        self.state == WAITING_FOR_FORMAT
    }

    /// Whether it ended or may not start, and will not by itself; the reason says why.
    #[must_use]
    pub fn cannot_run(&self) -> bool {
        CANNOT_RUN.contains(&self.state.as_str())
    }
}

/// Name of the state of an engine that waits for `storage format`.
const WAITING_FOR_FORMAT: &str = "waiting_for_format";
/// Names of the states of an engine that needs an administrator.
const CANNOT_RUN: [&str; 2] = ["failed", "refused"];

/// New log settings of engines. What is `None` goes back to the server's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogMasks {
    /// Log mask, e.g. `ERR,mgmt=DEBUG`.
    pub masks: Option<String>,
    /// Debug streams, e.g. `MGMT`.
    pub streams: Option<String>,
    /// Subsystems that write debug lines.
    pub subsystems: Option<String>,
}

impl Client {
    /// Asks every host what it and its engines are doing.
    pub async fn host_states(&self) -> HostResults<HostState> {
        self.ask_hosts(STATE_TIMEOUT, wire::server::state).await
    }

    /// Sets the log masks of every engine on every host. The answer of a host lists its engines' errors.
    pub async fn set_log_masks(&self, masks: &LogMasks) -> HostResults<Vec<String>> {
        self.ask_hosts(DEFAULT_TIMEOUT, |connection| {
            wire::server::set_log_masks(connection, self.system(), masks.clone())
        })
        .await
    }
}
