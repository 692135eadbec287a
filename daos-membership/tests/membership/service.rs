//! The running service: batches, publication, leadership, providers, shutdown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::conformance::samples::{self, join_request, uuid};
use daos_membership::{
    Applied, Change, Clock, Command, ExcludeAction, GroupMap, Incarnation, JoinOutcome, JoinState,
    Liveness, Local, LocalOptions, MemDisk, MemberResult, MemberState, Membership, MembershipError,
    MembershipHandle, MembershipOptions, OnFailure, Rank, RankSet, RedbStore, Replica, ReplicaId,
    ReplicasError, ReplicasStatus, Replicate, ReplicateError, ReportOutcome, Role, RoleInfo,
    Selection, StateMask, Store, SystemClock, SystemView, Timestamp, code,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::local::{ShakyFile, me};

pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn rank(n: u32) -> Rank {
    Rank::new(n).unwrap()
}

fn ranks(text: &str) -> RankSet {
    text.parse().unwrap()
}

pub(crate) fn options() -> MembershipOptions {
    MembershipOptions::new(vec![samples::PROVIDER.to_owned()])
}

pub(crate) async fn local(store: impl Store + 'static) -> Arc<Local> {
    Arc::new(Local::start(Box::new(store), me(), LocalOptions::default()).await.unwrap())
}

pub(crate) async fn start_on(disk: &MemDisk) -> Membership {
    let replica = local(disk.open(samples::identity())).await;
    Membership::start(replica, Arc::new(SystemClock), options())
}

pub(crate) fn report(n: u32, state: MemberState) -> Vec<MemberResult> {
    vec![MemberResult { rank: rank(n), errored: false, message: String::new(), state }]
}

/// Every group map must be newer than the one before, and in the end equal to what the state says.
pub(crate) struct MapWatch {
    maps: watch::Receiver<GroupMap>,
    last: u32,
}

impl MapWatch {
    pub(crate) fn of(handle: &MembershipHandle) -> Self {
        Self { maps: handle.group_map(), last: 0 }
    }

    pub(crate) fn next(&mut self) -> Option<GroupMap> {
        self.maps.has_changed().unwrap_or(true).then(|| {
            let map = self.maps.borrow_and_update().clone();
            assert!(map.version() > self.last, "{} after {}", map.version(), self.last);
            self.last = map.version();
            map
        })
    }
}

#[tokio::test]
async fn a_lone_join_is_one_commit_and_waits_for_nobody() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    let handle = service.handle();
    let mut maps = MapWatch::of(&handle);
    // With the first request the writer has set the provider.
    handle.set_attributes(BTreeMap::from([("a".into(), "b".into())])).await.unwrap();
    let before = disk.writes();
    let mut request = join_request(1);
    request.bootstrap = true;
    // Paused time would show a timer: nothing here lets it pass.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let reply = handle.join(request).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(disk.writes(), before + 1);
    assert_eq!((reply.rank, reply.state), (rank(0), JoinState::In));
    assert!(reply.newly_admitted());
    // As peers count (contract, appendix C): the rank is set up with 1, the first map is 2.
    assert_eq!(reply.map_version, 1);
    let map = maps.next().unwrap();
    assert_eq!((map.version(), map.len()), (2, 1));
    assert_eq!(maps.next(), None, "one publication per batch");
    assert!(service.shutdown(SOON).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_joins_shares_few_syncs() {
    const ENGINES: u32 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let (store, shake) = ShakyFile::store(dir.path());
    let service = Membership::start(local(store).await, Arc::new(SystemClock), options());
    let handle = service.handle();
    let mut maps = MapWatch::of(&handle);
    let before = shake.syncs.load(Ordering::SeqCst);
    let mut joins = JoinSet::new();
    for n in 0..ENGINES {
        let handle = handle.clone();
        joins.spawn(async move { (n, handle.join(join_request(n)).await.unwrap()) });
    }
    let mut given = BTreeMap::new();
    let mut published = 0;
    while let Some(done) = joins.join_next().await {
        let (n, reply) = done.unwrap();
        assert!(given.insert(reply.rank, uuid(n)).is_none(), "rank {} twice", reply.rank);
        published += usize::from(maps.next().is_some());
    }
    let syncs = shake.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs <= u64::from(ENGINES) / 10, "{syncs} syncs for {ENGINES} joins");
    assert!(published as u64 <= syncs);
    let expected: BTreeSet<Rank> = (1..=ENGINES).map(rank).collect();
    assert_eq!(given.keys().copied().collect::<BTreeSet<_>>(), expected);
    let map = handle.group_map().borrow().clone();
    assert_eq!(
        map,
        handle.view().read(|system| {
            let map = GroupMap::of(system);
            assert_eq!(system.member_count(), ENGINES as usize);
            map
        })
    );
    assert!(service.shutdown(SOON).await);
    drop(handle);

    let service = Membership::start(
        local(RedbStore::open(dir.path(), None).unwrap()).await,
        Arc::new(SystemClock),
        options(),
    );
    for member in service.handle().members() {
        assert_eq!(given.get(&member.rank), Some(&member.uuid), "after a restart");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_engine_that_asks_many_times_is_one_member() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    let mut joins = JoinSet::new();
    for _ in 0..100 {
        let handle = service.handle();
        joins.spawn(async move { handle.join(join_request(7)).await.unwrap() });
    }
    let replies = joins.join_all().await;
    assert!(replies.iter().all(|reply| reply.rank == rank(1)));
    let admitted = replies.iter().filter(|reply| reply.outcome == JoinOutcome::Admitted).count();
    assert_eq!(admitted, 1);
    assert_eq!(service.handle().members().len(), 1);
}

/// A replica whose commits wait until they are let go.
#[derive(Debug)]
struct Gated {
    inner: Arc<Local>,
    gate: Semaphore,
    batches: Mutex<Vec<usize>>,
}

impl Gated {
    async fn new() -> Arc<Self> {
        let inner = local(MemDisk::default().open(samples::identity())).await;
        Arc::new(Self { inner, gate: Semaphore::new(0), batches: Mutex::default() })
    }
}

#[async_trait]
impl Replicate for Gated {
    async fn propose(&self, command: Command) -> Result<Applied, ReplicateError> {
        self.gate.acquire().await.unwrap().forget();
        let joins = command.changes.iter();
        let joins = joins.filter(|change| matches!(change, Change::AdmitMember { .. })).count();
        self.batches.lock().unwrap().push(joins);
        self.inner.propose(command).await
    }

    fn role(&self) -> watch::Receiver<RoleInfo> {
        self.inner.role()
    }

    async fn confirm_leadership(&self, within: Duration) -> Result<(), ReplicateError> {
        self.inner.confirm_leadership(within).await
    }

    fn view(&self) -> SystemView {
        self.inner.view()
    }

    async fn snapshot(&self) -> Result<(), ReplicateError> {
        self.inner.snapshot().await
    }

    fn replicas(&self) -> ReplicasStatus {
        self.inner.replicas()
    }

    async fn add_learner(&self, replica: Replica) -> Result<(), ReplicasError> {
        self.inner.add_learner(replica).await
    }

    async fn change_voters(
        &self,
        add: &[ReplicaId],
        remove: &[ReplicaId],
        within: Duration,
    ) -> Result<(), ReplicasError> {
        self.inner.change_voters(add, remove, within).await
    }

    fn give_way(&self, reason: &str) -> Result<(), ReplicasError> {
        self.inner.give_way(reason)
    }

    async fn shutdown(&self) {
        self.inner.shutdown().await;
    }
}

/// Lets every task run until all of them wait.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_arrives_during_a_commit_is_the_next_batch() {
    let replica = Gated::new().await;
    let clock = Arc::new(SystemClock);
    let service = Membership::start(Arc::clone(&replica) as _, clock, options());
    replica.gate.add_permits(1); // the provider
    let mut joins = JoinSet::new();
    let spawn = |joins: &mut JoinSet<_>, n| {
        let handle = service.handle();
        joins.spawn(async move { handle.join(join_request(n)).await.unwrap() });
    };
    spawn(&mut joins, 0);
    settle().await;
    for n in 1..=20 {
        spawn(&mut joins, n);
    }
    settle().await;
    replica.gate.add_permits(2);
    joins.join_all().await;
    assert_eq!(*replica.batches.lock().unwrap(), [0, 1, 20]);
    assert!(service.shutdown(SOON).await);
}

#[tokio::test]
async fn an_abandoned_request_costs_nothing() {
    let replica = Gated::new().await;
    let clock = Arc::new(SystemClock);
    let service = Membership::start(Arc::clone(&replica) as _, clock, options());
    let handle = service.handle();
    let waiting = tokio::spawn(async move { handle.join(join_request(1)).await });
    settle().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    replica.gate.add_permits(9);
    let reply = service.handle().join(join_request(2)).await.unwrap();
    assert_eq!(reply.rank, rank(1), "the engine whose caller left was not admitted");
    assert_eq!(*replica.batches.lock().unwrap(), [0, 1]);
}

#[tokio::test]
async fn shutdown_finishes_what_is_committed_and_refuses_the_rest() {
    let replica = Gated::new().await;
    let clock = Arc::new(SystemClock);
    let service = Membership::start(Arc::clone(&replica) as _, clock, options());
    replica.gate.add_permits(1);
    let handle = service.handle();
    let first = handle.clone();
    let committing = tokio::spawn(async move { first.join(join_request(1)).await });
    settle().await;
    let second = handle.clone();
    let waiting = tokio::spawn(async move { second.join(join_request(2)).await });
    settle().await;
    let ending = tokio::spawn(service.shutdown(SOON));
    settle().await;
    replica.gate.add_permits(1);
    assert!(ending.await.unwrap());
    assert_eq!(committing.await.unwrap().unwrap().rank, rank(1));
    assert!(matches!(waiting.await.unwrap(), Err(MembershipError::Unavailable)));
    assert!(matches!(handle.join(join_request(3)).await, Err(MembershipError::Unavailable)));
    assert_eq!(handle.members().len(), 1);
    let role = handle.leader_info().role;
    assert!(matches!(role, Role::Stopped), "{role}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded() {
    let replica = Gated::new().await;
    let clock = Arc::new(SystemClock);
    let service = Membership::start(Arc::clone(&replica) as _, clock, options());
    settle().await;
    let stuck = !service.shutdown(Duration::from_secs(5)).await;
    assert!(stuck, "a commit that never ends is cut short");
}

#[tokio::test]
async fn deaths_take_members_out_of_the_group_map_at_once() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    let handle = service.handle();
    let mut maps = MapWatch::of(&handle);
    for n in 1..=3 {
        handle.join(join_request(n)).await.unwrap();
    }
    assert_eq!(maps.next().unwrap().len(), 3);

    let died = handle.engine_died(rank(1), Some(Incarnation(100)), "signal 9".into()).await;
    assert!(matches!(died.unwrap(), Liveness::Changes(_)));
    assert_eq!(maps.next(), None, "an errored member stays in the map");
    let dead = handle.mark_rank_dead(rank(1), Some(Incarnation(100))).await;
    assert!(matches!(dead.unwrap(), Liveness::Changes(_)));
    let map = maps.next().unwrap();
    assert_eq!((map.len(), map.engine(rank(1))), (2, None));

    let before = disk.writes();
    let again = handle.mark_rank_dead(rank(1), Some(Incarnation(100))).await.unwrap();
    assert_eq!(again, Liveness::AlreadyExcluded);
    let stale = handle.mark_rank_dead(rank(2), Some(Incarnation(99))).await.unwrap();
    assert_eq!(stale, Liveness::Stale { known: Incarnation(100) });
    assert_eq!(disk.writes(), before, "news that change nothing are not written");
    assert_eq!(maps.next(), None);

    let mut back = join_request(1);
    back.incarnation = Incarnation(200);
    back.rank = Some(rank(1));
    let reply = handle.join(back).await.unwrap();
    assert!(!reply.newly_admitted());
    let map = maps.next().unwrap();
    assert!(map.version() > reply.map_version, "engines get the map after they are set up");
    assert_eq!(map.engine(rank(1)).unwrap().incarnation, Incarnation(200));
    assert_eq!(map, handle.view().read(GroupMap::of));
}

#[tokio::test]
async fn an_excluded_member_cannot_join_until_cleared() {
    let service = start_on(&MemDisk::default()).await;
    let handle = service.handle();
    handle.join(join_request(1)).await.unwrap();
    let all = || Selection::Ranks(ranks("1"));
    let refused = handle.exclude(all(), ExcludeAction::Exclude).await.unwrap_err();
    assert_eq!(refused.code(), code::LAST_USABLE_ENGINE, "{refused}");
    let results = handle.exclude_even_last(all()).await.unwrap();
    assert_eq!(results[0].state, MemberState::AdminExcluded);
    let refused = handle.join(join_request(1)).await.unwrap_err();
    assert_eq!(refused.code(), 622);
    assert_eq!(handle.group_members().unwrap_err().code(), code::NOT_SERVED_HERE);
    assert!(handle.group_map().borrow().is_empty());
    handle.exclude(all(), ExcludeAction::Clear).await.unwrap();
    handle.join(join_request(1)).await.unwrap();
    assert_eq!(handle.group_members().unwrap().len(), 1);
    let unknown = handle.exclude(Selection::Ranks(ranks("9")), ExcludeAction::Exclude).await;
    assert_eq!(unknown.unwrap_err().code(), code::UNKNOWN_MEMBERS);
}

#[tokio::test]
async fn reports_are_recorded_and_members_removed() {
    let service = start_on(&MemDisk::default()).await;
    let handle = service.handle();
    handle.join(join_request(1)).await.unwrap();
    let up = handle.remove(ranks("1")).await.unwrap_err();
    assert_eq!(up.code(), code::MEMBER_IN_USE);
    let outcomes =
        handle.update_states(report(1, MemberState::Stopped), OnFailure::Record).await.unwrap();
    assert_eq!(outcomes, [(rank(1), ReportOutcome::Recorded)]);
    let unknown = handle.update_states(report(9, MemberState::Stopped), OnFailure::Record).await;
    assert_eq!(unknown.unwrap_err().code(), code::UNKNOWN_MEMBERS);
    let stopped = [MemberState::Stopped].into_iter().collect();
    let found = handle.query(&Selection::All, stopped).unwrap();
    assert_eq!(found.members.len(), 1);
    handle.remove(ranks("1")).await.unwrap();
    let empty = handle.query(&Selection::All, StateMask::ALL).unwrap_err();
    assert_eq!(empty.to_string(), "raft service unavailable (not started yet?)");
    let absent = handle.query(&Selection::Ranks(ranks("1")), StateMask::ALL).unwrap();
    assert_eq!(absent.absent_ranks, ranks("1"));
}

#[tokio::test]
async fn attributes_and_properties_survive_a_restart() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    let handle = service.handle();
    let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    handle.set_attributes(pair("site", "here")).await.unwrap();
    handle.set_properties(pair("self_heal", "none")).await.unwrap();
    let version = handle.data_version();
    for refused in [
        handle.set_attributes(pair("mgmt.x", "1")).await.unwrap_err(),
        handle.set_properties(pair("daos_version", "1")).await.unwrap_err(),
        handle.get_attributes(&["none".into()]).unwrap_err(),
        handle.get_properties(&["none".into()]).unwrap_err(),
    ] {
        assert!([code::BAD_ATTRIBUTE, code::BAD_PROPERTY].contains(&refused.code()));
    }
    assert_eq!(handle.data_version(), version);
    assert!(service.shutdown(SOON).await);
    let service = start_on(&disk).await;
    let handle = service.handle();
    assert_eq!(handle.get_attributes(&[]).unwrap(), pair("site", "here"));
    assert_eq!(handle.get_properties(&["self_heal".into()]).unwrap(), pair("self_heal", "none"));
    handle.join(join_request(1)).await.unwrap();
    let news = handle.mark_rank_dead(rank(1), None).await.unwrap();
    assert_eq!(news, Liveness::SelfHealOff);
}

/// A clock that jumps back with every look.
#[derive(Default)]
struct Backwards(AtomicU64);

impl Clock for Backwards {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000 - self.0.fetch_add(1000, Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_clock_that_goes_backwards_disorders_nothing() {
    let disk = MemDisk::default();
    let replica = local(disk.open(samples::identity())).await;
    let service = Membership::start(replica, Arc::new(Backwards::default()), options());
    let handle = service.handle();
    let mut maps = MapWatch::of(&handle);
    let (mut version, mut time) = (0, u64::MAX);
    for n in 1..=5 {
        let reply = handle.join(join_request(n)).await.unwrap();
        assert_eq!(reply.rank, rank(n));
        assert!(maps.next().is_some(), "every join is published, whatever the clock says");
        assert!(handle.data_version() > version);
        version = handle.data_version();
        let recorded = handle.members()[n as usize - 1].last_update.0;
        assert!(recorded < time, "the clock did go backwards");
        time = recorded;
    }
    // An earlier start of an engine is told by its incarnation, though its news come later.
    let stale = handle.mark_rank_dead(rank(1), Some(Incarnation(99))).await.unwrap();
    assert!(matches!(stale, Liveness::Stale { .. }));
    let expected = handle.view().read(Clone::clone);
    assert!(service.shutdown(SOON).await);
    let again = local(disk.open(samples::identity())).await;
    assert_eq!(again.view().read(Clone::clone), expected);
}

#[tokio::test]
async fn a_failed_disk_is_told_to_whoever_asks() {
    let disk = MemDisk::default();
    let service = start_on(&disk).await;
    let handle = service.handle();
    handle.join(join_request(1)).await.unwrap();
    disk.fail_writes(true);
    let failed = handle.join(join_request(2)).await.unwrap_err();
    assert_eq!(failed.code(), code::REPLICA_FAILED);
    disk.fail_writes(false);
    let failed = handle.join(join_request(3)).await.unwrap_err();
    assert_eq!(failed.code(), code::REPLICA_FAILED, "it does not come back by itself");
    assert!(handle.confirm_leadership(SOON).await.is_err());
    assert_eq!(handle.members().len(), 1, "what was acknowledged is still shown");
    assert!(service.shutdown(SOON).await);
}
