//! `daosx.v1.Members` over the wire: the event log, and exclusions of engines that run.

use daos_proto::ctl::RanksReq;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::daosx::v1::members_client::MembersClient;
use daos_proto::daosx::v1::{Event, EventsReq, ExcludeReq, FollowReq, FollowResp, RejoinReq};
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::mgmt::{
    JoinReq, SystemCleanupReq, SystemDrainReq, SystemExcludeReq, SystemQueryReq, SystemSetPropReq,
};
use daos_proto::shared::{ClusterEventReq, RasEvent};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::engines::{member_state, running};
use crate::host::{Host, SYS, admin, refused, server};
use crate::system::{engine_0, join, other_engine};

type Client = MembersClient<Channel>;

async fn events(client: &mut Client, after: u64) -> Vec<Event> {
    let request = EventsReq { sys: SYS.into(), after, ..EventsReq::default() };
    client.events(admin(request)).await.expect("events").into_inner().events
}

async fn followed(client: &mut Client, after: u64) -> Streaming<FollowResp> {
    let request = FollowReq { sys: SYS.into(), after };
    client.follow(admin(request)).await.expect("followed").into_inner()
}

/// The next event of a kind; others before it are passed over.
async fn next_of(stream: &mut Streaming<FollowResp>, kind: &str) -> Event {
    loop {
        let page = stream.message().await.expect("a page").expect("it goes on");
        if let Some(found) = page.events.into_iter().find(|event| event.kind == kind) {
            return found;
        }
    }
}

fn exclude(clear: bool, force_last_usable: bool) -> tonic::Request<ExcludeReq> {
    let (sys, ranks, hosts) = (SYS.into(), "0".into(), String::new());
    admin(ExcludeReq { sys, ranks, hosts, clear, force_last_usable })
}

async fn incarnation(host: &Host) -> u64 {
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    let mut client = MgmtSvcClient::new(host.channel().await);
    client.system_query(admin(query)).await.unwrap().into_inner().members[0].incarnation
}

#[tokio::test]
async fn what_happened_is_listed_and_followed_by_number() {
    let host = Host::serving().await;
    let mut mgmt = MgmtSvcClient::new(host.channel().await);
    let mut client = MembersClient::new(host.channel().await);
    join(&mut mgmt, engine_0(&host)).await;
    let listed = events(&mut client, 0).await;
    let numbers: Vec<u64> = listed.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let leader = listed.iter().find(|event| event.kind == "leader").expect("it leads");
    assert_eq!(leader.host, host.address.to_string());
    let joined = listed.last().unwrap();
    assert_eq!((joined.kind.as_str(), joined.ranks.as_str()), ("joined", "0"));
    assert_eq!((joined.from.as_str(), joined.to.as_str()), ("", "joined"));
    assert!(joined.time.starts_with("20") && joined.time.ends_with('Z'), "{}", joined.time);

    let mut stream = followed(&mut client, joined.number).await;
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!((first.events.len(), first.missed, first.last), (0, 0, joined.number));
    let properties = [("self_heal".to_owned(), "none".to_owned())].into();
    let set = SystemSetPropReq { sys: SYS.into(), properties };
    mgmt.system_set_prop(admin(set)).await.unwrap();
    let told = next_of(&mut stream, "properties").await;
    assert_eq!((told.number, told.reason.as_str()), (joined.number + 1, "self_heal=none"));
    assert_eq!(told.by, "administrator at 127.0.0.1");

    let newest = EventsReq { sys: SYS.into(), limit: 1, newest: true, ..EventsReq::default() };
    let newest = client.events(admin(newest)).await.unwrap().into_inner();
    assert_eq!((newest.missed, newest.events), (0, vec![told]));
    let foreign = FollowReq { sys: "other".into(), after: 0 };
    assert_eq!(refused(client.follow(admin(foreign)).await).fault_code(), Some(603));
    host.end().await;
}

#[tokio::test]
async fn followers_do_not_outlive_the_replica_nor_hold_up_its_end() {
    let host = Host::serving().await;
    let mut client = MembersClient::new(host.channel().await);
    let mut stream = followed(&mut client, 0).await;
    assert!(stream.message().await.unwrap().is_some());
    let end = async { while let Ok(Some(_)) = stream.message().await {} };
    tokio::join!(host.end(), end);
}

/// What an engine says is kept once, a refused join too; news of an earlier start is not.
#[tokio::test]
async fn news_of_engines_is_kept_once() {
    let host = Host::serving().await;
    let mut mgmt = MgmtSvcClient::new(host.channel().await);
    let mut client = MembersClient::new(host.channel().await);
    join(&mut mgmt, engine_0(&host)).await;
    let last = events(&mut client, 0).await.last().unwrap().number;
    for incarnation in [99, 101, 101] {
        let (hostname, msg) = ("node1".into(), "excluded, ending".into());
        let event = RasEvent { id: 5, rank: 0, incarnation, hostname, msg, ..RasEvent::default() };
        let event = ClusterEventReq { sequence: 1, event: Some(event) };
        mgmt.cluster_event(server(event)).await.unwrap();
    }
    for _ in 0..2 {
        let stranger =
            JoinReq { uri: "ofi+verbs://10.0.0.1:1".into(), ..other_engine(1, "10.0.0.1:1") };
        refused(mgmt.join(server(stranger)).await);
    }
    let kept = events(&mut client, last).await;
    let kept: Vec<_> = kept.iter().map(|each| (each.kind.as_str(), each.by.as_str())).collect();
    assert_eq!(kept, [("engine", "engine on node1"), ("join_refused", "")]);
    host.end().await;
}

/// Exclude, clear, joined again: the engine ran all the time and nobody starts it by hand.
#[tokio::test]
async fn an_engine_whose_exclusion_is_cleared_joins_again_by_itself() {
    let host = running().await;
    let mut mgmt = MgmtSvcClient::new(host.channel().await);
    let mut client = MembersClient::new(host.channel().await);
    let stock = SystemExcludeReq { sys: SYS.into(), ranks: "0".into(), ..Default::default() };
    let error = refused(mgmt.system_exclude(admin(stock)).await);
    assert_eq!(error.fault_code(), Some(1415), "{error}");
    assert_eq!(refused(client.exclude(exclude(false, false)).await).fault_code(), Some(1415));
    assert_eq!(member_state(&host).await, "joined");

    let before = incarnation(&host).await;
    let done = client.exclude(exclude(false, true)).await.unwrap().into_inner();
    assert_eq!(done.results[0].state, "adminexcluded");
    assert_eq!(member_state(&host).await, "adminexcluded");
    let last = events(&mut client, 0).await.last().unwrap().number;
    let mut stream = followed(&mut client, last).await;
    let done = client.exclude(exclude(true, false)).await.unwrap().into_inner();
    assert_eq!(done.results[0].state, "excluded");
    let cleared = next_of(&mut stream, "exclusion_cleared").await;
    assert_eq!((cleared.from.as_str(), cleared.to.as_str()), ("adminexcluded", "excluded"));
    let rejoined = next_of(&mut stream, "rejoined").await;
    assert_eq!((rejoined.ranks.as_str(), rejoined.by.as_str()), ("0", "engine"));
    assert_eq!(member_state(&host).await, "joined");
    assert!(incarnation(&host).await > before);
    host.end().await;
}

/// A rank that was stopped was stopped by somebody who meant it.
#[tokio::test]
async fn a_stopped_engine_stays_stopped_when_its_exclusion_is_cleared() {
    let host = running().await;
    let mut ranks = CtlSvcClient::new(host.channel().await);
    let stop = RanksReq { ranks: "0".into(), force: true, check_mode: false };
    ranks.stop_ranks(server(stop)).await.unwrap();
    let mut client = MembersClient::new(host.channel().await);
    client.exclude(exclude(false, true)).await.unwrap();
    let rejoin = |ranks: &str| server(RejoinReq { ranks: ranks.into() });
    let told = client.rejoin(rejoin("0-3")).await.unwrap().into_inner();
    let told = &told.results[0];
    assert_eq!((told.errored, told.state.as_str()), (false, "stopped"), "{told:?}");
    assert!(host.engines.states()[0].state.pid().is_none());
    assert_eq!(refused(client.rejoin(rejoin("x")).await).fault_code(), Some(1304));
    host.end().await;
}

/// The other half of moving: rank and uuid match, the incarnation is higher, but its old server still has the engine.
#[tokio::test]
async fn an_engine_that_its_old_server_still_has_does_not_move() {
    let host = running().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let copy = JoinReq {
        uuid: "00000000-0000-4000-8000-000000000007".into(),
        addr: "127.0.0.1:5".into(),
        srv_fault_domain: "/h".into(),
        incarnation: u64::MAX,
        ..engine_0(&host)
    };
    assert_eq!(refused(client.join(server(copy)).await).fault_code(), Some(1299));
    host.end().await;
}

/// Without pools there is nothing to drain, to reintegrate or to clean up; what cannot be meant is told first.
#[tokio::test]
async fn drain_reintegrate_and_cleanup_answer_plainly_without_pools() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    join(&mut client, other_engine(1, "127.0.0.1:4")).await;
    let of = |ranks: &str, reint| {
        let (sys, ranks, hosts) = (SYS.into(), ranks.into(), String::new());
        admin(SystemDrainReq { sys, ranks, hosts, reint })
    };
    let error = refused(client.system_drain(of("1", true)).await);
    assert_eq!(error.fault_code(), Some(1365));
    assert!(error.to_string().contains("nothing to reintegrate"), "{error}");
    let out = SystemExcludeReq { sys: SYS.into(), ranks: "1".into(), ..Default::default() };
    client.system_exclude(admin(out)).await.unwrap();
    assert_eq!(refused(client.system_drain(of("1", false)).await).fault_code(), Some(622));
    let cleanup =
        |machine: &str| admin(SystemCleanupReq { sys: SYS.into(), machine: machine.into() });
    let answer = client.system_cleanup(cleanup("client7")).await.unwrap().into_inner();
    assert!(answer.results.is_empty());
    assert_eq!(refused(client.system_cleanup(cleanup(" ")).await).fault_code(), Some(1366));
    assert_ne!(client.system_cleanup(cleanup("")).await.unwrap_err().code(), Code::Unimplemented);
    host.end().await;
}
