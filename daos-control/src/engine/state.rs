//! What an engine can be. Values only; the rules are in `machine`. Read by everyone through `EngineStatus`.

use std::fmt;

use daos_membership::{Incarnation, MemberState, Rank};

use crate::fault::Fault;
use crate::supervisor::{EngineReady, ExitStatus};

/// State of one engine, with what is known in it (contract 7.2, 7.3).
#[derive(Debug, Clone, PartialEq)]
pub enum EngineState {
    /// Its storage is being looked at, mounted or given a superblock.
    Checking,
    /// It cannot start before an administrator formats its storage; the text says what is missing.
    WaitingForFormat(String),
    /// Its storage may not be used as it is, and a format would not be accepted either (row D5).
    Refused(Fault),
    /// The process is being started, or runs and has not announced itself.
    Starting {
        /// Process id once it is known.
        pid: Option<u32>,
    },
    /// It announced itself and asks the management service for its rank.
    Joining {
        /// Process id.
        pid: u32,
        /// What it announced.
        ready: EngineReady,
    },
    /// It has a rank and is being told so.
    SettingUp {
        /// Process id.
        pid: u32,
        /// The rank it was given.
        rank: Rank,
        /// Incarnation it joined with.
        incarnation: Incarnation,
    },
    /// It runs and serves.
    Running {
        /// Process id.
        pid: u32,
        /// Its rank.
        rank: Rank,
        /// Incarnation it joined with.
        incarnation: Incarnation,
    },
    /// It was told to end and has not ended yet.
    Stopping {
        /// Process id once it is known.
        pid: Option<u32>,
        /// What it is when it has ended.
        then: AfterStop,
    },
    /// It does not run, on purpose.
    Stopped(StopReason),
    /// It ended, or could not be started, without being told to.
    Failed {
        /// What happened.
        fault: Fault,
        /// How the process ended, when there was one.
        status: Option<ExitStatus>,
    },
}

/// Why an engine does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// An administrator stopped the rank.
    Requested,
    /// The server is going down.
    Shutdown,
}

/// What becomes of an engine whose end was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum AfterStop {
    /// It stays down.
    Stopped(StopReason),
    /// It is started again at once.
    Restart,
    /// It was ended because of this.
    Failed(Fault),
}

impl EngineState {
    /// Stable lower-case name, as clients see it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::WaitingForFormat(_) => "waiting_for_format",
            Self::Refused(_) => "refused",
            Self::Starting { .. } => "starting",
            Self::Joining { .. } => "joining",
            Self::SettingUp { .. } => "setting_up",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Stopped(_) => "stopped",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why it is in this state, in words; empty when the name says it all.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::WaitingForFormat(why) => why.clone(),
            Self::Refused(fault) | Self::Failed { fault, .. } => fault.to_string(),
            Self::Joining { ready, .. } => format!("{} asks for its rank", ready.uri),
            Self::Stopped(StopReason::Requested) => "stopped by an administrator".to_owned(),
            Self::Stopping { then: AfterStop::Failed(fault), .. } => fault.to_string(),
            _ => String::new(),
        }
    }

    /// Whether a process exists, or is about to.
    #[must_use]
    pub fn has_process(&self) -> bool {
        matches!(
            self,
            Self::Starting { .. }
                | Self::Joining { .. }
                | Self::SettingUp { .. }
                | Self::Running { .. }
                | Self::Stopping { .. }
        )
    }

    /// Process id, where there is a process and it is known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Starting { pid } | Self::Stopping { pid, .. } => *pid,
            Self::Joining { pid, .. } | Self::SettingUp { pid, .. } | Self::Running { pid, .. } => {
                Some(*pid)
            }
            _ => None,
        }
    }

    /// The state a member of the system has when its engine is in this one (contract 6.3).
    #[must_use]
    pub fn member_state(&self) -> MemberState {
        match self {
            Self::Checking
            | Self::Starting { .. }
            | Self::Joining { .. }
            | Self::SettingUp { .. } => MemberState::Starting,
            Self::WaitingForFormat(_) => MemberState::AwaitFormat,
            Self::Running { .. } => MemberState::Ready,
            Self::Stopping { .. } => MemberState::Stopping,
            Self::Stopped(_) => MemberState::Stopped,
            Self::Refused(_) | Self::Failed { .. } => MemberState::Errored,
        }
    }
}

impl fmt::Display for EngineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, reason) = (self.name().replace('_', " "), self.reason());
        if reason.is_empty() { f.write_str(&name) } else { write!(f, "{name}: {reason}") }
    }
}

/// What the rest of the server sees of an engine, always current.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineStatus {
    /// Index in the configuration, from 0.
    pub index: u32,
    /// Its state.
    pub state: EngineState,
    /// Rank in its superblock, whether or not it runs.
    pub rank: Option<Rank>,
}

#[cfg(test)]
mod tests {
    use daos_membership::{Incarnation, Rank};

    use super::{AfterStop, EngineState, StopReason};
    use crate::fault::Fault;
    use crate::supervisor::EngineReady;

    fn every_state() -> Vec<EngineState> {
        let ready = EngineReady {
            uri: "ofi+tcp://127.0.0.1:1".to_owned(),
            contexts: 1,
            targets: 1,
            incarnation: Incarnation(1),
            secondary_uris: vec![],
            secondary_contexts: vec![],
            check_mode: false,
        };
        let fault = Fault::new("server", 0, "broken", "mend it");
        let (rank, incarnation) = (Rank::BOOTSTRAP, Incarnation(1));
        vec![
            EngineState::Checking,
            EngineState::WaitingForFormat("not mounted".to_owned()),
            EngineState::Refused(fault.clone()),
            EngineState::Starting { pid: None },
            EngineState::Joining { pid: 1, ready },
            EngineState::SettingUp { pid: 1, rank, incarnation },
            EngineState::Running { pid: 1, rank, incarnation },
            EngineState::Stopping { pid: Some(1), then: AfterStop::Restart },
            EngineState::Stopped(StopReason::Requested),
            EngineState::Failed { fault, status: None },
        ]
    }

    #[test]
    fn the_document_lists_every_engine_state_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/states.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (_, engines) = document.split_once("## Engines").unwrap();
        let rows: Vec<Vec<&str>> = engines
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .filter(|cells| cells.len() == 6 && !cells[1].starts_with('-') && cells[1] != "state")
            .collect();
        let states = every_state();
        assert_eq!(rows.len(), states.len());
        for (cells, state) in rows.iter().zip(states) {
            let process = if state.has_process() { "yes" } else { "no" };
            let told = state.member_state().to_string();
            assert_eq!((cells[1], cells[3], cells[4]), (state.name(), process, told.as_str()));
        }
    }
}
