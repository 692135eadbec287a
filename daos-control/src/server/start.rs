//! A server is put together here, in named steps; what is made first is ended last (see `drain`).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::background::{first_start, push_while_leading, put_right, watch_certificates};
use super::claims::Claims;
use super::deeds::Deeds;
use super::events::{deliver_engine_events, deliver_formats};
use super::launch::LaunchFacts;
use super::news::{News, forward_news};
use super::options::StartOptions;
use super::parts::Parts;
use super::place::{claim, host, host_name, peers, restart, roles, security};
use super::storage_use::{EngineStorage, OpenDatabase};
use super::upcalls::Upcalls;
use crate::config::{DataPlane, ServerConfig};
use crate::engine::{EngineDeeds, EngineParts, EngineStatus, Engines, StorageGate};
use crate::fault::Fault;
use crate::format::{FormatParts, FormatService, FormatTargets, Journal, NobodyWatches};
use crate::join::Joiner;
use crate::management::{
    ManagementKeeper, ReplicaHosts, Replicas, WITHOUT_ENGINE, give_way_without_engine,
};
use crate::prepare::{AutomaticPrepare, LookAtMemory};
use crate::rpc::{Listening, Node, listen, routes};
use crate::supervisor::Supervisor;
use crate::system_ops::{GrpcPeers, Limits, SystemOps};

/// How long an engine may take to announce itself. A real engine with many targets took half a minute.
const READY: Duration = Duration::from_secs(180);
/// How long an engine may take to end gracefully. A real engine took a minute in the middle of a rebuild.
const GRACE: Duration = Duration::from_secs(70);
/// The stand-in has nothing to rebuild.
const GRACE_EMULATED: Duration = Duration::from_secs(5);
/// Formats that ended and were not yet told to the engines.
const PENDING_FORMATS: usize = 16;

/// A running server. End it with [`Server::shut_down`].
#[derive(Debug)]
pub struct Server {
    pub(super) listening: Listening,
    pub(super) engines: Engines,
    pub(super) format: FormatService,
    pub(super) supervisor: Arc<dyn Supervisor>,
    pub(super) keeper: ManagementKeeper,
    pub(super) operations: SystemOps,
    pub(super) tasks: JoinSet<()>,
    pub(super) end: CancellationToken,
    pub(super) claims: Claims,
    ended: watch::Receiver<Option<Fault>>,
}

impl Server {
    /// Puts a server together and starts it. When this returns, requests are answered and the engines look at their storage.
    ///
    /// # Errors
    /// What this host lacks or somebody else has: a port, a directory, a lock, a program, an address.
    pub async fn start(
        config: ServerConfig,
        parts: Parts,
        options: StartOptions,
    ) -> Result<Self, Fault> {
        let config = Arc::new(config);
        let security = security(&config)?;
        let claims = claim(&config)?;
        put_right(parts.bdev.as_ref()).await;
        let replicas = Replicas::resolve(&config.replicas, config.port)?;
        let host = host(&config, &replicas, &options).await?;
        let client = peers(&config, &replicas, security.clone())?;
        let hosts = ReplicaHosts::new(&client, &config.name);
        let (keeper, management) = ManagementKeeper::new(replicas.clone(), hosts);
        let bound = options.control_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let listener = listen::bind(bound, config.port).await?;

        let supervisor = (parts.supervisor)(Arc::new(Upcalls::new(&client, &config.transport)))?;
        let gates: Vec<_> = config.engines.iter().map(|_| StorageGate::default()).collect();
        let (ready, formatted) = mpsc::channel(PENDING_FORMATS);
        let storage = Arc::new(EngineStorage::new(gates.clone()));
        let format = FormatService::new(FormatParts {
            targets: FormatTargets::from_config(&config, &host_name(), roles(&replicas))?,
            scm: Arc::clone(&parts.scm),
            bdev: Arc::clone(&parts.bdev),
            journal: Journal::new(&config.state_dir),
            storage: Arc::clone(&storage) as _,
            system: Arc::new(OpenDatabase(keeper.clone())),
            ready,
            watcher: Arc::new(NobodyWatches),
        });
        // A server that only scans starts no program (R43).
        let runs_programs = parts.runs_programs && !config.engines.is_empty();
        let launch = LaunchFacts::gather(&config, &options, runs_programs)?;
        let bdev = Arc::clone(&parts.bdev);
        // Engines that are no programs of this host need nothing of it.
        let (prepare, launch) = if runs_programs {
            let (prepare, memory) =
                AutomaticPrepare::begin(&config, &options.host, bdev, LookAtMemory::default())
                    .await?;
            (prepare, launch.with_hugepages(&memory))
        } else {
            (AutomaticPrepare::idle(bdev), launch)
        };
        let (news, raised) = News::new();
        let deeds = Arc::new(Deeds {
            config: Arc::clone(&config),
            format: format.clone(),
            supervisor: Arc::clone(&supervisor),
            launch,
            prepare,
            joiner: Joiner::new(client.clone(), management.clone()),
            host,
            keeper: keeper.clone(),
            management: management.clone(),
            news: news.clone(),
        });
        let (engines, engine_tasks) = engines_of(&config, gates, &(deeds as _), &supervisor);
        storage.watch(engines.watch());

        let end = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if let Some(events) = supervisor.events() {
            tasks.spawn(deliver_engine_events(events, engines.clone(), news));
        }
        tasks.spawn(forward_news(raised, management.clone(), client, end.clone()));
        tasks.spawn(deliver_formats(formatted, engines.clone(), end.clone()));
        let (attending, until) = (keeper.clone(), end.clone());
        tasks.spawn(async move { attending.attend(until).await });
        tasks.spawn(give_way_without_engine(
            keeper.clone(),
            engines.clone(),
            WITHOUT_ENGINE,
            end.clone(),
        ));
        tasks.spawn(push_while_leading(
            management.clone(),
            engines.clone(),
            Arc::clone(&supervisor),
            end.clone(),
        ));
        tasks.spawn(watch_certificates(security.clone(), end.clone()));
        tasks.spawn(async move {
            join_all(engine_tasks).await;
        });

        let operations =
            SystemOps::new(Arc::new(GrpcPeers::new(security.clone())), Limits::default());
        let node = Node {
            config: Arc::clone(&config),
            keys: Arc::new(options.keys),
            network: options.host.network,
            scm: parts.scm,
            bdev: parts.bdev,
            format: format.clone(),
            engines: engines.clone(),
            management,
            keeper: keeper.clone(),
            operations: operations.clone(),
        };
        let listening = Listening::serve(listener, routes(&node), security)?;
        info!("DAOS server (pid {}) listening on {}", std::process::id(), listening.address());

        let (tell, ended) = watch::channel(None);
        tasks.spawn(first_start(
            engines.clone(),
            format.clone(),
            options.auto_format,
            tell,
            end.clone(),
        ));
        Ok(Self {
            listening,
            engines,
            format,
            supervisor,
            keeper,
            operations,
            tasks,
            end,
            claims,
            ended,
        })
    }

    /// Completes when the server cannot go on by itself: every engine was refused at the first start (row D5), or the listener
    /// is gone. While a server is healthy this does not complete.
    ///
    /// # Errors
    /// Why.
    pub async fn ended(&self) -> Result<(), Fault> {
        let mut ended = self.ended.clone();
        let refused = async {
            match ended.wait_for(Option::is_some).await {
                Ok(fault) => fault.clone(),
                Err(_gone) => std::future::pending().await,
            }
        };
        tokio::select! {
            fault = refused => fault.map_or(Ok(()), Err),
            fault = self.listening.ended() => Err(fault),
        }
    }

    /// What each engine is.
    #[must_use]
    pub fn engine_states(&self) -> Vec<EngineStatus> {
        self.engines.states()
    }
}

/// A task for each configured engine, and the handle to all of them.
fn engines_of(
    config: &ServerConfig,
    gates: Vec<StorageGate>,
    deeds: &Arc<dyn EngineDeeds>,
    supervisor: &Arc<dyn Supervisor>,
) -> (Engines, Vec<JoinHandle<()>>) {
    let real = config.data_plane == DataPlane::Engine;
    let parts = config.engines.iter().zip(gates).map(|(engine, gate)| EngineParts {
        index: engine.index,
        deeds: Arc::clone(deeds),
        supervisor: Arc::clone(supervisor),
        gate,
        ready_deadline: READY,
        stop_deadline: if real { GRACE } else { GRACE_EMULATED },
        restart: restart(config),
    });
    Engines::spawn(parts.collect(), Arc::clone(supervisor))
}
