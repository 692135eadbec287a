//! One supervisor under check: its events, read in order, and the usual steps.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::{GroupMap, GroupMapEngine, Incarnation, Rank};
use tokio::time::timeout;

use super::Bed;
use crate::stand_in::Script;
use crate::supervisor::{
    CallLimits, EngineEvent, EngineEventKind, EngineReady, EventStream, ExitCause, ExitStatus,
    StopHow, Supervisor,
};

/// Far more than anything takes; reached only by a body that hangs.
pub(super) const LONG: Duration = Duration::from_secs(30);
/// A graceful stop that is not meant to run out.
pub(super) const GRACEFUL: StopHow = StopHow::Graceful { deadline: LONG };

pub(super) struct Session<'a> {
    pub bed: &'a dyn Bed,
    pub supervisor: Arc<dyn Supervisor>,
    events: EventStream,
}

/// What is known of a process that ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub pid: u32,
    pub status: ExitStatus,
    pub was_ready: bool,
    pub cause: ExitCause,
}

impl<'a> Session<'a> {
    pub fn new(bed: &'a dyn Bed, engines: u32) -> Self {
        Self::with(bed, engines, CallLimits::default())
    }

    pub fn with(bed: &'a dyn Bed, engines: u32, calls: CallLimits) -> Self {
        let supervisor = bed.supervisor(engines, calls);
        let events = supervisor.events().expect("the first caller gets the events");
        assert!(supervisor.events().is_none(), "only the first caller gets the events");
        Self { bed, supervisor, events }
    }

    pub async fn next(&mut self) -> EngineEvent {
        let next = timeout(LONG, self.events.next()).await.expect("an event");
        next.expect("the stream goes on")
    }

    /// Starts an engine with that script and sees that it says so.
    pub async fn start(&mut self, index: u32, script: &str) -> u32 {
        let script: Script = script.parse().expect("a script");
        let launch = self.bed.launch(index, &script);
        let pid = self.supervisor.start(launch).await.expect("the engine starts");
        let started = EngineEvent { index, kind: EngineEventKind::Started { pid } };
        assert_eq!(self.next().await, started);
        pid
    }

    pub async fn ready(&mut self, index: u32) -> EngineReady {
        match self.next().await {
            EngineEvent { index: found, kind: EngineEventKind::Ready { ready, .. } } => {
                assert_eq!(found, index);
                ready
            }
            other => panic!("expected engine {index} to be ready, got {other:?}"),
        }
    }

    pub async fn exited(&mut self, index: u32) -> Exit {
        match self.next().await {
            EngineEvent {
                index: found,
                kind: EngineEventKind::Exited { pid, status, was_ready, cause },
            } => {
                assert_eq!(found, index);
                Exit { pid, status, was_ready, cause }
            }
            other => panic!("expected engine {index} to exit, got {other:?}"),
        }
    }

    /// Starts an engine and brings it to its ready notice.
    pub async fn start_ready(&mut self, index: u32, script: &str) -> u32 {
        let pid = self.start(index, script).await;
        self.ready(index).await;
        pid
    }

    /// Starts an engine and brings it so far that it serves as the rank of its index.
    pub async fn start_up(&mut self, index: u32, script: &str) -> u32 {
        let pid = self.start_ready(index, script).await;
        self.set_rank(index).await;
        self.supervisor.set_up(index).await.expect("set up");
        pid
    }

    pub async fn set_rank(&self, index: u32) {
        self.supervisor.set_rank(index, rank(index), 1).await.expect("take its rank");
    }

    /// Ends everything; no further event may come.
    pub async fn close(self) {
        self.shut_down(StopHow::Kill).await;
    }

    /// Ends everything and returns the events that were not read.
    pub async fn shut_down(mut self, how: StopHow) -> Vec<EngineEvent> {
        timeout(LONG, self.supervisor.shutdown(how)).await.expect("shutdown is bounded");
        let mut rest = Vec::new();
        while let Some(event) = timeout(LONG, self.events.next()).await.expect("the end") {
            rest.push(event);
        }
        rest
    }
}

pub(super) fn rank(number: u32) -> Rank {
    Rank::new(number).expect("a rank")
}

/// A map of that version with so many members.
pub(super) fn map(version: u32, members: u32) -> GroupMap {
    let engine = |number| GroupMapEngine {
        rank: rank(number),
        uri: format!("ofi+tcp://127.0.0.1:{number}").into(),
        incarnation: Incarnation(1),
    };
    GroupMap::from_engines(version, (0..members).map(engine))
}
