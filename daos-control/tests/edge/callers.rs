//! Who is let in: component, version and system name (contract 1.3, 1.7), and what a host answers that is asked
//! too early or in the wrong place (contract 1.4, R167).

use daos_control::wire::{CallError, Component, NotReady};
use daos_proto::ctl::NetworkScanReq;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::mgmt::{LeaderQueryReq, ListPoolsReq, PoolCreateReq, SystemQueryReq};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use crate::host::{Host, Part, SYS, admin, refused, signed};

fn list(sys: &str) -> ListPoolsReq {
    ListPoolsReq { sys: sys.into() }
}

fn with_headers(component: &str, version: &str) -> Request<ListPoolsReq> {
    let mut request = Request::new(list(SYS));
    let headers = request.metadata_mut();
    headers.insert("x-daos-component", component.parse().unwrap());
    headers.insert("x-daos-version", version.parse().unwrap());
    request
}

#[tokio::test]
async fn stock_headers_are_accepted_and_others_are_told_616() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    for (component, version) in
        [("admin", "2.8.0"), ("admin", "2.8.3"), ("agent", "2.6.0"), ("server", "v2.8.0")]
    {
        let answer = client.list_pools(with_headers(component, version)).await;
        assert!(answer.is_ok(), "{component} {version}: {answer:?}");
    }
    for (component, version) in [
        ("admin", "2.6.0"),
        ("admin", "3.0.0"),
        ("agent", "2.5.0"),
        ("root", "2.8.0"),
        ("", "2.8.0"),
        ("admin", "x"),
    ] {
        let error = refused(client.list_pools(with_headers(component, version)).await);
        assert_eq!(error.fault_code(), Some(616), "{component} {version}: {error}");
    }
    let mut request = with_headers("admin", "2.8.0");
    let bytes = MetadataValue::try_from(&b"\xff\xfe"[..]).unwrap();
    request.metadata_mut().insert("x-daos-version", bytes);
    assert_eq!(refused(client.list_pools(request).await).fault_code(), Some(616));
    host.end().await;
}

#[tokio::test]
async fn a_caller_without_headers_needs_the_servers_own_version_behind_the_name() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    assert!(client.list_pools(list("daos_server-2.8.0")).await.is_ok());
    for sys in ["daos_server", "daos_server-2.8.1", ""] {
        let error = refused(client.list_pools(list(sys)).await);
        assert_eq!(error.fault_code(), Some(617), "{sys}");
    }
    // A message without a system field carries no version, and is let in.
    let mut ctl = CtlSvcClient::new(host.channel().await);
    assert!(ctl.network_scan(NetworkScanReq::default()).await.is_ok());
    host.end().await;
}

#[tokio::test]
async fn another_systems_requests_are_told_603() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    for sys in ["daos_server", SYS, "daos_server-9.9.9"] {
        assert!(client.list_pools(admin(list(sys))).await.is_ok(), "{sys}");
    }
    for sys in ["other", "other-2.8.0", "", "daos_server-x"] {
        assert_eq!(refused(client.list_pools(admin(list(sys))).await).fault_code(), Some(603));
    }
    host.end().await;
}

#[tokio::test]
async fn before_a_format_the_stock_text_is_answered() {
    let host = Host::start(Part::Unformatted).await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    let status = client.system_query(admin(query)).await.expect_err("nothing there yet");
    assert_eq!(status.code(), Code::Unknown);
    assert_eq!(status.message(), "system is uninitialized (storage format required?)");
    assert!(status.details().is_empty());
    let leader = LeaderQueryReq { sys: SYS.into(), hosts: String::new() };
    let error = refused(client.leader_query(admin(leader)).await);
    assert_eq!(error, CallError::NotReady(NotReady::Uninitialized));
    // The host itself answers all the same.
    let mut ctl = CtlSvcClient::new(host.channel().await);
    assert!(ctl.network_scan(admin(NetworkScanReq::default())).await.is_ok());
    host.end().await;
}

#[tokio::test]
async fn a_system_without_members_answers_the_stock_text() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    let status = client.system_query(admin(query)).await.expect_err("no members");
    assert_eq!(status.message(), "raft service unavailable (not started yet?)");
    host.end().await;
}

#[tokio::test]
async fn a_host_that_is_no_replica_names_those_that_are() {
    let host = Host::start(Part::Elsewhere).await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let status = client.list_pools(admin(list(SYS))).await.expect_err("not here");
    assert_eq!(status.code(), Code::Internal);
    let message = "not a DAOS Management Service replica (try one of 192.0.2.1:10001)";
    assert_eq!(status.message(), message);
    assert_eq!(
        CallError::from_status(&status, "host"),
        CallError::NotReplica { replicas: vec!["192.0.2.1:10001".into()] }
    );
    host.end().await;
}

#[tokio::test]
async fn a_method_that_is_not_there_says_so() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let request = signed(PoolCreateReq::default(), Component::Admin);
    let error = refused(client.pool_create(request).await);
    let CallError::Unimplemented(text) = error else { panic!("{error:?}") };
    assert!(text.contains("pool_create"));
    host.end().await;
}
