//! What can be asked of the management service on this host, always current. Written by `keeper`, read by the gRPC
//! edge, by `join` and by the upcalls of engines.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

use daos_membership::{MembershipHandle, System};
use tokio::sync::watch;

use super::replica::Replicas;
use crate::fault::Fault;

/// State of the management service on this host (contract 1.4).
#[derive(Debug, Clone)]
pub enum ManagementState {
    /// This host is no replica.
    Elsewhere,
    /// A replica, and no system is known yet: engine 0 has to be formatted first, or others have to be.
    Uninitialized {
        /// What it waits for, in words; empty before engine 0's storage is there.
        waits_for: String,
    },
    /// The system is at other replicas, and this host waits until their leader enlists it.
    Waiting {
        /// What it waits for, in words.
        waits_for: String,
    },
    /// It serves.
    Running(MembershipHandle),
    /// It has a system and cannot serve it.
    Failed(Fault),
}

impl ManagementState {
    /// What a replica waits for, when it waits for something that is known.
    #[must_use]
    pub fn waits_for(&self) -> Option<&str> {
        match self {
            Self::Uninitialized { waits_for } | Self::Waiting { waits_for } => {
                Some(waits_for.as_str()).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }
}

/// The readers' side; cheap to clone.
#[derive(Debug, Clone)]
pub struct Management {
    configured: Arc<Replicas>,
    learned: watch::Receiver<Vec<SocketAddrV4>>,
    finds: watch::Receiver<String>,
    state: watch::Receiver<ManagementState>,
}

/// Where the writer's side writes.
#[derive(Debug)]
pub(super) struct Told {
    /// The state.
    pub state: watch::Sender<ManagementState>,
    /// Replicas that other hosts named.
    pub learned: watch::Sender<Vec<SocketAddrV4>>,
    /// What keeps this host from finding the system; empty when nothing does.
    pub finds: watch::Sender<String>,
}

impl Management {
    /// The readers' side, and where it is written.
    pub(super) fn new(configured: Replicas) -> (Told, Self) {
        let (tell_state, state) = watch::channel(at_rest(&configured));
        let (tell_learned, learned) = watch::channel(Vec::new());
        let (tell_finds, finds) = watch::channel(String::new());
        let told = Told { state: tell_state, learned: tell_learned, finds: tell_finds };
        (told, Self { configured: Arc::new(configured), learned, finds, state })
    }

    /// The replicas of the configuration.
    #[must_use]
    pub fn configured(&self) -> &Replicas {
        &self.configured
    }

    /// Where the replicas are: as replicated where that is known here, else as other hosts said, else as configured.
    #[must_use]
    pub fn replicas(&self) -> Vec<SocketAddrV4> {
        let replicated = match &*self.state.borrow() {
            ManagementState::Running(membership) => membership.view().read(wanted),
            _ => Vec::new(),
        };
        let learned = || self.learned.borrow().clone();
        let known = if replicated.is_empty() { learned() } else { replicated };
        if known.is_empty() { self.configured.addresses.clone() } else { known }
    }

    /// What this host waits for before its engines can join, in words; empty when for nothing that is known.
    #[must_use]
    pub fn waits_for(&self) -> String {
        if let Some(waits_for) = self.state.borrow().waits_for() {
            return waits_for.to_owned();
        }
        match self.finds.borrow().as_str() {
            "" => String::new(),
            why => format!("was not found: {why}"),
        }
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> ManagementState {
        self.state.borrow().clone()
    }

    /// The state, as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ManagementState> {
        self.state.clone()
    }
}

/// Where the replicas are, as replicated.
pub(super) fn wanted(system: &System) -> Vec<SocketAddrV4> {
    let addresses = system.wanted_replicas().iter().map(|address| address.socket());
    let ipv4 = addresses.filter_map(|address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    });
    ipv4.collect()
}

/// What a host is that has no storage for a system.
pub(super) fn at_rest(replicas: &Replicas) -> ManagementState {
    match replicas.own {
        Some(_) => ManagementState::Uninitialized { waits_for: String::new() },
        None => ManagementState::Elsewhere,
    }
}
