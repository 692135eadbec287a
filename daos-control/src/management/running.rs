//! A replica that runs: its database, the service on it, and the task that keeps the replicas as wanted.
//!
//! Made and ended by `keeper`. Must not know gRPC.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daos_membership::{
    Clock as _, ControlAddress, LogId, Membership, MembershipHandle, MembershipOptions, Quorum,
    QuorumOptions, RedbStore, ReplicaId, Replicate as _, Role, Store, StoreError, SystemClock,
    SystemIdentity,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::warn;
use uuid::Uuid;

use super::keeper::Opening;
use super::network::ReplicaHosts;
use super::reconcile::Reconciler;
use crate::client::ReplicaStatus;

/// How long the writer may take to finish what it has begun.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What a running replica offers to the edge; cheap to clone.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The service on it.
    pub membership: MembershipHandle,
    pub(super) replica: Arc<Quorum>,
    pub(super) system: Uuid,
    pub(super) hosts: ReplicaHosts,
    pub(super) nudge: Arc<Notify>,
    pub(super) waits: watch::Receiver<BTreeMap<ControlAddress, String>>,
}

/// The replica and all that goes with it.
#[derive(Debug)]
pub(super) struct Running {
    pub opening: Opening,
    pub serving: Serving,
    membership: Membership,
    reconciling: JoinHandle<()>,
}

/// What is on the storage of engine 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No database.
    Nothing,
    /// A database in which nothing was ever written: the system was not made, or nothing was learned yet.
    Unused,
    /// The database of a system.
    System,
}

impl Found {
    /// Looks at the storage; a database that cannot be read is an error, never nothing.
    pub async fn on(opening: &Opening) -> Result<Self, StoreError> {
        let Opening { directory, expected, .. } = opening.clone();
        on_disk(&opening.directory, move || {
            if !RedbStore::exists(&directory) {
                return Ok(Self::Nothing);
            }
            let store = RedbStore::open(&directory, None)?;
            if Quorum::is_unused(&store)? {
                return Ok(Self::Unused);
            }
            let found = store.identity().uuid;
            match expected.filter(|expected| *expected != found) {
                Some(expected) => {
                    Err(StoreError::Foreign { path: RedbStore::path(&directory), found, expected })
                }
                None => Ok(Self::System),
            }
        })
        .await
    }
}

/// Puts an empty database of a system in place of none, or of one in which nothing was ever written.
pub(super) async fn make_empty(opening: &Opening, system: Uuid) -> Result<(), StoreError> {
    let found = Found::on(opening).await?;
    let Opening { directory, name, .. } = opening.clone();
    on_disk(&opening.directory, move || {
        let identity = SystemIdentity { uuid: system, name };
        match found {
            Found::Nothing => {}
            Found::System => return Err(StoreError::Exists { path: RedbStore::path(&directory) }),
            Found::Unused if RedbStore::open(&directory, None)?.identity().uuid == system => {
                return Ok(());
            }
            Found::Unused => RedbStore::remove(&directory)?,
        }
        RedbStore::create(&directory, &identity).map(drop)
    })
    .await
}

/// Opens the database and starts the replica and the service on it. With `founding` a new system is made, with
/// replicas wanted at these addresses.
pub(super) async fn start(
    opening: Opening,
    founding: Option<Vec<ControlAddress>>,
    hosts: &ReplicaHosts,
) -> Result<Running, StoreError> {
    if founding.is_some() {
        make_empty(&opening, Uuid::new_v4()).await?;
    }
    let directory = opening.directory.clone();
    let (store, seat) = on_disk(&opening.directory, move || {
        let store = RedbStore::open(&directory, None)?;
        let seat = Quorum::seat_of(&store)?;
        Ok((store, seat))
    })
    .await?;
    let system = store.identity().uuid;
    // Where the others look for it, whatever this host's configuration says by now.
    let me = seat.map_or(opening.own_address, |seat| seat.address);
    let network = Arc::new(hosts.clone()) as _;
    let (store, times) = (Box::new(store), QuorumOptions::default());
    let quorum = match founding {
        Some(wanted) => Quorum::found(store, me, wanted, SystemClock.now(), network, times).await?,
        None => Quorum::start(store, me, network, times).await?,
    };
    let replica = Arc::new(quorum);
    let options = MembershipOptions::new(opening.fabric_providers.clone());
    let membership = Membership::start(Arc::clone(&replica) as _, Arc::new(SystemClock), options);
    let (tell_waits, waits) = watch::channel(BTreeMap::new());
    let nudge = Arc::new(Notify::new());
    let reconciler = Reconciler {
        replica: Arc::clone(&replica) as _,
        membership: membership.handle(),
        hosts: hosts.clone(),
        system,
        nudge: Arc::clone(&nudge),
        waits: tell_waits,
    };
    let reconciling = tokio::spawn(reconciler.run());
    let (handle, hosts) = (membership.handle(), hosts.clone());
    let serving = Serving { membership: handle, replica, system, hosts, nudge, waits };
    Ok(Running { opening, serving, membership, reconciling })
}

/// Work that waits for a disk, where it disturbs nobody.
async fn on_disk<T: Send + 'static>(
    directory: &Path,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|broken| {
        Err(StoreError::Io { path: directory.to_owned(), doing: "open", source: Box::new(broken) })
    })
}

impl Serving {
    /// What this replica says of itself, beside what is in `rest`.
    pub(super) fn status(&self, rest: ReplicaStatus) -> ReplicaStatus {
        let status = self.replica.replicas();
        let leads = status.info.check_leader().is_ok();
        let (replicas, data_version, held_deaths) = self.membership.view().read(|system| {
            (
                system.wanted_replicas().iter().map(ToString::to_string).collect(),
                system.data_version(),
                system.deaths().held().keys().map(|rank| rank.get()).collect(),
            )
        });
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        ReplicaStatus {
            system: Some(self.system),
            id: status.me.id.to_string(),
            role: role_name(&status.info.role).to_owned(),
            term: status.info.term,
            leader: status.leader.map(|leader| leader.address.to_string()).unwrap_or_default(),
            replicas,
            applied: index(status.applied),
            last_log: index(status.last_log),
            last_contact: if leads { Some(Duration::ZERO) } else { status.leader_heard },
            data_version,
            held_deaths,
            ..rest
        }
    }
}

fn role_name(role: &Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Removed => "removed",
        Role::Failed(_) => "failed",
        Role::Stopped => "stopped",
    }
}

impl Running {
    /// Which replica this is.
    pub fn id(&self) -> ReplicaId {
        self.serving.replica.me().id
    }

    /// Finishes what was begun and closes the database.
    pub async fn stop(self) -> Opening {
        let Self { opening, serving, membership, reconciling } = self;
        reconciling.abort();
        let _aborted = reconciling.await;
        if !membership.shutdown(LAST_WRITES).await {
            warn!("the system database was closed before all that was asked for was written");
        }
        Opening { expected: Some(serving.system), ..opening }
    }
}
