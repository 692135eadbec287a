//! Asks the other listed replicas whether the first one may make the system, until they have all answered.
//!
//! Run by `keeper` as long as engine 0's storage is there and no system is. What is decided is in `founding`.

use std::net::SocketAddrV4;
use std::time::Duration;

use daos_membership::ControlAddress;
use futures_util::future::join_all;
use uuid::Uuid;

use super::founding::{Founding, Said, founding};
use super::network::ReplicaHosts;
use super::replica::Replicas;
use crate::client::{ReplicaKind, ReplicaStatus};

/// Pause between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(500);

/// What the others let this host do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Make the system.
    Make,
    /// Wait to be enlisted in this one.
    Join(Uuid, SocketAddrV4),
}

/// Asks again and again; `tell` is called when there is something new to wait for.
pub(super) async fn permission(
    replicas: &Replicas,
    hosts: &ReplicaHosts,
    mut tell: impl FnMut(&str),
) -> Permission {
    let mine = replicas.own_address();
    let others: Vec<SocketAddrV4> =
        replicas.addresses.iter().filter(|address| Some(**address) != mine).copied().collect();
    let mut told = String::new();
    loop {
        let asked = others.iter().map(|at| async move { (*at, ask(hosts, *at).await) });
        let said = join_all(asked).await;
        match founding(&replicas.addresses, &said) {
            Founding::Make => return Permission::Make,
            Founding::Join { system, at } => return Permission::Join(system, at),
            Founding::Wait(why) if why == told => {}
            Founding::Wait(why) => {
                tell(&why);
                told = why;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(hosts: &ReplicaHosts, at: SocketAddrV4) -> Said {
    match hosts.status(ControlAddress::new(at.into())).await {
        Ok(status) => said(status),
        Err(error) => Said::Silent { why: error.to_string() },
    }
}

fn said(status: ReplicaStatus) -> Said {
    let configured = status.configured.iter().filter_map(|text| text.parse().ok()).collect();
    match (status.kind, status.system) {
        (ReplicaKind::Running, Some(system)) => Said::Serves { system },
        (ReplicaKind::Failed, system) => {
            Said::Remembers { system, why: format!("which failed: {}", status.reason) }
        }
        (_, Some(system)) => {
            Said::Remembers { system: Some(system), why: "and does not serve it".to_owned() }
        }
        (ReplicaKind::Running, None) => {
            Said::Remembers { system: None, why: "which it serves without naming it".to_owned() }
        }
        (ReplicaKind::None, None) => Said::NoReplica { configured },
        (ReplicaKind::Uninitialized, None) => Said::NoSystem { configured },
    }
}
