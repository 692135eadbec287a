//! The replica of one host while its server lives: the real replication and membership service over the simulated
//! disk and network.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use daos_control::wire::{CallError, NotReady};
use daos_membership::{
    Answer, ControlAddress, Membership, MembershipHandle, MembershipOptions, Quorum, QuorumOptions,
    Replica, ReplicaBody, ReplicaId, ReplicaMessage, ReplicaNetwork, ReplicaUnreachable, Replicate,
    Role, Store, StoreError, SystemIdentity, Voted,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::clock::SkewedClock;
use super::disk::{DiskStore, ReplicaDisk};
use super::message::{Message, address_of, host_of};
use super::network::Uplink;
use super::options::Sabotage;
use super::reconcile;
use super::setting::Setting;

/// The replica of a host, if it has one.
#[derive(Debug)]
pub struct ReplicaLife {
    setting: Arc<Setting>,
    uplink: Uplink,
    disk: ReplicaDisk,
    service: watch::Sender<Option<MembershipHandle>>,
    running: Mutex<Option<Running>>,
    /// Held while a database is made or opened.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Running {
    quorum: Arc<Quorum>,
    _membership: Membership,
}

impl ReplicaLife {
    /// No replica yet.
    #[must_use]
    pub fn new(setting: &Arc<Setting>, uplink: Uplink, disk: ReplicaDisk) -> Self {
        Self {
            setting: Arc::clone(setting),
            uplink,
            disk,
            service: watch::Sender::new(None),
            running: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    fn me(&self) -> ControlAddress {
        ControlAddress::new(address_of(self.uplink.host).into())
    }

    fn identity(&self, system: Uuid) -> SystemIdentity {
        SystemIdentity { uuid: system, name: "sim".to_owned() }
    }

    /// Opens the database that is there. On the host that makes the system, while its engine 0 has no rank, makes one.
    pub async fn open(&self) {
        let _turn = self.opening.lock().await;
        let blank = self.setting.disk(self.uplink.host).superblock(0);
        let may_found = self.uplink.host == 0
            && blank.is_some_and(|superblock| superblock.joined_rank().is_none());
        let opened = match self.disk.open() {
            Ok(store) => self.start(store, may_found).await,
            Err(_missing) if may_found => {
                match self.disk.create(self.identity(self.setting.system)) {
                    Ok(store) => self.start(store, true).await,
                    Err(error) => Err(error),
                }
            }
            Err(_missing) => return,
        };
        if let Err(error) = opened {
            let host = self.uplink.host;
            self.setting.record.note(format_args!("host {host} has no replica: {error}"));
        }
    }

    async fn start(&self, store: DiskStore, may_found: bool) -> Result<(), StoreError> {
        let generous = self.setting.sabotage == Some(Sabotage::GenerousVotes);
        let network = Arc::new(SimReplicaNetwork { uplink: self.uplink.clone(), generous });
        let clock =
            Arc::new(SkewedClock::new(self.setting.seed, self.uplink.host, self.uplink.time));
        let options = QuorumOptions { snapshot_after: 60, ..QuorumOptions::default() };
        let founds = may_found && Quorum::is_unused(&store)?;
        let quorum = if founds {
            let wanted = self.setting.listed().collect();
            let at = daos_membership::Clock::now(&*clock);
            Quorum::found(Box::new(store), self.me(), wanted, at, network, options).await?
        } else {
            Quorum::start(Box::new(store), self.me(), network, options).await?
        };
        let quorum = Arc::new(quorum);
        let options = MembershipOptions {
            damping: self.setting.damping(),
            ..MembershipOptions::new(vec!["ofi+tcp".to_owned()])
        };
        let replicate = Arc::clone(&quorum) as Arc<dyn Replicate>;
        let membership = Membership::start(replicate, clock, options);
        let (uplink, system) = (self.uplink.clone(), self.setting.system);
        tokio::spawn(reconcile::run(Arc::clone(&quorum), membership.handle(), uplink, system));
        self.service.send_replace(Some(membership.handle()));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = Some(Running { quorum, _membership: membership });
        Ok(())
    }

    fn quorum(&self) -> Option<Arc<Quorum>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| Arc::clone(&running.quorum))
    }

    /// The service, once it runs.
    #[must_use]
    pub fn service(&self) -> Option<MembershipHandle> {
        self.service.borrow().clone()
    }

    /// The service, as it comes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<MembershipHandle>> {
        self.service.subscribe()
    }

    /// Answers another replica.
    pub async fn answer(&self, bytes: &[u8]) -> Result<Message, CallError> {
        let message =
            ReplicaMessage::decode(bytes).map_err(|error| CallError::text(error.to_string()))?;
        let quorum = self.quorum().ok_or(NotReady::Uninitialized)?;
        match quorum.receive(message).await {
            Ok(answer) => Ok(Message::Replica(answer.encode())),
            Err(refused) => Err(CallError::text(refused.to_string())),
        }
    }

    /// Becomes a replica of a system, if this host is none yet, and says which.
    pub async fn enlist(&self, system: Uuid) -> Result<Message, CallError> {
        let _turn = self.opening.lock().await;
        if self.quorum().is_none() {
            let opened = match self.disk.open() {
                Ok(store) if store.identity().uuid == system => self.start(store, false).await,
                Ok(_) => return Err(CallError::text("this host is of another system")),
                Err(_missing) => match self.disk.create(self.identity(system)) {
                    Ok(store) => self.start(store, false).await,
                    Err(error) => Err(error),
                },
            };
            opened.map_err(|error| CallError::text(error.to_string()))?;
        }
        let quorum = self.quorum().ok_or(NotReady::Uninitialized)?;
        Ok(Message::Enlisted(quorum.me().id))
    }

    /// Tells the record what this replica takes itself for; up to where it has applied its log.
    pub fn look(&self) -> Option<u64> {
        let status = self.quorum()?.replicas();
        if matches!(status.info.role, Role::Leader) {
            self.setting.record.leads(self.uplink.host, status.info.term);
        }
        status.applied.map(|id| id.index)
    }

    /// The replicas that vote, as far as it knows.
    #[must_use]
    pub fn voters(&self) -> BTreeSet<ReplicaId> {
        let voting = self.quorum().map(|quorum| quorum.replicas().replicas.set.voting());
        voting.unwrap_or_default().into_iter().map(|replica| replica.id).collect()
    }

    /// Which replica it is, whether it votes, and how many do.
    #[must_use]
    pub fn seat(&self) -> Option<(ReplicaId, bool, usize)> {
        let status = self.quorum()?.replicas();
        let set = &status.replicas.set;
        Some((status.me.id, set.is_voter(status.me.id), set.voting().len()))
    }

    /// Whether it leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.service().is_some_and(|service| matches!(service.leader_info().role, Role::Leader))
    }

    /// Whether its disk failed it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let ended = |role: &Role| matches!(role, Role::Failed(_) | Role::Stopped);
        self.service().is_some_and(|service| ended(&service.leader_info().role))
    }
}

/// Carries messages of replicas over the simulated network.
#[derive(Debug)]
struct SimReplicaNetwork {
    uplink: Uplink,
    /// Turns refused votes into granted ones, which is never right.
    generous: bool,
}

/// An answer, with the vote that was asked for and refused.
fn granted(asked: &ReplicaBody, answer: ReplicaBody) -> ReplicaBody {
    match (asked, answer) {
        (ReplicaBody::RequestVote(request), ReplicaBody::Voted(voted)) => {
            ReplicaBody::Voted(Voted { vote: request.vote, granted: true, ..voted })
        }
        (ReplicaBody::Ask(_), ReplicaBody::Answer(answer)) => {
            ReplicaBody::Answer(Answer { would_vote: true, ..answer })
        }
        (_, answer) => answer,
    }
}

#[async_trait]
impl ReplicaNetwork for SimReplicaNetwork {
    async fn call(
        &self,
        to: &Replica,
        message: ReplicaMessage,
    ) -> Result<ReplicaMessage, ReplicaUnreachable> {
        let unreachable = |reason: String| ReplicaUnreachable { to: *to, reason };
        let host = host_of(to.address).ok_or_else(|| unreachable("no such host".to_owned()))?;
        match self.uplink.call(host, Message::Replica(message.encode())).await {
            Ok(Message::Replica(bytes)) => {
                let mut answer = ReplicaMessage::decode(&bytes)
                    .map_err(|error| unreachable(error.to_string()))?;
                if self.generous {
                    answer.body = granted(&message.body, answer.body);
                }
                Ok(answer)
            }
            Ok(other) => Err(unreachable(other.to_string())),
            Err(why) => Err(unreachable(format!("{why:?}"))),
        }
    }
}

/// A few words about a message between replicas.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    match ReplicaMessage::decode(bytes) {
        Ok(message) => {
            let text = format!("{:?}", message.body);
            // Contents of entries say little.
            text.chars().take(160).collect()
        }
        Err(error) => error.to_string(),
    }
}
