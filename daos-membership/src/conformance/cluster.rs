//! Replicas of one system in one process, each with a disk that outlives it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::network::MemNetwork;
use super::replicate::ReplicaPlace;
use super::samples;
use crate::address::ControlAddress;
use crate::clock::Timestamp;
use crate::replica::ReplicaId;
use crate::replicate::{Quorum, QuorumOptions, Replicate, Role};
use crate::store::{MemDisk, Store};

/// How long everything is tried that has to succeed in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the store of replica number `n`; the first time, a new one.
pub type OpenStore = Box<dyn Fn(usize) -> Box<dyn Store> + Send + Sync>;

/// Several replicas, numbered from 0.
pub struct Cluster {
    /// What connects them.
    pub network: MemNetwork,
    /// How they work; each gets a seed of its own if there is one.
    pub options: QuorumOptions,
    open: OpenStore,
    running: BTreeMap<usize, Arc<Quorum>>,
    size: usize,
    founded: bool,
}

impl Cluster {
    /// Replicas whose stores are opened by `open`. None runs yet.
    #[must_use]
    pub fn new(size: usize, options: QuorumOptions, open: OpenStore) -> Self {
        let network = MemNetwork::new(options.seed.unwrap_or_default());
        Self { network, options, open, running: BTreeMap::new(), size, founded: false }
    }

    /// Replicas on disks in memory, which are returned as well.
    #[must_use]
    pub fn in_memory(size: usize, options: QuorumOptions) -> (Self, Vec<MemDisk>) {
        let disks: Vec<MemDisk> = (0..size).map(|_| MemDisk::default()).collect();
        let kept = disks.clone();
        let open =
            Box::new(move |n: usize| Box::new(kept[n].open(samples::identity())) as Box<dyn Store>);
        (Self::new(size, options, open), disks)
    }

    /// The address of replica `n`.
    #[must_use]
    pub fn address(n: usize) -> ControlAddress {
        let last = u8::try_from(n + 1).unwrap_or(u8::MAX);
        SocketAddr::from(([10, 0, 0, last], 10001)).into()
    }

    /// Starts replica `n` on what is in its store.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(&mut self, n: usize) -> Arc<Quorum> {
        let (store, me) = ((self.open)(n), Self::address(n));
        let options = self.options_of(n);
        let network = self.network.from(me);
        let replica = Arc::new(Quorum::start(store, me, network, options).await.expect("a start"));
        self.network.connect(&replica);
        self.running.insert(n, Arc::clone(&replica));
        replica
    }

    /// Founds the system on replica 0.
    ///
    /// # Panics
    /// When it cannot be founded.
    pub async fn found(&mut self) -> Arc<Quorum> {
        let (store, me) = ((self.open)(0), Self::address(0));
        let (options, network) = (self.options_of(0), self.network.from(me));
        let wanted = (0..self.size).map(Self::address).collect();
        let founded = Quorum::found(store, me, wanted, Timestamp::default(), network, options);
        let replica = Arc::new(founded.await.expect("a new system"));
        self.network.connect(&replica);
        self.running.insert(0, Arc::clone(&replica));
        self.founded = true;
        replica
    }

    /// Founds the system and gives a vote to all replicas. Returns the leader.
    ///
    /// # Panics
    /// When that does not succeed.
    pub async fn found_all(&mut self) -> Arc<Quorum> {
        let first = self.found().await;
        for n in 1..self.size {
            let replica = self.start(n).await;
            first.add_learner(replica.me()).await.expect("a learner");
        }
        let ids: Vec<ReplicaId> =
            self.running.values().map(|r| r.me().id).filter(|id| *id != first.me().id).collect();
        if !ids.is_empty() {
            first.change_voters(&ids, &[], PATIENCE).await.expect("all vote");
        }
        first
    }

    fn options_of(&self, n: usize) -> QuorumOptions {
        let seed = self.options.seed.map(|seed| seed.wrapping_mul(31).wrapping_add(n as u64 + 1));
        QuorumOptions { seed, ..self.options.clone() }
    }

    /// The replica `n`, if it runs.
    #[must_use]
    pub fn get(&self, n: usize) -> Option<&Arc<Quorum>> {
        self.running.get(&n)
    }

    /// The replicas that run, with their numbers.
    pub fn running(&self) -> impl Iterator<Item = (usize, &Arc<Quorum>)> {
        self.running.iter().map(|(n, replica)| (*n, replica))
    }

    /// Takes a replica away without telling it. Its disk has to be crashed by the caller.
    pub fn lose(&mut self, n: usize) -> Option<Arc<Quorum>> {
        self.network.disconnect(Self::address(n));
        self.running.remove(&n)
    }

    /// The number of the replica that leads, with the highest term, if one does.
    #[must_use]
    pub fn leading(&self) -> Option<usize> {
        let roles = self.running.iter().map(|(n, replica)| (*n, replica.role().borrow().clone()));
        let leaders = roles.filter(|(_, info)| matches!(info.role, Role::Leader));
        leaders.max_by_key(|(_, info)| info.term).map(|(n, _)| n)
    }

    /// Waits until a replica leads and a quorum agrees.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn leader(&self) -> (usize, Arc<Quorum>) {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(n) = self.leading() {
                let replica = Arc::clone(&self.running[&n]);
                if replica.confirm_leadership(Duration::from_secs(2)).await.is_ok() {
                    return (n, replica);
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody leads: {:?}", self.running().map(|(_, r)| r.replicas()).collect::<Vec<_>>());
    }

    /// Stops all replicas in good order.
    pub async fn shutdown(&mut self) {
        for (n, replica) in std::mem::take(&mut self.running) {
            self.network.disconnect(Self::address(n));
            replica.shutdown().await;
        }
    }
}

#[async_trait]
impl ReplicaPlace for Cluster {
    async fn start(&mut self) -> Arc<dyn Replicate> {
        self.shutdown().await;
        if !self.founded {
            return self.found_all().await;
        }
        for n in 0..self.size {
            Self::start(self, n).await;
        }
        self.leader().await.1
    }
}
