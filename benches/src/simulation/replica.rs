//! The replica of one host while its server lives: the real replication and membership service.

use std::sync::{Arc, Mutex, PoisonError};

use daos_control::wire::{CallError, NotReady};
use daos_membership::{
    ControlAddress, Local, LocalOptions, Membership, MembershipHandle, MembershipOptions,
    Replicate, Role, SystemIdentity,
};
use tokio::sync::watch;

use super::clock::SkewedClock;
use super::disk::ReplicaDisk;
use super::message::{Message, address_of};
use super::network::Uplink;
use super::setting::Setting;

/// The replica of a host, if it has one.
#[derive(Debug)]
pub struct ReplicaLife {
    setting: Arc<Setting>,
    uplink: Uplink,
    disk: ReplicaDisk,
    service: watch::Sender<Option<MembershipHandle>>,
    running: Mutex<Option<(Membership, Arc<dyn Replicate>)>>,
}

impl ReplicaLife {
    /// No replica yet.
    #[must_use]
    pub fn new(setting: &Arc<Setting>, uplink: Uplink, disk: ReplicaDisk) -> Self {
        let (service, running) = (watch::Sender::new(None), Mutex::default());
        Self { setting: Arc::clone(setting), uplink, disk, service, running }
    }

    /// Opens the database that is there; makes one on the host that is to make the system.
    pub async fn open(&self) {
        let host = self.uplink.host;
        let store = match self.disk.open() {
            Ok(store) => store,
            Err(_missing) if host == 0 => {
                let identity = SystemIdentity { uuid: self.setting.system, name: "sim".to_owned() };
                match self.disk.create(identity) {
                    Ok(store) => store,
                    Err(_full) => return,
                }
            }
            Err(_missing) => return,
        };
        let me = ControlAddress::new(address_of(host).into());
        match Local::start(Box::new(store), me, LocalOptions::default()).await {
            Ok(local) => {
                let clock = Arc::new(SkewedClock::new(self.setting.seed, host, self.uplink.time));
                let options = MembershipOptions::new(vec!["ofi+tcp".to_owned()]);
                let replicate: Arc<dyn Replicate> = Arc::new(local);
                let membership = Membership::start(Arc::clone(&replicate), clock, options);
                self.service.send_replace(Some(membership.handle()));
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                *running = Some((membership, replicate));
            }
            Err(error) => {
                self.setting.record.note(format_args!("host {host} has no replica: {error}"))
            }
        }
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
    pub async fn answer(&self, _bytes: &[u8]) -> Result<Message, CallError> {
        Err(NotReady::Uninitialized.into())
    }

    /// Tells the record what this replica takes itself for; up to where it has applied its log.
    pub fn look(&self) -> Option<u64> {
        let info = self.service()?.leader_info();
        if matches!(info.role, Role::Leader) {
            self.setting.record.leads(self.uplink.host, info.term);
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, replicate) = running.as_ref()?;
        replicate.replicas().applied.map(|id| id.index)
    }

    /// Whether it leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.service().is_some_and(|service| matches!(service.leader_info().role, Role::Leader))
    }

    /// Whether its disk failed it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.service().is_some_and(|service| matches!(service.leader_info().role, Role::Failed(_)))
    }
}

/// A few words about a message between replicas.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    format!("{} bytes", bytes.len())
}
