//! What happens to engines, and the stream that says so.
//!
//! Sent by the bodies of `Supervisor`, read by `engine`. Process events are never lost and never wait; events that
//! engines send may be many, so that their senders wait once [`PENDING_RAS_EVENTS`] are unread.

use std::fmt;
use std::sync::Arc;

use daos_membership::Incarnation;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::drpc::RasEvent;

/// Unread RAS events beyond which their senders wait.
const PENDING_RAS_EVENTS: usize = 256;

/// Something happened to an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineEvent {
    /// Index of the engine in the configuration.
    pub index: u32,
    /// What happened.
    pub kind: EngineEventKind,
}

/// What can happen to an engine. For one process: `Started`, then `Ready` at most once, then `Exited`, always.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEventKind {
    /// A process was started.
    Started {
        /// Its number.
        pid: u32,
    },
    /// It is up, waits to be told its rank, and has been answered.
    Ready {
        /// Its number.
        pid: u32,
        /// What it said.
        ready: EngineReady,
    },
    /// It is gone and reaped; another may be started.
    Exited {
        /// Its number.
        pid: u32,
        /// How it ended; 0 is an end like any other (E31).
        status: ExitStatus,
        /// Whether `Ready` came before.
        was_ready: bool,
        /// On whose account.
        cause: ExitCause,
    },
    /// It reported something (contract 9.2).
    Ras(RasEvent),
}

/// How a ready engine is reached and what it has (contract 3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineReady {
    /// Its fabric address.
    pub uri: String,
    /// Its network contexts.
    pub contexts: u32,
    /// Its targets.
    pub targets: u32,
    /// This start of it.
    pub incarnation: Incarnation,
    /// Further fabric addresses.
    pub secondary_uris: Vec<String>,
    /// Their network contexts.
    pub secondary_contexts: Vec<u32>,
    /// Whether it runs as a checker.
    pub check_mode: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel would not say.
    Unknown,
}

/// On whose account a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// Its own, or that of somebody outside.
    Itself,
    /// It was told to, and did in time.
    Stopped,
    /// It was told to and killed, at once or because it took too long.
    Killed,
    /// Its ready notice was refused.
    Refused,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Unknown => f.write_str("ended in an unknown way"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
        }
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    const NAMES: [(Signal, &str); 9] = [
        (Signal::KILL, "SIGKILL"),
        (Signal::INT, "SIGINT"),
        (Signal::TERM, "SIGTERM"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::BUS, "SIGBUS"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
    ];
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name)
}

/// Reads the events of all engines.
#[derive(Debug)]
pub struct EventStream(mpsc::UnboundedReceiver<Item>);

/// An event and its place in the queue; `None` ends the stream.
type Item = Option<(EngineEvent, Option<OwnedSemaphorePermit>)>;

impl EventStream {
    /// The next event; `None` after the supervisor was shut down and all were read.
    pub async fn next(&mut self) -> Option<EngineEvent> {
        let Some(Some((event, _permit))) = self.0.recv().await else {
            self.0.close();
            return None;
        };
        Some(event)
    }
}

/// Writes events; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct EventSender {
    events: mpsc::UnboundedSender<Item>,
    ras_room: Arc<Semaphore>,
}

/// A new stream and its sender.
pub(super) fn stream() -> (EventSender, EventStream) {
    let (events, receiver) = mpsc::unbounded_channel();
    let ras_room = Arc::new(Semaphore::new(PENDING_RAS_EVENTS));
    (EventSender { events, ras_room }, EventStream(receiver))
}

impl EventSender {
    /// Publishes what happened to a process; nobody may be left to read it.
    pub fn send(&self, index: u32, kind: EngineEventKind) {
        self.put(Some((EngineEvent { index, kind }, None)));
    }

    /// Ends the stream after what was sent before.
    pub fn end(&self) {
        self.put(None);
    }

    fn put(&self, item: Item) {
        if self.events.send(item).is_err() {
            tracing::debug!("nobody reads engine events any more");
        }
    }

    /// Publishes what an engine reported, once there is room.
    pub async fn send_ras(&self, index: u32, event: RasEvent) {
        tokio::select! {
            () = self.events.closed() => {}
            permit = Arc::clone(&self.ras_room).acquire_owned() => {
                let event = EngineEvent { index, kind: EngineEventKind::Ras(event) };
                self.put(Some((event, permit.ok())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_says_how_it_came() {
        assert_eq!(ExitStatus::Code(0).to_string(), "exited with 0");
        assert_eq!(ExitStatus::Signal(9).to_string(), "killed by SIGKILL");
        assert_eq!(ExitStatus::Signal(64).to_string(), "killed by signal 64");
    }

    #[tokio::test]
    async fn ras_events_wait_for_a_reader_and_process_events_do_not() {
        let (sender, mut stream) = stream();
        for _ in 0..PENDING_RAS_EVENTS {
            sender.send_ras(0, RasEvent::default()).await;
        }
        let late = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send_ras(1, RasEvent::default()).await }
        });
        sender.send(2, EngineEventKind::Started { pid: 7 });
        assert_eq!(stream.next().await.unwrap().index, 0);
        late.await.unwrap(); // ends only because one was read
        let mut seen = Vec::new();
        sender.end();
        while let Some(event) = stream.next().await {
            seen.push(event.index);
        }
        assert_eq!(seen.len(), PENDING_RAS_EVENTS + 1);
        assert_eq!(seen[PENDING_RAS_EVENTS - 1..], [2, 1]);
    }

    #[tokio::test]
    async fn senders_do_not_wait_for_a_reader_that_left() {
        let (sender, stream) = stream();
        drop(stream);
        for _ in 0..=PENDING_RAS_EVENTS {
            sender.send_ras(0, RasEvent::default()).await;
        }
    }
}
