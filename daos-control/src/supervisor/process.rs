//! `ProcessSupervisor`: engines as child processes that report over dRPC.
//!
//! Owns the socket directory's `daos_server.sock`, the spawning thread and one task for each child. Called through the
//! trait. Must not know what the data plane does with its arguments.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use daos_membership::{GroupMap, Rank};
use tokio::process::Command;
use tokio::sync::{Mutex, mpsc, watch};

use super::engine_calls::Running;
use super::engine_task::EngineTask;
use super::error::SupervisorError;
use super::event::{EventStream, ExitStatus};
use super::fleet::{CallLimits, Fleet};
use super::launch::{EngineLaunch, EngineSignal, StopHow};
use super::spawner::Spawner;
use super::upcall_handler::UpcallHandler;
use super::upcalls::EngineUpcalls;
use super::{EngineDevice, EngineDeviceHealth, LogMasks, Supervisor};
use crate::drpc::{BindError, Listener, ListenerHandle, ListenerLimits, remove_stale};

/// The server's own socket in the socket directory (contract 3.3).
const SERVER_SOCKET: &str = "daos_server.sock";
/// Pending requests to one engine's owner, who is never busy for long.
const COMMANDS: usize = 16;

/// What a [`ProcessSupervisor`] needs.
#[derive(Debug, Clone)]
pub struct ProcessOptions {
    /// Existing directory for the sockets of server and engines.
    pub socket_dir: PathBuf,
    /// Number of configured engines.
    pub engines: u32,
    /// How long engines may take to answer.
    pub calls: CallLimits,
    /// Bounds of the listener that engines report to.
    pub listener: ListenerLimits,
}

impl ProcessOptions {
    /// The defaults for that directory and number of engines.
    #[must_use]
    pub fn new(socket_dir: impl Into<PathBuf>, engines: u32) -> Self {
        let (calls, listener) = (CallLimits::default(), ListenerLimits::default());
        Self { socket_dir: socket_dir.into(), engines, calls, listener }
    }
}

/// Runs engines as child processes. See [`Supervisor`] for what it does.
///
/// Dropped without [`Supervisor::shutdown`], it kills its engines and leaves the reaping to the runtime.
#[derive(Debug)]
pub struct ProcessSupervisor {
    fleet: Arc<Fleet>,
    /// Without symbolic links.
    socket_dir: PathBuf,
    spawner: Mutex<Option<Spawner>>,
    listener: Mutex<Option<ListenerHandle>>,
}

impl ProcessSupervisor {
    /// Removes what earlier runs left in the socket directory and listens for engines there (E28).
    ///
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// Fault 6 when another server uses the directory; 1263-1265 when the directory cannot be used.
    pub fn new(
        options: ProcessOptions,
        upcalls: Arc<dyn EngineUpcalls>,
    ) -> Result<Self, SupervisorError> {
        let listen = |source| SupervisorError::Listen { source };
        let set_up = |doing| move |source| SupervisorError::SetUp { doing, source };
        let path = options.socket_dir.join(SERVER_SOCKET);
        let listener = Listener::bind(&path, options.listener).map_err(listen)?;
        let socket_dir = options.socket_dir.canonicalize();
        let socket_dir = socket_dir.map_err(set_up("resolving the socket directory"))?;
        remove_stale_engine_sockets(&socket_dir).map_err(listen)?;
        let fleet = Arc::new(Fleet::new(options.engines, options.calls));
        let spawner = Spawner::start().map_err(set_up("starting a thread"))?;
        let handler =
            UpcallHandler { fleet: Arc::clone(&fleet), socket_dir: socket_dir.clone(), upcalls };
        let listener =
            listener.serve(Arc::new(handler)).map_err(set_up("watching the listening socket"))?;
        let (spawner, listener) = (Mutex::new(Some(spawner)), Mutex::new(Some(listener)));
        Ok(Self { fleet, socket_dir, spawner, listener })
    }

    /// Path of the socket that engines report to.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.socket_dir.join(SERVER_SOCKET)
    }

    /// Makes the process and what watches it.
    async fn spawn(
        &self,
        launch: EngineLaunch,
    ) -> Result<(Arc<Running>, impl Future<Output = ()> + use<>), SupervisorError> {
        let EngineLaunch { index, limits, .. } = launch;
        let command = command_of(&launch);
        let prefix = format!("{}:{index}", program_name(&launch.program));
        let failed =
            |source| SupervisorError::Spawn { index, program: launch.program.clone(), source };
        let spawner = self.spawner.lock().await;
        let spawner = spawner.as_ref().ok_or(SupervisorError::Closed)?;
        let child = spawner.spawn(command).await.map_err(failed)?;
        let ended = || std::io::Error::other("the process ended at once");
        let pid = child.id().ok_or_else(|| failed(ended()))?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (gone, is_gone) = watch::channel(None);
        let running = Arc::new(Running::new(index, pid, commands, is_gone));
        let task = EngineTask {
            running: Arc::clone(&running),
            fleet: Arc::clone(&self.fleet),
            socket_dir: self.socket_dir.clone(),
            child,
            commands: inbox,
            gone,
            limits,
            prefix,
        };
        Ok((running, task.run()))
    }
}

#[async_trait]
impl Supervisor for ProcessSupervisor {
    async fn start(&self, launch: EngineLaunch) -> Result<u32, SupervisorError> {
        self.fleet.start(launch.index, self.spawn(launch)).await
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
        if let Some(listener) = self.listener.lock().await.take() {
            listener.shutdown().await;
        }
        if let Some(spawner) = self.spawner.lock().await.take() {
            spawner.stop();
        }
        self.fleet.events.end();
    }
}

fn command_of(launch: &EngineLaunch) -> Command {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(directory) = &launch.working_dir {
        command.current_dir(directory);
    }
    command
}

fn program_name(program: &Path) -> String {
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// Engines of an earlier server died with it. A live socket is somebody else's and is left alone.
fn remove_stale_engine_sockets(directory: &Path) -> Result<(), BindError> {
    let unreadable = |source| BindError::Io { doing: "read", path: directory.to_owned(), source };
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_string_lossy();
        let of_engine = name.starts_with("daos_engine") || name.starts_with("daos_io_server");
        if !(of_engine && name.ends_with(".sock")) {
            continue;
        }
        if let Err(error) = remove_stale(&directory.join(&*name)) {
            tracing::warn!(%error, "left a socket where it is");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::event::{EngineEventKind, ExitCause};
    use super::super::launch::StopLimits;
    use super::super::upcalls::UpcallError;
    use super::*;

    #[derive(Debug)]
    struct NoProperties;

    #[async_trait]
    impl EngineUpcalls for NoProperties {
        async fn system_properties(
            &self,
            _keys: &[String],
        ) -> Result<BTreeMap<String, String>, UpcallError> {
            Ok(BTreeMap::new())
        }
    }

    /// A real engine hung for over 20 s after its notice was refused.
    #[tokio::test]
    async fn an_engine_that_stays_after_a_refused_notice_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let options = ProcessOptions::new(directory.path(), 1);
        let supervisor = ProcessSupervisor::new(options, Arc::new(NoProperties)).unwrap();
        let mut events = supervisor.events().unwrap();
        let launch = EngineLaunch {
            index: 0,
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), "trap '' INT TERM; sleep 1000".into()],
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            working_dir: None,
            limits: StopLimits {
                after_refusal: Duration::from_millis(50),
                ..StopLimits::default()
            },
        };
        let pid = supervisor.start(launch).await.unwrap();
        supervisor.fleet.running(0).await.unwrap().kill_unless_it_ends().await;
        events.next().await.unwrap();
        let exit = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap();
        let expected = EngineEventKind::Exited {
            pid,
            status: ExitStatus::Signal(9),
            was_ready: false,
            cause: ExitCause::Refused,
        };
        assert_eq!(exit.unwrap().kind, expected);
        supervisor.shutdown(StopHow::Kill).await;
    }
}
