//! Operations on a system whose hosts are scripted: what is asked of whom, and what is recorded (contract 6.9, R166).
#![cfg(feature = "server")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daos_control::engine::RankAction;
use daos_control::system_ops::{
    Limits, OperationReport, Peers, RankReply, RanksCall, StartRequest, StopRequest, SystemOps,
};
use daos_control::wire::CallError;
use daos_membership::{
    AdminExcludedRanks, ControlAddress, ExcludeAction, Incarnation, JoinPurpose, JoinRequest,
    Local, LocalOptions, MemberState, Membership, MembershipHandle, MembershipOptions, Rank,
    RankSet, RedbStore, Selection, SystemClock, SystemIdentity,
};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

/// How a host behaves.
#[derive(Debug, Clone, Default)]
enum Behaviour {
    /// Does what it is asked.
    #[default]
    Obedient,
    /// Fails for these ranks at this step.
    Fails(RankAction, &'static str),
    /// Never answers.
    Silent,
    /// Answers for a rank it was not asked about, and forgets the others.
    Confused,
    /// Answers when it is told to.
    Waits(Arc<Notify>),
}

#[derive(Debug, Default)]
struct Hosts {
    behaviour: Mutex<BTreeMap<String, Behaviour>>,
    asked: Mutex<Vec<(String, RanksCall)>>,
    begun: Notify,
}

impl Hosts {
    fn set(&self, host: &str, behaviour: Behaviour) {
        self.behaviour.lock().unwrap().insert(host.into(), behaviour);
    }

    /// `host action ranks` of each call, sorted, since hosts are asked side by side.
    fn asked(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.asked.lock().unwrap());
        let mut lines: Vec<String> = calls
            .iter()
            .map(|(host, call)| {
                let force = if call.force { " force" } else { "" };
                format!("{host} {} {}{force}", call.action.text(), call.ranks)
            })
            .collect();
        lines.sort();
        lines
    }
}

fn reply(rank: Rank, action: RankAction) -> RankReply {
    let state = match action {
        RankAction::PrepareShutdown => MemberState::Stopping,
        RankAction::Stop => MemberState::Stopped,
        RankAction::Start => MemberState::Ready,
        RankAction::ResetFormat => MemberState::AwaitFormat,
        RankAction::Rejoin => MemberState::Starting,
    };
    RankReply { rank, errored: false, message: "done".into(), state }
}

#[async_trait]
impl Peers for Hosts {
    async fn ranks(
        &self,
        host: ControlAddress,
        call: &RanksCall,
        deadline: Instant,
    ) -> Result<Vec<RankReply>, CallError> {
        let host = host.ip().to_string();
        self.asked.lock().unwrap().push((host.clone(), call.clone()));
        self.begun.notify_one();
        let behaviour = self.behaviour.lock().unwrap().get(&host).cloned().unwrap_or_default();
        let mut replies: Vec<_> = call.ranks.iter().map(|rank| reply(rank, call.action)).collect();
        match behaviour {
            Behaviour::Obedient => {}
            Behaviour::Fails(action, why) if action == call.action => {
                for reply in &mut replies {
                    (reply.errored, reply.message) = (true, why.into());
                    reply.state = MemberState::Unknown;
                }
            }
            Behaviour::Fails(..) => {}
            Behaviour::Silent => {
                tokio::time::sleep_until(deadline).await;
                return Err(CallError::DeadlineExceeded(format!(
                    "host {host} did not answer in time"
                )));
            }
            Behaviour::Confused => {
                replies = vec![reply(Rank::new(77).unwrap(), call.action)];
            }
            Behaviour::Waits(told) => told.notified().await,
        }
        Ok(replies)
    }
}

struct Cluster {
    hosts: Arc<Hosts>,
    ops: SystemOps,
    membership: MembershipHandle,
    _service: Membership,
    _dir: tempfile::TempDir,
}

impl Cluster {
    /// Ranks 0 and 1 on 10.0.0.1, rank 2 on 10.0.0.2.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = SystemIdentity { uuid: Uuid::from_u128(1), name: "daos_server".into() };
        let store = RedbStore::create(dir.path(), &identity).unwrap();
        let own = "10.0.0.1:10001".parse().unwrap();
        let replica = Local::start(Box::new(store), own, LocalOptions::default()).await.unwrap();
        let options = MembershipOptions::new(vec!["ofi+tcp".into()]);
        let service = Membership::start(Arc::new(replica), Arc::new(SystemClock), options);
        let membership = service.handle();
        for (number, host) in [(0, 1), (1, 1), (2, 2)] {
            membership.join(engine(number, host)).await.unwrap();
        }
        let hosts = Arc::new(Hosts::default());
        let limits = Limits { stop: Duration::from_secs(2), ..Limits::default() };
        let ops = SystemOps::new(hosts.clone(), limits);
        Self { hosts, ops, membership, _service: service, _dir: dir }
    }

    async fn stop(&self, selection: Selection, force: bool) -> Result<OperationReport, CallError> {
        let request = StopRequest { selection, force, excluded: AdminExcludedRanks::Refuse };
        self.ops.stop(self.membership.clone(), request).await
    }

    async fn start(&self) -> OperationReport {
        let request = StartRequest {
            selection: Selection::All,
            check_mode: false,
            excluded: AdminExcludedRanks::Refuse,
        };
        self.ops.start(self.membership.clone(), request).await.unwrap()
    }

    fn states(&self) -> Vec<MemberState> {
        self.membership.members().iter().map(|member| member.state).collect()
    }
}

fn engine(number: u32, host: u32) -> JoinRequest {
    JoinRequest {
        uuid: Uuid::from_u128(100 + u128::from(number)),
        rank: None,
        incarnation: Incarnation(1),
        address: format!("10.0.0.{host}:10001").parse().unwrap(),
        fabric_uri: format!("ofi+tcp://10.0.0.{host}:{}", 31416 + number),
        secondary_fabric_uris: Vec::new(),
        fabric_contexts: 1,
        secondary_fabric_contexts: Vec::new(),
        fault_domain: format!("/host{host}").parse().unwrap(),
        check_mode: false,
        bootstrap: number == 0,
        purpose: JoinPurpose::Join,
        old_address_answers: None,
    }
}

fn ranks(text: &str) -> Selection {
    Selection::Ranks(text.parse::<RankSet>().unwrap())
}

use MemberState::{Errored, Joined, Stopped, Stopping, Unresponsive};

#[tokio::test]
async fn a_stop_tells_every_engine_first_and_each_host_once() {
    let cluster = Cluster::new().await;
    let report = cluster.stop(Selection::All, false).await.unwrap();
    assert_eq!(
        cluster.hosts.asked(),
        [
            "10.0.0.1 prep shutdown 0-1",
            "10.0.0.1 stop 0-1",
            "10.0.0.2 prep shutdown 2",
            "10.0.0.2 stop 2"
        ]
    );
    let shown: Vec<_> =
        report.results.iter().map(|r| (r.rank.get(), r.action, r.errored)).collect();
    assert_eq!(shown, [(0, "stop", false), (1, "stop", false), (2, "stop", false)]);
    assert_eq!(report.results[2].address, "10.0.0.2:10001");
    assert_eq!(cluster.states(), [Stopped, Stopped, Stopped]);
}

#[tokio::test]
async fn force_kills_without_telling() {
    let cluster = Cluster::new().await;
    cluster.stop(ranks("1-2"), true).await.unwrap();
    assert_eq!(cluster.hosts.asked(), ["10.0.0.1 stop 1 force", "10.0.0.2 stop 2 force"]);
    assert_eq!(cluster.states(), [Joined, Stopped, Stopped]);
}

#[tokio::test]
async fn w37_a_failed_preparation_is_reported_and_stops_nobody() {
    let cluster = Cluster::new().await;
    cluster.hosts.set("10.0.0.2", Behaviour::Fails(RankAction::PrepareShutdown, "busy"));
    let report = cluster.stop(Selection::All, false).await.unwrap();
    assert!(cluster.hosts.asked().iter().all(|line| line.contains("prep shutdown")));
    let shown: Vec<_> =
        report.results.iter().map(|r| (r.action, r.errored, r.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("prep shutdown", false, "done"),
            ("prep shutdown", false, "done"),
            ("prep shutdown", true, "busy")
        ]
    );
    assert_eq!(cluster.states(), [Stopping, Stopping, Errored]);
}

#[tokio::test]
async fn w36_a_silent_host_costs_its_limit_and_nothing_else() {
    let cluster = Cluster::new().await;
    cluster.hosts.set("10.0.0.2", Behaviour::Silent);
    let begun = Instant::now();
    let report = cluster.stop(Selection::All, true).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(cluster.states(), [Stopped, Stopped, Unresponsive]);
    assert!(report.results[2].errored && report.results[2].message.contains("10.0.0.2"));
}

#[tokio::test]
async fn what_a_host_leaves_out_counts_against_it_and_what_it_adds_does_not_count() {
    let cluster = Cluster::new().await;
    cluster.hosts.set("10.0.0.1", Behaviour::Confused);
    let report = cluster.stop(Selection::All, true).await.unwrap();
    let numbers: Vec<_> = report.results.iter().map(|report| report.rank.get()).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(cluster.states(), [Unresponsive, Unresponsive, Stopped]);
}

#[tokio::test]
async fn a_member_that_joined_meanwhile_stays_joined_after_a_start() {
    let cluster = Cluster::new().await;
    let report = cluster.start().await;
    assert!(report.results.iter().all(|report| report.state == MemberState::Ready));
    assert_eq!(cluster.states(), [Joined, Joined, Joined]);
}

/// R166: a host that was frozen answers again, and its engines ran on all the time: a start finds them running.
#[tokio::test]
async fn r166_a_start_brings_back_a_member_whose_host_did_not_answer() {
    let cluster = Cluster::new().await;
    cluster.hosts.set("10.0.0.2", Behaviour::Silent);
    cluster.stop(ranks("2"), true).await.unwrap();
    assert_eq!(cluster.states(), [Joined, Joined, Unresponsive]);
    cluster.hosts.set("10.0.0.2", Behaviour::Obedient);
    let report = cluster.start().await;
    assert!(report.results.iter().all(|report| !report.errored), "{report:?}");
    assert_eq!(cluster.states(), [Joined, Joined, Joined]);
}

#[tokio::test]
async fn ranks_an_administrator_keeps_out_are_not_asked() {
    let cluster = Cluster::new().await;
    cluster.membership.exclude(ranks("2"), ExcludeAction::Exclude).await.unwrap();
    let refused = cluster.stop(ranks("1-2"), true).await.expect_err("622");
    assert_eq!(refused.fault_code(), Some(622));
    assert!(cluster.hosts.asked().is_empty());
    cluster.stop(Selection::All, true).await.unwrap();
    assert_eq!(cluster.hosts.asked(), ["10.0.0.1 stop 0-1 force"]);
}

#[tokio::test]
async fn what_was_begun_ends_and_is_recorded_though_nobody_waits() {
    let cluster = Cluster::new().await;
    let told = Arc::new(Notify::new());
    cluster.hosts.set("10.0.0.1", Behaviour::Waits(told.clone()));
    let mut stop = Box::pin(cluster.stop(ranks("0"), true));
    tokio::select! {
        _ = &mut stop => panic!("the host has not answered"),
        () = cluster.hosts.begun.notified() => {}
    }
    drop(stop); // the client hangs up
    told.notify_one();
    cluster.ops.drain().await;
    assert_eq!(cluster.states()[0], Stopped);
}
