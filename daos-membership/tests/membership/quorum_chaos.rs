//! Replicas under faults that a seed chooses: links are cut, lose and delay messages, replicas crash and lose what
//! they had not made durable. Nothing acknowledged is lost, all apply the same commands in the same order, and no
//! term has two leaders. Then the faults end, and it heals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daos_membership::conformance::cluster::Cluster;
use daos_membership::conformance::samples::command;
use daos_membership::{
    Change, Command, ControlAddress, MemDisk, Quorum, QuorumOptions, Replicate, Role, System,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;
use tokio::time::{Instant, sleep};

const STEPS: u32 = 120;

struct Run {
    cluster: Cluster,
    disks: Vec<MemDisk>,
    rng: StdRng,
    proposed: u32,
    acknowledged: BTreeSet<u32>,
    /// Who led in each term.
    leaders: BTreeMap<u64, ControlAddress>,
    /// The state at each version, as the first replica showed it that reached it.
    history: BTreeMap<u64, System>,
}

fn attribute(n: u32) -> Command {
    let values = BTreeMap::from([(format!("key{n}"), n.to_string())]);
    command(vec![Change::SetAttributes { values }])
}

impl Run {
    async fn start(size: usize, seed: u64) -> Self {
        let options = QuorumOptions {
            seed: Some(seed),
            snapshot_after: 10,
            keep_entries: 3,
            snapshot_part: 700,
            propose_within: Duration::from_secs(2),
            ..QuorumOptions::default()
        };
        let (mut cluster, disks) = Cluster::in_memory(size, options);
        cluster.found_all().await;
        let rng = StdRng::seed_from_u64(seed);
        let (acknowledged, leaders, history) = Default::default();
        Self { cluster, disks, rng, proposed: 0, acknowledged, leaders, history }
    }

    fn any(&mut self) -> usize {
        self.rng.random_range(0..self.disks.len())
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..14) {
            0 => {
                let n = self.any();
                self.cluster.network.isolate(Cluster::address(n));
            }
            1 => {
                let (from, to) = (self.any(), self.any());
                self.cluster.network.cut(Cluster::address(from), Cluster::address(to));
            }
            2 | 3 => self.cluster.network.heal(),
            4 => {
                let (lost, slowest) =
                    (self.rng.random_range(0..200), self.rng.random_range(0..150));
                self.cluster.network.disturb(lost, Duration::from_millis(slowest));
            }
            5 => {
                let n = self.any();
                self.disks[n].crash();
                drop(self.cluster.lose(n));
            }
            6 | 7 => self.restart().await,
            8 => {
                let n = self.any();
                if let Some(replica) = self.cluster.get(n) {
                    let _ = replica.give_way("a test");
                }
            }
            _ => self.propose().await,
        }
        let pause = self.rng.random_range(0..1500);
        sleep(Duration::from_millis(pause)).await;
        self.observe();
    }

    async fn restart(&mut self) {
        for n in 0..self.disks.len() {
            if self.cluster.get(n).is_none() {
                self.cluster.start(n).await;
            }
        }
    }

    /// Several callers at whichever replica they take for the leader.
    async fn propose(&mut self) {
        let n = self.cluster.leading().unwrap_or_else(|| self.any());
        let Some(replica) = self.cluster.get(n).cloned() else { return };
        for _ in 0..self.rng.random_range(1..5) {
            self.proposed += 1;
            let (number, before) = (self.proposed, replica.role().borrow().term);
            if let Ok(applied) = replica.propose(attribute(number)).await {
                assert_eq!(applied.refusal(), None);
                assert!(self.acknowledged.insert(number), "acknowledged twice");
                assert!(replica.role().borrow().term >= before);
            }
        }
    }

    fn observe(&mut self) {
        let states: Vec<(Role, u64, ControlAddress, System)> = self
            .cluster
            .running()
            .map(|(_, replica)| {
                let info = replica.role().borrow().clone();
                (info.role, info.term, info.me, replica.view().read(Clone::clone))
            })
            .collect();
        for (role, term, me, system) in states {
            if matches!(role, Role::Leader) {
                let first = *self.leaders.entry(term).or_insert(me);
                assert_eq!(first, me, "two replicas lead in term {term}");
            }
            let version = system.data_version();
            let first = self.history.entry(version).or_insert_with(|| system.clone());
            assert_eq!(*first, system, "two replicas differ at version {version}");
        }
    }

    async fn heal(&mut self) -> Vec<std::sync::Arc<Quorum>> {
        self.cluster.network.heal();
        self.cluster.network.disturb(0, Duration::ZERO);
        self.restart().await;
        let (_, leader) = self.cluster.leader().await;
        leader.propose(attribute(0)).await.expect("it has healed");
        let all: Vec<_> = self.cluster.running().map(|(_, replica)| replica.clone()).collect();
        let begin = Instant::now();
        while !all.iter().all(|r| r.view().read(System::data_version) == version(&leader)) {
            assert!(begin.elapsed() < Duration::from_secs(60), "they do not catch up");
            sleep(Duration::from_millis(20)).await;
        }
        self.observe();
        all
    }
}

fn version(replica: &Quorum) -> u64 {
    replica.view().read(System::data_version)
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn whatever_fails_nothing_acknowledged_is_lost(
    #[values(3, 5)] size: usize,
    #[values(1, 2, 3, 4, 5, 6)] seed: u64,
) {
    let mut run = Run::start(size, seed).await;
    for _ in 0..STEPS {
        run.step().await;
    }
    let all = run.heal().await;
    let acknowledged = std::mem::take(&mut run.acknowledged);
    assert!(acknowledged.len() > 10, "only {} of {}", acknowledged.len(), run.proposed);
    for replica in all {
        replica.view().read(|system| {
            let attributes = system.attributes();
            let lost: Vec<_> = acknowledged
                .iter()
                .filter(|n| !attributes.contains_key(&format!("key{n}")))
                .collect();
            assert!(lost.is_empty(), "{} lost {lost:?}", replica.me());
        });
    }
    run.cluster.shutdown().await;
}
