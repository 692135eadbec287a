//! A server is put together here, in named steps; what is made first is ended last (see `drain`).

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::claims::Claims;
use super::deeds::Deeds;
use super::events::{deliver_engine_events, deliver_formats};
use super::launch::LaunchFacts;
use super::parts::Parts;
use super::storage_use::{EngineStorage, OpenDatabase};
use super::upcalls::Upcalls;
use crate::client::{Client, ClientConfig, HostAddr, HostSet};
use crate::config::{DataPlane, HostFacts, ServerConfig, fault_path};
use crate::engine::{EngineParts, EngineState, EngineStatus, Engines, StorageGate};
use crate::fault::{Fault, code};
use crate::format::{
    FormatParts, FormatRequest, FormatService, FormatTargets, Journal, NobodyWatches,
};
use crate::join::{Host, Joiner};
use crate::management::{Management, ManagementKeeper, ManagementState, Replicas, push_group_map};
use crate::rpc::access::Trust;
use crate::rpc::layers::GuardLayer;
use crate::rpc::{Listening, Node, listen, routes};
use crate::start_table::ReplicaRoles;
use crate::supervisor::{RestartPolicy, Supervisor};
use crate::system_ops::{GrpcPeers, Limits, SystemOps};
use crate::wire::Component;

/// How long an engine may take to announce itself. A real engine with many targets took half a minute.
const READY: Duration = Duration::from_secs(180);
/// How long an engine may take to end gracefully. A real engine took a minute in the middle of a rebuild.
const GRACE: Duration = Duration::from_secs(70);
/// The stand-in has nothing to rebuild.
const GRACE_EMULATED: Duration = Duration::from_secs(5);
/// How long a fault domain script may take.
const FAULT_DOMAIN: Duration = Duration::from_secs(30);
/// Formats that ended and were not yet told to the engines.
const PENDING_FORMATS: usize = 16;

/// What a start needs beside configuration and parts.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// Address to listen on and advertise, when `control_iface` is given.
    pub control_address: Option<Ipv4Addr>,
    /// Where the configuration lies; a fault domain script must lie there as well.
    pub config_directory: PathBuf,
    /// What this host is, as the configuration was checked against it.
    pub host: HostFacts,
    /// Environment of the server, from which engines inherit.
    pub environment: Vec<(OsString, OsString)>,
    /// Proxy variables are passed on to engines (R34).
    pub allow_proxy: bool,
    /// Format blank storage without being asked.
    pub auto_format: bool,
}

/// A running server. End it with [`Server::shut_down`].
#[derive(Debug)]
pub struct Server {
    pub(super) listening: Listening,
    pub(super) engines: Engines,
    pub(super) format: FormatService,
    pub(super) supervisor: Arc<dyn Supervisor>,
    pub(super) keeper: Arc<ManagementKeeper>,
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
        only_what_this_version_can(&config)?;
        let claims = claim(&config)?;
        let replicas = Replicas::resolve(&config.replicas, config.port)?;
        let host = host(&config, &replicas, &options).await?;
        let (keeper, management) = ManagementKeeper::new(replicas.clone());
        let keeper = Arc::new(keeper);
        let client = peers(&config, &replicas)?;
        let bound = options.control_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let listener = listen::bind(bound, config.port).await?;

        let supervisor = (parts.supervisor)(Arc::new(Upcalls::new(&client)))?;
        let gates: Vec<_> = config.engines.iter().map(|_| StorageGate::default()).collect();
        let (ready, formatted) = mpsc::channel(PENDING_FORMATS);
        let storage = Arc::new(EngineStorage::new(gates.clone()));
        let format = FormatService::new(FormatParts {
            targets: FormatTargets::from_config(&config, &host_name(), roles(&replicas))?,
            scm: Arc::clone(&parts.scm),
            bdev: Arc::clone(&parts.bdev),
            journal: Journal::new(&config.state_dir),
            storage: Arc::clone(&storage) as _,
            system: Arc::new(OpenDatabase(Arc::clone(&keeper))),
            ready,
            watcher: Arc::new(NobodyWatches),
        });
        let launch = LaunchFacts::gather(&config, &options)?;
        let deeds = Arc::new(Deeds {
            config: Arc::clone(&config),
            format: format.clone(),
            supervisor: Arc::clone(&supervisor),
            launch,
            joiner: Joiner::new(client.clone(), management.clone()),
            host,
            keeper: Arc::clone(&keeper),
            management: management.clone(),
        });
        let engine_parts = config.engines.iter().zip(gates).map(|(engine, gate)| EngineParts {
            index: engine.index,
            deeds: Arc::clone(&deeds) as _,
            supervisor: Arc::clone(&supervisor),
            gate,
            ready_deadline: READY,
            stop_deadline: if config.data_plane == DataPlane::Engine {
                GRACE
            } else {
                GRACE_EMULATED
            },
            restart: restart(&config),
        });
        let (engines, engine_tasks) =
            Engines::spawn(engine_parts.collect(), Arc::clone(&supervisor));
        storage.watch(engines.watch());

        let end = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if let Some(events) = supervisor.events() {
            tasks.spawn(deliver_engine_events(events, engines.clone(), management.clone()));
        }
        tasks.spawn(deliver_formats(formatted, engines.clone(), end.clone()));
        tasks.spawn(push_while_leading(
            management.clone(),
            engines.clone(),
            Arc::clone(&supervisor),
            end.clone(),
        ));
        tasks.spawn(async move {
            join_all(engine_tasks).await;
        });

        let operations = SystemOps::new(Arc::new(GrpcPeers), Limits::default());
        let node = Node {
            config: Arc::clone(&config),
            network: options.host.network,
            scm: parts.scm,
            bdev: parts.bdev,
            format: format.clone(),
            engines: engines.clone(),
            management,
            keeper: Arc::clone(&keeper),
            operations: operations.clone(),
        };
        let listening =
            Listening::serve(listener, routes(&node), GuardLayer::new(Trust::Insecure))?;
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

/// Said plainly rather than half done.
fn only_what_this_version_can(config: &ServerConfig) -> Result<(), Fault> {
    if !config.transport.allow_insecure {
        return Err(Fault::new(
            "server",
            code::SERVER_CERTIFICATES_UNSUPPORTED,
            "this version cannot use certificates yet",
            "set transport_config.allow_insecure to true, or start with -i, on a network you trust",
        ));
    }
    if config.replicas.len() > 1 {
        return Err(Fault::new(
            "server",
            code::SERVER_REPLICAS_UNSUPPORTED,
            format!(
                "{} management service replicas are configured; this version runs one",
                config.replicas.len()
            ),
            "name one host in mgmt_svc_replicas (access_points)",
        ));
    }
    Ok(())
}

fn claim(config: &ServerConfig) -> Result<Claims, Fault> {
    let mounts = config.engines.iter().map(|engine| engine.scm.mount());
    let directories = [config.socket_dir.as_path(), config.state_dir.as_path()];
    let directories = directories.into_iter().filter(|_| !config.engines.is_empty());
    Claims::take(directories.chain(mounts))
}

async fn host(
    config: &ServerConfig,
    replicas: &Replicas,
    options: &StartOptions,
) -> Result<Host, Fault> {
    let name = host_name();
    let short = name.split('.').next().unwrap_or(&name);
    let directory = &options.config_directory;
    let found = fault_path(&config.fault_domain, short, directory, FAULT_DOMAIN).await;
    Ok(Host {
        address: replicas.announced(config.port, options.control_address),
        fault_domain: found.map_err(|error| Fault::from(&error))?,
        bootstrap: replicas.is_bootstrap(),
    })
}

fn roles(replicas: &Replicas) -> ReplicaRoles {
    ReplicaRoles { create: replicas.own.is_some(), bootstrap: replicas.is_bootstrap() }
}

fn restart(config: &ServerConfig) -> RestartPolicy {
    if !config.engine_restart.enabled {
        return RestartPolicy::disabled();
    }
    RestartPolicy::spaced_by(Duration::from_secs(config.engine_restart.min_delay_s.into()))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A client of the replicas, in the name of a server.
fn peers(config: &ServerConfig, replicas: &Replicas) -> Result<Client, Fault> {
    let mut hosts = HostSet::default();
    for address in &replicas.addresses {
        let host = HostAddr::parse(&address.to_string()).map_err(|error| unusable(&error))?;
        hosts.insert(host);
    }
    let settings = ClientConfig {
        system_name: config.name.clone(),
        port: config.port,
        hosts,
        transport: crate::client::Transport::Insecure,
        ..ClientConfig::default()
    };
    Client::for_component(&settings, Component::Server).map_err(|error| unusable(&error))
}

fn unusable(error: &dyn std::error::Error) -> Fault {
    Fault::new(
        "serverconfig",
        code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
        format!("the management service replicas cannot be asked: {error}"),
        "correct mgmt_svc_replicas (access_points)",
    )
}

/// Pushes the group map whenever this host's replica serves, until the end.
async fn push_while_leading(
    management: Management,
    engines: Engines,
    supervisor: Arc<dyn Supervisor>,
    end: CancellationToken,
) {
    let mut states = management.watch();
    loop {
        let state = states.borrow_and_update().clone();
        if let ManagementState::Running(membership) = state {
            push_group_map(
                membership.group_map(),
                engines.clone(),
                Arc::clone(&supervisor),
                end.clone(),
            )
            .await;
        }
        tokio::select! {
            () = end.cancelled() => return,
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}

/// Starts every engine, formats what is blank when asked to, and says when nothing at all can run (row D5).
async fn first_start(
    engines: Engines,
    format: FormatService,
    auto_format: bool,
    tell: watch::Sender<Option<Fault>>,
    end: CancellationToken,
) {
    let started = async {
        let states = engines.start_all().await;
        let waiting =
            states.iter().any(|seen| matches!(seen.state, EngineState::WaitingForFormat(_)));
        if auto_format && waiting {
            info!("formatting blank storage, as --auto-format asks");
            if let Err(refused) = format.apply(FormatRequest::default(), None).await {
                error!("the storage was not formatted: {refused}");
            }
        }
        states
    };
    tokio::select! {
        () = end.cancelled() => {}
        states = started => {
            let refused = states.iter().filter_map(|seen| match &seen.state {
                EngineState::Refused(fault) => Some(fault.clone()),
                _ => None,
            });
            let refused: Vec<_> = refused.collect();
            match refused.into_iter().next() {
                Some(first) if states.iter().all(|seen| matches!(seen.state, EngineState::Refused(_))) => {
                    tell.send_replace(Some(first));
                }
                _ => {}
            }
            // The receiver lives as long as the server; nothing more will be told.
            end.cancelled().await;
        }
    }
}
