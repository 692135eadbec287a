//! Why something asked of a supervisor was not done. Each error names the engine and has a number and a remedy.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::phase::{Phase, Step};
use crate::drpc::{BindError, BodyError, CallError, Method};
use crate::fault::{Der, Fault};

/// Why a supervisor did not do what it was asked.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// There is no such engine in the configuration.
    #[error("there is no engine {index}: {engines} are configured")]
    UnknownIndex {
        /// The index asked for.
        index: u32,
        /// Number of engines.
        engines: u32,
    },
    /// It runs already.
    #[error("engine {index} already runs as process {pid}")]
    AlreadyRunning {
        /// Its index.
        index: u32,
        /// Its process.
        pid: u32,
    },
    /// The program of the data plane is nowhere.
    #[error("data-plane program {name} was found neither in PATH nor beside {beside}")]
    ProgramMissing {
        /// Its name.
        name: String,
        /// The running program.
        beside: PathBuf,
    },
    /// No process could be made.
    #[error("cannot start {program} for engine {index}")]
    Spawn {
        /// Index of the engine.
        index: u32,
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It does not run.
    #[error("engine {index} is not running")]
    NotRunning {
        /// Its index.
        index: u32,
    },
    /// What was asked for is not allowed at this point of its start (contract 3.5).
    #[error("engine {index} cannot be told to {step} now: it {phase}")]
    OutOfOrder {
        /// Its index.
        index: u32,
        /// What was asked for.
        step: Step,
        /// Where it is.
        phase: Phase,
    },
    /// The call did not get through.
    #[error("call to engine {index} failed")]
    Call {
        /// Its index.
        index: u32,
        /// Why.
        #[source]
        source: CallError,
    },
    /// It answered with an error.
    #[error("engine {index} answered {method} with {}", Der(*status))]
    Answered {
        /// Its index.
        index: u32,
        /// The call.
        method: Method,
        /// Its status, negative.
        status: i32,
    },
    /// It answered something that is not the answer of this method.
    #[error("engine {index} answered {method} with an unreadable body")]
    BadAnswer {
        /// Its index.
        index: u32,
        /// The call.
        method: Method,
        /// What is wrong.
        #[source]
        source: BodyError,
    },
    /// The group map is older than the one the engine has.
    #[error("engine {index} has group map {has}; version {offered} is older")]
    StaleGroupMap {
        /// Its index.
        index: u32,
        /// Version it has.
        has: u32,
        /// Version offered.
        offered: u32,
    },
    /// The group map has no members.
    #[error("group map {version} has no members and cannot be given to engine {index}")]
    EmptyGroupMap {
        /// Its index.
        index: u32,
        /// Version of the map.
        version: u32,
    },
    /// The signal could not be sent.
    #[error("cannot signal engine {index}")]
    Signal {
        /// Its index.
        index: u32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The socket that engines report to could not be set up.
    #[error("cannot listen for engines")]
    Listen {
        /// Why.
        #[source]
        source: BindError,
    },
    /// Something of the operating system that every supervisor needs is missing.
    #[error("cannot set up the supervision of engines: {doing}")]
    SetUp {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The supervisor was shut down.
    #[error("engines are no longer supervised: the server is shutting down")]
    Closed,
}

impl SupervisorError {
    /// Stable fault number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotRunning { .. } => 611,
            Self::Call { source, .. } => source.code(),
            Self::Listen { source } => source.code(),
            Self::BadAnswer { .. } => 1260,
            Self::ProgramMissing { .. } => 1266,
            Self::Spawn { .. } => 1267,
            Self::AlreadyRunning { .. } => 1268,
            Self::OutOfOrder { .. } => 1269,
            Self::Answered { .. } => 1270,
            Self::StaleGroupMap { .. } | Self::EmptyGroupMap { .. } => 1271,
            Self::UnknownIndex { .. } => 1272,
            Self::Closed => 1273,
            Self::Signal { .. } | Self::SetUp { .. } => 1274,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::UnknownIndex { .. } => "name an engine of the configuration",
            Self::AlreadyRunning { .. } => "stop it before it is started again",
            Self::ProgramMissing { name, .. } if name == super::program::STAND_IN => {
                "install daos_io_server beside daos_server or in PATH, or set data_plane: engine to run daos_engine"
            }
            Self::ProgramMissing { .. } => {
                "install daos_engine 2.8 (or put it in PATH), or set data_plane: emulated to run the stand-in \
                 daos_io_server"
            }
            Self::Spawn { .. } => {
                "check that the program can be executed by the user of daos_server and that memory and processes are left"
            }
            Self::NotRunning { .. } => {
                "start it (dmg system start), and see its log if it ends again"
            }
            Self::OutOfOrder { .. } => {
                "wait until the engine is ready; if it stays so, stop and start its rank"
            }
            Self::Call { source, .. } => source.resolution(),
            Self::Answered { .. } => "see the engine's log for the cause",
            Self::BadAnswer { .. } => "check that engine and server are of compatible versions",
            Self::StaleGroupMap { .. } | Self::EmptyGroupMap { .. } => {
                "nothing: the next change of the system sends a newer map"
            }
            Self::Signal { .. } => "check that the process belongs to the user of daos_server",
            Self::Listen { source } => source.resolution(),
            Self::SetUp { .. } => "check the limits on open files and processes of daos_server",
            Self::Closed => "start the server again",
        }
    }

    /// Whether the engine is down or not up yet, so that the same request may work later or elsewhere (contract 3.5).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotRunning { .. } | Self::OutOfOrder { .. } => true,
            Self::Call { source, .. } => source.code() == 611,
            _ => false,
        }
    }
}

impl From<SupervisorError> for Fault {
    fn from(error: SupervisorError) -> Self {
        let domain = match &error {
            SupervisorError::Listen { .. } => "drpc",
            SupervisorError::Call { source, .. } if source.code() != 611 => "drpc",
            SupervisorError::BadAnswer { .. } => "drpc",
            _ => "server",
        };
        Self::new(domain, error.code(), error.to_string(), error.resolution())
            .with_causes_of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_engine_names_both_remedies() {
        let error = SupervisorError::ProgramMissing {
            name: "daos_engine".into(),
            beside: "/usr/bin/daos_server".into(),
        };
        let fault = Fault::from(error);
        assert_eq!(fault.code, 1266);
        assert!(fault.description.contains("daos_engine"));
        assert!(fault.resolution.contains("install daos_engine"));
        assert!(fault.resolution.contains("data_plane: emulated"));
    }

    #[test]
    fn a_fault_keeps_the_whole_chain_of_causes() {
        let connect = CallError::Connect {
            path: "/run/e.sock".into(),
            source: io::Error::from(io::ErrorKind::ConnectionRefused),
        };
        let error = SupervisorError::Call { index: 1, source: connect };
        assert!(error.is_transient());
        let fault = Fault::from(error);
        assert_eq!(fault.code, 611);
        assert!(fault.reason.starts_with("no data plane answers at /run/e.sock: "));
    }
}
