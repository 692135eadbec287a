//! A leader whose disk stalls gives way, and follows when the disk is back.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use daos_membership::conformance::cluster::Cluster;
use daos_membership::conformance::samples::{self, admit, command};
use daos_membership::{
    LogBounds, LogEntry, LogId, MemDisk, MemStore, QuorumOptions, ReplicaId, Replicate, Store,
    StoreError, StoredSnapshot, SystemIdentity, Vote,
};

/// A store whose appends wait while it is stalled.
#[derive(Debug)]
struct Stalling {
    inner: MemStore,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    stalled: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn stall(&self, stalled: bool) {
        *self.stalled.lock().unwrap() = stalled;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let stalled = self.stalled.lock().unwrap();
        drop(self.changed.wait_while(stalled, |stalled| *stalled).unwrap());
    }
}

impl Store for Stalling {
    fn identity(&self) -> &SystemIdentity {
        self.inner.identity()
    }

    fn place(&self) -> &Path {
        self.inner.place()
    }

    fn replica(&self) -> Result<Option<ReplicaId>, StoreError> {
        self.inner.replica()
    }

    fn save_replica(&self, replica: ReplicaId) -> Result<(), StoreError> {
        self.inner.save_replica(replica)
    }

    fn vote(&self) -> Result<Vote, StoreError> {
        self.inner.vote()
    }

    fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.inner.save_vote(vote)
    }

    fn bounds(&self) -> Result<LogBounds, StoreError> {
        self.inner.bounds()
    }

    fn append(&self, entries: &[LogEntry]) -> Result<(), StoreError> {
        self.gate.pass();
        self.inner.append(entries)
    }

    fn entries(&self, from: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.inner.entries(from, limit)
    }

    fn truncate(&self, from: u64) -> Result<(), StoreError> {
        self.inner.truncate(from)
    }

    fn purge(&self, upto: LogId) -> Result<(), StoreError> {
        self.inner.purge(upto)
    }

    fn save_snapshot(&self, snapshot: &StoredSnapshot) -> Result<(), StoreError> {
        self.inner.save_snapshot(snapshot)
    }

    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StoreError> {
        self.inner.snapshot()
    }

    fn blocks(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_stalls_gives_way() {
    let gates: Vec<Arc<Gate>> = (0..3).map(|_| Arc::default()).collect();
    let (disks, kept) = ((0..3).map(|_| MemDisk::default()).collect::<Vec<_>>(), gates.clone());
    let open = move |n: usize| -> Box<dyn Store> {
        let inner = disks[n].open(samples::identity());
        Box::new(Stalling { inner, gate: Arc::clone(&kept[n]) })
    };
    let stall_after = Duration::from_millis(300);
    let options = QuorumOptions { stall_after, ..QuorumOptions::default() };
    let mut cluster = Cluster::new(3, options, Box::new(open));
    cluster.found_all().await;
    let (n, old) = cluster.leader().await;
    gates[n].stall(true);
    let begin = Instant::now();
    let stuck = {
        let old = Arc::clone(&old);
        tokio::spawn(async move { old.propose(command(vec![admit(1)])).await })
    };
    let mut role = old.role();
    role.wait_for(|info| info.check_leader().is_err()).await.unwrap();
    let (next, leader) = cluster.leader().await;
    assert_ne!(next, n, "it is led by the replica whose disk stalls");
    leader.propose(command(vec![admit(2)])).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    gates[n].stall(false);
    let leads = leader.me().address;
    role.wait_for(|info| info.leader == Some(leads)).await.unwrap();
    // The stalled proposal may have been committed by the others or not, and all agree on that.
    let _ = stuck.await.unwrap();
    leader.propose(command(vec![admit(3)])).await.unwrap();
    let state = leader.view().read(Clone::clone);
    while old.view().read(|system| system.data_version()) < state.data_version() {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not catch up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(old.view().read(Clone::clone), leader.view().read(Clone::clone));
    cluster.shutdown().await;
}
