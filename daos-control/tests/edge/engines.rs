//! A host with a simulated engine that joins over the wire: stop, start, log masks and erase, as a stock
//! administrator asks for them.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daos_control::Fault;
use daos_control::engine::{
    EngineDeeds, EngineParts, EngineState, Engines, Event, Looked, Settled, StorageGate,
};
use daos_control::supervisor::{
    CallLimits, EngineEventKind, EngineLaunch, EngineReady, RestartPolicy, SimSupervisor,
    StopLimits, Supervisor,
};
use daos_control::wire::{CallError, NotReady};
use daos_membership::{Incarnation, Rank};
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::ctl::{RanksReq, SetLogMasksReq};
use daos_proto::daosx::v1::StateReq;
use daos_proto::daosx::v1::host_client::HostClient;
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::mgmt::{JoinReq, SystemEraseReq, SystemQueryReq, SystemStartReq, SystemStopReq};
use tonic::transport::Channel;

use crate::host::{Host, Part, SYS, admin, refused, server};

const ENGINE: &str = "data_plane: emulated\nprovider: ofi+tcp\nengines:\n- targets: 1\n  log_mask: INFO\n  \
                      fabric_iface: lo\n  fabric_iface_port: 31416\n  storage:\n  \
                      - {class: ram, scm_mount: /mnt/edge, scm_size: 1}\n";

/// Storage and rank of the engine, in memory; the join is the real one.
#[derive(Debug)]
struct Deeds {
    supervisor: Arc<SimSupervisor>,
    address: SocketAddrV4,
    formatted: AtomicBool,
    rank: Mutex<Option<Rank>>,
}

#[async_trait]
impl EngineDeeds for Deeds {
    async fn look(&self, _index: u32) -> Looked {
        match self.formatted.load(Ordering::SeqCst) {
            true => Looked::Ready,
            false => Looked::NeedsFormat("nothing there".into()),
        }
    }

    async fn launch(&self, index: u32) -> Result<u32, Fault> {
        let launch = EngineLaunch {
            index,
            program: "sim".into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            working_dir: None,
            limits: StopLimits::default(),
        };
        Ok(self.supervisor.start(launch).await.expect("started"))
    }

    async fn join(&self, index: u32, ready: &EngineReady, _: bool) -> Result<Settled, Fault> {
        let channel = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        let request = JoinReq {
            sys: SYS.into(),
            uuid: "00000000-0000-4000-8000-000000000007".into(),
            rank: self.known_rank(index).map_or(0, Rank::get),
            uri: ready.uri.replace("sim://", "ofi+tcp://"),
            addr: self.address.to_string(),
            srv_fault_domain: "/h".into(),
            incarnation: ready.incarnation.0,
            ..JoinReq::default()
        };
        let mut client = MgmtSvcClient::new(channel.connect().await.unwrap());
        let reply = client.join(server(request)).await.expect("joined").into_inner();
        let rank = Rank::new(reply.rank).expect("a rank");
        *self.rank.lock().unwrap() = Some(rank);
        Ok(Settled { rank, map_version: reply.map_version, incarnation: ready.incarnation })
    }

    async fn reset(&self, _index: u32) -> Result<(), Fault> {
        self.formatted.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn known_rank(&self, _index: u32) -> Option<Rank> {
        *self.rank.lock().unwrap()
    }

    async fn report_absence(&self, _index: u32, _how: String) {}

    async fn report_death(&self, _: u32, _: Rank, _: Incarnation, _: String) {}
}

fn one_engine(address: SocketAddrV4) -> Engines {
    let supervisor = Arc::new(SimSupervisor::new(1, CallLimits::default()));
    let deeds = Deeds {
        supervisor: supervisor.clone(),
        address,
        formatted: AtomicBool::new(true),
        rank: Mutex::new(None),
    };
    let parts = EngineParts {
        index: 0,
        deeds: Arc::new(deeds),
        supervisor: supervisor.clone(),
        gate: StorageGate::default(),
        ready_deadline: Duration::from_secs(10),
        stop_deadline: Duration::from_secs(10),
        restart: RestartPolicy::disabled(),
    };
    let (engines, _tasks) = Engines::spawn(vec![parts], supervisor.clone());
    let mut events = supervisor.events().expect("the first to ask");
    let told = engines.clone();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event.kind {
                EngineEventKind::Ready { pid, ready } => {
                    told.tell(event.index, Event::Ready { pid, ready }).await;
                }
                EngineEventKind::Exited { pid, status, .. } => {
                    told.tell(event.index, Event::Exited { pid, status }).await;
                }
                _ => {}
            }
        }
    });
    engines
}

/// A host whose engine runs and has joined.
pub async fn running() -> Host {
    let host = Host::with_engines(Part::Serving, ENGINE, one_engine).await;
    let states = host.engines.start_all().await;
    assert!(matches!(states[0].state, EngineState::Running { .. }), "{states:?}");
    host
}

pub async fn member_state(host: &Host) -> String {
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    let mut client = MgmtSvcClient::new(host.channel().await);
    let answer = client.system_query(admin(query)).await.expect("members").into_inner();
    answer.members[0].state.clone()
}

async fn engine_state(host: &Host) -> (String, Option<u32>) {
    let mut client = HostClient::new(host.channel().await);
    let state = client.state(admin(StateReq {})).await.unwrap().into_inner();
    (state.engines[0].state.clone(), state.engines[0].rank)
}

#[tokio::test]
async fn a_system_is_stopped_and_started_with_the_same_rank() {
    let host = running().await;
    assert_eq!(engine_state(&host).await, ("running".into(), Some(0)));
    let mut client = MgmtSvcClient::new(host.channel().await);
    let stop = SystemStopReq { sys: SYS.into(), ..SystemStopReq::default() };
    let answer = client.system_stop(admin(stop)).await.unwrap().into_inner();
    let result = &answer.results[0];
    assert_eq!((result.rank, result.action.as_str(), result.errored), (0, "stop", false));
    assert_eq!((result.state.as_str(), result.msg.as_str()), ("stopped", "system stop"));
    assert_eq!(member_state(&host).await, "stopped");
    assert_eq!(engine_state(&host).await, ("stopped".into(), Some(0)));

    let start = SystemStartReq { sys: SYS.into(), ..SystemStartReq::default() };
    let answer = client.system_start(admin(start)).await.unwrap().into_inner();
    let result = &answer.results[0];
    assert_eq!((result.rank, result.action.as_str(), result.state.as_str()), (0, "start", "ready"));
    assert_eq!(member_state(&host).await, "joined");
    assert_eq!(engine_state(&host).await, ("running".into(), Some(0)));
    host.end().await;
}

#[tokio::test]
async fn a_stock_leader_gives_its_orders_host_by_host() {
    let host = running().await;
    let mut client = CtlSvcClient::new(host.channel().await);
    let order = |force| server(RanksReq { ranks: "0-7".into(), force, check_mode: false });
    let told = client.prep_shutdown_ranks(order(false)).await.unwrap().into_inner();
    let told = &told.results[0];
    assert_eq!((told.action.as_str(), told.state.as_str()), ("prep shutdown", "stopping"));
    let running = client.reset_format_ranks(order(false)).await.unwrap().into_inner();
    assert!(running.results[0].errored && running.results[0].msg.contains("612"));
    let ended = client.stop_ranks(order(true)).await.unwrap().into_inner();
    assert_eq!((ended.results.len(), ended.results[0].state.as_str()), (1, "stopped"));
    let again = client.prep_shutdown_ranks(order(false)).await.unwrap().into_inner();
    assert_eq!(again.results[0].state, "stopped", "one that does not run is stopped already");
    let reset = client.reset_format_ranks(order(false)).await.unwrap().into_inner();
    let reset = &reset.results[0];
    assert_eq!((reset.action.as_str(), reset.state.as_str()), ("reset format", "awaitformat"));
    let start = client.start_ranks(order(false)).await.unwrap().into_inner();
    assert!(start.results[0].errored && start.results[0].msg.contains("nothing there"));
    host.end().await;
}

#[tokio::test]
async fn erase_refuses_running_ranks_and_then_leaves_a_host_that_waits() {
    let host = running().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let erase = || admin(SystemEraseReq { sys: SYS.into() });
    let answer = client.system_erase(erase()).await.unwrap().into_inner();
    assert!(answer.results[0].errored && answer.results[0].msg.contains("612"));
    assert_eq!(member_state(&host).await, "joined");
    let stop = SystemStopReq { sys: SYS.into(), force: true, ..SystemStopReq::default() };
    client.system_stop(admin(stop)).await.unwrap();
    let answer = client.system_erase(erase()).await.unwrap().into_inner();
    let result = &answer.results[0];
    assert_eq!((result.errored, result.state.as_str()), (false, "awaitformat"));
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    let error = refused(client.system_query(admin(query)).await);
    assert_eq!(error, CallError::NotReady(NotReady::Uninitialized));
    assert_eq!(engine_state(&host).await.0, "waiting_for_format");
    host.end().await;
}

#[tokio::test]
async fn log_masks_reach_running_engines() {
    let host = running().await;
    let mut client = CtlSvcClient::new(host.channel().await);
    let set = |masks: &str| {
        admin(SetLogMasksReq { sys: SYS.into(), masks: masks.into(), ..SetLogMasksReq::default() })
    };
    let answer = client.set_engine_log_masks(set("ERR,mgmt=DEBUG")).await.unwrap().into_inner();
    assert_eq!((answer.status, answer.errors.as_slice()), (0, &[][..]));
    let reset = SetLogMasksReq {
        sys: SYS.into(),
        reset_masks: true,
        reset_streams: true,
        reset_subsystems: true,
        ..SetLogMasksReq::default()
    };
    let answer = client.set_engine_log_masks(admin(reset)).await.unwrap().into_inner();
    assert!(answer.errors.is_empty());
    assert_eq!(refused(client.set_engine_log_masks(set("loud")).await).fault_code(), Some(1366));
    host.end().await;
}

#[tokio::test]
async fn e32_asking_twice_is_no_mistake() {
    let host = running().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let start = || admin(SystemStartReq { sys: SYS.into(), ..SystemStartReq::default() });
    let stop = || admin(SystemStopReq { sys: SYS.into(), ..SystemStopReq::default() });
    let pid = |states: Vec<daos_control::engine::EngineStatus>| states[0].state.pid();
    let before = pid(host.engines.states());
    let answer = client.system_start(start()).await.unwrap().into_inner();
    assert!(!answer.results[0].errored, "{answer:?}");
    assert_eq!(pid(host.engines.states()), before, "what runs is left alone");
    for _ in 0..2 {
        let answer = client.system_stop(stop()).await.unwrap().into_inner();
        let result = &answer.results[0];
        assert_eq!((result.errored, result.state.as_str()), (false, "stopped"));
    }
    assert_eq!(member_state(&host).await, "stopped");
    host.end().await;
}
