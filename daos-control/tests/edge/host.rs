//! One served host, with simulated engines or none: real listener, real system database, simulated devices.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daos_control::client::{Client, ClientConfig, Transport};
use daos_control::config::{CommandLine, Surroundings, parse};
use daos_control::engine::Engines;
use daos_control::format::{
    FormatParts, FormatService, FormatTargets, Journal, NoSystemDatabase, NobodyUses, NobodyWatches,
};
use daos_control::management::{ManagementKeeper, Opening, ReplicaHosts, Replicas};
use daos_control::network;
use daos_control::rpc::{Listening, Node, listen, routes};
use daos_control::supervisor::{CallLimits, SimSupervisor};
use daos_control::system_ops::{GrpcPeers, Limits, SystemOps};
use daos_control::tls::Security;
use daos_control::wire::{CallError, Component, sign};
use daos_membership::ControlAddress;
use daos_storage_nvme::sim::SimBdev;
use daos_storage_scm::sim::SimScm;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

pub const SYSTEM: &str = "daos_server";
pub const SYS: &str = "daos_server-2.8.0";

/// Which part of the management service the host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// None: the replica is another host.
    Elsewhere,
    /// It is the replica, its storage is not formatted.
    Unformatted,
    /// It serves.
    Serving,
}

pub struct Host {
    pub address: SocketAddrV4,
    pub keeper: ManagementKeeper,
    pub engines: Engines,
    listening: Listening,
    _dir: tempfile::TempDir,
}

impl Host {
    pub async fn serving() -> Self {
        Self::start(Part::Serving).await
    }

    pub async fn start(part: Part) -> Self {
        let nobody = |_| {
            let supervisor = Arc::new(SimSupervisor::new(0, CallLimits::default()));
            Engines::spawn(Vec::new(), supervisor).0
        };
        Self::with_engines(part, "engines: []\n", nobody).await
    }

    /// A host whose engines are made for its address.
    pub async fn with_engines(
        part: Part,
        engines_text: &str,
        engines_at: impl FnOnce(SocketAddrV4) -> Engines,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = listen::bind(Ipv4Addr::LOCALHOST, 0).await.unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("IPv4") };
        let replicas = match part {
            Part::Elsewhere => {
                Replicas { addresses: vec!["192.0.2.1:10001".parse().unwrap()], own: None }
            }
            _ => Replicas { addresses: vec![address], own: Some(0) },
        };
        let hosts = ReplicaHosts::new(&servers(), SYSTEM);
        let (keeper, management) = ManagementKeeper::new(replicas, hosts);
        if part == Part::Serving {
            keeper.open(opening(dir.path().join("db"), address)).await.unwrap();
        }
        let (scm, bdev) = (Arc::new(SimScm::new()), Arc::new(SimBdev::default()));
        let (ready, _nobody) = mpsc::channel(1);
        let format = FormatService::new(FormatParts {
            targets: FormatTargets {
                system: SYSTEM.into(),
                recreate_superblocks: false,
                low_memory_refuses: false,
                engines: Vec::new(),
            },
            scm: scm.clone(),
            bdev: bdev.clone(),
            journal: Journal::new(dir.path()),
            storage: Arc::new(NobodyUses),
            system: Arc::new(NoSystemDatabase),
            ready,
            watcher: Arc::new(NobodyWatches),
        });
        let engines = engines_at(address);
        let limits = Limits { stop: Duration::from_secs(20), ..Limits::default() };
        let node = Node {
            config: Arc::new(config(engines_text)),
            keys: Arc::default(),
            network: network::observe().unwrap(),
            scm,
            bdev,
            format,
            engines: engines.clone(),
            management,
            keeper: keeper.clone(),
            operations: SystemOps::new(Arc::new(GrpcPeers::new(Security::Insecure)), limits),
        };
        let listening = Listening::serve(listener, routes(&node), Security::Insecure).unwrap();
        Self { address, keeper, engines, listening, _dir: dir }
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub async fn end(self) {
        self.keeper.close().await;
        self.listening.stop(Duration::from_secs(10)).await;
    }
}

/// A client in the name of a server.
fn servers() -> Client {
    let config = ClientConfig { transport: Transport::Insecure, ..ClientConfig::default() };
    Client::for_component(&config, Component::Server).unwrap()
}

fn opening(directory: PathBuf, address: SocketAddrV4) -> Opening {
    std::fs::create_dir_all(&directory).unwrap();
    Opening {
        directory,
        name: SYSTEM.into(),
        expected: None,
        may_create: true,
        own_address: ControlAddress::new(address.into()),
        fabric_providers: vec!["ofi+tcp".into()],
    }
}

fn config(engines: &str) -> daos_control::config::ServerConfig {
    let surroundings = Surroundings {
        current_dir: "/".into(),
        executable: "/usr/bin/daos_server".into(),
        default_state_dir: "/nonexistent".into(),
    };
    let common = "client_env_vars: [\"A=b\"]\ntransport_config: {allow_insecure: true}\n";
    let text = format!("{common}{engines}");
    let command_line = CommandLine::default();
    parse(text.as_bytes(), "/test.yml".into(), &command_line, &surroundings).unwrap().config
}

/// A request as a stock administrator's tool sends it.
pub fn admin<T>(message: T) -> Request<T> {
    signed(message, Component::Admin)
}

/// A request as a stock server sends it.
pub fn server<T>(message: T) -> Request<T> {
    signed(message, Component::Server)
}

pub fn signed<T>(message: T, component: Component) -> Request<T> {
    let mut request = Request::new(message);
    sign(request.metadata_mut(), component);
    request
}

/// The typed error of a refused call.
pub fn refused<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> CallError {
    CallError::from_status(&answer.expect_err("refused"), "host")
}
