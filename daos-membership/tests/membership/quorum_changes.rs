//! Replicas are added, replaced and removed while the system runs, and a database of one becomes one of several.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::conformance::cluster::Cluster;
use daos_membership::conformance::samples::{self, admit, command};
use daos_membership::{
    Local, LocalOptions, MemDisk, Quorum, QuorumOptions, RedbStore, Replica, ReplicaId,
    ReplicasError, Replicate, ReplicateError, Role, StoreError, Timestamp,
};
use tokio::time::{Instant, sleep};

use crate::quorum::on_files;

const SOON: Duration = Duration::from_secs(30);

fn seeded(seed: u64) -> QuorumOptions {
    QuorumOptions { seed: Some(seed), ..QuorumOptions::default() }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < SOON, "{what} does not happen");
        sleep(Duration::from_millis(10)).await;
    }
}

fn members(replica: &Quorum) -> usize {
    replica.view().read(|system| system.member_count())
}

#[tokio::test(start_paused = true)]
async fn a_system_is_founded_once_and_whole() {
    let disk = MemDisk::default();
    let (mut cluster, _) = Cluster::in_memory(1, seeded(1));
    let store = disk.open(samples::identity());
    assert!(Quorum::is_unused(&store).unwrap());
    let first = cluster.found().await;
    assert!(first.role().borrow().check_leader().is_ok(), "it leads at once");
    assert_eq!(first.view().read(|s| s.wanted_replicas().to_vec()), [Cluster::address(0)]);
    let status = first.replicas();
    assert_eq!(status.replicas.set.voting(), [first.me()]);
    assert_eq!((status.leader, status.changing), (Some(first.me()), false));
    assert_eq!(status.applied, status.last_log);
    cluster.shutdown().await;
    let again = cluster.start(0).await;
    assert_eq!(again.me(), first.me(), "the id is in the store");
    cluster.shutdown().await;

    let network = cluster.network.from(Cluster::address(0));
    let used = MemDisk::default();
    let mut options = seeded(1);
    for attempt in 0..2 {
        options.seed = Some(attempt);
        let (store, me) = (Box::new(used.open(samples::identity())), Cluster::address(0));
        let (at, network) = (Timestamp::default(), Arc::clone(&network));
        match Quorum::found(store, me, vec![me], at, network, options.clone()).await {
            Ok(founded) => founded.shutdown().await,
            Err(error) => {
                assert!(matches!(error, StoreError::Exists { .. }) && attempt == 1, "{error}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_are_told_apart_and_changes_are_refused_in_words() {
    let (mut cluster, _) = Cluster::in_memory(3, seeded(2));
    let leader = cluster.found().await;
    let (mine, nobody) = (leader.me().id, ReplicaId(12345));
    let empty = leader.change_voters(&[], &[mine], SOON).await;
    assert!(matches!(empty, Err(ReplicasError::NobodyLeft)), "{empty:?}");
    let unknown = leader.change_voters(&[nobody], &[], SOON).await;
    assert!(matches!(unknown, Err(ReplicasError::NoSuchReplica { id }) if id == nobody));
    let waiting = cluster.start(1).await;
    assert!(matches!(waiting.role().borrow().role, Role::Learner), "nobody knows it yet");
    assert!(waiting.add_learner(leader.me()).await.is_err(), "it does not lead");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(waiting.replicas().last_log, None, "it does nothing by itself");

    leader.add_learner(waiting.me()).await.unwrap();
    leader.add_learner(waiting.me()).await.unwrap();
    until("catching up", || leader.replicas().lag_of(waiting.me().id) == Some(0)).await;
    assert_eq!(leader.replicas().replicas.set.learning(), [waiting.me()]);
    leader.change_voters(&[waiting.me().id], &[], SOON).await.unwrap();
    assert_eq!(leader.replicas().replicas.set.voting().len(), 2);
    until("being told", || matches!(waiting.role().borrow().role, Role::Follower)).await;
    let status = waiting.replicas();
    assert_eq!(status.leader, Some(leader.me()));
    assert!(status.leader_heard.is_some_and(|ago| ago < Duration::from_secs(1)));
    assert!(leader.replicas().progress[&waiting.me().id].heard.is_some());
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_wiped_replica_is_a_new_one_and_replaces_the_old_id() {
    let (cluster, disks) = Cluster::in_memory(3, seeded(3));
    let kept = disks.clone();
    let wiped = MemDisk::default();
    let now_wiped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (flag, fresh) = (Arc::clone(&now_wiped), wiped.clone());
    drop(cluster);
    let open = move |n: usize| -> Box<dyn daos_membership::Store> {
        let wiped = n == 2 && flag.load(std::sync::atomic::Ordering::SeqCst);
        let disk = if wiped { &fresh } else { &kept[n] };
        Box::new(disk.open(samples::identity()))
    };
    let mut cluster = Cluster::new(3, seeded(3), Box::new(open));
    let leader = cluster.found_all().await;
    leader.propose(command(vec![admit(1)])).await.unwrap();
    let old = cluster.get(2).unwrap().me();
    disks[2].crash();
    drop(cluster.lose(2));
    now_wiped.store(true, std::sync::atomic::Ordering::SeqCst);
    cluster.options.seed = Some(99);
    let new = cluster.start(2).await;
    assert_ne!(new.me().id, old.id);
    assert_eq!(new.me().address, old.address);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(new.replicas().last_log, None, "what is meant for the old one is refused");
    leader.add_learner(new.me()).await.unwrap();
    until("catching up", || leader.replicas().lag_of(new.me().id) == Some(0)).await;
    leader.change_voters(&[new.me().id], &[old.id], SOON).await.unwrap();
    let set = leader.replicas().replicas.set;
    assert!(set.is_voter(new.me().id) && !set.contains(old.id), "{set:?}");
    assert_eq!(set.voters.len(), 1, "the change is complete");
    until("the same state", || members(&new) == 1).await;
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_replica_never_stands_for_election() {
    let (mut cluster, _) = Cluster::in_memory(3, seeded(4));
    let leader = cluster.found_all().await;
    let out = cluster.get(2).unwrap().clone();
    leader.change_voters(&[], &[out.me().id], SOON).await.unwrap();
    let term = leader.role().borrow().term;
    until("being told", || matches!(out.role().borrow().role, Role::Removed)).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(leader.role().borrow().term, term);
    assert_eq!(out.role().borrow().term, term);
    assert!(leader.role().borrow().check_leader().is_ok());
    assert!(!leader.role().borrow().replicas.contains(&out.me().address));

    // The leader itself goes.
    let other = cluster.get(1).unwrap().clone();
    leader.change_voters(&[], &[leader.me().id], SOON).await.unwrap();
    until("another leader", || other.role().borrow().check_leader().is_ok()).await;
    other.propose(command(vec![admit(1)])).await.unwrap();
    until("being told", || matches!(leader.role().borrow().role, Role::Removed)).await;
    let refused = leader.propose(command(vec![admit(2)])).await;
    assert!(matches!(refused, Err(ReplicateError::NotLeader { .. })), "{refused:?}");
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_replica_gets_a_snapshot_in_parts_even_when_it_is_killed_meanwhile() {
    let snapshot_within = Duration::from_millis(500);
    let options =
        QuorumOptions { snapshot_part: 1000, keep_entries: 0, snapshot_within, ..seeded(5) };
    let (mut cluster, disks) = Cluster::in_memory(2, options);
    let leader = cluster.found().await;
    for n in 0..20 {
        let batch = (n * 10 + 1..=n * 10 + 10).map(admit).collect();
        leader.propose(command(batch)).await.unwrap();
    }
    leader.snapshot().await.unwrap();
    assert_eq!(leader.replicas().snapshot, leader.replicas().last_log);
    cluster.network.disturb(20, Duration::from_millis(30));
    let learner = cluster.start(1).await;
    leader.add_learner(learner.me()).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(members(&learner), 0, "it takes a while");
    disks[1].crash();
    drop((cluster.lose(1), learner));
    let learner = cluster.start(1).await;
    until("catching up", || members(&learner) == 200).await;
    leader.propose(command(vec![admit(201)])).await.unwrap();
    let same = || leader.view().read(Clone::clone) == learner.view().read(Clone::clone);
    until("the same state", same).await;
    cluster.network.disturb(0, Duration::ZERO);
    leader.change_voters(&[learner.me().id], &[], SOON).await.unwrap();
    cluster.shutdown().await;
    let again = cluster.start(1).await;
    assert!(members(&again) >= 200, "the snapshot is in its store");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_database_of_a_replica_alone_becomes_one_of_several() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let store = RedbStore::create(dirs[0].path(), &samples::identity()).unwrap();
    let me = Cluster::address(0);
    let local = Local::start(Box::new(store), me, LocalOptions::default()).await.unwrap();
    local.propose(command((1..=20).map(admit).collect())).await.unwrap();
    local.snapshot().await.unwrap();
    local.propose(command(vec![admit(21)])).await.unwrap();
    let state = local.view().read(Clone::clone);
    local.shutdown().await;

    let paths = dirs.iter().map(|dir| dir.path().to_owned()).collect();
    let mut cluster = Cluster::new(3, QuorumOptions::default(), on_files(paths));
    let leader = cluster.start(0).await;
    assert!(leader.role().borrow().check_leader().is_ok(), "it leads at once");
    assert_eq!(leader.view().read(Clone::clone), state, "nothing is lost or changed");
    for n in 1..3 {
        let replica: Replica = cluster.start(n).await.me();
        leader.add_learner(replica).await.unwrap();
        leader.change_voters(&[replica.id], &[], SOON).await.unwrap();
    }
    leader.propose(command(vec![admit(22)])).await.unwrap();
    let last = cluster.get(2).unwrap().clone();
    until("the same state", || members(&last) == 22).await;
    drop((leader, last));
    cluster.shutdown().await;
    let store = RedbStore::open(dirs[0].path(), None).unwrap();
    let alone = Local::start(Box::new(store), me, LocalOptions::default()).await.unwrap_err();
    assert!(matches!(alone, StoreError::Shared { voters: 3, .. }), "{alone}");
}
