//! What every replica must keep, seen from the one that leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::samples::{admit, command};
use crate::command::{Change, Command};
use crate::replica::ReplicaId;
use crate::replicate::{ReplicasError, Replicate, ReplicateError, Role};
use crate::system::System;

/// Time for what happens at once on a healthy replica.
const SOON: Duration = Duration::from_secs(30);

/// A place where a replicated system of [`super::samples::identity`] runs and can be started again.
#[async_trait]
pub trait ReplicaPlace: Send {
    /// Starts the system that is there; the first time, a new one. Returns the replica that leads. Called only
    /// after the one before was shut down.
    async fn start(&mut self) -> Arc<dyn Replicate>;
}

/// Runs all rules, each on a new place.
///
/// # Panics
/// When a rule is broken.
pub async fn replicate_suite(mut new_place: impl FnMut() -> Box<dyn ReplicaPlace>) {
    leads(new_place()).await;
    applies_what_it_commits(new_place()).await;
    reports_what_does_not_fit(new_place()).await;
    starts_again_with_the_same_state(new_place()).await;
    applies_each_of_many_once(new_place()).await;
    survives_callers_that_leave(new_place()).await;
    starts_again_from_a_snapshot(new_place()).await;
    knows_its_replicas(new_place()).await;
    refuses_after_shutdown(new_place()).await;
}

fn state(replica: &dyn Replicate) -> System {
    replica.view().read(Clone::clone)
}

fn attribute(key: &str, value: &str) -> Command {
    let values = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    command(vec![Change::SetAttributes { values }])
}

async fn leads(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    let info = replica.role().borrow().clone();
    assert!(matches!(info.role, Role::Leader), "it is {}", info.role);
    assert_eq!(info.leader, Some(info.me), "a leader knows that it leads");
    assert!(info.replicas.contains(&info.me));
    assert!(info.term >= 1);
    replica.confirm_leadership(SOON).await.unwrap();
    replica.shutdown().await;
}

async fn applies_what_it_commits(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    let before = state(&*replica);
    let applied = replica.propose(command(vec![admit(1), admit(2)])).await.unwrap();
    let after = state(&*replica);
    assert_eq!(applied.outcomes, [Ok(()), Ok(())]);
    assert_eq!(after.member_count(), 2, "what was proposed is visible when propose returns");
    assert_eq!(applied.data_version, before.data_version() + 2);
    assert_eq!(applied.data_version, after.data_version());
    assert_eq!(applied.map_version, after.map_version());
    replica.shutdown().await;
}

async fn reports_what_does_not_fit(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    replica.propose(command(vec![admit(1)])).await.unwrap();
    let before = state(&*replica);
    let applied = replica.propose(command(vec![admit(1)])).await.unwrap();
    assert!(applied.refusal().is_some(), "a rank was given twice");
    assert_eq!(state(&*replica), before, "a refused change leaves no trace");
    replica.shutdown().await;
}

async fn starts_again_with_the_same_state(mut place: Box<dyn ReplicaPlace>) {
    let mut expected = None;
    for n in 1..4 {
        let replica = place.start().await;
        if let Some(expected) = &expected {
            assert_eq!(state(&*replica), *expected, "the state survives a restart");
        }
        replica.propose(command(vec![admit(n)])).await.unwrap();
        replica.propose(attribute("n", &n.to_string())).await.unwrap();
        expected = Some(state(&*replica));
        replica.shutdown().await;
    }
}

async fn applies_each_of_many_once(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    let before = state(&*replica).data_version();
    let mut running = JoinSet::new();
    for n in 1..=50 {
        let replica = Arc::clone(&replica);
        running.spawn(async move { replica.propose(command(vec![admit(n)])).await });
    }
    let mut versions = Vec::new();
    while let Some(done) = running.join_next().await {
        let applied = done.expect("a task").unwrap();
        assert_eq!(applied.refusal(), None);
        versions.push(applied.data_version);
    }
    versions.sort_unstable();
    let expected: Vec<u64> = (before + 1..=before + 50).collect();
    assert_eq!(versions, expected, "commands are applied one after the other, each once");
    replica.shutdown().await;
}

async fn survives_callers_that_leave(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    for n in 1..=20 {
        let leaving = Arc::clone(&replica);
        let caller = tokio::spawn(async move { leaving.propose(command(vec![admit(n)])).await });
        tokio::task::yield_now().await;
        caller.abort();
        let _ = caller.await;
    }
    replica.propose(attribute("last", "yes")).await.unwrap();
    let expected = state(&*replica);
    assert_eq!(expected.attributes()["last"], "yes");
    replica.shutdown().await;
    let replica = place.start().await;
    assert_eq!(state(&*replica), expected, "what a caller left behind is applied or not, for good");
    replica.shutdown().await;
}

async fn starts_again_from_a_snapshot(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    replica.propose(command((1..=300).map(admit).collect())).await.unwrap();
    replica.snapshot().await.unwrap();
    let at_snapshot = state(&*replica);
    replica.shutdown().await;
    let replica = place.start().await;
    assert_eq!(state(&*replica), at_snapshot);
    replica.propose(command(vec![admit(301)])).await.unwrap();
    let expected = state(&*replica);
    replica.shutdown().await;
    let replica = place.start().await;
    assert_eq!(state(&*replica), expected, "entries after a snapshot are applied on top of it");
    replica.shutdown().await;
}

async fn knows_its_replicas(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    replica.propose(command(vec![admit(1)])).await.unwrap();
    // A status may be a moment behind, not more.
    let settled = async {
        while replica.replicas().applied != replica.replicas().last_log {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, settled).await.expect("what was proposed is shown as applied");
    let status = replica.replicas();
    assert_eq!(status.leader, Some(status.me), "a leader knows that it leads");
    assert_eq!(status.me.address, status.info.me);
    assert!(status.replicas.set.is_voter(status.me.id), "it counts itself");
    assert!(!status.changing && status.leader_heard.is_none());
    assert!(status.applied.is_some_and(|id| id.term >= 1 && id.index >= 1));
    assert_eq!(status.lag_of(status.me.id), Some(0));
    for other in status.replicas.set.voting().iter().filter(|other| **other != status.me) {
        assert!(status.progress.contains_key(&other.id), "{other} is followed");
    }
    let nobody = ReplicaId(0xBAD);
    assert_eq!(status.lag_of(nobody), None);
    let before = state(&*replica);
    let refused = replica.change_voters(&[nobody], &[], SOON).await;
    assert!(refused.is_err(), "a vote was given to nobody");
    assert!(replica.change_voters(&[], &[nobody], SOON).await.is_err());
    if status.replicas.set.is_lone_voter(status.me.id) {
        assert!(matches!(replica.give_way("a test"), Err(ReplicasError::Alone)));
        replica.confirm_leadership(SOON).await.unwrap();
    }
    assert_eq!(state(&*replica), before);
    replica.shutdown().await;
    assert!(replica.change_voters(&[nobody], &[], SOON).await.is_err());
    assert!(replica.give_way("a test").is_err());
}

async fn refuses_after_shutdown(mut place: Box<dyn ReplicaPlace>) {
    let replica = place.start().await;
    replica.shutdown().await;
    let refused = replica.propose(command(vec![admit(1)])).await;
    assert!(matches!(refused, Err(ReplicateError::Stopped)), "{refused:?}");
    assert!(matches!(replica.role().borrow().role, Role::Stopped));
    assert!(replica.confirm_leadership(SOON).await.is_err());
    replica.shutdown().await;
    let replica = place.start().await;
    assert_eq!(state(&*replica).member_count(), 0, "a refused command is not committed");
    replica.shutdown().await;
}
