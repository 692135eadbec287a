//! The life of this host's replica: opened when engine 0's storage is ready, closed before that storage goes.
//!
//! Owned by the server; told by the start of engine 0, by formats, by erase and by the leader of the system. Must not
//! know gRPC.

mod attend;
mod enlist;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::Arc;

use daos_membership::{ControlAddress, RedbStore, ReplicaMessage, StoreError};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::bootstrap::until_permitted;
use super::founding::Founding;
use super::network::ReplicaHosts;
use super::replica::Replicas;
use super::running::{Found, Running, Serving, start};
use super::slot::{Management, ManagementState, Told, at_rest};
use crate::client::{ReplicaKind, ReplicaStatus};
use crate::fault::{Fault, code};
use crate::wire::CallError;

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
    /// Address at which this host's replica is, or would be, reached.
    pub own_address: ControlAddress,
    /// Fabric providers of this host's engines.
    pub fabric_providers: Vec<String>,
}

/// The writer's side of `Management`; cheap to clone.
#[derive(Debug, Clone)]
pub struct ManagementKeeper(Arc<Keeper>);

#[derive(Debug)]
struct Keeper {
    replicas: Replicas,
    hosts: ReplicaHosts,
    told: Told,
    serving: watch::Sender<Option<Serving>>,
    held: Mutex<Held>,
    /// How the database was opened that is closed now.
    closed: Mutex<Option<Opening>>,
}

#[derive(Debug, Default)]
enum Held {
    /// Engine 0's storage is not there.
    #[default]
    Nothing,
    /// It is there, and no system on it.
    Waiting(Waiting),
    /// The replica works.
    Running(Box<Running>),
}

/// Storage without a system: perhaps asking whether one may be made.
#[derive(Debug)]
struct Waiting {
    opening: Opening,
    asking: Option<(JoinHandle<()>, CancellationToken)>,
}

impl ManagementKeeper {
    /// Both sides, before anything was opened.
    #[must_use]
    pub fn new(replicas: Replicas, hosts: ReplicaHosts) -> (Self, Management) {
        let (told, management) = Management::new(replicas.clone());
        let (held, closed) = (Mutex::default(), Mutex::default());
        let serving = watch::Sender::new(None);
        (Self(Arc::new(Keeper { replicas, hosts, told, serving, held, closed })), management)
    }

    /// Opens the system database. Where there has never been one, the first replica makes a new system as soon as no
    /// other listed replica has one, and every other host waits to be enlisted. Open already is fine.
    ///
    /// # Errors
    /// The faults of the store: a database that cannot be read, is another system's, or is missing although engine 0 has
    /// joined a system that has no other replica. The service is then `Failed`, never silently new.
    pub async fn open(&self, opening: Opening) -> Result<(), Fault> {
        let mut held = self.0.held.lock().await;
        if !matches!(*held, Held::Nothing) {
            return Ok(());
        }
        let opened = self.open_with(&mut held, opening).await;
        opened.map_err(|error| {
            let fault = Fault::from(error);
            self.0.told.state.send_replace(ManagementState::Failed(fault.clone()));
            fault
        })
    }

    async fn open_with(&self, held: &mut Held, opening: Opening) -> Result<(), StoreError> {
        let found = Found::on(&opening).await?;
        let alone = self.0.replicas.addresses.len() <= 1;
        match found {
            Found::System => self.run(held, opening, None).await,
            Found::Nothing | Found::Unused if opening.may_create && alone => {
                let wanted = vec![opening.own_address];
                self.run(held, opening, Some(wanted)).await
            }
            Found::Nothing if alone && self.0.replicas.own.is_some() => {
                let path = RedbStore::path(&opening.directory);
                Err(StoreError::Missing { path })
            }
            Found::Nothing | Found::Unused if opening.may_create => {
                let (keeper, end) = (self.clone(), CancellationToken::new());
                let asking = tokio::spawn(keeper.ask(end.clone()));
                *held = Held::Waiting(Waiting { opening, asking: Some((asking, end)) });
                Ok(())
            }
            // A learner that has learned nothing yet.
            Found::Unused => self.run(held, opening, None).await,
            Found::Nothing => {
                self.0.wait(&opening);
                *held = Held::Waiting(Waiting { opening, asking: None });
                Ok(())
            }
        }
    }

    /// Asks the other listed replicas until it is known whether this host may make the system.
    async fn ask(self, end: CancellationToken) {
        let keeper = &self.0;
        let tell = |decided: &Founding| {
            let Some(state) = waits(decided) else { return };
            info!(
                "management service: no system is made here yet: {}",
                state.waits_for().unwrap_or_default()
            );
            keeper.told.state.send_replace(state);
        };
        let permitted = until_permitted(&keeper.replicas, &keeper.hosts, tell);
        if end.run_until_cancelled(permitted).await.is_none() {
            return;
        }
        let mut held = keeper.held.lock().await;
        let Held::Waiting(waiting) = &mut *held else { return };
        if end.is_cancelled() {
            return;
        }
        waiting.asking = None;
        let opening = waiting.opening.clone();
        let wanted = keeper.configured();
        if let Err(error) = self.run(&mut held, opening, Some(wanted)).await {
            let fault = Fault::from(error);
            tracing::error!("the system was not made: {fault}");
            keeper.told.state.send_replace(ManagementState::Failed(fault));
        }
    }

    /// Starts the replica on its database, a new one for `founding` a system with replicas at these addresses.
    async fn run(
        &self,
        held: &mut Held,
        opening: Opening,
        founding: Option<Vec<ControlAddress>>,
    ) -> Result<(), StoreError> {
        let keeper = &self.0;
        let running = start(opening, founding, &keeper.hosts).await?;
        let Serving { membership, system, .. } = &running.serving;
        info!("management service of system {} (uuid {system}) serves", running.opening.name);
        // Whoever sees it run may ask which system that is.
        keeper.serving.send_replace(Some(running.serving.clone()));
        keeper.told.state.send_replace(ManagementState::Running(membership.clone()));
        *held = Held::Running(Box::new(running));
        Ok(())
    }

    /// Uuid of the system that is open.
    pub async fn system(&self) -> Option<Uuid> {
        self.serving().map(|serving| serving.system)
    }

    /// The replica, while it runs.
    #[must_use]
    pub fn serving(&self) -> Option<Serving> {
        self.0.serving.borrow().clone()
    }

    /// Finishes what was begun and closes the database; the storage beneath may go then.
    pub async fn close(&self) {
        let opening = self.close_keeping().await;
        *self.0.closed.lock().await = opening;
    }

    /// Opens the database again that was closed last, if it is still there. Never makes a new one in its place.
    ///
    /// # Errors
    /// As [`ManagementKeeper::open`].
    pub async fn reopen(&self) -> Result<(), Fault> {
        let Some(opening) = self.0.closed.lock().await.take() else { return Ok(()) };
        self.open(opening).await
    }

    async fn close_keeping(&self) -> Option<Opening> {
        let held = {
            let mut held = self.0.held.lock().await;
            self.0.told.state.send_replace(at_rest(&self.0.replicas));
            self.0.serving.send_replace(None);
            std::mem::take(&mut *held)
        };
        match held {
            Held::Nothing => None,
            Held::Waiting(Waiting { opening, asking }) => {
                if let Some((asking, end)) = asking {
                    end.cancel();
                    let _ended = asking.await;
                }
                Some(opening)
            }
            // What was a system once is never made anew.
            Held::Running(running) => Some(Opening { may_create: false, ..running.stop().await }),
        }
    }

    /// Answers a message of another replica.
    ///
    /// # Errors
    /// When there is no replica here, or another one than is meant.
    pub async fn receive(&self, message: ReplicaMessage) -> Result<ReplicaMessage, Fault> {
        let serving = self.serving().ok_or_else(|| {
            Fault::new(
                "system",
                code::REPLICA_NOT_HERE,
                "there is no replica of the management service on this host",
                "look at 'dmg system ms status' for what this host waits for",
            )
        })?;
        serving.replica.receive(message).await.map_err(Fault::from)
    }
}

impl ManagementKeeper {
    /// What this host says of its part of the management service.
    pub async fn status(&self) -> ReplicaStatus {
        let (state, keeper) = (self.0.told.state.borrow().clone(), &self.0);
        let rest = ReplicaStatus {
            kind: match &state {
                ManagementState::Elsewhere => ReplicaKind::None,
                ManagementState::Uninitialized { .. } | ManagementState::Waiting { .. } => {
                    ReplicaKind::Uninitialized
                }
                ManagementState::Running(_) => ReplicaKind::Running,
                ManagementState::Failed(_) => ReplicaKind::Failed,
            },
            reason: match &state {
                ManagementState::Failed(fault) => fault.to_string(),
                other => other.waits_for().unwrap_or_default().to_owned(),
            },
            system_name: keeper.hosts.system_name().to_owned(),
            configured: keeper.replicas.addresses.iter().map(ToString::to_string).collect(),
            ..ReplicaStatus::default()
        };
        match (self.serving(), state) {
            (Some(serving), ManagementState::Running(_)) => serving.status(rest),
            _ => ReplicaStatus { system: self.known_system().await, ..rest },
        }
    }

    /// Whether the storage is there and holds no system, so that one can be made or joined.
    pub async fn waits(&self) -> bool {
        matches!(&*self.0.held.lock().await, Held::Waiting(_))
    }

    async fn known_system(&self) -> Option<Uuid> {
        match &*self.0.held.lock().await {
            Held::Nothing => None,
            Held::Waiting(waiting) => waiting.opening.expected,
            Held::Running(running) => Some(running.serving.system),
        }
    }

    pub(super) async fn ask_status(&self, at: ControlAddress) -> Result<ReplicaStatus, CallError> {
        self.0.hosts.status(at).await
    }

    pub(super) fn told(&self) -> &Told {
        &self.0.told
    }

    /// Other hosts said where the replicas are; it matters while this host has none itself.
    pub fn learn(&self, replicas: Vec<SocketAddrV4>) {
        if !replicas.is_empty() {
            self.0.told.learned.send_replace(replicas);
        }
    }
}

impl Keeper {
    /// The configured replicas, as they are wanted in a new system.
    fn configured(&self) -> Vec<ControlAddress> {
        self.replicas.addresses.iter().map(|at| ControlAddress::new((*at).into())).collect()
    }

    /// There is storage and no system on it, and this host makes none.
    fn wait(&self, opening: &Opening) {
        if self.replicas.own.is_none() {
            return;
        }
        let first = self.replicas.addresses.first().map(ToString::to_string).unwrap_or_default();
        let state = match opening.expected {
            Some(system) => ManagementState::Waiting {
                waits_for: format!(
                    "the system database is missing; waits for the leader of system {system} to make this host a \
                     replica again"
                ),
            },
            None => ManagementState::Uninitialized {
                waits_for: format!("waits for {first}, the first replica, to make the system"),
            },
        };
        info!("management service: {}", state.waits_for().unwrap_or_default());
        self.told.state.send_replace(state);
    }
}

/// What is shown of a first replica that may not make the system yet.
fn waits(decided: &Founding) -> Option<ManagementState> {
    match decided {
        Founding::Make => None,
        Founding::Wait(why) => Some(ManagementState::Uninitialized { waits_for: why.clone() }),
        Founding::Join { system, at } => Some(ManagementState::Waiting {
            waits_for: format!(
                "waits for the leader of system {system}, which {at} serves, to make this host a replica"
            ),
        }),
    }
}
