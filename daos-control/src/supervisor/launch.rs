//! What is needed to start an engine, and the ways to end one. Plain values, filled in by `engine`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// One engine to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLaunch {
    /// Index in the configuration, from 0.
    pub index: u32,
    /// Absolute path of the program; see [`super::find_program`].
    pub program: PathBuf,
    /// Arguments without the program's name (contract 4.1).
    pub arguments: Vec<OsString>,
    /// The whole environment: nothing is inherited (contract 4.3).
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory; that of the server when `None`.
    pub working_dir: Option<PathBuf>,
    /// Bounds on its end.
    pub limits: StopLimits,
}

/// How long an engine may take to end in cases where nobody says so at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopLimits {
    /// Upper bound of a graceful stop before the engine serves: there is nothing to save, and real engines ignore
    /// signals while they wait for their set-up. Default 2 s.
    pub before_set_up: Duration,
    /// How long an engine may live after its ready notice was refused: it should end by itself, and does not always.
    /// Default 10 s.
    pub after_refusal: Duration,
}

impl Default for StopLimits {
    fn default() -> Self {
        Self { before_set_up: Duration::from_secs(2), after_refusal: Duration::from_secs(10) }
    }
}

/// How to end an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopHow {
    /// Asks it to end (SIGINT) and kills it when `deadline` has passed. Real engines took 2 s, and 66 s in the middle
    /// of a rebuild.
    Graceful {
        /// From now.
        deadline: Duration,
    },
    /// Kills it, and what it started (SIGKILL).
    Kill,
}

/// Signals an engine understands (contract 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineSignal {
    /// SIGINT: end gracefully.
    Interrupt,
    /// SIGTERM: end gracefully.
    Terminate,
    /// SIGUSR1: write out the state of its threads.
    User1,
    /// SIGUSR2: write out its state.
    User2,
    /// SIGKILL.
    Kill,
}
