use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daos_membership::{Incarnation, Rank};
use tokio::sync::Semaphore;

use super::{Command, EngineTask};
use crate::engine::{
    EngineDeeds, EngineParts, EngineState, Engines, Event, Looked, Settled, StopReason, StorageGate,
};
use crate::fault::Fault;
use crate::supervisor::{CallLimits, EngineReady, RestartPolicy, SimSupervisor};

/// Storage that is looked at for as long as the test likes and then needs a format.
#[derive(Debug)]
struct SlowStorage {
    began: Semaphore,
    go_on: Semaphore,
    looking: AtomicUsize,
    most: AtomicUsize,
    resets: AtomicUsize,
}

impl SlowStorage {
    fn new() -> Arc<Self> {
        let (began, go_on) = (Semaphore::new(0), Semaphore::new(0));
        let [looking, most, resets] = [0, 0, 0].map(AtomicUsize::new);
        Arc::new(Self { began, go_on, looking, most, resets })
    }

    async fn until_begun(&self) {
        self.began.acquire().await.unwrap().forget();
    }
}

#[async_trait::async_trait]
impl EngineDeeds for SlowStorage {
    async fn look(&self, _index: u32) -> Looked {
        let now = self.looking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.began.add_permits(1);
        self.go_on.acquire().await.unwrap().forget();
        self.looking.fetch_sub(1, Ordering::SeqCst);
        Looked::NeedsFormat("no superblock".to_owned())
    }

    async fn launch(&self, _index: u32) -> Result<u32, Fault> {
        Err(Fault::new("server", 1, "not in this test", ""))
    }

    async fn join(&self, _: u32, _: &EngineReady, _: bool) -> Result<Settled, Fault> {
        Err(Fault::new("server", 1, "not in this test", ""))
    }

    async fn reset(&self, _index: u32) -> Result<(), Fault> {
        self.resets.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn known_rank(&self, _index: u32) -> Option<Rank> {
        Rank::new(3)
    }

    async fn report_absence(&self, _index: u32, _how: String) {}

    async fn report_death(&self, _: u32, _: Rank, _: Incarnation, _: String) {}
}

fn part(storage: &Arc<SlowStorage>, gate: &StorageGate) -> EngineParts {
    EngineParts {
        index: 0,
        deeds: Arc::clone(storage) as _,
        supervisor: Arc::new(SimSupervisor::new(1, CallLimits::default())),
        gate: gate.clone(),
        ready_deadline: Duration::from_secs(60),
        stop_deadline: Duration::from_secs(5),
        restart: RestartPolicy::default(),
    }
}

fn engine_on(storage: &Arc<SlowStorage>, gate: &StorageGate) -> Engines {
    let part = part(storage, gate);
    let supervisor = Arc::clone(&part.supervisor);
    Engines::spawn(vec![part], supervisor).0
}

async fn until(engines: &Engines, wanted: impl Fn(&EngineState) -> bool) {
    let mut status = engines.watch().remove(0);
    let found = status.wait_for(|status| wanted(&status.state));
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("in time").expect("alive");
}

/// What a look has begun, a mount or a database, goes on whoever stops waiting for it.
#[tokio::test]
async fn storage_stays_held_until_a_look_that_was_given_up_has_ended() {
    let (storage, gate) = (SlowStorage::new(), StorageGate::default());
    let engines = engine_on(&storage, &gate);
    engines.tell(0, Event::StartRequested).await;
    storage.until_begun().await;

    let stop = Event::StopRequested { kill: false, reason: StopReason::Requested };
    engines.tell(0, stop).await;
    until(&engines, |state| matches!(state, EngineState::Stopped(_))).await;
    assert!(gate.try_hold().is_none(), "a format could begin beside the look");

    storage.go_on.add_permits(1);
    let free = tokio::time::timeout(Duration::from_secs(30), gate.hold()).await;
    drop(free.expect("given back when the look has ended"));
    assert_eq!(engines.states()[0].state, EngineState::Stopped(StopReason::Requested));
}

#[tokio::test]
async fn two_looks_never_run_side_by_side() {
    let (storage, gate) = (SlowStorage::new(), StorageGate::default());
    let engines = engine_on(&storage, &gate);
    engines.tell(0, Event::StartRequested).await;
    storage.until_begun().await;
    engines.tell(0, Event::Formatted { replace: false }).await;
    engines.tell(0, Event::Formatted { replace: false }).await;

    storage.go_on.add_permits(1);
    storage.until_begun().await;
    assert!(engines.states()[0].state == EngineState::Checking, "the first look is out of date");
    storage.go_on.add_permits(1);
    until(&engines, |state| matches!(state, EngineState::WaitingForFormat(_))).await;
    assert_eq!(storage.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_superblock_is_not_removed_under_a_format_or_a_look() {
    let (storage, gate) = (SlowStorage::new(), StorageGate::default());
    let engines = engine_on(&storage, &gate);
    let ranks = "3".parse().unwrap();

    let format = gate.try_hold().unwrap();
    let refused = engines.reset_format(&ranks).await;
    assert!(refused[0].error.as_ref().is_some_and(|why| why.contains("formatted")), "{refused:?}");
    drop(format);

    engines.tell(0, Event::StartRequested).await;
    storage.until_begun().await;
    assert!(engines.reset_format(&ranks).await[0].error.is_some());
    assert_eq!(storage.resets.load(Ordering::SeqCst), 0);

    storage.go_on.add_permits(2);
    until(&engines, |state| matches!(state, EngineState::WaitingForFormat(_))).await;
    assert_eq!(engines.reset_format(&ranks).await[0].error, None);
    assert_eq!(storage.resets.load(Ordering::SeqCst), 1);
}

/// Contract 4.4: the spacing of restarts is for those that nobody asked for.
#[tokio::test]
async fn what_an_administrator_does_takes_the_place_of_a_restart_that_was_put_off() {
    let (storage, gate) = (SlowStorage::new(), StorageGate::default());
    let (mut task, _inbox, _status) = EngineTask::new(part(&storage, &gate));
    let rank = Rank::new(3).unwrap();
    task.plan_restart(rank);
    assert!(task.restarts.join_next().await.is_some_and(|due| due.is_ok()), "the first is at once");
    task.plan_restart(rank);
    assert_eq!(task.restarts.len(), 1, "the second is put off");

    let stop = Event::StopRequested { kill: false, reason: StopReason::Requested };
    task.command(Command::Event(stop)).await;
    let given_up = tokio::time::timeout(Duration::from_secs(30), task.restarts.join_next()).await;
    assert!(given_up.unwrap().is_some_and(|due| due.is_err()));
    assert_eq!(task.parts.restart.next(tokio::time::Instant::now()), Some(Duration::ZERO));
}
