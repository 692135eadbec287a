//! `Engines`: the handle to all engines of this host. Used by the gRPC edge, by format and by the server's start
//! and end. Must not know how an engine is run (see `instance`).

use std::sync::Arc;
use std::time::Duration;

use daos_membership::{MemberState, Rank, RankSet};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::gate::{StorageGate, StorageHold};
use super::instance::{Command, EngineParts, EngineTask, is_settled};
use super::machine::Event;
use super::outcome::{RankAction, RankOutcome};
use super::state::{AfterStop, EngineState, EngineStatus, StopReason};
use crate::fault::{Fault, code};
use crate::supervisor::{LogMasks, Supervisor};

/// All engines of this host; cheap to clone.
#[derive(Debug, Clone)]
pub struct Engines {
    slots: Arc<[Slot]>,
    supervisor: Arc<dyn Supervisor>,
}

#[derive(Debug)]
struct Slot {
    index: u32,
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<EngineStatus>,
    gate: StorageGate,
    stop_deadline: Duration,
}

impl Engines {
    /// Makes a task for each engine; the handles end when `Engines` and its clones are gone.
    pub fn spawn(
        parts: Vec<EngineParts>,
        supervisor: Arc<dyn Supervisor>,
    ) -> (Self, Vec<JoinHandle<()>>) {
        let mut slots = Vec::with_capacity(parts.len());
        let mut tasks = Vec::with_capacity(parts.len());
        for part in parts {
            let (index, gate, stop_deadline) = (part.index, part.gate.clone(), part.stop_deadline);
            let (task, commands, status) = EngineTask::new(part);
            tasks.push(tokio::spawn(task.run()));
            slots.push(Slot { index, commands, status, gate, stop_deadline });
        }
        (Self { slots: slots.into(), supervisor }, tasks)
    }

    /// What each engine is, in index order.
    #[must_use]
    pub fn states(&self) -> Vec<EngineStatus> {
        self.slots.iter().map(|slot| slot.status.borrow().clone()).collect()
    }

    /// What each engine is, as it changes.
    #[must_use]
    pub fn watch(&self) -> Vec<watch::Receiver<EngineStatus>> {
        self.slots.iter().map(|slot| slot.status.clone()).collect()
    }

    pub(super) fn supervisor(&self) -> &dyn Supervisor {
        &*self.supervisor
    }

    /// Delivers an event to one engine; one that has ended takes none.
    pub async fn tell(&self, index: u32, event: Event) {
        if let Some(slot) = self.slots.iter().find(|slot| slot.index == index) {
            slot.tell(event).await;
        }
    }

    /// Takes an engine's storage for a format, or says what the engine is doing with it.
    pub fn hold_for_format(&self, index: u32) -> Result<StorageHold, EngineState> {
        let Some(slot) = self.slots.iter().find(|slot| slot.index == index) else {
            return Err(EngineState::Stopped(StopReason::Requested));
        };
        slot.gate.try_hold().ok_or_else(|| slot.status.borrow().state.clone())
    }

    /// Starts every engine and waits until each has come to rest: waiting, refused, running or failed.
    pub async fn start_all(&self) -> Vec<EngineStatus> {
        join_all(self.slots.iter().map(|slot| async {
            slot.tell(Event::StartRequested).await;
            slot.settled().await
        }))
        .await
    }

    /// Tells ranks that they will be stopped (contract 6.9); one that does not run is already stopped.
    pub async fn prepare_shutdown(&self, ranks: &RankSet) -> Vec<RankOutcome> {
        let action = RankAction::PrepareShutdown;
        join_all(self.of_ranks(ranks).map(|(slot, rank)| async move {
            let running = matches!(slot.status.borrow().state, EngineState::Running { .. });
            if !running {
                return RankOutcome::done(rank, action, MemberState::Stopped);
            }
            match self.supervisor.prepare_shutdown(slot.index).await {
                Ok(()) => RankOutcome::done(rank, action, MemberState::Stopping),
                Err(refused) => RankOutcome::failed(rank, action, refused.to_string()),
            }
        }))
        .await
    }

    /// Stops ranks, `force` without grace, and waits until they are gone (contract 6.9).
    pub async fn stop(&self, ranks: &RankSet, force: bool) -> Vec<RankOutcome> {
        let action = RankAction::Stop;
        join_all(self.of_ranks(ranks).map(|(slot, rank)| async move {
            slot.tell(Event::StopRequested { kill: force, reason: StopReason::Requested }).await;
            // The supervisor kills when the deadline has passed; the rest is for the kernel to reap it.
            let bound = slot.stop_deadline + Duration::from_secs(10);
            match timeout(bound, slot.until(|state| !state.has_process())).await {
                Ok(_) => RankOutcome::done(rank, action, MemberState::Stopped)
                    .with_message("system stop"),
                Err(_) => {
                    RankOutcome::failed(rank, action, format!("engine {} did not end", slot.index))
                }
            }
        }))
        .await
    }

    /// Starts ranks that do not run and waits until each serves, waits for a format, or failed (contract 6.9).
    pub async fn start(&self, ranks: &RankSet) -> Vec<RankOutcome> {
        let action = RankAction::Start;
        join_all(self.of_ranks(ranks).map(|(slot, rank)| async move {
            slot.tell(Event::StartRequested).await;
            let status = slot.settled().await;
            match status.state {
                EngineState::Running { .. } => RankOutcome::done(rank, action, MemberState::Ready),
                other => RankOutcome::failed(rank, action, other.to_string()),
            }
        }))
        .await
    }

    /// Makes ranks join again whose exclusion was cleared. A process that runs was left out of the group and cannot be
    /// told a rank twice, so it is ended at once and started anew; one that failed, for instance because it was not let
    /// in, is started. A rank that an administrator stopped, or that waits for a format, stays as it is. Does not wait
    /// for the join.
    pub async fn rejoin(&self, ranks: &RankSet) -> Vec<RankOutcome> {
        let action = RankAction::Rejoin;
        join_all(self.of_ranks(ranks).map(|(slot, rank)| async move {
            let state = slot.status.borrow().state.clone();
            match state {
                // A join that is under way may have been refused already.
                EngineState::Running { .. } | EngineState::Joining { .. } => {
                    let (kill, reason) = (true, StopReason::Requested);
                    slot.tell(Event::StopRequested { kill, reason }).await;
                    slot.tell(Event::StartRequested).await;
                }
                EngineState::Failed { .. }
                | EngineState::Stopping { then: AfterStop::Failed(_), .. } => {
                    slot.tell(Event::StartRequested).await;
                }
                // It asks for itself.
                state if state.has_process() || state == EngineState::Checking => {}
                state => {
                    let remark = format!("engine {} is {state}", slot.index);
                    let unchanged = RankOutcome::done(rank, action, state.member_state());
                    return unchanged.with_message(remark);
                }
            }
            RankOutcome::done(rank, action, MemberState::Starting)
        }))
        .await
    }

    /// Removes the superblocks of ranks that do not run (fault 612 otherwise); they wait for a format then.
    pub async fn reset_format(&self, ranks: &RankSet) -> Vec<RankOutcome> {
        let action = RankAction::ResetFormat;
        join_all(self.of_ranks(ranks).map(|(slot, rank)| async move {
            match slot.reset_format().await {
                Ok(state) => RankOutcome::done(rank, action, state.member_state()),
                Err(fault) => RankOutcome::failed(rank, action, fault.to_string()),
            }
        }))
        .await
    }

    /// Sets the log masks of every running engine, for each what `masks_of` says for its index; one error text for
    /// each that refused.
    pub async fn set_log_masks(&self, masks_of: impl Fn(u32) -> LogMasks) -> Vec<String> {
        let running = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.status.borrow().state, EngineState::Running { .. }));
        let answers = join_all(running.map(|slot| {
            let masks = masks_of(slot.index);
            async move {
                let refused = self.supervisor.set_log_masks(slot.index, &masks).await.err()?;
                Some(format!("engine {}: {refused}", slot.index))
            }
        }));
        answers.await.into_iter().flatten().collect()
    }

    /// Ends every engine for good, gracefully within its deadline, then by a kill.
    pub async fn shut_down(&self, kill: bool) {
        join_all(self.slots.iter().map(|slot| async {
            slot.tell(Event::StopRequested { kill, reason: StopReason::Shutdown }).await;
            let gone = |state: &EngineState| *state == EngineState::Stopped(StopReason::Shutdown);
            let bound = slot.stop_deadline + Duration::from_secs(10);
            if timeout(bound, slot.until(gone)).await.is_err() {
                warn!("engine {} did not end", slot.index);
            }
        }))
        .await;
    }

    fn of_ranks<'a>(&'a self, ranks: &'a RankSet) -> impl Iterator<Item = (&'a Slot, Rank)> {
        self.slots.iter().filter_map(|slot| {
            let rank = slot.status.borrow().rank?;
            ranks.contains(rank).then_some((slot, rank))
        })
    }
}

impl Slot {
    async fn tell(&self, event: Event) {
        if self.commands.send(Command::Event(event)).await.is_err() {
            warn!("engine {} has ended and takes no more events", self.index);
        }
    }

    /// Waits for a state; an ended task answers with its last.
    async fn until(&self, wanted: impl Fn(&EngineState) -> bool) -> EngineStatus {
        let mut status = self.status.clone();
        match status.wait_for(|status| wanted(&status.state)).await {
            Ok(found) => return found.clone(),
            Err(_ended) => {}
        }
        self.status.borrow().clone()
    }

    /// Waits until an event that was just sent has been taken and the engine has come to rest.
    async fn settled(&self) -> EngineStatus {
        // A round through the inbox: what was sent before has been taken when this is answered.
        self.round_trip().await;
        self.until(is_settled).await
    }

    async fn round_trip(&self) {
        let (reply, answered) = oneshot::channel();
        if self.commands.send(Command::Sync(reply)).await.is_ok() {
            // An ended task drops the reply, which ends the wait as well.
            let _ended = answered.await;
        }
    }

    async fn reset_format(&self) -> Result<EngineState, Fault> {
        let (reply, answered) = oneshot::channel();
        let gone = || {
            Fault::new(
                "server",
                code::ENGINE_SHUTTING_DOWN,
                format!("engine {} is shutting down", self.index),
                "start the server again",
            )
        };
        self.commands.send(Command::ResetFormat(reply)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())??;
        Ok(self.until(is_settled).await.state)
    }
}
