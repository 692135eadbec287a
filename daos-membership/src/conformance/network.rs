//! A network in memory between replicas, with links that are cut, lose messages and are slow, as a seed says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::address::ControlAddress;
use crate::replica::Replica;
use crate::replicate::{Quorum, ReplicaMessage, ReplicaNetwork, ReplicaUnreachable};

/// The network. Copies are the same network.
#[derive(Debug, Clone)]
pub struct MemNetwork(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    replicas: BTreeMap<ControlAddress, Weak<Quorum>>,
    /// Links that carry nothing, each in one direction.
    cut: BTreeSet<(ControlAddress, ControlAddress)>,
    /// Messages out of a thousand that are lost, each way.
    lost: u32,
    slowest: Duration,
    rng: StdRng,
    carried: u64,
}

/// The network as seen from one address.
#[derive(Debug)]
struct Side {
    network: MemNetwork,
    from: ControlAddress,
}

impl MemNetwork {
    /// A network that carries everything at once.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            replicas: BTreeMap::new(),
            cut: BTreeSet::new(),
            lost: 0,
            slowest: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            carried: 0,
        })))
    }

    /// The way to the others for a replica at this address.
    #[must_use]
    pub fn from(&self, address: ControlAddress) -> Arc<dyn ReplicaNetwork> {
        Arc::new(Side { network: self.clone(), from: address })
    }

    /// Delivers to this replica what is sent to its address.
    pub fn connect(&self, replica: &Arc<Quorum>) {
        self.lock().replicas.insert(replica.me().address, Arc::downgrade(replica));
    }

    /// Nobody is at this address any more.
    pub fn disconnect(&self, address: ControlAddress) {
        self.lock().replicas.remove(&address);
    }

    /// Cuts the link in one direction.
    pub fn cut(&self, from: ControlAddress, to: ControlAddress) {
        self.lock().cut.insert((from, to));
    }

    /// Cuts an address off in both directions.
    pub fn isolate(&self, address: ControlAddress) {
        let mut inner = self.lock();
        let others: Vec<_> = inner.replicas.keys().copied().filter(|at| *at != address).collect();
        for other in others {
            inner.cut.extend([(address, other), (other, address)]);
        }
    }

    /// All links carry again.
    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    /// From now on this many messages out of a thousand are lost, and none takes longer than `slowest`.
    pub fn disturb(&self, lost: u32, slowest: Duration) {
        let mut inner = self.lock();
        (inner.lost, inner.slowest) = (lost, slowest);
    }

    /// How many messages have arrived.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.lock().carried
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a message is on its way; `None` when it does not arrive.
    fn way(&self, from: ControlAddress, to: ControlAddress) -> Option<Duration> {
        let mut inner = self.lock();
        let (lost, slowest) = (inner.lost, inner.slowest);
        if inner.cut.contains(&(from, to)) || (lost > 0 && inner.rng.random_range(0..1000) < lost) {
            return None;
        }
        inner.carried += 1;
        let most = u64::try_from(slowest.as_micros()).unwrap_or(u64::MAX);
        Some(Duration::from_micros(inner.rng.random_range(0..=most)))
    }
}

#[async_trait]
impl ReplicaNetwork for Side {
    async fn call(
        &self,
        to: &Replica,
        message: ReplicaMessage,
    ) -> Result<ReplicaMessage, ReplicaUnreachable> {
        let unreachable = |reason: String| ReplicaUnreachable { to: *to, reason };
        let network = &self.network;
        // A lost message is not noticed by the sender, who waits until its time is over.
        let Some(delay) = network.way(self.from, to.address) else { return never().await };
        tokio::time::sleep(delay).await;
        let receiver = network.lock().replicas.get(&to.address).and_then(Weak::upgrade);
        let receiver = receiver.ok_or_else(|| unreachable("nobody is there".to_owned()))?;
        let bytes = message.encode();
        let message = ReplicaMessage::decode(&bytes).map_err(|e| unreachable(e.to_string()))?;
        let answer = receiver.receive(message).await.map_err(|e| unreachable(e.to_string()))?;
        drop(receiver);
        let Some(delay) = network.way(to.address, self.from) else { return never().await };
        tokio::time::sleep(delay).await;
        ReplicaMessage::decode(&answer.encode()).map_err(|e| unreachable(e.to_string()))
    }
}

async fn never<T>() -> T {
    std::future::pending().await
}
