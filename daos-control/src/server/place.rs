//! This host's place in the system, read off its configuration: what it may run, claims, announces and asks.
//! Each function is one of the first steps of `start`.

use std::time::Duration;

use tracing::warn;

use super::claims::Claims;
use super::options::StartOptions;
use crate::client::{Client, ClientConfig, HostAddr, HostSet};
use crate::config::{ServerConfig, fault_path};
use crate::fault::{Fault, code};
use crate::join::Host;
use crate::management::{ReplicaHosts, Replicas};
use crate::start_table::ReplicaRoles;
use crate::supervisor::RestartPolicy;
use crate::tls::{CertificateFiles, Security, TlsError};
use crate::wire::Component;

/// How long a fault domain script may take.
const FAULT_DOMAIN: Duration = Duration::from_secs(30);

pub fn claim(config: &ServerConfig) -> Result<Claims, Fault> {
    let mounts = config.engines.iter().map(|engine| engine.scm.mount());
    let directories = [config.socket_dir.as_path(), config.state_dir.as_path()];
    let directories = directories.into_iter().filter(|_| !config.engines.is_empty());
    Claims::take(directories.chain(mounts))
}

/// This host, as it shows itself to the management service.
pub async fn host(
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

pub fn roles(replicas: &Replicas) -> ReplicaRoles {
    ReplicaRoles { create: replicas.own.is_some(), bootstrap: replicas.is_bootstrap() }
}

pub fn restart(config: &ServerConfig) -> RestartPolicy {
    if !config.engine_restart.enabled {
        return RestartPolicy::disabled();
    }
    RestartPolicy::spaced_by(Duration::from_secs(config.engine_restart.min_delay_s.into()))
}

pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// How this server is secured. Insecure mode was asked for, and is said all the same.
pub fn security(config: &ServerConfig) -> Result<Security, Fault> {
    let transport = &config.transport;
    if transport.allow_insecure {
        warn!(
            "insecure mode: no certificates are used, everybody who reaches port {} is believed",
            config.port
        );
        return Ok(Security::Insecure);
    }
    // Agents' certificates are needed when an engine first asks; better told now than then.
    let clients = &transport.client_cert_dir;
    if let Err(source) = std::fs::read_dir(clients) {
        let path = clients.clone();
        return Err(match source.kind() {
            std::io::ErrorKind::NotFound => TlsError::NoClients { path }.into(),
            _ => TlsError::Unreadable { path, source }.into(),
        });
    }
    let files = CertificateFiles {
        ca: transport.ca_cert.clone(),
        certificate: transport.cert.clone(),
        key: transport.key.clone(),
    };
    Ok(Security::with_certificates(files, Component::Server)?)
}

/// A client of the replicas, in the name of a server.
pub fn peers(
    config: &ServerConfig,
    replicas: &Replicas,
    security: Security,
) -> Result<Client, Fault> {
    let mut hosts = HostSet::default();
    for address in &replicas.addresses {
        let host = HostAddr::parse(&address.to_string()).map_err(|error| unusable(&error))?;
        hosts.insert(host);
    }
    let settings = ClientConfig {
        system_name: config.name.clone(),
        port: config.port,
        hosts,
        ..ClientConfig::default()
    };
    Ok(Client::with_security(&settings, Component::Server, security))
}

/// The hosts of the other replicas, for a program that runs beside no server.
///
/// # Errors
/// Replicas that do not resolve, certificates that cannot be used.
pub fn replica_hosts(config: &ServerConfig) -> Result<ReplicaHosts, Fault> {
    let replicas = Replicas::resolve(&config.replicas, config.port)?;
    Ok(ReplicaHosts::new(&peers(config, &replicas, security(config)?)?, &config.name))
}

fn unusable(error: &dyn std::error::Error) -> Fault {
    Fault::new(
        "serverconfig",
        code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
        format!("the management service replicas cannot be asked: {error}"),
        "correct mgmt_svc_replicas (access_points)",
    )
}
