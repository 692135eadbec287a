//! Running engines: start, stop and signal them, tell them what to do, hear what becomes of them.
//!
//! Table of contents: the trait and its words (`launch`, `event`, `error`, `upcalls`), its bodies (`process`: real
//! child processes; `sim`: scripted engines in this process), the pure rules (`phase`, `restart_policy`), and the
//! suite every body passes (`conformance`). Called by `engine` and the server assembly. Knows neither gRPC nor storage.

#[cfg(feature = "testing")]
pub mod conformance;
mod engine_calls;
mod engine_task;
mod error;
mod event;
mod fleet;
mod launch;
mod output;
mod phase;
mod process;
mod program;
mod restart_policy;
mod sim;
mod spawner;
mod sys;
mod upcall_handler;
mod upcall_wire;
mod upcalls;

use std::fmt::Debug;

use async_trait::async_trait;
use daos_membership::{GroupMap, Rank};

pub use crate::drpc::{EngineDevice, EngineDeviceHealth, LogMasks, RasEvent};
pub use error::SupervisorError;
pub use event::{EngineEvent, EngineEventKind, EngineReady, EventStream, ExitCause, ExitStatus};
pub use fleet::CallLimits;
pub use launch::{EngineLaunch, EngineSignal, StopHow, StopLimits};
pub use process::{ProcessOptions, ProcessSupervisor};
pub use program::find_program;
pub use restart_policy::RestartPolicy;
pub use sim::SimSupervisor;
pub use upcalls::{
    CheckReport, Credential, EngineUpcalls, PoolRecord, Token, UpcallError, check_credential,
    check_credential_insecure,
};

/// Runs the engines of one host, each named by its index in the configuration, from 0.
///
/// Bodies must hold the rules of contract 3.5 and of what real engines were seen to do: a set-up is never sent twice
/// nor before the rank, group updates never run side by side nor backwards, every process that was started is reaped,
/// and its end is an event even when it came before the engine was ready. The module
/// `conformance` (feature `testing`) says so in code.
///
/// Futures may be dropped: what was asked for may happen all the same.
#[async_trait]
pub trait Supervisor: Send + Sync + Debug {
    /// Starts an engine and returns its process number; `Started` is published before this returns.
    ///
    /// Whether it gets ready or ends first is said by the events.
    async fn start(&self, launch: EngineLaunch) -> Result<u32, SupervisorError>;

    /// Ends an engine and waits until it is gone; `None` if it did not run.
    ///
    /// May be called again while one waits, e.g. to kill what does not end gracefully.
    async fn stop(&self, index: u32, how: StopHow) -> Result<Option<ExitStatus>, SupervisorError>;

    /// Sends a signal to an engine. Not the way to end one: see [`Supervisor::stop`].
    async fn signal(&self, index: u32, signal: EngineSignal) -> Result<(), SupervisorError>;

    /// Tells a ready engine its rank and the map version that it joined at. Once per start.
    async fn set_rank(
        &self,
        index: u32,
        rank: Rank,
        map_version: u32,
    ) -> Result<(), SupervisorError>;

    /// Lets an engine that has a rank finish its start and serve. Once per start.
    async fn set_up(&self, index: u32) -> Result<(), SupervisorError>;

    /// Tells an engine that has a rank who belongs to the group. A version it has is not sent again; an older one is
    /// refused, as is an empty map.
    async fn update_group(&self, index: u32, map: &GroupMap) -> Result<(), SupervisorError>;

    /// Asks whether a ready engine answers.
    async fn ping(&self, index: u32) -> Result<(), SupervisorError>;

    /// Tells an engine that serves that the system is about to stop.
    async fn prepare_shutdown(&self, index: u32) -> Result<(), SupervisorError>;

    /// Changes the log levels of a ready engine.
    async fn set_log_masks(&self, index: u32, masks: &LogMasks) -> Result<(), SupervisorError>;

    /// The block devices in the table of an engine that serves.
    async fn devices(&self, index: u32) -> Result<Vec<EngineDevice>, SupervisorError>;

    /// The health of one of them, by its uuid in that table.
    async fn device_health(
        &self,
        index: u32,
        uuid: &str,
    ) -> Result<EngineDeviceHealth, SupervisorError>;

    /// Everything that happens to the engines, in order for each of them. The first caller gets it, and should keep
    /// reading: engines that report much wait for it.
    fn events(&self) -> Option<EventStream>;

    /// Ends all engines, then everything else: sockets, tasks, threads. The event stream ends. Later calls are refused.
    async fn shutdown(&self, how: StopHow);
}
