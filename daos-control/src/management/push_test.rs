//! Pushing to scripted engines behind a supervisor that writes down what it was asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::{
    ControlAddress, GroupMap, GroupMapEngine, Incarnation, Rank, Role, RoleInfo,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::push_group_map;
use crate::engine::{EngineState, EngineStatus, StopReason};
use crate::stand_in::VARIABLE;
use crate::supervisor::{
    CallLimits, EngineDevice, EngineDeviceHealth, EngineEventKind, EngineLaunch, EngineSignal,
    EventStream, ExitStatus, LogMasks, SimSupervisor, StopHow, StopLimits, Supervisor,
    SupervisorError,
};

const LONG: Duration = Duration::from_secs(30);

/// A push: engine, version, whether it was taken.
type Pushed = (u32, u32, bool);

/// The supervisor of scripted engines, with a witness of its group updates.
#[derive(Debug)]
struct Witnessed {
    engines: SimSupervisor,
    pushed: mpsc::UnboundedSender<Pushed>,
}

#[async_trait]
impl Supervisor for Witnessed {
    async fn start(&self, launch: EngineLaunch) -> Result<u32, SupervisorError> {
        self.engines.start(launch).await
    }
    async fn stop(&self, index: u32, how: StopHow) -> Result<Option<ExitStatus>, SupervisorError> {
        self.engines.stop(index, how).await
    }
    async fn signal(&self, index: u32, signal: EngineSignal) -> Result<(), SupervisorError> {
        self.engines.signal(index, signal).await
    }
    async fn set_rank(&self, index: u32, rank: Rank, at: u32) -> Result<(), SupervisorError> {
        self.engines.set_rank(index, rank, at).await
    }
    async fn set_up(&self, index: u32) -> Result<(), SupervisorError> {
        self.engines.set_up(index).await
    }
    async fn update_group(&self, index: u32, map: &GroupMap) -> Result<(), SupervisorError> {
        let answer = self.engines.update_group(index, map).await;
        self.pushed.send((index, map.version(), answer.is_ok())).unwrap();
        answer
    }
    async fn ping(&self, index: u32) -> Result<(), SupervisorError> {
        self.engines.ping(index).await
    }
    async fn prepare_shutdown(&self, index: u32) -> Result<(), SupervisorError> {
        self.engines.prepare_shutdown(index).await
    }
    async fn set_log_masks(&self, index: u32, masks: &LogMasks) -> Result<(), SupervisorError> {
        self.engines.set_log_masks(index, masks).await
    }
    async fn devices(&self, index: u32) -> Result<Vec<EngineDevice>, SupervisorError> {
        self.engines.devices(index).await
    }
    async fn device_health(
        &self,
        index: u32,
        uuid: &str,
    ) -> Result<EngineDeviceHealth, SupervisorError> {
        self.engines.device_health(index, uuid).await
    }
    fn events(&self) -> Option<EventStream> {
        self.engines.events()
    }
    async fn shutdown(&self, how: StopHow) {
        self.engines.shutdown(how).await;
    }
}

fn rank(number: u32) -> Rank {
    Rank::new(number).unwrap()
}

fn map(version: u32, ranks: u32) -> GroupMap {
    let engine = |number| GroupMapEngine {
        rank: rank(number),
        uri: "ofi+tcp://127.0.0.1:1".into(),
        incarnation: Incarnation(1),
    };
    GroupMap::from_engines(version, (0..ranks).map(engine))
}

fn role(role: Role) -> RoleInfo {
    let me = ControlAddress::new("127.0.0.1:1".parse().unwrap());
    RoleInfo { role, term: 1, me, leader: None, replicas: vec![me] }
}

/// A push under way, and all that it looks at.
struct Bed {
    supervisor: Arc<Witnessed>,
    events: EventStream,
    maps: watch::Sender<GroupMap>,
    role: watch::Sender<RoleInfo>,
    statuses: Vec<watch::Sender<EngineStatus>>,
    pushed: mpsc::UnboundedReceiver<Pushed>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Bed {
    /// With so many engines, none of which runs.
    fn new(engines: u32, calls: CallLimits, first: Role) -> Self {
        let (sender, pushed) = mpsc::unbounded_channel();
        let engines_of = SimSupervisor::new(engines, calls);
        let supervisor = Arc::new(Witnessed { engines: engines_of, pushed: sender });
        let events = supervisor.events().unwrap();
        let maps = watch::Sender::new(map(1, 0));
        let role = watch::Sender::new(role(first));
        let stopped = EngineState::Stopped(StopReason::Requested);
        let status = |index| EngineStatus { index, state: stopped.clone(), rank: None };
        let statuses: Vec<_> =
            (0..engines).map(|index| watch::Sender::new(status(index))).collect();
        let end = CancellationToken::new();
        let task = tokio::spawn(push_group_map(
            maps.subscribe(),
            role.subscribe(),
            statuses.iter().map(watch::Sender::subscribe).collect(),
            Arc::clone(&supervisor) as _,
            end.clone(),
        ));
        Self { supervisor, events, maps, role, statuses, pushed, end, task }
    }

    /// Starts an engine as the rank of its index, and shows it as running.
    async fn run(&mut self, index: u32, script: &str) {
        let launch = EngineLaunch {
            index,
            program: "sim".into(),
            arguments: Vec::new(),
            environment: vec![(VARIABLE.into(), script.into())],
            working_dir: None,
            limits: StopLimits::default(),
        };
        let pid = self.supervisor.start(launch).await.unwrap();
        loop {
            let event = timeout(LONG, self.events.next()).await.unwrap().unwrap();
            if event.index == index && matches!(event.kind, EngineEventKind::Ready { .. }) {
                break;
            }
        }
        self.supervisor.set_rank(index, rank(index), 1).await.unwrap();
        self.supervisor.set_up(index).await.unwrap();
        let state = EngineState::Running { pid, rank: rank(index), incarnation: Incarnation(1) };
        self.show(index, state);
    }

    fn show(&self, index: u32, state: EngineState) {
        self.statuses[index as usize].send_modify(|status| status.state = state);
    }

    async fn next(&mut self) -> Pushed {
        timeout(LONG, self.pushed.recv()).await.expect("a push").unwrap()
    }

    /// Nothing is pushed although everything had its turn.
    async fn nothing(&mut self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(self.pushed.try_recv().is_err());
    }

    async fn close(mut self) {
        self.end.cancel();
        timeout(LONG, self.task).await.unwrap().unwrap();
        assert!(self.pushed.try_recv().is_err(), "nothing more was pushed");
        self.supervisor.shutdown(StopHow::Kill).await;
    }
}

#[tokio::test]
async fn one_engine_is_told_each_version_once_and_in_order() {
    let mut bed = Bed::new(2, CallLimits::default(), Role::Leader);
    bed.run(0, "").await;
    bed.nothing().await;
    bed.maps.send_replace(map(2, 2));
    assert_eq!(bed.next().await, (0, 2, true));
    // Another engine that begins to run is told by the first one.
    bed.run(1, "").await;
    bed.maps.send_replace(map(2, 2));
    bed.nothing().await;
    bed.maps.send_replace(map(5, 2));
    assert_eq!(bed.next().await, (0, 5, true));
    bed.close().await;
}

#[tokio::test]
async fn of_many_changes_the_last_is_pushed_and_never_two_at_once() {
    let mut bed = Bed::new(1, CallLimits::default(), Role::Leader);
    bed.run(0, "").await;
    for version in 2..500 {
        bed.maps.send_replace(map(version, 1));
        if version % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let (mut last, mut pushes) = (0, 0);
    while last < 499 {
        let (index, version, taken) = bed.next().await;
        assert!(index == 0 && taken && version > last, "version {version} after {last}");
        (last, pushes) = (version, pushes + 1);
    }
    assert!(pushes <= 11, "{pushes} pushes");
    bed.close().await;
}

#[tokio::test]
async fn a_refused_map_goes_to_another_engine_and_is_tried_again() {
    let mut bed = Bed::new(2, CallLimits::default(), Role::Leader);
    bed.run(0, "group-update=-1036").await;
    bed.maps.send_replace(map(2, 2));
    assert_eq!(bed.next().await, (0, 2, false));
    assert_eq!(bed.next().await, (0, 2, false), "there is nobody else");
    bed.run(1, "").await;
    loop {
        let (index, version, taken) = bed.next().await;
        assert_eq!((version, taken), (2, index == 1));
        if taken {
            break;
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_holds_up_nobody_else_for_long() {
    let calls = CallLimits { update_group: Duration::from_millis(50), ..CallLimits::default() };
    let mut bed = Bed::new(2, calls, Role::Leader);
    bed.run(0, "group-update=hang").await;
    bed.run(1, "").await;
    bed.maps.send_replace(map(2, 2));
    assert_eq!(bed.next().await, (0, 2, false));
    assert_eq!(bed.next().await, (1, 2, true));
    bed.close().await;
}

#[tokio::test]
async fn a_new_process_is_told_again_and_one_of_another_system_never() {
    let mut bed = Bed::new(1, CallLimits::default(), Role::Leader);
    bed.run(0, "").await;
    bed.maps.send_replace(map(2, 1));
    assert_eq!(bed.next().await, (0, 2, true));
    bed.supervisor.stop(0, StopHow::Kill).await.unwrap();
    bed.show(0, EngineState::Stopped(StopReason::Requested));
    bed.run(0, "").await;
    assert_eq!(bed.next().await, (0, 2, true));
    let EngineState::Running { pid, rank, .. } = bed.statuses[0].borrow().state.clone() else {
        panic!("it runs")
    };
    bed.show(0, EngineState::Running { pid, rank, incarnation: Incarnation(9) });
    bed.maps.send_replace(map(3, 1));
    bed.nothing().await;
    bed.close().await;
}

#[tokio::test]
async fn only_the_leader_pushes() {
    let mut bed = Bed::new(1, CallLimits::default(), Role::Follower);
    bed.run(0, "").await;
    bed.maps.send_replace(map(2, 1));
    bed.nothing().await;
    bed.role.send_replace(role(Role::Leader));
    assert_eq!(bed.next().await, (0, 2, true));
    bed.role.send_replace(role(Role::Follower));
    bed.maps.send_replace(map(3, 1));
    bed.nothing().await;
    bed.role.send_replace(role(Role::Leader));
    assert_eq!(bed.next().await, (0, 3, true));
    bed.close().await;
}

#[tokio::test]
async fn it_ends_with_the_system() {
    let bed = Bed::new(1, CallLimits::default(), Role::Leader);
    drop(bed.maps);
    timeout(LONG, bed.task).await.unwrap().unwrap();
}
