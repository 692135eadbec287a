//! What can be asked of the management service on this host, always current. Written by `keeper`, read by the gRPC
//! edge, by `join` and by the upcalls of engines.

use std::sync::Arc;

use daos_membership::MembershipHandle;
use tokio::sync::watch;

use super::replica::Replicas;
use crate::fault::Fault;

/// State of the management service on this host (contract 1.4).
#[derive(Debug, Clone)]
pub enum ManagementState {
    /// This host is no replica.
    Elsewhere,
    /// A replica without a system: engine 0 has to be formatted first.
    Uninitialized,
    /// It serves.
    Running(MembershipHandle),
    /// It has a system and cannot serve it.
    Failed(Fault),
}

/// The readers' side; cheap to clone.
#[derive(Debug, Clone)]
pub struct Management {
    replicas: Arc<Replicas>,
    state: watch::Receiver<ManagementState>,
}

impl Management {
    /// The readers' side, and where the state is written.
    pub(super) fn new(replicas: Replicas) -> (watch::Sender<ManagementState>, Self) {
        let (sender, state) = watch::channel(at_rest(&replicas));
        (sender, Self { replicas: Arc::new(replicas), state })
    }

    /// Where the replicas are.
    #[must_use]
    pub fn replicas(&self) -> &Replicas {
        &self.replicas
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

/// What a host is that serves no system.
pub(super) fn at_rest(replicas: &Replicas) -> ManagementState {
    match replicas.own {
        Some(_) => ManagementState::Uninitialized,
        None => ManagementState::Elsewhere,
    }
}
