//! The engines of one host and what they do among themselves: pass the group map on, probe each other, give up
//! who is silent, and end themselves when they find that they were excluded.
//!
//! The processes are those of `SimSupervisor`; this wraps it, so that the real engine task and the real push of the
//! group map speak to engines that take part in a fabric. One life of a host has one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use daos_control::supervisor::{
    CallLimits, EngineDevice, EngineDeviceHealth, EngineEvent, EngineEventKind, EngineLaunch,
    EngineReady, EngineSignal, EventStream, ExitStatus, LogMasks, SimSupervisor, StopHow,
    Supervisor, SupervisorError,
};
use daos_membership::{GroupMap, Incarnation, Rank};
use tokio::sync::watch;

use super::disk::HostDisk;
use super::network::HostId;
use super::record::Record;

/// One running process.
#[derive(Debug, Clone, Default)]
struct Process {
    incarnation: Incarnation,
    rank: Option<Rank>,
    up: bool,
    /// Version of the newest group map it was told.
    version: u32,
    /// Whether it has been in a group map: from then on, not being in one means that it was excluded.
    was_in_group: bool,
}

/// The engines of one host.
#[derive(Debug)]
pub struct Fabric {
    inner: SimSupervisor,
    host: HostId,
    life: u64,
    disk: HostDisk,
    record: Arc<Record>,
    processes: Mutex<BTreeMap<u32, Process>>,
    /// The newest group map that any engine of this host has.
    newest: watch::Sender<GroupMap>,
}

impl Fabric {
    /// A host's engines, none of which runs.
    #[must_use]
    pub fn new(host: HostId, life: u64, engines: u32, disk: HostDisk, record: Arc<Record>) -> Self {
        Self {
            inner: SimSupervisor::new(engines, CallLimits::default()),
            host,
            life,
            disk,
            record,
            processes: Mutex::default(),
            newest: watch::Sender::new(GroupMap::default()),
        }
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<u32, Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest group map here, and every newer one.
    #[must_use]
    pub fn group_map(&self) -> watch::Receiver<GroupMap> {
        self.newest.subscribe()
    }

    /// Whether a rank serves here in this incarnation.
    #[must_use]
    pub fn is_alive(&self, rank: Rank, incarnation: Incarnation) -> bool {
        let alive = |process: &Process| {
            process.up && process.rank == Some(rank) && process.incarnation == incarnation
        };
        self.processes().values().any(alive)
    }

    /// Whether any engine here serves, and so probes others.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.processes().values().any(|process| process.up)
    }

    /// How many engines that serve have an older group map than this.
    #[must_use]
    pub fn behind(&self, version: u32) -> usize {
        self.processes().values().filter(|process| process.up && process.version < version).count()
    }

    /// The group map reaches the engines over the fabric. Those that are excluded by it end themselves.
    pub async fn hear_map(&self, map: &GroupMap) {
        let news: Vec<u32> = self.processes().keys().copied().collect();
        for index in news {
            self.take_map(index, map).await;
        }
    }

    async fn take_map(&self, index: u32, map: &GroupMap) {
        let excluded = {
            let mut processes = self.processes();
            let Some(process) = processes.get_mut(&index) else { return };
            let (Some(rank), true) = (process.rank, process.up) else { return };
            if map.version() <= process.version {
                return;
            }
            process.version = map.version();
            let named =
                map.engine(rank).is_some_and(|engine| engine.incarnation == process.incarnation);
            let newer =
                map.engine(rank).is_some_and(|engine| engine.incarnation > process.incarnation);
            let excluded = (process.was_in_group && !named) || newer;
            process.was_in_group |= named;
            self.record.map_seen(self.host, self.life, index, process.incarnation, map);
            excluded.then_some(rank)
        };
        self.newest.send_if_modified(|newest| {
            let newer = map.version() > newest.version();
            if newer {
                *newest = map.clone();
            }
            newer
        });
        if let Some(rank) = excluded {
            self.record
                .note(format_args!("host {} engine {index} rank {rank} is excluded", self.host));
            self.disk.mark_self_terminated(index);
            // It may have ended by itself meanwhile.
            let _gone = self.inner.signal(index, EngineSignal::Kill).await;
        }
    }

    /// Kills an engine from outside.
    pub async fn kill(&self, index: u32) {
        // One that does not run cannot be killed.
        let _not_there = self.inner.signal(index, EngineSignal::Kill).await;
    }

    /// Puts what is particular to this host into an event of an engine.
    pub fn localise(&self, event: &mut EngineEvent) {
        match &mut event.kind {
            EngineEventKind::Ready { ready, .. } => {
                let (incarnation, port) = self.disk.new_start(event.index);
                *ready = EngineReady {
                    uri: format!("ofi+tcp://{}:{port}", super::message::address_of(self.host).ip()),
                    incarnation,
                    ..ready.clone()
                };
                let process = Process { incarnation, ..Process::default() };
                self.processes().insert(event.index, process);
            }
            EngineEventKind::Exited { .. } => {
                self.processes().remove(&event.index);
            }
            EngineEventKind::Started { .. } | EngineEventKind::Ras(_) => {}
        }
    }
}

#[async_trait]
impl Supervisor for Fabric {
    async fn start(&self, launch: EngineLaunch) -> Result<u32, SupervisorError> {
        self.inner.start(launch).await
    }

    async fn stop(&self, index: u32, how: StopHow) -> Result<Option<ExitStatus>, SupervisorError> {
        self.inner.stop(index, how).await
    }

    async fn signal(&self, index: u32, signal: EngineSignal) -> Result<(), SupervisorError> {
        self.inner.signal(index, signal).await
    }

    async fn set_rank(
        &self,
        index: u32,
        rank: Rank,
        map_version: u32,
    ) -> Result<(), SupervisorError> {
        self.inner.set_rank(index, rank, map_version).await?;
        if let Some(process) = self.processes().get_mut(&index) {
            process.rank = Some(rank);
        }
        Ok(())
    }

    async fn set_up(&self, index: u32) -> Result<(), SupervisorError> {
        self.inner.set_up(index).await?;
        if let Some(process) = self.processes().get_mut(&index) {
            process.up = true;
        }
        // What the other engines of this host know already nobody will tell this one again.
        let newest = self.newest.borrow().clone();
        self.take_map(index, &newest).await;
        Ok(())
    }

    async fn update_group(&self, index: u32, map: &GroupMap) -> Result<(), SupervisorError> {
        // A few engines only: the rules of a real engine. All of them get it over the fabric, which is cheaper.
        self.inner.update_group(index, map).await?;
        self.record.map_pushed(self.host, self.life, index, map);
        self.hear_map(map).await;
        Ok(())
    }

    async fn ping(&self, index: u32) -> Result<(), SupervisorError> {
        self.inner.ping(index).await
    }

    async fn prepare_shutdown(&self, index: u32) -> Result<(), SupervisorError> {
        self.inner.prepare_shutdown(index).await
    }

    async fn set_log_masks(&self, index: u32, masks: &LogMasks) -> Result<(), SupervisorError> {
        self.inner.set_log_masks(index, masks).await
    }

    async fn devices(&self, index: u32) -> Result<Vec<EngineDevice>, SupervisorError> {
        self.inner.devices(index).await
    }

    async fn device_health(
        &self,
        index: u32,
        uuid: &str,
    ) -> Result<EngineDeviceHealth, SupervisorError> {
        self.inner.device_health(index, uuid).await
    }

    fn events(&self) -> Option<EventStream> {
        self.inner.events()
    }

    async fn shutdown(&self, how: StopHow) {
        self.inner.shutdown(how).await;
    }
}
