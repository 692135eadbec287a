//! A system as a stock server and a stock administrator build and ask it, over the wire.

use std::net::Ipv4Addr;
use std::time::Instant;

use daos_control::wire::{CallError, NotReady};
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::mgmt::{
    GetAttachInfoReq, JoinReq, JoinResp, LeaderQueryReq, ListPoolsReq, SystemDrainReq,
    SystemEraseReq, SystemExcludeReq, SystemGetAttrReq, SystemGetPropReq, SystemMember,
    SystemQueryReq, SystemSetAttrReq, SystemSetPropReq, SystemStartReq, SystemStopReq,
};
use daos_proto::shared::{ClusterEventReq, RasEvent};
use tokio::net::TcpSocket;
use tonic::transport::Channel;

use crate::host::{Host, SYS, admin, refused, server, signed};
use daos_control::wire::Component;

type Client = MgmtSvcClient<Channel>;

/// The first member, on the host itself.
pub fn engine_0(host: &Host) -> JoinReq {
    JoinReq {
        sys: SYS.into(),
        uuid: "00000000-0000-4000-8000-000000000000".into(),
        rank: 0,
        uri: "ofi+tcp://127.0.0.1:31416".into(),
        nctxs: 3,
        addr: host.address.to_string(),
        srv_fault_domain: "/host0".into(),
        idx: 0,
        incarnation: 100,
        ..JoinReq::default()
    }
}

pub fn other_engine(number: u32, addr: &str) -> JoinReq {
    JoinReq {
        sys: SYS.into(),
        uuid: format!("00000000-0000-4000-8000-{number:012}"),
        rank: u32::MAX,
        uri: format!("ofi+tcp://10.0.0.{number}:31416"),
        nctxs: 5,
        addr: addr.into(),
        srv_fault_domain: format!("/host{number}"),
        idx: 1,
        incarnation: 100 + u64::from(number),
        ..JoinReq::default()
    }
}

pub async fn join(client: &mut Client, request: JoinReq) -> JoinResp {
    client.join(server(request)).await.expect("joined").into_inner()
}

async fn members(client: &mut Client) -> Vec<SystemMember> {
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    client.system_query(admin(query)).await.expect("members").into_inner().members
}

fn stop(ranks: &str, force: bool) -> SystemStopReq {
    SystemStopReq { sys: SYS.into(), ranks: ranks.into(), force, ..SystemStopReq::default() }
}

/// An address of this machine where nothing listens for as long as this is held.
struct Nobody(TcpSocket);

impl Nobody {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self(socket)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }
}

#[tokio::test]
async fn engines_join_and_are_listed_as_they_said() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let first = join(&mut client, engine_0(&host)).await;
    assert_eq!((first.rank, first.state, first.local_join, first.status), (0, 0, false, 0));
    assert!(first.fault_domain.is_empty());
    // The leader takes the sender's address for 0.0.0.0 (R160).
    let second = join(&mut client, other_engine(1, "0.0.0.0:10007")).await;
    assert_eq!(second.rank, 1);
    assert!(second.map_version > first.map_version);

    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    let answer = client.system_query(admin(query)).await.unwrap().into_inner();
    assert_eq!((answer.absentranks.as_str(), answer.absenthosts.as_str()), ("", ""));
    assert_eq!(answer.providers, ["ofi+tcp"]);
    assert_eq!(answer.sys_self_heal_policy, "exclude;pool_exclude;pool_rebuild");
    assert!(answer.data_version > 0);
    let [one, two] = answer.members.as_slice() else { panic!("{answer:?}") };
    assert_eq!((one.rank, one.state.as_str(), one.incarnation), (0, "joined", 100));
    assert_eq!((one.fault_domain.as_str(), one.fabric_contexts), ("/host0", 3));
    assert_eq!(
        (two.addr.as_str(), two.uuid.as_str()),
        ("127.0.0.1:10007", "00000000-0000-4000-8000-000000000001")
    );
    assert!(two.last_update.ends_with('Z') && two.last_update.contains('T'));
    host.end().await;
}

#[tokio::test]
async fn a_second_join_is_the_same_member_and_a_foreign_one_is_refused() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let again = JoinReq { incarnation: 101, ..engine_0(&host) };
    assert_eq!(join(&mut client, again).await.rank, 0);
    assert_eq!(members(&mut client).await.len(), 1);
    let stranger =
        JoinReq { uuid: "00000000-0000-4000-8000-000000000009".into(), ..engine_0(&host) };
    let error = refused(client.join(server(stranger)).await);
    assert_eq!(error.fault_code(), Some(1298), "{error}");
    assert!(error.to_string().contains("can't rejoin member with rank 0"));
    let other_shape =
        JoinReq { srv_fault_domain: "/rack1/host1".into(), ..other_engine(1, "10.0.0.1:1") };
    assert_eq!(refused(client.join(server(other_shape)).await).fault_code(), Some(620));
    host.end().await;
}

#[tokio::test]
async fn an_engine_moves_when_its_old_server_is_gone_or_has_it_no_more() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let gone = Nobody::new();
    join(&mut client, other_engine(1, &gone.address())).await;
    let moved = JoinReq { rank: 1, incarnation: 200, ..other_engine(1, "127.0.0.1:4") };
    assert_eq!(join(&mut client, moved).await.rank, 1);
    assert_eq!(members(&mut client).await[1].addr, "127.0.0.1:4");
    // Engine 0's server is this very one, which answers and has no such engine.
    let moved = JoinReq { addr: "127.0.0.1:5".into(), incarnation: 200, ..engine_0(&host) };
    assert_eq!(join(&mut client, moved).await.rank, 0);
    host.end().await;
}

#[tokio::test]
async fn queries_choose_by_rank_host_and_state_and_report_what_is_absent() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    join(&mut client, other_engine(1, "10.0.0.1:10001")).await;
    let ask = |ranks: &str, hosts: &str, state_mask| {
        admin(SystemQueryReq {
            sys: SYS.into(),
            ranks: ranks.into(),
            hosts: hosts.into(),
            state_mask,
        })
    };
    let answer = client.system_query(ask("1-2", "", 0)).await.unwrap().into_inner();
    assert_eq!((answer.members.len(), answer.absentranks.as_str()), (1, "2"));
    let answer = client.system_query(ask("", "10.0.0.[1-2]", 0)).await.unwrap().into_inner();
    assert_eq!(answer.members[0].rank, 1);
    assert_eq!(answer.absenthosts, "10.0.0.2");
    let answer = client.system_query(ask("", "", 0x020)).await.unwrap().into_inner();
    assert!(answer.members.is_empty());
    assert_eq!(refused(client.system_query(ask("0", "h1", 0)).await).fault_code(), Some(1304));
    assert_eq!(refused(client.system_query(ask("x", "", 0)).await).fault_code(), Some(1304));
    host.end().await;
}

#[tokio::test]
async fn a_dead_host_delays_nobody_and_its_ranks_become_unresponsive() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let nobody = Nobody::new();
    join(&mut client, other_engine(1, &nobody.address())).await;
    let begun = Instant::now();
    let answer = client.system_stop(admin(stop("", true))).await.unwrap().into_inner();
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    let [own, dead] = answer.results.as_slice() else { panic!("{answer:?}") };
    assert_eq!(
        (own.rank, own.action.as_str(), own.addr.as_str()),
        (0, "stop", host.address.to_string().as_str())
    );
    assert_eq!((dead.rank, dead.errored, dead.state.as_str()), (1, true, "unresponsive"));
    assert!(dead.msg.contains("506"), "{}", dead.msg);
    assert_eq!(members(&mut client).await[1].state, "unresponsive");
    // Without force the first step already fails, and its reports are not lost (W37).
    let answer = client.system_stop(admin(stop("1", false))).await.unwrap().into_inner();
    assert_eq!(answer.results[0].action, "prep shutdown");
    let start =
        SystemStartReq { sys: SYS.into(), ranks: "1,7".into(), ..SystemStartReq::default() };
    let answer = client.system_start(admin(start)).await.unwrap().into_inner();
    assert_eq!((answer.results[0].action.as_str(), answer.absentranks.as_str()), ("start", "7"));
    host.end().await;
}

#[tokio::test]
async fn excluded_ranks_are_left_alone_until_cleared() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let nobody = Nobody::new();
    join(&mut client, other_engine(1, &nobody.address())).await;
    let exclude = |ranks: &str, clear| {
        admin(SystemExcludeReq {
            sys: SYS.into(),
            ranks: ranks.into(),
            hosts: String::new(),
            clear,
        })
    };
    let answer = client.system_exclude(exclude("1", false)).await.unwrap().into_inner();
    let result = &answer.results[0];
    assert_eq!(
        (result.action.as_str(), result.state.as_str(), result.errored),
        ("set admin-excluded state", "adminexcluded", false)
    );
    assert_eq!(refused(client.system_stop(admin(stop("1", true))).await).fault_code(), Some(622));
    let rejoin = JoinReq {
        rank: 1,
        addr: members(&mut client).await[1].addr.clone(),
        ..other_engine(1, "")
    };
    assert_eq!(refused(client.join(server(rejoin)).await).fault_code(), Some(622));
    let answer = client.system_exclude(exclude("1", true)).await.unwrap().into_inner();
    assert_eq!(answer.results[0].action, "clear admin-excluded state");
    assert_eq!(members(&mut client).await[1].state, "excluded");
    assert_eq!(refused(client.system_exclude(exclude("9", false)).await).fault_code(), Some(1303));
    host.end().await;
}

#[tokio::test]
async fn clients_are_told_how_to_reach_the_engines() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let attach = |all_ranks| {
        let request =
            GetAttachInfoReq { sys: SYS.into(), all_ranks, ..GetAttachInfoReq::default() };
        signed(request, Component::Agent)
    };
    assert_eq!(
        refused(client.get_attach_info(attach(true)).await),
        CallError::NotReady(NotReady::EmptyGroupMap)
    );
    join(&mut client, engine_0(&host)).await;
    join(&mut client, other_engine(1, "10.0.0.1:10001")).await;
    let answer = client.get_attach_info(attach(false)).await.unwrap().into_inner();
    assert_eq!((answer.ms_ranks.as_slice(), answer.sys.as_str()), (&[0][..], "daos_server"));
    let [only] = answer.rank_uris.as_slice() else { panic!("{answer:?}") };
    assert_eq!((only.rank, only.uri.as_str(), only.num_ctxs), (0, "ofi+tcp://127.0.0.1:31416", 3));
    let build = answer.build_info.expect("a version");
    assert_eq!((build.major, build.minor, build.patch), (2, 8, 0));
    let hint = answer.client_net_hint.expect("a hint");
    assert_eq!((hint.srv_srx_set, hint.env_vars.as_slice()), (-1, &["A=b".to_owned()][..]));
    assert!(answer.data_version > 0 && answer.numa_fabric_interfaces.is_empty());
    let answer = client.get_attach_info(attach(true)).await.unwrap().into_inner();
    assert_eq!(answer.rank_uris.len(), 2);
    host.end().await;
}

#[tokio::test]
async fn attributes_and_properties_are_kept() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let set = SystemSetAttrReq { sys: SYS.into(), attributes: pairs(&[("a", "1"), ("b", "2")]) };
    client.system_set_attr(admin(set)).await.unwrap();
    let get = |keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        admin(SystemGetAttrReq { sys: SYS.into(), keys })
    };
    let found = client.system_get_attr(get(&[])).await.unwrap().into_inner().attributes;
    assert_eq!(found, pairs(&[("a", "1"), ("b", "2")]));
    let delete = SystemSetAttrReq { sys: SYS.into(), attributes: pairs(&[("a", "")]) };
    client.system_set_attr(admin(delete)).await.unwrap();
    assert_eq!(refused(client.system_get_attr(get(&["a"])).await).fault_code(), Some(1305));
    let reserved = SystemSetAttrReq { sys: SYS.into(), attributes: pairs(&[("mgmt.x", "1")]) };
    assert_eq!(refused(client.system_set_attr(admin(reserved)).await).fault_code(), Some(1305));

    let set = SystemSetPropReq { sys: SYS.into(), properties: pairs(&[("self_heal", "none")]) };
    client.system_set_prop(admin(set)).await.unwrap();
    let get = SystemGetPropReq { sys: SYS.into(), keys: Vec::new() };
    let found = client.system_get_prop(admin(get)).await.unwrap().into_inner().properties;
    assert_eq!(found["self_heal"], "none");
    assert_eq!(
        (found["daos_version"].as_str(), found["daos_system"].as_str()),
        ("2.8.0", "daos_server")
    );
    let bad = SystemSetPropReq { sys: SYS.into(), properties: pairs(&[("self_heal", "perhaps")]) };
    assert_eq!(refused(client.system_set_prop(admin(bad)).await).fault_code(), Some(1306));
    host.end().await;
}

#[tokio::test]
async fn forwarded_deaths_change_the_member_they_are_about() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let nobody = Nobody::new();
    join(&mut client, other_engine(1, &nobody.address())).await;
    let event = |id, rank, incarnation, msg: &str| {
        let event =
            RasEvent { id, rank, incarnation, msg: msg.into(), r#type: 1, ..RasEvent::default() };
        server(ClusterEventReq { sequence: 7, event: Some(event) })
    };
    let answer = client.cluster_event(event(2, 1, 101, "killed")).await.unwrap().into_inner();
    assert_eq!((answer.sequence, answer.status), (7, 0));
    let member = members(&mut client).await[1].clone();
    assert_eq!((member.state.as_str(), member.info.as_str()), ("errored", "killed"));
    client.cluster_event(event(17, 1, 101, "")).await.unwrap();
    assert_eq!(members(&mut client).await[1].state, "excluded");
    // News of an earlier start, of nobody, and without an event change nothing.
    client.cluster_event(event(17, 0, 1, "")).await.unwrap();
    client.cluster_event(event(17, 99, 0, "")).await.unwrap();
    client.cluster_event(event(17, u32::MAX, 0, "")).await.unwrap();
    client.cluster_event(server(ClusterEventReq { sequence: 1, event: None })).await.unwrap();
    assert_eq!(members(&mut client).await[0].state, "joined");
    host.end().await;
}

#[tokio::test]
async fn the_leader_is_named_and_there_are_no_pools() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let query = LeaderQueryReq { sys: SYS.into(), hosts: String::new() };
    let answer = client.leader_query(admin(query)).await.unwrap().into_inner();
    assert_eq!(answer.current_leader, host.address.to_string());
    assert_eq!(answer.replicas, [host.address.to_string()]);
    let answer =
        client.list_pools(admin(ListPoolsReq { sys: SYS.into() })).await.unwrap().into_inner();
    assert!(answer.pools.is_empty() && answer.data_version > 0);
    let drain = SystemDrainReq { sys: SYS.into(), ranks: "0".into(), ..SystemDrainReq::default() };
    let error = refused(client.system_drain(admin(drain)).await);
    assert_eq!(error.fault_code(), Some(1365));
    assert!(error.to_string().contains("nothing to drain"));
    let drain = SystemDrainReq { sys: SYS.into(), ranks: "5".into(), ..SystemDrainReq::default() };
    assert_eq!(refused(client.system_drain(admin(drain)).await).fault_code(), Some(1303));
    host.end().await;
}

#[tokio::test]
async fn erase_needs_every_host_and_then_leaves_no_system() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    join(&mut client, engine_0(&host)).await;
    let nobody = Nobody::new();
    join(&mut client, other_engine(1, &nobody.address())).await;
    let erase = || admin(SystemEraseReq { sys: SYS.into() });
    let answer = client.system_erase(erase()).await.unwrap().into_inner();
    let failed: Vec<_> = answer.results.iter().filter(|result| result.errored).collect();
    assert_eq!((failed.len(), failed[0].rank, failed[0].action.as_str()), (1, 1, "reset format"));
    assert_eq!(members(&mut client).await.len(), 2, "the system is still there");
    // Its host comes back (here: this one), and the erase can be taken up again.
    let moved = JoinReq { rank: 1, incarnation: 200, ..other_engine(1, &host.address.to_string()) };
    join(&mut client, moved).await;
    let answer = client.system_erase(erase()).await.unwrap().into_inner();
    assert!(answer.results.iter().all(|result| !result.errored), "{answer:?}");
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    assert_eq!(
        refused(client.system_query(admin(query)).await),
        CallError::NotReady(NotReady::Uninitialized)
    );
    host.end().await;
}
