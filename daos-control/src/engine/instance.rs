//! The task that owns one engine: drives `machine`, carries out its actions, publishes its status.
//!
//! Commands come from `fleet`, process events from the supervisor through `fleet`. Must not know the wire.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::Rank;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use super::gate::StorageGate;
use super::looks::{Ended, Looks};
use super::machine::{Action, Event, Machine, Settled};
use super::state::{EngineState, EngineStatus, StopReason};
use crate::fault::{Fault, code};
use crate::supervisor::{EngineReady, RestartPolicy, StopHow, Supervisor};

/// Pending commands of one engine; a sender waits when it is behind by this many.
const INBOX: usize = 32;

/// What an engine task asks of the rest of the server. One body is the real one (`server::deeds`); the seam keeps
/// this room free of configuration, storage and the management service.
#[async_trait::async_trait]
pub trait EngineDeeds: Send + Sync + std::fmt::Debug {
    /// Looks at the engine's storage, mounts it and makes a superblock where the start table says so.
    async fn look(&self, index: u32) -> super::machine::Looked;
    /// Starts the process; its id.
    async fn launch(&self, index: u32) -> Result<u32, Fault>;
    /// Asks for a rank until there is an answer, and makes the superblock say it.
    async fn join(&self, index: u32, ready: &EngineReady, replace: bool) -> Result<Settled, Fault>;
    /// Removes the superblock.
    async fn reset(&self, index: u32) -> Result<(), Fault>;
    /// The rank in the superblock, when there is one.
    fn known_rank(&self, index: u32) -> Option<Rank>;
    /// Tells the system that an engine does not come up, if it is a member by its superblock.
    async fn report_absence(&self, index: u32, how: String);
    /// Tells the system that an engine died.
    async fn report_death(
        &self,
        index: u32,
        rank: Rank,
        incarnation: daos_membership::Incarnation,
        how: String,
    );
}

/// What an engine task is made of.
#[derive(Debug, Clone)]
pub struct EngineParts {
    /// Index in the configuration.
    pub index: u32,
    /// What it asks of the server.
    pub deeds: Arc<dyn EngineDeeds>,
    /// Who runs the process.
    pub supervisor: Arc<dyn Supervisor>,
    /// Right to the storage, shared with formats.
    pub gate: StorageGate,
    /// How long a process may take to announce itself.
    pub ready_deadline: Duration,
    /// How long a graceful end may take before it is a kill.
    pub stop_deadline: Duration,
    /// Restart after self-termination.
    pub restart: RestartPolicy,
}

/// What can be sent to an engine task.
#[derive(Debug)]
pub(super) enum Command {
    /// Something happened, or is asked for.
    Event(Event),
    /// Remove the superblock; refused while there is a process (fault 612).
    ResetFormat(oneshot::Sender<Result<(), Fault>>),
    /// Answered when everything sent before has been taken.
    Sync(oneshot::Sender<()>),
}

/// The owner of one engine.
#[derive(Debug)]
pub struct EngineTask {
    machine: Machine,
    parts: EngineParts,
    inbox: mpsc::Receiver<Command>,
    status: watch::Sender<EngineStatus>,
    /// Looks at the storage, and the hold on it from the first look until nothing runs on it.
    looks: Looks,
    /// Joins, set-ups and timers; given up together.
    work: JoinSet<Event>,
    /// Launches, stops and reports; never given up, so that no process is lost.
    errands: JoinSet<Option<Event>>,
    /// Restarts that were put off.
    restarts: JoinSet<()>,
}

impl EngineTask {
    /// A task, and what is needed to talk to it. It does nothing before it is told to start.
    pub(super) fn new(
        parts: EngineParts,
    ) -> (Self, mpsc::Sender<Command>, watch::Receiver<EngineStatus>) {
        let machine = Machine::new(parts.index);
        let (to_inbox, inbox) = mpsc::channel(INBOX);
        let (status, seen) = watch::channel(EngineStatus {
            index: parts.index,
            state: machine.state().clone(),
            rank: parts.deeds.known_rank(parts.index),
        });
        let looks = Looks::new(parts.index, Arc::clone(&parts.deeds), parts.gate.clone());
        let task = Self {
            machine,
            parts,
            inbox,
            status,
            looks,
            work: JoinSet::new(),
            errands: JoinSet::new(),
            restarts: JoinSet::new(),
        };
        (task, to_inbox, seen)
    }

    /// Runs until every sender is gone and what was begun has ended.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                command = self.inbox.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                Some(ended) = self.looks.next() => self.looked(ended).await,
                Some(done) = self.work.join_next() => self.worked(done).await,
                Some(due) = self.restarts.join_next() => {
                    if due.is_ok() {
                        self.take(Event::RestartDue).await;
                    }
                }
                Some(done) = self.errands.join_next() => match done {
                    Ok(Some(event)) => self.take(event).await,
                    Ok(None) => {}
                    Err(broken) => self.broke(&broken).await,
                },
            }
        }
        self.work.shutdown().await;
        self.restarts.shutdown().await;
        self.looks.end().await;
        while self.errands.join_next().await.is_some() {}
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Event(event) => {
                if matches!(event, Event::StartRequested | Event::StopRequested { .. }) {
                    // Whatever was put off, an administrator has decided since.
                    self.parts.restart.clear();
                    self.restarts.abort_all();
                }
                self.take(event).await;
            }
            Command::ResetFormat(reply) => {
                let outcome = self.reset_format().await;
                // The asker may have given up waiting; the reset stands either way.
                let _gone = reply.send(outcome);
            }
            Command::Sync(reply) => {
                let _gone = reply.send(());
            }
        }
    }

    async fn looked(&mut self, ended: Ended) {
        match self.looks.settle(ended) {
            Ok(Some(found)) => self.take(Event::Looked(found)).await,
            Ok(None) => self.release_if_idle(),
            Err(broken) => self.broke(&broken).await,
        }
    }

    /// The storage is the engine's while it is looked at or has a process, and anybody's otherwise.
    fn release_if_idle(&mut self) {
        let state = self.machine.state();
        if !state.has_process() && *state != EngineState::Checking {
            self.looks.release();
        }
    }

    async fn worked(&mut self, done: Result<Event, tokio::task::JoinError>) {
        match done {
            Ok(event) => self.take(event).await,
            Err(ended) if ended.is_cancelled() => {}
            Err(panicked) => self.broke(&panicked).await,
        }
    }

    /// A step ended by a bug of ours: whatever it was, the engine does not go on as if nothing had been.
    async fn broke(&mut self, panicked: &tokio::task::JoinError) {
        let index = self.parts.index;
        error!(engine = index, "an engine step broke: {panicked}");
        let fault = Fault::new(
            "server",
            code::ENGINE_STEP_FAILED,
            format!("engine {index}: an internal step failed: {panicked}"),
            "report this with the server's log; 'dmg system start' tries again",
        );
        self.take(Event::Looked(super::machine::Looked::Refused(fault.clone()))).await;
        self.take(Event::LaunchFailed(fault.clone())).await;
        self.take(Event::JoinRefused(fault.clone())).await;
        self.take(Event::SetUpFailed(fault)).await;
    }

    async fn reset_format(&mut self) -> Result<(), Fault> {
        if self.machine.state().has_process() {
            return Err(Fault::new(
                "server",
                code::SERVER_INSTANCES_NOT_STOPPED,
                format!("engine {} still runs", self.parts.index),
                "stop its rank with 'dmg system stop' first",
            ));
        }
        let gate = self.parts.gate.clone();
        let Some(hold) = gate.try_hold() else {
            return Err(Fault::new(
                "server",
                code::SERVER_INSTANCES_NOT_STOPPED,
                format!(
                    "the storage of engine {} is being looked at or formatted",
                    self.parts.index
                ),
                "wait until that has ended, then ask again",
            ));
        };
        self.parts.deeds.reset(self.parts.index).await?;
        drop(hold);
        self.take(Event::FormatReset).await;
        Ok(())
    }

    async fn take(&mut self, event: Event) {
        debug!(
            engine = self.parts.index,
            ?event,
            state = self.machine.state().name(),
            "engine event"
        );
        let before = self.machine.state().name();
        let mut plan = None;
        for action in self.machine.on(event) {
            match action {
                Action::PlanRestart(rank) => {
                    let planned = self.plan_restart(rank);
                    self.machine.restart_planned(&planned);
                    plan = Some(planned);
                }
                Action::ReportDeath { rank, incarnation, how } => {
                    let how = plan.iter().fold(how, |how, plan| format!("{how}; {plan}"));
                    self.act(Action::ReportDeath { rank, incarnation, how }).await;
                }
                other => self.act(other).await,
            }
        }
        let state = self.machine.state();
        if state.name() != before {
            info!("engine {} is {state}", self.parts.index);
        }
        self.release_if_idle();
        let state = self.machine.state();
        let rank = match state {
            EngineState::Running { rank, .. } | EngineState::SettingUp { rank, .. } => Some(*rank),
            _ => self.parts.deeds.known_rank(self.parts.index),
        };
        let status = EngineStatus { index: self.parts.index, state: state.clone(), rank };
        self.status.send_if_modified(|seen| {
            let changed = *seen != status;
            *seen = status;
            changed
        });
    }

    async fn act(&mut self, action: Action) {
        let index = self.parts.index;
        let deeds = Arc::clone(&self.parts.deeds);
        match action {
            Action::Abandon => {
                self.looks.give_up();
                self.work.shutdown().await;
            }
            Action::Look => self.looks.begin(),
            Action::Launch => self.launch(),
            Action::Join { ready, replace } => {
                self.work.spawn(async move {
                    match deeds.join(index, &ready, replace).await {
                        Ok(settled) => Event::Joined(settled),
                        Err(fault) => Event::JoinRefused(fault),
                    }
                });
            }
            Action::SetUp(settled) => self.set_up(settled),
            Action::Stop { kill } => self.stop(kill),
            Action::ReportDeath { rank, incarnation, how } => {
                error!("engine {index} (rank {rank}) ended: {how}");
                self.errands.spawn(async move {
                    deeds.report_death(index, rank, incarnation, how).await;
                    None
                });
            }
            Action::ReportAbsence { how } => {
                error!("engine {index} does not come up: {how}");
                // Given up with the rest when the engine is started again or stopped.
                self.work.spawn(async move {
                    deeds.report_absence(index, how).await;
                    Event::AbsenceReported
                });
            }
            Action::PlanRestart(rank) => drop(self.plan_restart(rank)),
        }
    }

    fn launch(&mut self) {
        let index = self.parts.index;
        let deeds = Arc::clone(&self.parts.deeds);
        self.errands.spawn(async move {
            Some(match deeds.launch(index).await {
                Ok(pid) => Event::Launched { pid },
                Err(fault) => Event::LaunchFailed(fault),
            })
        });
        let deadline = self.parts.ready_deadline;
        self.work.spawn(async move {
            tokio::time::sleep(deadline).await;
            Event::ReadyTimedOut(Fault::new(
                "server",
                code::ENGINE_SILENT,
                format!("engine {index} did not announce itself within {} s", deadline.as_secs()),
                "read the engine's log file; it may lack memory, hugepages or its fabric interface",
            ))
        });
    }

    fn set_up(&mut self, settled: Settled) {
        let index = self.parts.index;
        let supervisor = Arc::clone(&self.parts.supervisor);
        self.work.spawn(async move {
            let told = async {
                supervisor.set_rank(index, settled.rank, settled.map_version).await?;
                supervisor.set_up(index).await
            };
            match told.await {
                Ok(()) => Event::SetUp,
                Err(refused) => Event::SetUpFailed(Fault::from(refused)),
            }
        });
    }

    fn stop(&mut self, kill: bool) {
        let index = self.parts.index;
        let supervisor = Arc::clone(&self.parts.supervisor);
        let deadline = self.parts.stop_deadline;
        self.errands.spawn(async move {
            let how = if kill { StopHow::Kill } else { StopHow::Graceful { deadline } };
            match supervisor.stop(index, how).await {
                Ok(Some(_exited)) => None,
                Ok(None) => Some(Event::NotThere),
                Err(refused) => {
                    warn!("engine {index} could not be stopped: {refused}");
                    Some(Event::NotThere)
                }
            }
        });
    }

    /// Starts the wait for the restart, if there is one, and says what comes of the engine.
    fn plan_restart(&mut self, rank: Rank) -> String {
        let index = self.parts.index;
        let plan = match self.parts.restart.next(tokio::time::Instant::now()) {
            Some(wait) => {
                self.restarts.spawn(tokio::time::sleep(wait));
                match wait.as_secs() {
                    0 => "it found itself excluded and starts again".to_owned(),
                    wait => format!("it found itself excluded and starts again in {wait} s"),
                }
            }
            None if self.parts.restart.is_enabled() => {
                "it found itself excluded; its restart is planned already".to_owned()
            }
            None => "it found itself excluded and stays down: automatic restarts are switched off"
                .to_owned(),
        };
        info!("engine {index} (rank {rank}): {plan}");
        plan
    }
}

/// Whether a status is one in which nothing more happens by itself.
pub(super) fn is_settled(state: &EngineState) -> bool {
    matches!(
        state,
        EngineState::WaitingForFormat(_)
            | EngineState::Refused(_)
            | EngineState::Running { .. }
            | EngineState::Stopped(StopReason::Requested | StopReason::Shutdown)
            | EngineState::Failed { .. }
    )
}

#[cfg(test)]
#[path = "instance_test.rs"]
mod instance_test;
