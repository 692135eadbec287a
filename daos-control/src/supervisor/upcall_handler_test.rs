use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use daos_membership::Rank;
use daos_proto::{auth, chk, mgmt, shared, srv};
use prost::Message;
use sha2::{Digest, Sha512};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::*;
use crate::drpc::{RasEvent, RasId, encode_cluster_event};
use crate::supervisor::event::{EngineEvent, EventStream};
use crate::supervisor::fleet::{CallLimits, Command};
use crate::supervisor::upcalls::{CheckReport, PoolRecord};

const PID: u32 = 4711;
const ENGINE: Peer = Peer { pid: PID, uid: 0, gid: 0 };
const POOL: Uuid = Uuid::from_u128(7);

/// A system with one pool.
#[derive(Debug, Default)]
struct OnePool {
    registered: Mutex<Vec<PoolRecord>>,
    reported: Mutex<Vec<CheckReport>>,
}

fn pool() -> PoolRecord {
    let replicas = [0, 2].into_iter().filter_map(Rank::new).collect();
    PoolRecord { uuid: POOL, label: "tank".into(), replicas }
}

#[async_trait]
impl EngineUpcalls for OnePool {
    async fn system_properties(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, String>, UpcallError> {
        let value = |key: &String| match key.as_str() {
            "self_heal" => Ok((key.clone(), "exclude".to_owned())),
            other => Err(UpcallError::Failed(format!("unknown property {other}"))),
        };
        keys.iter().map(value).collect()
    }
    async fn pool_service(&self, uuid: Uuid) -> Result<Vec<Rank>, UpcallError> {
        if uuid == POOL { Ok(pool().replicas) } else { Err(UpcallError::Nonexistent) }
    }
    async fn find_pool(&self, label: &str) -> Result<PoolRecord, UpcallError> {
        if label == "tank" { Ok(pool()) } else { Err(UpcallError::Nonexistent) }
    }
    async fn list_pools(&self, include_all: bool) -> Result<Vec<PoolRecord>, UpcallError> {
        Ok(if include_all { vec![pool(), pool()] } else { vec![pool()] })
    }
    async fn check_list_pools(&self) -> Result<Vec<PoolRecord>, UpcallError> {
        Ok(vec![pool()])
    }
    async fn check_register_pool(&self, pool: PoolRecord) -> Result<(), UpcallError> {
        self.registered.lock().unwrap().push(pool);
        Ok(())
    }
    async fn check_deregister_pool(&self, _pool: Uuid) -> Result<(), UpcallError> {
        Err(UpcallError::TryAgain)
    }
    async fn check_report(&self, report: CheckReport) -> Result<(), UpcallError> {
        self.reported.lock().unwrap().push(report);
        Err(UpcallError::Unreachable)
    }
}

/// The body of a system without pools.
#[derive(Debug)]
struct NoPools;

#[async_trait]
impl EngineUpcalls for NoPools {
    async fn system_properties(
        &self,
        _keys: &[String],
    ) -> Result<BTreeMap<String, String>, UpcallError> {
        Ok(BTreeMap::new())
    }
}

struct Bed {
    handler: UpcallHandler,
    events: EventStream,
    commands: mpsc::Receiver<Command>,
    directory: tempfile::TempDir,
    _gone: watch::Sender<Option<crate::supervisor::ExitStatus>>,
}

impl Bed {
    /// A handler with engine 0 of two started as process [`PID`].
    async fn new(upcalls: Arc<dyn EngineUpcalls>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fleet = Arc::new(Fleet::new(2, CallLimits::default()));
        let mut events = fleet.take_events().unwrap();
        let (sender, commands) = mpsc::channel(4);
        let (gone, is_gone) = watch::channel(None);
        let running = Arc::new(Running::new(0, PID, sender, is_gone));
        fleet.start(0, async { Ok((running, async {})) }).await.unwrap();
        events.next().await.unwrap();
        let socket_dir = directory.path().canonicalize().unwrap();
        let handler = UpcallHandler { fleet, socket_dir, upcalls };
        Self { handler, events, commands, directory, _gone: gone }
    }

    async fn call(&self, method: Method, body: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.handler.handle(method, body, ENGINE).await.map(Reply::into_body)
    }

    async fn ask<Answer: Message + Default>(
        &self,
        method: Method,
        request: &impl Message,
    ) -> Answer {
        let body = self.call(method, request.encode_to_vec()).await.unwrap();
        Answer::decode(&body[..]).unwrap()
    }

    fn socket(&self) -> PathBuf {
        let path = self.directory.path().join("daos_engine_4711.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        path
    }
}

fn notice(index: u32, listener: impl Into<PathBuf>) -> Vec<u8> {
    let (uri, listener) = ("ofi+tcp://h:1".to_owned(), listener.into());
    NotifyReady { uri, listener, index, targets: 1, incarnation: 9, ..NotifyReady::default() }
        .encode()
}

#[tokio::test]
async fn a_good_notice_is_answered_empty_and_then_published() {
    let mut bed = Bed::new(Arc::new(NoPools)).await;
    let body = notice(0, bed.socket());
    let reply = bed.handler.handle(Method::NotifyReady, body, ENGINE).await.unwrap();
    bed.handler.fleet.events.end();
    // The end overtook the notice, since the answer was not sent yet.
    assert_eq!(bed.events.next().await, None);
    assert!(reply.into_body().is_empty());
    let running = bed.handler.fleet.running(0).await.unwrap();
    assert!(running.socket().unwrap().ends_with("daos_engine_4711.sock"));
}

#[tokio::test]
async fn what_follows_a_notice_is_its_event() {
    let mut bed = Bed::new(Arc::new(NoPools)).await;
    let body = notice(0, bed.socket());
    bed.handler.handle(Method::NotifyReady, body, ENGINE).await.unwrap().answered();
    let EngineEvent { index, kind } = bed.events.next().await.unwrap();
    let EngineEventKind::Ready { pid, ready } = kind else { panic!("{kind:?}") };
    assert_eq!((index, pid, ready.incarnation, ready.targets), (0, PID, Incarnation(9), 1));
}

/// E30 and W29: each way in which a notice can be wrong; the engine then gets a limited time to end.
#[tokio::test]
async fn bad_notices_are_refused_and_the_engine_must_end() {
    let mut bed = Bed::new(Arc::new(NoPools)).await;
    let good = bed.socket();
    let plain_file = bed.directory.path().join("file");
    std::fs::write(&plain_file, "").unwrap();
    let link = bed.directory.path().join("link");
    std::os::unix::fs::symlink(&good, &link).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("e.sock");
    drop(std::os::unix::net::UnixListener::bind(&outside).unwrap());
    let long = bed.directory.path().join("x".repeat(108));
    let relative = PathBuf::from("e.sock");
    let missing = bed.directory.path().join("missing.sock");
    for body in [
        notice(2, &good),
        notice(1, &good),
        notice(0, ""),
        notice(0, relative),
        notice(0, plain_file),
        notice(0, link),
        notice(0, outside),
        notice(0, long),
        notice(0, missing),
    ] {
        assert_eq!(bed.call(Method::NotifyReady, body).await, Err(Status::Failure));
        assert!(matches!(bed.commands.try_recv(), Ok(Command::Refused)));
    }
    let unreadable = bed.call(Method::NotifyReady, vec![0x08]).await;
    assert_eq!(unreadable, Err(Status::UnreadableBody));
    assert!(matches!(bed.commands.try_recv(), Ok(Command::Refused)));
    assert_eq!(bed.handler.fleet.running(0).await.unwrap().socket(), None);
}

#[tokio::test]
async fn a_second_notice_is_refused_and_harms_nobody() {
    let mut bed = Bed::new(Arc::new(NoPools)).await;
    let body = notice(0, bed.socket());
    assert!(bed.call(Method::NotifyReady, body.clone()).await.is_ok());
    assert_eq!(bed.call(Method::NotifyReady, body).await, Err(Status::Failure));
    assert!(bed.commands.try_recv().is_err(), "the engine goes on");
}

#[tokio::test]
async fn nobody_but_a_running_engine_is_served() {
    let bed = Bed::new(Arc::new(NoPools)).await;
    for pid in [0, 1, PID + 1] {
        let stranger = Peer { pid, uid: 0, gid: 0 };
        for method in [Method::NotifyReady, Method::ListPools, Method::ClusterEvent] {
            let refused = bed.handler.handle(method, Vec::new(), stranger).await;
            assert!(matches!(refused, Err(Status::Failure)), "{method} by {pid}");
        }
    }
}

#[tokio::test]
async fn events_are_published_and_their_sequence_echoed() {
    let mut bed = Bed::new(Arc::new(NoPools)).await;
    let event = RasEvent { id: RasId::SWIM_RANK_DEAD, rank: Some(3), ..RasEvent::default() };
    let answer = bed.call(Method::ClusterEvent, encode_cluster_event(5, event.clone())).await;
    let answer = shared::ClusterEventResp::decode(&answer.unwrap()[..]).unwrap();
    assert_eq!((answer.sequence, answer.status), (5, 0));
    let expected = EngineEvent { index: 0, kind: EngineEventKind::Ras(event) };
    assert_eq!(bed.events.next().await, Some(expected));
    let empty = shared::ClusterEventReq { sequence: 6, event: None };
    let answer: shared::ClusterEventResp = bed.ask(Method::ClusterEvent, &empty).await;
    assert_eq!((answer.sequence, answer.status), (6, -1003));
    assert_eq!(bed.call(Method::ClusterEvent, vec![0x08]).await, Err(Status::UnreadableBody));
}

/// R172: a block I/O error changes nothing; its line is checked with the other log lines of engines.
#[tokio::test]
async fn block_errors_are_taken_from_their_own_engine_only() {
    let bed = Bed::new(Arc::new(NoPools)).await;
    let error = |index| {
        srv::BioErrorReq { instance_idx: index, tgt_id: 3, read_err: true, ..Default::default() }
            .encode_to_vec()
    };
    assert_eq!(bed.call(Method::BioError, error(0)).await, Ok(Vec::new()));
    assert_eq!(bed.call(Method::BioError, error(1)).await, Err(Status::Failure));
    assert_eq!(bed.call(Method::BioError, vec![0x08]).await, Err(Status::UnreadableBody));
}

#[tokio::test]
async fn pools_are_found_by_identity_and_label() {
    let bed = Bed::new(Arc::new(OnePool::default())).await;
    let by_uuid = |uuid: &str| srv::GetPoolSvcReq { uuid: uuid.to_owned() };
    let found: srv::GetPoolSvcResp =
        bed.ask(Method::GetPoolService, &by_uuid(&POOL.to_string())).await;
    assert_eq!((found.status, found.svcreps), (0, vec![0, 2]));
    let missing: srv::GetPoolSvcResp =
        bed.ask(Method::GetPoolService, &by_uuid(&Uuid::nil().to_string())).await;
    assert_eq!((missing.status, missing.svcreps), (-1005, vec![]));
    let malformed = bed.call(Method::GetPoolService, by_uuid("x").encode_to_vec()).await;
    assert_eq!(malformed, Err(Status::Failure));

    let by_label = |label: &str| srv::PoolFindByLabelReq { label: label.to_owned() };
    let found: srv::PoolFindByLabelResp = bed.ask(Method::PoolFindByLabel, &by_label("tank")).await;
    assert_eq!((found.status, found.uuid, found.svcreps), (0, POOL.to_string(), vec![0, 2]));
    let missing: srv::PoolFindByLabelResp = bed.ask(Method::PoolFindByLabel, &by_label("x")).await;
    assert_eq!((missing.status, missing.uuid), (-1005, String::new()));

    for (include_all, count) in [(false, 1), (true, 2)] {
        let request = srv::ListPoolsReq { include_all };
        let listed: srv::ListPoolsResp = bed.ask(Method::ListPools, &request).await;
        assert_eq!(listed.pools.len(), count);
        assert_eq!(listed.pools[0].label, "tank");
    }
}

#[tokio::test]
async fn a_system_without_pools_says_so() {
    let bed = Bed::new(Arc::new(NoPools)).await;
    let uuid = POOL.to_string();
    let service: srv::GetPoolSvcResp =
        bed.ask(Method::GetPoolService, &srv::GetPoolSvcReq { uuid: uuid.clone() }).await;
    assert_eq!(service.status, -1005);
    let found: srv::PoolFindByLabelResp =
        bed.ask(Method::PoolFindByLabel, &srv::PoolFindByLabelReq { label: "tank".into() }).await;
    assert_eq!(found.status, -1005);
    let listed: srv::ListPoolsResp =
        bed.ask(Method::ListPools, &srv::ListPoolsReq { include_all: true }).await;
    assert!(listed.pools.is_empty());
    let listed: shared::CheckListPoolResp =
        bed.ask(Method::CheckListPools, &shared::CheckListPoolReq {}).await;
    assert_eq!((listed.status, listed.pools.len()), (0, 0));
    let request = shared::CheckDeregPoolReq { seq: 1, uuid };
    let gone: shared::CheckDeregPoolResp = bed.ask(Method::CheckDeregisterPool, &request).await;
    assert_eq!(gone.status, -1005);
    let report = shared::CheckReportReq { report: Some(chk::CheckReport::default()) };
    let reported: shared::CheckReportResp = bed.ask(Method::CheckReport, &report).await;
    assert_eq!(reported.status, -2019);
}

#[tokio::test]
async fn properties_are_answered_by_key() {
    let bed = Bed::new(Arc::new(OnePool::default())).await;
    let request = |key: &str| mgmt::SystemGetPropReq {
        sys: "daos_server".into(),
        keys: vec![key.to_owned()],
    };
    let found: mgmt::SystemGetPropResp =
        bed.ask(Method::GetSystemProperties, &request("self_heal")).await;
    assert_eq!(found.properties.get("self_heal").map(String::as_str), Some("exclude"));
    let unknown = bed.call(Method::GetSystemProperties, request("x").encode_to_vec()).await;
    assert_eq!(unknown, Err(Status::Failure));
}

#[tokio::test]
async fn the_checker_is_served_in_domain_words() {
    let upcalls = Arc::new(OnePool::default());
    let bed = Bed::new(Arc::clone(&upcalls) as _).await;
    let register = |uuid: &str, label: &str, svcreps: &[u32]| shared::CheckRegPoolReq {
        seq: 1,
        uuid: uuid.to_owned(),
        label: label.to_owned(),
        svcreps: svcreps.to_vec(),
    };
    let uuid = POOL.to_string();
    for (request, status) in [
        (register(&uuid, "tank", &[0, 2]), 0),
        (register("x", "tank", &[0]), -1003),
        (register(&uuid, "", &[0]), -1003),
        (register(&uuid, "tank", &[]), -1003),
        (register(&uuid, "tank", &[u32::MAX]), -1003),
    ] {
        let answer: shared::CheckRegPoolResp = bed.ask(Method::CheckRegisterPool, &request).await;
        assert_eq!(answer.status, status, "{request:?}");
    }
    assert_eq!(*upcalls.registered.lock().unwrap(), vec![pool()]);

    let request = shared::CheckDeregPoolReq { seq: 1, uuid };
    let answer: shared::CheckDeregPoolResp = bed.ask(Method::CheckDeregisterPool, &request).await;
    assert_eq!(answer.status, -1013);
    let request = shared::CheckDeregPoolReq { seq: 1, uuid: "x".into() };
    let answer: shared::CheckDeregPoolResp = bed.ask(Method::CheckDeregisterPool, &request).await;
    assert_eq!(answer.status, -1003);

    let listed: shared::CheckListPoolResp =
        bed.ask(Method::CheckListPools, &shared::CheckListPoolReq {}).await;
    assert_eq!((listed.pools.len(), listed.pools[0].label.as_str()), (1, "tank"));

    let report = chk::CheckReport { seq: 3, msg: "lost".into(), ..Default::default() };
    let request = shared::CheckReportReq { report: Some(report.clone()) };
    let answer: shared::CheckReportResp = bed.ask(Method::CheckReport, &request).await;
    assert_eq!(answer.status, -1006);
    let seen = upcalls.reported.lock().unwrap().pop().unwrap();
    assert_eq!((seen.sequence, seen.message.as_str()), (3, "lost"));
    assert_eq!(chk::CheckReport::decode(&seen.encoded[..]).unwrap(), report);
    let empty = shared::CheckReportReq { report: None };
    let answer: shared::CheckReportResp = bed.ask(Method::CheckReport, &empty).await;
    assert_eq!(answer.status, -1003);
}

#[tokio::test]
async fn credentials_are_checked() {
    let bed = Bed::new(Arc::new(NoPools)).await;
    let token = auth::Token { flavor: 1, data: vec![4, 5] };
    let proof = Sha512::digest(token.encode_to_vec()).to_vec();
    let request = |proof: Vec<u8>| auth::ValidateCredReq {
        cred: Some(auth::Credential {
            token: Some(token.clone()),
            verifier: Some(auth::Token { flavor: 1, data: proof }),
            origin: "agent".into(),
        }),
    };
    let method = Method::ValidateCredentials;
    let genuine: auth::ValidateCredResp = bed.ask(method, &request(proof)).await;
    assert_eq!((genuine.status, genuine.token), (0, Some(token.clone())));
    let forged: auth::ValidateCredResp = bed.ask(method, &request(vec![0; 64])).await;
    assert_eq!((forged.status, forged.token), (-1001, None));
    let nothing: auth::ValidateCredResp =
        bed.ask(method, &auth::ValidateCredReq { cred: None }).await;
    assert_eq!(nothing.status, -1003);
    assert_eq!(bed.call(method, vec![0xff]).await, Err(Status::UnreadableBody));
}

/// Every number of the contract that a server serves is served, every other is unknown.
#[tokio::test]
async fn exactly_the_methods_of_the_contract_are_served() {
    let bed = Bed::new(Arc::new(NoPools)).await;
    let modules = bed.handler.modules().to_vec();
    for &method in Method::ALL.iter().filter(|method| modules.contains(&method.module())) {
        let unknown = bed.call(method, vec![0x08]).await == Err(Status::UnknownMethod);
        assert_eq!(unknown, method.module() == Module::Management, "{method}");
    }
}
