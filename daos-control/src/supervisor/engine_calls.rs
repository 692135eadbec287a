//! One running engine as others see it: how far it is, how it is called, how its owner is asked to end it.
//!
//! Shared by the dRPC handler, the supervisor and the task that owns the process. Must not know how processes are run.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::{GroupMap, Rank};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::LogMasks;
use super::error::SupervisorError;
use super::event::ExitStatus;
use super::fleet::Command;
use super::phase::{Outcome, Phase, Step};
use crate::drpc::{
    BodyError, CallError, Client, EngineDevice, EngineDeviceHealth, GroupUpdate, Method, SetRank,
    decode_status,
};

/// The way calls take to one engine.
#[async_trait]
pub(super) trait EngineLink: Debug + Send + Sync {
    async fn call(
        &self,
        method: Method,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<Vec<u8>, CallError>;
}

#[async_trait]
impl EngineLink for Client {
    async fn call(
        &self,
        method: Method,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<Vec<u8>, CallError> {
        Self::call(self, method, body, deadline).await
    }
}

/// One process from its start to its end.
#[derive(Debug)]
pub(super) struct Running {
    pub index: u32,
    pub pid: u32,
    pub commands: mpsc::Sender<Command>,
    /// How it ended, once it has and its end was published.
    pub gone: watch::Receiver<Option<ExitStatus>>,
    progress: Mutex<Progress>,
    /// Held over steps that must not overtake each other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Progress {
    phase: Phase,
    link: Option<Arc<dyn EngineLink>>,
    /// Its own socket, where it has one.
    socket: Option<PathBuf>,
    group_version: Option<u32>,
}

impl Running {
    pub fn new(
        index: u32,
        pid: u32,
        commands: mpsc::Sender<Command>,
        gone: watch::Receiver<Option<ExitStatus>>,
    ) -> Self {
        let progress =
            Progress { phase: Phase::Launched, link: None, socket: None, group_version: None };
        let (progress, turn) = (Mutex::new(progress), tokio::sync::Mutex::new(()));
        Self { index, pid, commands, gone, progress, turn }
    }

    pub fn phase(&self) -> Phase {
        self.progress().phase
    }

    pub fn socket(&self) -> Option<PathBuf> {
        self.progress().socket.clone()
    }

    /// Takes note of how it is reached; `false` if it was ready before.
    pub fn becomes_ready(&self, link: Arc<dyn EngineLink>, socket: Option<PathBuf>) -> bool {
        let mut progress = self.progress();
        if progress.phase != Phase::Launched {
            return false;
        }
        progress.phase = Phase::Ready;
        progress.link = Some(link);
        progress.socket = socket;
        true
    }

    /// Gives it a bounded time to end by itself after its ready notice was refused.
    pub async fn kill_unless_it_ends(&self) {
        // Its owner is gone only when the process is.
        drop(self.commands.send(Command::Refused).await);
    }

    /// Waits until it is gone and its end was published.
    pub async fn until_gone(&self) -> ExitStatus {
        let mut gone = self.gone.clone();
        match gone.wait_for(Option::is_some).await {
            Ok(status) => (*status).unwrap_or(ExitStatus::Unknown),
            Err(_owner_was_dropped) => ExitStatus::Unknown,
        }
    }

    pub async fn set_rank(
        &self,
        rank: Rank,
        map_version: u32,
        limit: Duration,
    ) -> Result<(), SupervisorError> {
        let _turn = self.turn.lock().await;
        let body = SetRank { rank: rank.get(), map_version }.encode();
        self.tell(Step::SetRank, Method::SetRank, body, limit).await
    }

    pub async fn set_up(&self, limit: Duration) -> Result<(), SupervisorError> {
        let _turn = self.turn.lock().await;
        self.tell(Step::SetUp, Method::SetUp, Vec::new(), limit).await
    }

    pub async fn update_group(
        &self,
        map: &GroupMap,
        limit: Duration,
    ) -> Result<(), SupervisorError> {
        let (index, version) = (self.index, map.version());
        if map.is_empty() {
            return Err(SupervisorError::EmptyGroupMap { index, version });
        }
        let _turn = self.turn.lock().await;
        match self.progress().group_version {
            Some(has) if has == version => return Ok(()),
            Some(has) if has > version => {
                return Err(SupervisorError::StaleGroupMap { index, has, offered: version });
            }
            _ => {}
        }
        let body = group_update(map);
        self.tell(Step::UpdateGroup, Method::GroupUpdate, body, limit).await?;
        self.progress().group_version = Some(version);
        Ok(())
    }

    pub async fn ping(&self, limit: Duration) -> Result<(), SupervisorError> {
        self.tell(Step::Ping, Method::PingRank, Vec::new(), limit).await
    }

    pub async fn prepare_shutdown(&self, limit: Duration) -> Result<(), SupervisorError> {
        self.tell(Step::PrepareShutdown, Method::PrepareShutdown, Vec::new(), limit).await
    }

    pub async fn set_log_masks(
        &self,
        masks: &LogMasks,
        limit: Duration,
    ) -> Result<(), SupervisorError> {
        self.tell(Step::SetLogMasks, Method::SetLogMasks, masks.encode(), limit).await
    }

    pub async fn devices(&self, limit: Duration) -> Result<Vec<EngineDevice>, SupervisorError> {
        self.ask(Method::SmdListDevices, Vec::new(), limit, EngineDevice::decode_list).await
    }

    pub async fn device_health(
        &self,
        uuid: &str,
        limit: Duration,
    ) -> Result<EngineDeviceHealth, SupervisorError> {
        let question = EngineDeviceHealth::question(uuid);
        self.ask(Method::BioHealthQuery, question, limit, EngineDeviceHealth::decode).await
    }

    /// Sends a question that changes nothing; the answer has a status beside what was asked for.
    async fn ask<T>(
        &self,
        method: Method,
        body: Vec<u8>,
        limit: Duration,
        decode: impl Fn(&[u8]) -> Result<(i32, T), BodyError>,
    ) -> Result<T, SupervisorError> {
        let index = self.index;
        let answer = self.call(Step::TellDevices, method, body, limit).await?;
        let bad = |source| SupervisorError::BadAnswer { index, method, source };
        match decode(&answer).map_err(bad)? {
            (0, told) => Ok(told),
            (status, _) => Err(SupervisorError::Answered { index, method, status }),
        }
    }

    /// Sends a call whose answer is a status, if the engine's phase allows the step.
    async fn tell(
        &self,
        step: Step,
        method: Method,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<(), SupervisorError> {
        let index = self.index;
        let answer = self.call(step, method, body, limit).await?;
        let status = decode_status(&answer).map_err(|source| SupervisorError::BadAnswer {
            index,
            method,
            source,
        })?;
        if status != 0 {
            self.settle(step, Outcome::NotDone);
            return Err(SupervisorError::Answered { index, method, status });
        }
        self.settle(step, Outcome::Done);
        Ok(())
    }

    /// Sends any call that the phase allows and returns the body of the answer, which the caller settles.
    ///
    /// Until then, also when the future is dropped, the outcome counts as unknown.
    async fn call(
        &self,
        step: Step,
        method: Method,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, SupervisorError> {
        let link = self.begin(step)?;
        let answer = link.call(method, body, Instant::now() + limit).await;
        if let Err(CallError::Connect { .. } | CallError::Refused { .. }) = answer {
            self.settle(step, Outcome::NotDone);
        }
        answer.map_err(|source| SupervisorError::Call { index: self.index, source })
    }

    fn begin(&self, step: Step) -> Result<Arc<dyn EngineLink>, SupervisorError> {
        let mut progress = self.progress();
        let phase = progress.phase;
        match &progress.link {
            Some(link) if phase.allows(step) => {
                let link = Arc::clone(link);
                progress.phase = phase.after(step, Outcome::Unknown);
                Ok(link)
            }
            _ => Err(SupervisorError::OutOfOrder { index: self.index, step, phase }),
        }
    }

    fn settle(&self, step: Step, outcome: Outcome) {
        let mut progress = self.progress();
        progress.phase = progress.phase.after(step, outcome);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn group_update(map: &GroupMap) -> Vec<u8> {
    let members =
        map.engines().map(|engine| (engine.rank.get(), &*engine.uri, engine.incarnation.0));
    GroupUpdate::encode_each(map.version(), members)
}
