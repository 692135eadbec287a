//! The running management service: one writer task, and handles for everybody else.
//!
//! The writer takes whatever has arrived, decides it with [`crate::decide`], proposes it and answers. Joins
//! that arrive together share one log entry; a lone join waits for nobody. Knows nothing of the wire.

mod handle;
mod settled;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use self::handle::MembershipHandle;
use crate::clock::Clock;
use crate::decide::damping::Damping;
use crate::decide::join::JoinOutcome;
use crate::group_map::GroupMap;
use crate::rank::Rank;
use crate::replicate::Replicate;

/// Requests that may wait for the writer. Beyond that, callers wait for a place: enough for every engine of a
/// large system to join at once, few enough to bound memory.
pub const QUEUE_LENGTH: usize = 4096;

/// Joins in one log entry at most, so that an entry stays well below a megabyte.
pub const BATCH_LENGTH: usize = 1024;

/// What the service has to know from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipOptions {
    /// Fabric providers that all engines use, the primary one first.
    pub fabric_providers: Vec<String>,
    /// How many deaths are believed at once.
    pub damping: Damping,
}

impl MembershipOptions {
    /// Options with these fabric providers and the defaults of everything else.
    #[must_use]
    pub fn new(fabric_providers: Vec<String>) -> Self {
        Self { fabric_providers, damping: Damping::default() }
    }
}

/// Whether an engine is to come up normally or in checker mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinState {
    /// It is in.
    In,
    /// It is in, and the system is in checker mode.
    Check,
}

/// The answer to an accepted join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinReply {
    /// The engine's rank.
    pub rank: Rank,
    /// How it is to come up.
    pub state: JoinState,
    /// Version of the group map that the join made. The next published one is higher.
    pub map_version: u32,
    /// How it joined.
    pub outcome: JoinOutcome,
}

impl JoinReply {
    /// Whether the engine was not known before.
    #[must_use]
    pub fn newly_admitted(&self) -> bool {
        self.outcome == JoinOutcome::Admitted
    }
}

/// The running service. Dropping it ends it as well, but then nobody knows when it has ended.
#[derive(Debug)]
pub struct Membership {
    handle: MembershipHandle,
    stop: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl Membership {
    /// Starts the service on a replica. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(
        replicate: Arc<dyn Replicate>,
        clock: Arc<dyn Clock>,
        options: MembershipOptions,
    ) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE_LENGTH);
        let (publish, group_map) = watch::channel(GroupMap::default());
        let (stop, stopped) = oneshot::channel();
        let handle = MembershipHandle::new(requests, Arc::clone(&replicate), group_map);
        let writer = writer::Writer::new(queue, replicate, clock, options, publish);
        Self { handle, stop, writer: tokio::spawn(writer.run(stopped)) }
    }

    /// A handle. Copies are cheap.
    #[must_use]
    pub fn handle(&self) -> MembershipHandle {
        self.handle.clone()
    }

    /// Finishes what is being committed, refuses what still waits and closes the store. `false` when that took
    /// longer than `within` and was cut short; every acknowledged change is durable all the same.
    pub async fn shutdown(self, within: Duration) -> bool {
        let Self { stop, mut writer, .. } = self;
        let _ = stop.send(());
        let in_time = tokio::time::timeout(within, &mut writer).await.is_ok();
        if !in_time {
            writer.abort();
        }
        in_time
    }
}
