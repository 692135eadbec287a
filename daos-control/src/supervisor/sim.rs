//! `SimSupervisor`: scripted engines within this process, for simulation, embedding and tests. No process, no socket.
//!
//! An engine follows the script in its launch's environment (`stand_in::VARIABLE`) and the rules of
//! `stand_in::Engine`, as the program `daos_io_server` does. Time is the runtime's, so it may be paused.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::{GroupMap, Incarnation, Rank};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::engine_calls::{EngineLink, Running};
use super::error::SupervisorError;
use super::event::{EngineEventKind, EngineReady, EventStream, ExitCause, ExitStatus};
use super::fleet::{CallLimits, Command, Fleet};
use super::launch::{EngineLaunch, EngineSignal, StopHow, StopLimits};
use super::phase::Phase;
use super::{EngineDevice, EngineDeviceHealth, LogMasks, Supervisor};
use crate::drpc::{CallError, Method, RasEvent, RasId, RasSeverity};
use crate::stand_in::{Effect, Engine, Script, VARIABLE};

const COMMANDS: usize = 16;
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Runs scripted engines within this process. See [`Supervisor`] for what it does.
#[derive(Debug)]
pub struct SimSupervisor {
    fleet: Arc<Fleet>,
    /// Numbers the starts: process number and incarnation of each.
    starts: AtomicU64,
    /// What the URI of an engine begins with; its index follows.
    uris: String,
}

impl SimSupervisor {
    /// A supervisor of that many engines.
    #[must_use]
    pub fn new(engines: u32, calls: CallLimits) -> Self {
        Self {
            fleet: Arc::new(Fleet::new(engines, calls)),
            starts: AtomicU64::new(1),
            uris: "sim:/".to_owned(),
        }
    }

    /// The same with engines whose URIs are `<begin>/<index>`: those of several hosts in one system must differ, and have the
    /// provider of its configuration, e.g. `ofi+tcp://host1`.
    #[must_use]
    pub fn with_uris(self, begin: &str) -> Self {
        Self { uris: begin.to_owned(), ..self }
    }

    fn make(
        &self,
        launch: &EngineLaunch,
    ) -> Result<(Arc<Running>, impl Future<Output = ()> + use<>), SupervisorError> {
        let index = launch.index;
        let script = script_of(launch)?;
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let pid = u32::try_from(start).unwrap_or(u32::MAX);
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (gone, is_gone) = watch::channel(None);
        let running = Arc::new(Running::new(index, pid, commands, is_gone));
        let (effects, happened) = mpsc::unbounded_channel();
        let link = SimLink { engine: Mutex::new(Engine::new(script.clone())), effects, index };
        let task = SimTask {
            running: Arc::clone(&running),
            fleet: Arc::clone(&self.fleet),
            link: Arc::new(link),
            commands: inbox,
            effects: happened,
            gone,
            limits: launch.limits,
            ready: ready_of(&self.uris, index, start),
            script,
        };
        Ok((running, task.run()))
    }
}

#[async_trait]
impl Supervisor for SimSupervisor {
    async fn start(&self, launch: EngineLaunch) -> Result<u32, SupervisorError> {
        self.fleet.start(launch.index, async { self.make(&launch) }).await
    }

    async fn stop(&self, index: u32, how: StopHow) -> Result<Option<ExitStatus>, SupervisorError> {
        self.fleet.stop(index, how).await
    }

    async fn signal(&self, index: u32, signal: EngineSignal) -> Result<(), SupervisorError> {
        self.fleet.signal(index, signal).await
    }

    async fn set_rank(
        &self,
        index: u32,
        rank: Rank,
        map_version: u32,
    ) -> Result<(), SupervisorError> {
        let limit = self.fleet.calls.set_rank;
        self.fleet.running(index).await?.set_rank(rank, map_version, limit).await
    }

    async fn set_up(&self, index: u32) -> Result<(), SupervisorError> {
        self.fleet.running(index).await?.set_up(self.fleet.calls.set_up).await
    }

    async fn update_group(&self, index: u32, map: &GroupMap) -> Result<(), SupervisorError> {
        self.fleet.running(index).await?.update_group(map, self.fleet.calls.update_group).await
    }

    async fn ping(&self, index: u32) -> Result<(), SupervisorError> {
        self.fleet.running(index).await?.ping(self.fleet.calls.ping).await
    }

    async fn prepare_shutdown(&self, index: u32) -> Result<(), SupervisorError> {
        let limit = self.fleet.calls.prepare_shutdown;
        self.fleet.running(index).await?.prepare_shutdown(limit).await
    }

    async fn set_log_masks(&self, index: u32, masks: &LogMasks) -> Result<(), SupervisorError> {
        let limit = self.fleet.calls.set_log_masks;
        self.fleet.running(index).await?.set_log_masks(masks, limit).await
    }

    async fn devices(&self, index: u32) -> Result<Vec<EngineDevice>, SupervisorError> {
        self.fleet.running(index).await?.devices(self.fleet.calls.devices).await
    }

    async fn device_health(
        &self,
        index: u32,
        uuid: &str,
    ) -> Result<EngineDeviceHealth, SupervisorError> {
        self.fleet.running(index).await?.device_health(uuid, self.fleet.calls.devices).await
    }

    fn events(&self) -> Option<EventStream> {
        self.fleet.take_events()
    }

    async fn shutdown(&self, how: StopHow) {
        self.fleet.close(how).await;
        self.fleet.events.end();
    }
}

fn script_of(launch: &EngineLaunch) -> Result<Script, SupervisorError> {
    let text = launch.environment.iter().find(|(name, _)| name == VARIABLE);
    let text = text.map(|(_, value)| value.to_string_lossy().into_owned()).unwrap_or_default();
    text.parse().map_err(|error| SupervisorError::Spawn {
        index: launch.index,
        program: launch.program.clone(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, error),
    })
}

fn ready_of(uris: &str, index: u32, start: u64) -> EngineReady {
    EngineReady {
        uri: format!("{uris}/{index}"),
        contexts: 3,
        targets: 1,
        incarnation: Incarnation(start),
        secondary_uris: Vec::new(),
        secondary_contexts: Vec::new(),
        check_mode: false,
    }
}

/// How the supervisor reaches a scripted engine: a function call.
#[derive(Debug)]
struct SimLink {
    engine: Mutex<Engine>,
    effects: mpsc::UnboundedSender<Effect>,
    index: u32,
}

#[async_trait]
impl EngineLink for SimLink {
    async fn call(
        &self,
        method: Method,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<Vec<u8>, CallError> {
        let begun = Instant::now();
        let path = PathBuf::from(format!("sim:{}", self.index));
        let answered = {
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            engine.handle(method, &body)
        };
        if self.effects.send(answered.effect).is_err() {
            let source = std::io::ErrorKind::ConnectionRefused.into();
            return Err(CallError::Connect { path, source });
        }
        match answered.answer {
            Some(Ok(body)) => Ok(body),
            Some(Err(status)) => Err(CallError::Refused { path, method, status }),
            None => {
                tokio::select! {
                    () = self.effects.closed() => {
                        Err(CallError::Closed { path, method, source: None })
                    }
                    () = sleep_until(deadline) => {
                        Err(CallError::TimedOut { path, method, waited: begun.elapsed() })
                    }
                }
            }
        }
    }
}

struct SimTask {
    running: Arc<Running>,
    fleet: Arc<Fleet>,
    link: Arc<SimLink>,
    commands: mpsc::Receiver<Command>,
    effects: mpsc::UnboundedReceiver<Effect>,
    gone: watch::Sender<Option<ExitStatus>>,
    limits: StopLimits,
    ready: EngineReady,
    script: Script,
}

impl SimTask {
    async fn run(mut self) {
        let (status, cause) = self.live().await;
        self.effects.close();
        let was_ready = self.running.phase() != Phase::Launched;
        let pid = self.running.pid;
        let event = EngineEventKind::Exited { pid, status, was_ready, cause };
        self.fleet.exited(self.running.index, event).await;
        self.gone.send_replace(Some(status));
    }

    async fn live(&mut self) -> (ExitStatus, ExitCause) {
        let never = Duration::from_secs(u64::from(u32::MAX));
        let delay = if self.script.never_ready { never } else { self.script.ready_delay };
        let ready = sleep(delay);
        tokio::pin!(ready);
        let mut reported = false;
        let mut kill_at: Option<Instant> = None;
        loop {
            tokio::select! {
                () = &mut ready, if !reported => {
                    reported = true;
                    if let Some(code) = self.script.exit_before_ready {
                        return (ExitStatus::Code(code.into()), ExitCause::Itself);
                    }
                    self.report_ready();
                }
                Some(command) = self.commands.recv() => {
                    if let Some(end) = self.carry_out(command, &mut kill_at) {
                        return end;
                    }
                }
                Some(effect) = self.effects.recv() => {
                    if let Some(status) = self.happened(effect).await {
                        return (status, ExitCause::Itself);
                    }
                }
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                    return (ExitStatus::Signal(SIGKILL), ExitCause::Killed);
                }
            }
        }
    }

    fn report_ready(&self) {
        let (index, pid) = (self.running.index, self.running.pid);
        if self.running.becomes_ready(Arc::clone(&self.link) as Arc<dyn EngineLink>, None) {
            self.fleet
                .events
                .send(index, EngineEventKind::Ready { pid, ready: self.ready.clone() });
        }
    }

    fn carry_out(
        &self,
        command: Command,
        kill_at: &mut Option<Instant>,
    ) -> Option<(ExitStatus, ExitCause)> {
        match command {
            Command::Stop(StopHow::Kill) => Some((ExitStatus::Signal(SIGKILL), ExitCause::Killed)),
            Command::Stop(StopHow::Graceful { deadline }) => {
                if !self.script.ignore_interrupt {
                    return Some((ExitStatus::Code(0), ExitCause::Stopped));
                }
                let serves = self.running.phase() == Phase::Up;
                let limit = if serves { deadline } else { deadline.min(self.limits.before_set_up) };
                let at = Instant::now() + limit;
                *kill_at = Some(kill_at.map_or(at, |before| before.min(at)));
                None
            }
            Command::Signal(signal, reply) => {
                drop(reply.send(Ok(())));
                self.signalled(signal).map(|status| (status, ExitCause::Itself))
            }
            Command::Refused => None,
        }
    }

    fn signalled(&self, signal: EngineSignal) -> Option<ExitStatus> {
        match signal {
            EngineSignal::Kill => Some(ExitStatus::Signal(SIGKILL)),
            EngineSignal::Interrupt | EngineSignal::Terminate => {
                (!self.script.ignore_interrupt).then_some(ExitStatus::Code(0))
            }
            EngineSignal::User1 | EngineSignal::User2 => None,
        }
    }

    async fn happened(&self, effect: Effect) -> Option<ExitStatus> {
        match effect {
            Effect::None | Effect::Up | Effect::Masks | Effect::Ranked | Effect::Group => None,
            Effect::Abort => Some(ExitStatus::Signal(SIGABRT)),
            Effect::SelfTerminate => {
                let rank = self.link.engine.lock().unwrap_or_else(PoisonError::into_inner).rank();
                let event = RasEvent {
                    id: RasId::ENGINE_SELF_TERMINATED,
                    severity: RasSeverity::Notice,
                    rank,
                    incarnation: self.ready.incarnation.0 + 1,
                    ..RasEvent::default()
                };
                self.fleet.events.send_ras(self.running.index, event).await;
                Some(ExitStatus::Signal(SIGKILL))
            }
        }
    }
}
