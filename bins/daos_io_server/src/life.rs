//! The life of a stand-in engine: storage, devices, fabric, listener, ready notice, service, end.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use daos_control::drpc::{CallError, Client, Listener, ListenerLimits, Method, NotifyReady};
use daos_control::stand_in::{Effect, Engine, Script, StandInDevice};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::arguments::Arguments;
use crate::devices;
use crate::environment::Environment;
use crate::events::Reporter;
use crate::fabric::{self, Fabric};
use crate::logging::{self, LogLevel};
use crate::peers::{self, Handle, News, Node, PeerMap, Settings, Times};
use crate::service::Service;
use crate::storage::Storage;

/// How long the server may take to answer the ready notice.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// Calls at a time: the server makes few.
const SESSIONS: usize = 8;

/// Runs an engine to its end.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let environment = Environment::read(std::env::vars_os())?;
    for line in 0..environment.script.stderr_lines {
        eprintln!("scripted noise {line}");
    }
    let log_level = logging::start(&environment.log_mask, environment.log_file.as_deref())?;
    tracing::info!("stand-in data plane: serves management, no I/O");
    let recorded = arguments.device_config.as_deref().and_then(devices::recorded_engine);
    let (mount, targets) = (&arguments.storage, arguments.targets);
    let storage = Storage::open(mount, targets, recorded, SystemTime::now())?;
    let devices = match &arguments.device_config {
        Some(config) => devices::open_all(config, storage.identity.uuid)?,
        None => Vec::new(),
    };
    for device in &devices {
        tracing::info!(name = device.name, bytes = device.bytes, "block device");
    }
    let Environment { provider, interface, port, script, swim, .. } = environment;
    let fabric = fabric::bind(&provider, &interface, port)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = devices::told(&devices, storage.identity.uuid, targets);
    let life = Life { arguments, script, swim, storage: &storage, log_level, devices: told };
    let ended = runtime.block_on(life.serve(fabric));
    drop(devices);
    ended
}

struct Life<'a> {
    arguments: &'a Arguments,
    script: Script,
    swim: Times,
    storage: &'a Storage,
    log_level: LogLevel,
    devices: Vec<StandInDevice>,
}

impl Life<'_> {
    async fn serve(&self, fabric: Fabric) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut dump_threads = signal(SignalKind::user_defined1())?;
        let mut dump_state = signal(SignalKind::user_defined2())?;
        let engine = Engine::new(self.script.clone()).with_devices(self.devices.clone());
        let (service, mut effects) = Service::new(engine);
        let name = format!("daos_engine_{}.sock", std::process::id());
        let limits = ListenerLimits { sessions: SESSIONS, ..ListenerLimits::default() };
        let listener = Listener::bind(&self.arguments.socket_dir.join(name), limits)?;
        let ready = self.report_ready(&fabric.uri, listener.path().to_owned());
        let listener = listener.serve(Arc::clone(&service) as _)?;
        let settings = Settings {
            system: self.arguments.system.clone(),
            incarnation: self.storage.identity.incarnation,
            times: self.swim,
        };
        let (node, peers, mut news) = Node::new(TcpListener::from_std(fabric.listener)?, settings);
        let (to_server, told) = mpsc::unbounded_channel();
        let mut beside = JoinSet::new();
        beside.spawn(node.run());
        beside.spawn(peers::tell(Reporter { server: self.server() }, told));
        tokio::pin!(ready);
        let mut reported = false;
        let code = loop {
            tokio::select! {
                outcome = &mut ready, if !reported => match outcome? {
                    None => reported = true,
                    Some(code) => break code,
                },
                Some(effect) = effects.recv() => self.happened(effect, &service, &peers).await?,
                Some(news) = news.recv() => self.heard(news, &service, &to_server).await?,
                _ = interrupt.recv() => if !self.script.ignore_interrupt { break ExitCode::SUCCESS },
                _ = terminate.recv() => if !self.script.ignore_interrupt { break ExitCode::SUCCESS },
                _ = dump_threads.recv() => tracing::warn!(engine = ?*service.engine(), "state"),
                _ = dump_state.recv() => tracing::warn!(engine = ?*service.engine(), "state"),
                Some(ended) = beside.join_next() => {
                    ended.context("the part that talks to peers broke")?;
                }
            }
        };
        beside.shutdown().await;
        listener.shutdown().await;
        drain(&mut effects);
        tracing::info!("ended");
        Ok(code)
    }

    /// Tells the server; a code when the script wants an end instead.
    async fn report_ready(
        &self,
        uri: &str,
        listener: std::path::PathBuf,
    ) -> anyhow::Result<Option<ExitCode>> {
        tokio::time::sleep(self.script.ready_delay).await;
        if let Some(code) = self.script.exit_before_ready {
            return Ok(Some(ExitCode::from(code)));
        }
        if self.script.never_ready {
            std::future::pending::<Infallible>().await;
        }
        let notice = NotifyReady {
            uri: uri.to_owned(),
            contexts: 2 + self.arguments.targets + self.arguments.helpers,
            listener,
            index: self.arguments.index,
            targets: self.arguments.targets,
            incarnation: self.storage.identity.incarnation,
            check_mode: self.arguments.check,
            ..NotifyReady::default()
        };
        let deadline = Instant::now() + READY_DEADLINE;
        let told = self.server().call(Method::NotifyReady, notice.encode(), deadline).await;
        told.context("cannot report to daos_server that this engine is ready")?;
        Ok(None)
    }

    async fn happened(
        &self,
        effect: Effect,
        service: &Service,
        peers: &Handle,
    ) -> anyhow::Result<()> {
        match effect {
            Effect::None => {}
            Effect::Ranked => {
                let engine = service.engine();
                if let (Some(rank), Some(joined_at)) = (engine.rank(), engine.joined_at()) {
                    peers.rank(rank, joined_at);
                }
            }
            Effect::Group => {
                let update = service.engine().take_group_update();
                if let Some(update) = update {
                    holds(update.map_version, update.members.len());
                    peers.map(PeerMap::from_update(&update));
                }
            }
            Effect::Up => self.announce(service),
            Effect::Masks => {
                let masks = service.engine().masks().map(|masks| masks.masks.clone());
                self.log_level.set(&masks.unwrap_or_default());
            }
            Effect::Abort => {
                forbid_core_dump()?;
                kill_process(getpid(), Signal::ABORT)?;
            }
            Effect::SelfTerminate => {
                self.terminate(service, "excluded from the system, as scripted").await?;
            }
        }
        Ok(())
    }

    async fn heard(
        &self,
        news: News,
        service: &Service,
        to_server: &mpsc::UnboundedSender<(u32, u64, bool)>,
    ) -> anyhow::Result<()> {
        match news {
            News::Map { version, size } => {
                holds(version, size);
                service.engine().learn_group(version, size);
            }
            News::Peer { rank, incarnation, dead } => {
                tracing::warn!(rank, incarnation, dead, "peer");
                to_server.send((rank, incarnation, dead)).context("nobody tells the server")?;
            }
            News::Excluded(why) => self.terminate(service, &why).await?,
        }
        Ok(())
    }

    /// What an engine does that finds itself excluded: says so, with the incarnation of its next start, and dies.
    async fn terminate(&self, service: &Service, why: &str) -> anyhow::Result<()> {
        tracing::error!("{why}");
        let rank = service.engine().rank().unwrap_or_default();
        let newer = self.storage.identity.next(SystemTime::now()).incarnation;
        let reporter = Reporter { server: self.server() };
        if let Err(error) = reporter.self_terminated(rank, newer, why).await {
            eprintln!("ERROR: cannot report the end of this engine: {}", chain(&error));
        }
        kill_process(getpid(), Signal::KILL)?;
        Ok(())
    }

    /// The line that the control plane's log shows when the data plane is up (R14).
    fn announce(&self, service: &Service) {
        let (rank, size) = {
            let engine = service.engine();
            (engine.rank().unwrap_or_default(), engine.system_size())
        };
        let Arguments { targets, helpers, first_core, .. } = self.arguments;
        println!(
            "DAOS I/O server (v{}) process {} started on rank {rank} (out of {size}) with {targets} target \
             xstream set(s), {helpers} helper XS, firstcore {first_core}.",
            env!("CARGO_PKG_VERSION"),
            std::process::id(),
        );
    }

    fn server(&self) -> Client {
        Client::of_engine(self.arguments.socket_dir.join("daos_server.sock"))
    }
}

fn holds(version: u32, ranks: usize) {
    tracing::info!("holds group map version {version} of {ranks} ranks");
}

/// A scripted crash is no accident worth a core file.
fn forbid_core_dump() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Core).maximum;
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })?)
}

fn drain(effects: &mut mpsc::UnboundedReceiver<Effect>) {
    while let Ok(effect) = effects.try_recv() {
        tracing::debug!(?effect, "came too late");
    }
}

fn chain(error: &CallError) -> String {
    let causes =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
