//! Several replicas when links, disks and replicas fail, in time that passes as fast as the tasks allow.

use std::time::Duration;

use daos_membership::conformance::cluster::Cluster;
use daos_membership::conformance::samples::{admit, command};
use daos_membership::{QuorumOptions, ReplicasError, Replicate, ReplicateError, Role};
use tokio::time::{Instant, sleep, timeout};

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

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_cut_off_disturbs_nobody_when_it_is_back() {
    let (mut cluster, _) = Cluster::in_memory(3, seeded(1));
    let leader = cluster.found_all().await;
    let term = leader.role().borrow().term;
    let cut = cluster.get(2).unwrap().clone();
    cluster.network.isolate(Cluster::address(2));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cut.role().borrow().leader, None, "it says that it has lost its leader");
    leader.propose(command(vec![admit(1)])).await.unwrap();
    cluster.network.heal();
    let mut role = cut.role();
    let follows = role.wait_for(|info| info.leader == Some(leader.me().address));
    timeout(SOON, follows).await.unwrap().unwrap();
    until("catching up", || cut.view().read(|system| system.member_count()) == 1).await;
    for (_, replica) in cluster.running() {
        assert_eq!(replica.role().borrow().term, term, "an election was held for nothing");
    }
    assert_eq!(cluster.leading(), Some(0));
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn no_election_is_held_without_a_fault() {
    let (mut cluster, _) = Cluster::in_memory(5, seeded(2));
    let leader = cluster.found_all().await;
    cluster.network.disturb(0, Duration::from_millis(40));
    let term = leader.role().borrow().term;
    for n in 1..=80 {
        leader.propose(command(vec![admit(n)])).await.unwrap();
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(leader.role().borrow().term, term);
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_alone_in_the_minority_confirms_nothing_and_gives_way() {
    let (mut cluster, _) = Cluster::in_memory(3, seeded(3));
    let old = cluster.found_all().await;
    cluster.network.isolate(Cluster::address(0));
    let (asked, within) = (Instant::now(), Duration::from_secs(1));
    let proposed = old.propose(command(vec![admit(9)]));
    let (confirmed, proposed) = tokio::join!(old.confirm_leadership(within), proposed);
    assert!(matches!(confirmed, Err(ReplicateError::NotLeader { .. })), "{confirmed:?}");
    assert!(matches!(proposed, Err(ReplicateError::OutcomeUnknown)), "{proposed:?}");
    assert!(asked.elapsed() <= Duration::from_secs(6), "every answer has a deadline");
    let (n, next) = cluster.leader().await;
    assert_ne!(n, 0);
    next.propose(command(vec![admit(1)])).await.unwrap();
    cluster.network.heal();
    until("following", || old.role().borrow().leader == Some(next.me().address)).await;
    until("the same state", || old.view().read(Clone::clone) == next.view().read(Clone::clone))
        .await;
    let system = old.view().read(Clone::clone);
    assert_eq!(system.member_count(), 1, "what was never committed is gone");
    cluster.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_heard_but_not_answered_gives_way() {
    for (seed, to_leader) in [(4, true), (5, false)] {
        let (mut cluster, _) = Cluster::in_memory(3, seeded(seed));
        let old = cluster.found_all().await;
        for n in 1..3 {
            let (leader, other) = (Cluster::address(0), Cluster::address(n));
            let (from, to) = if to_leader { (other, leader) } else { (leader, other) };
            cluster.network.cut(from, to);
        }
        until("another leader", || cluster.leading().is_some_and(|n| n != 0)).await;
        let (_, next) = cluster.leader().await;
        next.propose(command(vec![admit(1)])).await.unwrap();
        assert!(old.role().borrow().check_leader().is_err(), "two lead");
        cluster.network.heal();
        until("following", || old.view().read(|system| system.member_count()) == 1).await;
        cluster.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_told_to_gives_way_to_another() {
    let (mut cluster, _) = Cluster::in_memory(3, seeded(6));
    let old = cluster.found_all().await;
    assert!(cluster.get(1).unwrap().give_way("a test").is_err(), "it does not lead");
    old.give_way("a test").unwrap();
    assert!(old.role().borrow().check_leader().is_err(), "it shows that at once");
    let refused = old.propose(command(vec![admit(1)])).await;
    assert!(matches!(refused, Err(ReplicateError::NotLeader { .. })), "{refused:?}");
    let begin = Instant::now();
    let (n, next) = cluster.leader().await;
    assert_ne!(n, 0);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    next.propose(command(vec![admit(1)])).await.unwrap();
    // Nobody can take over from this one.
    for n in 0..3 {
        cluster.network.isolate(Cluster::address(n));
    }
    next.give_way("a test").unwrap();
    sleep(Duration::from_secs(1)).await;
    cluster.network.heal();
    cluster.leader().await;
    cluster.shutdown().await;

    let (mut alone, _) = Cluster::in_memory(1, seeded(7));
    let lone = alone.found().await;
    assert!(matches!(lone.give_way("a test"), Err(ReplicasError::Alone)));
    lone.propose(command(vec![admit(1)])).await.unwrap();
    alone.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_disk_ends_its_replica_and_no_other() {
    let (mut cluster, disks) = Cluster::in_memory(3, seeded(8));
    let old = cluster.found_all().await;
    disks[2].fail_writes(true);
    for n in 1..=3 {
        old.propose(command(vec![admit(n)])).await.unwrap();
    }
    let broken = cluster.get(2).unwrap().clone();
    until("failing", || matches!(broken.role().borrow().role, Role::Failed(_))).await;
    disks[2].fail_writes(false);
    assert!(matches!(
        broken.propose(command(vec![admit(4)])).await,
        Err(ReplicateError::Failed(_))
    ));
    disks[2].crash();
    cluster.lose(2);
    cluster.start(2).await;

    disks[0].fail_writes(true);
    let failed = old.propose(command(vec![admit(4)])).await;
    assert!(matches!(failed, Err(ReplicateError::Failed(_))), "{failed:?}");
    assert!(matches!(old.role().borrow().role, Role::Failed(_)));
    until("another leader", || cluster.leading().is_some_and(|n| n != 0)).await;
    let (_, next) = cluster.leader().await;
    next.propose(command(vec![admit(5)])).await.unwrap();
    assert!(next.view().read(|system| system.member_count()) >= 4);
    cluster.shutdown().await;
}
