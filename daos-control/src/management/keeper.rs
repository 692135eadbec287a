//! The life of this host's replica: opened when engine 0's storage is ready, closed before that storage goes.
//!
//! Owned by the server; told by the start of engine 0, by formats and by erase. Must not know gRPC.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daos_membership::{
    ControlAddress, Local, LocalOptions, Membership, MembershipOptions, RedbStore, Store,
    StoreError, SystemClock, SystemIdentity,
};
use tokio::sync::{Mutex, watch};
use tracing::{info, warn};
use uuid::Uuid;

use super::replica::Replicas;
use super::slot::{Management, ManagementState, at_rest};
use crate::fault::Fault;

/// How long the writer may take to finish what it has begun.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What is needed to open the system database.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Directory that holds the database's own directory (contract 5.1).
    pub directory: PathBuf,
    /// System name.
    pub name: String,
    /// System this storage belongs to, from engine 0's superblock.
    pub expected: Option<Uuid>,
    /// Whether a new system may be made: engine 0 of the first replica was formatted and has never joined.
    pub may_create: bool,
    /// Address of this replica.
    pub own_address: ControlAddress,
    /// Fabric providers of this host's engines.
    pub fabric_providers: Vec<String>,
}

/// The writer's side of `Management`.
#[derive(Debug)]
pub struct ManagementKeeper {
    replicas: Replicas,
    state: watch::Sender<ManagementState>,
    running: Mutex<Option<Running>>,
    /// How the database was opened that is closed now.
    closed: Mutex<Option<Opening>>,
}

#[derive(Debug)]
struct Running {
    membership: Membership,
    opening: Opening,
    system: Uuid,
}

impl ManagementKeeper {
    /// Both sides, before anything was opened.
    #[must_use]
    pub fn new(replicas: Replicas) -> (Self, Management) {
        let (state, management) = Management::new(replicas.clone());
        (Self { replicas, state, running: Mutex::default(), closed: Mutex::default() }, management)
    }

    /// Opens the system database, or makes a new system where there has never been one. Open already is fine.
    ///
    /// # Errors
    /// The faults of the store: a database that cannot be read, is another system's, or is missing although engine 0 has joined
    /// one. The service is then `Failed`, never silently new.
    pub async fn open(&self, opening: Opening) -> Result<(), Fault> {
        let mut running = self.running.lock().await;
        if running.is_some() {
            return Ok(());
        }
        match start(&opening).await {
            Ok(opened) => {
                info!(
                    "management service of system {} (uuid {}) serves",
                    opening.name, opened.system
                );
                self.state.send_replace(ManagementState::Running(opened.membership.handle()));
                *running = Some(opened);
                Ok(())
            }
            Err(error) => {
                let fault = Fault::from(error);
                self.state.send_replace(ManagementState::Failed(fault.clone()));
                Err(fault)
            }
        }
    }

    /// Uuid of the system that is open.
    pub async fn system(&self) -> Option<Uuid> {
        self.running.lock().await.as_ref().map(|running| running.system)
    }

    /// Finishes what was begun and closes the database; the storage beneath may go then.
    pub async fn close(&self) {
        let opening = self.close_keeping().await;
        *self.closed.lock().await = opening;
    }

    /// Opens the database again that was closed last, if it is still there. Never makes a new one.
    ///
    /// # Errors
    /// As [`ManagementKeeper::open`].
    pub async fn reopen(&self) -> Result<(), Fault> {
        let Some(opening) = self.closed.lock().await.take() else { return Ok(()) };
        self.open(Opening { may_create: false, ..opening }).await
    }

    /// Closes the database and removes it: the system is gone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn erase(&self) -> Result<(), Fault> {
        let Some(opening) = self.close_keeping().await else { return Ok(()) };
        RedbStore::remove(&opening.directory).map_err(Fault::from)
    }

    async fn close_keeping(&self) -> Option<Opening> {
        let mut running = self.running.lock().await;
        self.state.send_replace(at_rest(&self.replicas));
        let Running { membership, opening, system } = running.take()?;
        if !membership.shutdown(LAST_WRITES).await {
            warn!("the system database was closed before all that was asked for was written");
        }
        Some(Opening { expected: Some(system), ..opening })
    }
}

async fn start(opening: &Opening) -> Result<Running, StoreError> {
    let Opening { directory, name, expected, may_create, .. } = opening.clone();
    let found = tokio::task::spawn_blocking(move || -> Result<(RedbStore, Uuid), StoreError> {
        if !RedbStore::exists(&directory) && may_create {
            let identity = SystemIdentity { uuid: Uuid::new_v4(), name };
            return Ok((RedbStore::create(&directory, &identity)?, identity.uuid));
        }
        let store = RedbStore::open(&directory, expected)?;
        let system = store.identity().uuid;
        Ok((store, system))
    });
    let (store, system) = found.await.unwrap_or_else(|broken| {
        Err(StoreError::Io {
            path: opening.directory.clone(),
            doing: "open",
            source: Box::new(broken),
        })
    })?;
    let local = Local::start(Box::new(store), opening.own_address, LocalOptions::default()).await?;
    let options = MembershipOptions::new(opening.fabric_providers.clone());
    let membership = Membership::start(Arc::new(local), Arc::new(SystemClock), options);
    Ok(Running { membership, opening: opening.clone(), system })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(directory: &std::path::Path, own: &str) -> Opening {
        Opening {
            directory: directory.to_owned(),
            name: "n".to_owned(),
            expected: None,
            may_create: true,
            own_address: ControlAddress::new(own.parse().unwrap()),
            fabric_providers: vec!["ofi+tcp".to_owned()],
        }
    }

    /// The same system comes back after a close, and none after an erase.
    #[tokio::test]
    async fn what_was_closed_opens_again_and_what_was_erased_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let own = "127.0.0.1:10001";
        let replicas = Replicas { addresses: vec![own.parse().unwrap()], own: Some(0) };
        let (keeper, management) = ManagementKeeper::new(replicas);
        keeper.reopen().await.unwrap();
        assert!(matches!(management.state(), ManagementState::Uninitialized));

        keeper.open(opening(directory.path(), own)).await.unwrap();
        let system = keeper.system().await;
        assert!(system.is_some());
        keeper.close().await;
        assert!(matches!(management.state(), ManagementState::Uninitialized));
        keeper.reopen().await.unwrap();
        assert!(matches!(management.state(), ManagementState::Running(_)));
        assert_eq!(keeper.system().await, system);

        keeper.erase().await.unwrap();
        keeper.reopen().await.unwrap();
        assert!(matches!(management.state(), ManagementState::Uninitialized));
    }
}
