//! The engines that run, by index, and all that a supervisor does with them whichever body makes them.
//!
//! Shared by `process` and `sim`, which only add how an engine comes into being.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::engine_calls::Running;
use super::error::SupervisorError;
use super::event::{EngineEventKind, EventSender, EventStream, ExitStatus, stream};
use super::launch::{EngineSignal, StopHow};

/// How long an engine may take to answer each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Default 30 s.
    pub set_rank: Duration,
    /// Loads pools. Default 10 min.
    pub set_up: Duration,
    /// Distributes the map to other ranks. Default 60 s.
    pub update_group: Duration,
    /// Default 10 s (R165).
    pub ping: Duration,
    /// Default 60 s.
    pub prepare_shutdown: Duration,
    /// Default 30 s.
    pub set_log_masks: Duration,
    /// For each question about block devices. Default 10 s: a scan waits for it.
    pub devices: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            set_rank: seconds(30),
            set_up: seconds(600),
            update_group: seconds(60),
            ping: seconds(10),
            prepare_shutdown: seconds(60),
            set_log_masks: seconds(30),
            devices: seconds(10),
        }
    }
}

/// What the owner of an engine can be asked.
#[derive(Debug)]
pub(super) enum Command {
    /// End it.
    Stop(StopHow),
    /// Signal it.
    Signal(EngineSignal, oneshot::Sender<std::io::Result<()>>),
    /// Its ready notice was refused: end it unless it does so itself.
    Refused,
}

/// How long a killed process may take to vanish.
const KILL_GRACE: Duration = Duration::from_secs(30);

type Slot = Mutex<Option<Arc<Running>>>;

#[derive(Debug)]
pub(super) struct Fleet {
    pub events: EventSender,
    pub calls: CallLimits,
    stream: StdMutex<Option<EventStream>>,
    /// A slot is locked while its engine is being started, so that an engine that reports at once is known.
    slots: Vec<Slot>,
    owners: StdMutex<JoinSet<()>>,
    closed: AtomicBool,
}

impl Fleet {
    pub fn new(engines: u32, calls: CallLimits) -> Self {
        let (events, receiver) = stream();
        Self {
            events,
            calls,
            stream: StdMutex::new(Some(receiver)),
            slots: (0..engines).map(|_| Slot::default()).collect(),
            owners: StdMutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Puts the engine that `make` gives into its slot and runs its owner.
    pub async fn start<Owner>(
        &self,
        index: u32,
        make: impl Future<Output = Result<(Arc<Running>, Owner), SupervisorError>>,
    ) -> Result<u32, SupervisorError>
    where
        Owner: Future<Output = ()> + Send + 'static,
    {
        let mut slot = self.slot(index)?.lock().await;
        if self.closed.load(Ordering::SeqCst) {
            return Err(SupervisorError::Closed);
        }
        if let Some(engine) = slot.as_ref() {
            return Err(SupervisorError::AlreadyRunning { index, pid: engine.pid });
        }
        let (engine, owner) = make.await?;
        // From here nothing is awaited: an engine that is in its slot has its owner.
        let pid = engine.pid;
        *slot = Some(engine);
        self.events.send(index, EngineEventKind::Started { pid });
        let mut owners = self.owners();
        while owners.try_join_next().is_some() {}
        owners.spawn(owner);
        Ok(pid)
    }

    /// Empties the slot and says why, so that nothing of a next start comes in between.
    pub async fn exited(&self, index: u32, event: EngineEventKind) {
        if let Ok(slot) = self.slot(index) {
            let mut slot = slot.lock().await;
            *slot = None;
            self.events.send(index, event);
        }
    }

    /// The engine that runs as this process.
    pub async fn by_pid(&self, pid: u32) -> Option<Arc<Running>> {
        for slot in &self.slots {
            let found = slot.lock().await.clone().filter(|engine| engine.pid == pid);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    pub async fn running(&self, index: u32) -> Result<Arc<Running>, SupervisorError> {
        let engine = self.slot(index)?.lock().await.clone();
        engine.ok_or(SupervisorError::NotRunning { index })
    }

    pub async fn stop(
        &self,
        index: u32,
        how: StopHow,
    ) -> Result<Option<ExitStatus>, SupervisorError> {
        let engine = match self.running(index).await {
            Err(SupervisorError::NotRunning { .. }) => return Ok(None),
            other => other?,
        };
        // The owner takes no more requests only when the process is gone.
        drop(engine.commands.send(Command::Stop(how)).await);
        Ok(Some(engine.until_gone().await))
    }

    pub async fn signal(&self, index: u32, signal: EngineSignal) -> Result<(), SupervisorError> {
        let engine = self.running(index).await?;
        let (reply, answer) = oneshot::channel();
        let gone = || SupervisorError::NotRunning { index };
        let command = Command::Signal(signal, reply);
        engine.commands.send(command).await.map_err(|_| gone())?;
        let sent = answer.await.map_err(|_| gone())?;
        sent.map_err(|source| SupervisorError::Signal { index, source })
    }

    pub fn take_events(&self) -> Option<EventStream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Refuses further starts, ends all engines side by side and waits for their owners.
    ///
    /// A process that even a kill does not end (stuck in the kernel) is given up in the end.
    pub async fn close(&self, how: StopHow) {
        self.closed.store(true, Ordering::SeqCst);
        let deadline = match how {
            StopHow::Graceful { deadline } => deadline,
            StopHow::Kill => Duration::ZERO,
        };
        let all = join_all((0..self.len()).map(|index| self.stop(index, how)));
        match timeout(deadline + KILL_GRACE, all).await {
            Ok(stopped) => {
                for error in stopped.into_iter().filter_map(Result::err) {
                    tracing::error!(%error, "cannot stop an engine");
                }
            }
            Err(_elapsed) => tracing::error!("gave up an engine that does not even end by a kill"),
        }
        let mut owners = std::mem::take(&mut *self.owners());
        if timeout(KILL_GRACE, join_all_of(&mut owners)).await.is_err() {
            owners.shutdown().await;
        }
    }

    fn slot(&self, index: u32) -> Result<&Slot, SupervisorError> {
        let engines = self.len();
        self.slots.get(index as usize).ok_or(SupervisorError::UnknownIndex { index, engines })
    }

    fn owners(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn join_all_of(owners: &mut JoinSet<()>) {
    while let Some(ended) = owners.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "the owner of an engine ended badly");
        }
    }
}
