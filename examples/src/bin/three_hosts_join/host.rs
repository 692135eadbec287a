//! One storage node within this process.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use daos_control::config::{self, CommandLine, Surroundings};
use daos_control::preflight::{HostFacts, fit_to_host};
use daos_control::server::{Parts, Server, StartOptions};
use daos_control::supervisor::{CallLimits, SimSupervisor};

/// Name of the system.
pub const SYSTEM: &str = "daos_three";

/// A node that runs.
#[derive(Debug)]
pub struct Host {
    address: String,
    server: Server,
}

impl Host {
    /// Starts one of the hosts whose control ports these are.
    pub async fn start(files: &Path, number: usize, ports: &[u16]) -> Result<Self> {
        let directory = files.join(format!("host{number}"));
        for part in ["sockets", "state", "metadata"] {
            fs::create_dir_all(directory.join(part))?;
        }
        let text = configuration(&directory, number, ports);
        let path = directory.join("daos_server.yml");
        let surroundings = Surroundings::of_this_process()?;
        let loaded = config::parse(text.as_bytes(), path, &CommandLine::default(), &surroundings)?;
        let facts = HostFacts::observe()?.with_devices_of(&loaded.config);
        let fitted = fit_to_host(&loaded, &facts)?;

        // One engine that only exists here, and memory that is only counted: a node of your own brings its own bodies.
        let engines = SimSupervisor::new(1, CallLimits::default());
        let engines = engines.with_uris(&format!("ofi+tcp://host{number}"));
        let mut parts = Parts::of_this_host(&fitted.config).with_supervisor(Arc::new(engines));
        parts.scm = Arc::new(daos_storage_scm::sim::SimScm::new());
        let options = StartOptions {
            control_address: Some(Ipv4Addr::LOCALHOST),
            config_directory: directory,
            keys: fitted.keys,
            host: facts,
            environment: Vec::new(),
            allow_proxy: false,
            auto_format: false,
        };
        let server = Server::start(fitted.config, parts, options).await?;
        Ok(Self { address: format!("127.0.0.1:{}", ports[number]), server })
    }

    /// Its control address.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Ends it in order.
    pub async fn shut_down(self) {
        self.server.shut_down(std::future::pending()).await;
    }
}

fn configuration(directory: &Path, number: usize, ports: &[u16]) -> String {
    let replicas: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!(
        "name: {SYSTEM}\nport: {port}\nmgmt_svc_replicas: {replicas:?}\ndata_plane: emulated\nprovider: ofi+tcp\n\
         transport_config: {{allow_insecure: true}}\nfault_path: /host{number}\n\
         socket_dir: {here}/sockets\nstate_dir: {here}/state\ncontrol_metadata: {{path: {here}/metadata}}\n\
         engines:\n- targets: 1\n  fabric_iface: lo\n  fabric_iface_port: 31416\n  storage:\n  \
         - {{class: ram, scm_mount: {here}/scm, scm_size: 1}}\n  \
         - {{class: malloc, bdev_number: 1, bdev_size: 1, bdev_roles: [wal, meta, data]}}\n",
        port = ports[number],
        here = directory.display(),
    )
}

/// Ports nobody listens on now. Held together until all are known, so that they differ.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let held = held.collect::<Result<Vec<_>, _>>()?;
    Ok(held.iter().map(|held| held.local_addr().map(|at| at.port())).collect::<Result<_, _>>()?)
}
