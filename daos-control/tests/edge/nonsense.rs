//! Messages with values that no real peer sends: refused in few words, and the host lives on.

use daos_control::wire::CallError;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::ctl::{
    NetworkScanReq, RanksReq, ScanNvmeReq, ScanScmReq, SetLogMasksReq, StorageScanReq,
};
use daos_proto::mgmt::mgmt_svc_client::MgmtSvcClient;
use daos_proto::mgmt::{JoinReq, SystemQueryReq, SystemSetAttrReq, SystemStopReq};
use tonic::{Code, Status};

use crate::host::{Host, SYS, admin, refused, server};
use crate::system::engine_0;

fn huge() -> String {
    "\u{1b}[2Jx".repeat(1 << 18)
}

#[tokio::test]
async fn joins_with_nonsense_are_refused_and_change_nothing() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let base = || engine_0(&host);
    let cases = [
        JoinReq { uuid: "x".into(), ..base() },
        JoinReq { uuid: huge(), ..base() },
        JoinReq { uri: String::new(), ..base() },
        JoinReq { uri: huge(), ..base() },
        JoinReq { uri: "no-provider".into(), ..base() },
        JoinReq { addr: String::new(), ..base() },
        JoinReq { addr: "127.0.0.1:99999".into(), ..base() },
        JoinReq { addr: huge(), ..base() },
        JoinReq { srv_fault_domain: String::new(), ..base() },
        JoinReq { srv_fault_domain: "/a/b/c".into(), ..base() },
        JoinReq { srv_fault_domain: "/=/".into(), ..base() },
        JoinReq { srv_fault_domain: huge(), ..base() },
        JoinReq { idx: u32::MAX, ..base() },
        JoinReq { secondary_nctxs: vec![7; 100_000], ..base() },
    ];
    for request in cases {
        let shown = format!("{request:?}");
        let error = refused(client.join(server(request)).await);
        assert!(error.fault_code().is_some(), "{error:?} for {}", &shown[..shown.len().min(300)]);
        let text = error.to_string();
        assert!(text.len() < 600 && !text.contains('\u{1b}'), "{text}");
    }
    let query = SystemQueryReq { sys: SYS.into(), ..SystemQueryReq::default() };
    assert!(client.system_query(admin(query)).await.is_err(), "nobody joined");
    assert!(client.join(server(base())).await.is_ok(), "the host lives on");
    host.end().await;
}

#[tokio::test]
async fn lists_and_maps_without_measure_are_refused() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    client.join(server(engine_0(&host))).await.unwrap();
    for ranks in ["0-4294967294", "4294967295", "-1", "0,,1", "NaN"] {
        let query =
            SystemQueryReq { sys: SYS.into(), ranks: ranks.into(), ..SystemQueryReq::default() };
        assert_eq!(
            refused(client.system_query(admin(query)).await).fault_code(),
            Some(1304),
            "{ranks}"
        );
        let stop =
            SystemStopReq { sys: SYS.into(), ranks: ranks.into(), ..SystemStopReq::default() };
        assert_eq!(
            refused(client.system_stop(admin(stop)).await).fault_code(),
            Some(1304),
            "{ranks}"
        );
    }
    let hosts =
        SystemQueryReq { sys: SYS.into(), hosts: "n[0-99999]".into(), ..SystemQueryReq::default() };
    assert_eq!(refused(client.system_query(admin(hosts)).await).fault_code(), Some(1304));
    let attributes = [("k".to_owned(), huge())].into();
    let set = SystemSetAttrReq { sys: SYS.into(), attributes };
    assert_eq!(refused(client.system_set_attr(admin(set)).await).fault_code(), Some(1366));
    let many = (0..5000).map(|number| (number.to_string(), String::new())).collect();
    let set = SystemSetAttrReq { sys: SYS.into(), attributes: many };
    assert_eq!(refused(client.system_set_attr(admin(set)).await).fault_code(), Some(1366));
    let mask =
        SystemQueryReq { sys: SYS.into(), state_mask: u32::MAX, ..SystemQueryReq::default() };
    assert_eq!(client.system_query(admin(mask)).await.unwrap().into_inner().members.len(), 1);
    host.end().await;
}

#[tokio::test]
async fn orders_to_one_host_need_ranks_that_are_ranks() {
    let host = Host::serving().await;
    let mut client = CtlSvcClient::new(host.channel().await);
    for ranks in [String::new(), "x".into(), "0-4294967294".into(), huge()] {
        let request = || server(RanksReq { ranks: ranks.clone(), force: true, check_mode: false });
        let answers = [
            refused(client.stop_ranks(request()).await),
            refused(client.start_ranks(request()).await),
            refused(client.prep_shutdown_ranks(request()).await),
            refused(client.reset_format_ranks(request()).await),
        ];
        for error in answers {
            assert_eq!(error.fault_code(), Some(1366), "{error}");
        }
    }
    let elsewhere = RanksReq { ranks: "5-9".into(), force: true, check_mode: false };
    let answer = client.stop_ranks(server(elsewhere)).await.unwrap().into_inner();
    assert!(answer.results.is_empty(), "ranks of other hosts are ignored");
    let checkers = RanksReq { ranks: "0".into(), force: false, check_mode: true };
    let error = refused(client.start_ranks(server(checkers)).await);
    assert!(matches!(error, CallError::Unimplemented(_)), "{error:?}");
    host.end().await;
}

#[tokio::test]
async fn sizes_and_ratios_that_are_no_numbers_do_no_harm() {
    let host = Host::serving().await;
    let mut client = CtlSvcClient::new(host.channel().await);
    let nvme = ScanNvmeReq {
        health: true,
        meta_size: u64::MAX,
        rdb_size: u64::MAX,
        mem_ratio: f32::NAN,
        ..ScanNvmeReq::default()
    };
    let request = StorageScanReq { nvme: Some(nvme), scm: Some(ScanScmReq { usage: true }) };
    assert!(client.storage_scan(admin(request)).await.is_ok());
    assert!(client.storage_scan(admin(StorageScanReq::default())).await.is_ok());
    let masks = SetLogMasksReq { sys: SYS.into(), masks: huge(), ..SetLogMasksReq::default() };
    // Without engines there is nobody to set masks for, but streams are looked at all the same.
    assert!(client.set_engine_log_masks(admin(masks)).await.is_ok());
    let streams = SetLogMasksReq { sys: SYS.into(), streams: huge(), ..SetLogMasksReq::default() };
    assert_eq!(refused(client.set_engine_log_masks(admin(streams)).await).fault_code(), Some(1366));
    let provider = NetworkScanReq { provider: huge(), excludeinterfaces: huge() };
    let error = refused(client.network_scan(admin(provider)).await);
    assert_eq!(error.fault_code(), Some(1360));
    assert!(error.to_string().len() < 700);
    host.end().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_or_no_message_is_refused_by_the_transport() {
    let host = Host::serving().await;
    let mut client = MgmtSvcClient::new(host.channel().await);
    let request = JoinReq { uri: "x".repeat(5 << 20), ..engine_0(&host) };
    let status: Status = client.join(server(request)).await.expect_err("beyond 4 MiB");
    assert_eq!(status.code(), Code::OutOfRange);
    // The connection and the host live on.
    assert!(client.join(server(engine_0(&host))).await.is_ok());
    host.end().await;
}
