//! How the programs of a run trust each other: certificates of an authority made for it with `daos_server cert`, or nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use daos_control::client::Transport;
use daos_control::wire::Component;
use tokio::process::Command;

/// What connections are secured with.
#[derive(Debug, Clone)]
pub enum Security {
    /// Plain text.
    Insecure,
    /// The certificates in this directory.
    Certificates(PathBuf),
}

impl Security {
    /// Makes the authority and the certificates of all roles.
    pub async fn make(directory: &Path, programs: &Path) -> Result<Self> {
        let server = programs.join("daos_server");
        for arguments in
            [&["init"][..], &["issue", "server"], &["issue", "admin"], &["issue", "agent"]]
        {
            let mut command = Command::new(&server);
            command.arg("cert").args(arguments).arg("--dir").arg(directory).stdin(Stdio::null());
            let ended = command.output().await.context("cannot run daos_server cert")?;
            let told = String::from_utf8_lossy(&ended.stderr);
            ensure!(ended.status.success(), "daos_server cert {arguments:?} failed: {told}");
        }
        Ok(Self::Certificates(directory.to_owned()))
    }

    /// `transport_config` of a program in this role, on one line.
    pub fn transport_config(&self, component: Component) -> String {
        let Self::Certificates(directory) = self else {
            return "{allow_insecure: true}".to_owned();
        };
        let (role, directory) = (role(component), directory.display());
        let clients = match component {
            Component::Server => format!(", client_cert_dir: {directory}/clients"),
            _ => String::new(),
        };
        format!(
            "{{ca_cert: {directory}/daosCA.crt, cert: {directory}/{role}.crt, key: {directory}/{role}.key{clients}}}"
        )
    }

    /// The same for a client of the library.
    pub fn transport(&self, component: Component) -> Transport {
        let Self::Certificates(directory) = self else { return Transport::Insecure };
        let role = role(component);
        Transport::Certificates {
            ca: directory.join("daosCA.crt"),
            certificate: directory.join(format!("{role}.crt")),
            key: directory.join(format!("{role}.key")),
        }
    }
}

fn role(component: Component) -> &'static str {
    match component {
        Component::Server => "server",
        Component::Agent => "agent",
        _ => "admin",
    }
}
