//! What a replica does when it begins to lead, and what it answers when it does not: group map, provider, hints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::conformance::samples::{self, join_request, member};
use daos_membership::{
    Applied, Command, GroupMap, MemDisk, MemberState, Membership, MembershipError,
    MembershipOptions, OnFailure, RecordedReplicas, Replica, ReplicaId, ReplicasError,
    ReplicasStatus, Replicate, ReplicateError, Role, RoleInfo, Selection, StateMask, System,
    SystemCell, SystemClock, SystemView, code,
};
use tokio::sync::watch;

use crate::local::me;
use crate::service::{MapWatch, SOON, local, options, rank, report, start_on};

#[tokio::test]
async fn a_restart_publishes_the_group_under_a_new_version() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    service.handle().join(join_request(1)).await.unwrap();
    let before = service.handle().group_map().borrow().clone();
    assert!(service.shutdown(SOON).await);

    let service = start_on(&disk).await;
    let mut maps = service.handle().group_map();
    let after = maps.wait_for(|map| map.version() > 0).await.unwrap().clone();
    assert!(after.version() > before.version());
    assert!(after.engines().eq(before.engines()));
    let reply = service.handle().join(join_request(1)).await.unwrap();
    assert_eq!(reply.rank, rank(1), "the rank is the same after a restart");
}

#[tokio::test]
async fn a_new_system_has_no_group_map_to_publish() {
    let service = start_on(&MemDisk::default()).await;
    let handle = service.handle();
    handle.set_attributes(BTreeMap::from([("a".into(), "b".into())])).await.unwrap();
    assert_eq!(*handle.group_map().borrow(), GroupMap::default());
}

#[tokio::test]
async fn a_changed_provider_waits_for_the_members_to_stop_and_then_to_join() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    service.handle().join(join_request(1)).await.unwrap();
    service.handle().join(join_request(2)).await.unwrap();
    assert!(service.shutdown(SOON).await);

    let replica = local(disk.open(samples::identity())).await;
    let verbs = MembershipOptions::new(vec!["ofi+verbs".into()]);
    let service = Membership::start(replica, Arc::new(SystemClock), verbs);
    let handle = service.handle();
    let with_verbs = |n: u32| {
        let mut request = join_request(n);
        request.fabric_uri = member(n).fabric_uri.replace("ofi+tcp", "ofi+verbs");
        request
    };
    let refused = handle.join(with_verbs(1)).await.unwrap_err();
    assert_eq!(refused.code(), code::PROVIDER_CHANGE, "{refused}");

    // Everything else is served, so the system can be stopped. Then the provider changes.
    for n in 1..=2 {
        let stopped = report(n, MemberState::Stopped);
        handle.update_states(stopped, OnFailure::Record).await.unwrap();
    }
    let mut maps = MapWatch::of(&handle);
    maps.next();
    handle.join(with_verbs(1)).await.unwrap();
    assert_eq!(maps.next(), None, "the map is held back until all have the new provider");
    handle.join(with_verbs(2)).await.unwrap();
    let map = maps.next().unwrap();
    assert!(map.engines().all(|engine| engine.uri.starts_with("ofi+verbs://")));
    assert_eq!(map.len(), 2);
    assert_eq!(map, handle.view().read(GroupMap::of));
    let refused = handle.join(join_request(3)).await.unwrap_err();
    assert_eq!(refused.code(), code::JOIN_WRONG_PROVIDER);
}

/// A replica that does not lead, until told.
#[derive(Debug)]
struct Follower {
    role: watch::Sender<RoleInfo>,
    cell: SystemCell,
    /// Proposals that time out before the others are committed.
    lost: AtomicU64,
}

#[async_trait]
impl Replicate for Follower {
    async fn propose(&self, command: Command) -> Result<Applied, ReplicateError> {
        self.role.borrow().check_leader()?;
        let take = |lost: u64| lost.checked_sub(1);
        match self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => Err(ReplicateError::OutcomeUnknown),
            Err(_) => Ok(self.cell.apply(&command)),
        }
    }

    fn role(&self) -> watch::Receiver<RoleInfo> {
        self.role.subscribe()
    }

    async fn confirm_leadership(&self, _: Duration) -> Result<(), ReplicateError> {
        self.role.borrow().check_leader()
    }

    fn view(&self) -> SystemView {
        self.cell.view()
    }

    async fn snapshot(&self) -> Result<(), ReplicateError> {
        Ok(())
    }

    fn replicas(&self) -> ReplicasStatus {
        let info = self.role.borrow().clone();
        ReplicasStatus {
            me: Replica { id: ReplicaId(1), address: info.me },
            info,
            leader: None,
            replicas: RecordedReplicas::default(),
            changing: false,
            last_log: None,
            applied: None,
            snapshot: None,
            progress: BTreeMap::new(),
            leader_heard: None,
        }
    }

    async fn add_learner(&self, _: Replica) -> Result<(), ReplicasError> {
        Err(ReplicasError::Changing)
    }

    async fn change_voters(
        &self,
        _: &[ReplicaId],
        _: &[ReplicaId],
        _: Duration,
    ) -> Result<(), ReplicasError> {
        Err(ReplicasError::Changing)
    }

    fn give_way(&self, _: &str) -> Result<(), ReplicasError> {
        self.role.send_modify(|info| (info.role, info.leader) = (Role::Follower, None));
        Ok(())
    }

    async fn shutdown(&self) {}
}

#[tokio::test]
async fn a_follower_names_the_leader_and_serves_once_it_leads() {
    let leader = "10.0.0.2:10001".parse().unwrap();
    let (role, _) = watch::channel(RoleInfo {
        role: Role::Follower,
        term: 4,
        me: me(),
        leader: Some(leader),
        replicas: vec![me(), leader],
    });
    let mut system = samples::system();
    system.apply(&samples::command(vec![samples::admit(1)]));
    let (cell, lost) = (SystemCell::new(system), AtomicU64::new(0));
    let replica = Arc::new(Follower { role, cell, lost });
    let service = Membership::start(Arc::clone(&replica) as _, Arc::new(SystemClock), options());
    let handle = service.handle();
    match handle.join(join_request(2)).await.unwrap_err() {
        MembershipError::NotLeader { hint, replicas } => {
            assert_eq!((hint, replicas), (Some(leader), vec![leader]));
        }
        other => panic!("{other}"),
    }
    assert_eq!(handle.query(&Selection::All, StateMask::ALL).unwrap().members.len(), 1);
    assert!(handle.group_map().borrow().is_empty(), "followers publish nothing");

    for term in 5..=6 {
        replica.role.send_modify(|info| {
            info.role = Role::Leader;
            info.leader = Some(me());
            info.term = term;
        });
        let version = handle.view().read(|system| system.map_version());
        let mut maps = handle.group_map();
        maps.wait_for(|map| map.version() > version).await.unwrap();
    }
    let reply = handle.join(join_request(2)).await.unwrap();
    assert_eq!(reply.rank, rank(2));
    assert_eq!(*handle.group_map().borrow(), handle.view().read(GroupMap::of));
}

#[tokio::test]
async fn a_leader_that_could_not_take_over_tries_again_before_it_serves() {
    let (role, _) = watch::channel(RoleInfo {
        role: Role::Leader,
        term: 1,
        me: me(),
        leader: Some(me()),
        replicas: vec![me()],
    });
    let (cell, lost) = (SystemCell::new(System::new(samples::identity())), AtomicU64::new(2));
    let replica = Arc::new(Follower { role, cell, lost });
    let service = Membership::start(Arc::clone(&replica) as _, Arc::new(SystemClock), options());
    let handle = service.handle();
    // The provider is not known yet: a client tries again on these words.
    let early = handle.join(join_request(1)).await.unwrap_err();
    assert_eq!(early.to_string(), "leader step-up in progress (try again)");
    assert_eq!(handle.join(join_request(1)).await.unwrap().rank, rank(1));
}
