//! Scans, plans and formats of one host, over the wire.

use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::ctl::{
    FormatNvmeReq, FormatScmReq, NetworkScanReq, StorageFormatReq, StorageScanReq,
};
use daos_proto::daosx::v1::hardware_client::HardwareClient;
use daos_proto::daosx::v1::host_client::HostClient;
use daos_proto::daosx::v1::storage_client::StorageClient;
use daos_proto::daosx::v1::{ApplyFormatReq, DevicesReq, PlanFormatReq, StateReq};

use crate::host::{Host, admin, refused};

#[tokio::test]
async fn a_host_without_engines_answers_scans_and_formats_nothing() {
    let host = Host::serving().await;
    let mut client = CtlSvcClient::new(host.channel().await);
    let answer = client.storage_scan(admin(StorageScanReq::default())).await.unwrap().into_inner();
    let (scm, nvme) = (answer.scm.unwrap(), answer.nvme.unwrap());
    assert_eq!((scm.state.unwrap().status, nvme.state.unwrap().status), (0, 0));
    assert!(scm.modules.is_empty() && scm.namespaces.is_empty() && nvme.ctrlrs.is_empty());
    assert!(answer.sys_mem_info.unwrap().mem_total_kb > 0);
    let request = StorageFormatReq {
        nvme: Some(FormatNvmeReq {}),
        scm: Some(FormatScmReq {}),
        ..StorageFormatReq::default()
    };
    let answer = client.storage_format(admin(request)).await.unwrap().into_inner();
    assert!(answer.crets.is_empty() && answer.mrets.is_empty());
    host.end().await;
}

#[tokio::test]
async fn the_network_is_listed_without_loopback() {
    let host = Host::serving().await;
    let mut client = CtlSvcClient::new(host.channel().await);
    let request = NetworkScanReq { provider: "all".into(), ..NetworkScanReq::default() };
    let answer = client.network_scan(admin(request)).await.unwrap().into_inner();
    assert!(answer.numacount >= 1 && answer.corespernuma >= 1);
    assert!(answer.interfaces.iter().all(|row| row.device != "lo" && row.netdevclass != 772));
    for row in &answer.interfaces {
        let excluded =
            NetworkScanReq { provider: "all".into(), excludeinterfaces: row.device.clone() };
        let rest = client.network_scan(admin(excluded)).await.unwrap().into_inner();
        assert!(rest.interfaces.iter().all(|other| other.device != row.device));
    }
    let unknown = NetworkScanReq { provider: "ofi+pigeon".into(), ..NetworkScanReq::default() };
    assert_eq!(refused(client.network_scan(admin(unknown)).await).fault_code(), Some(1360));
    host.end().await;
}

#[tokio::test]
async fn a_plan_of_nothing_is_empty_and_only_that_plan_can_be_applied() {
    let host = Host::serving().await;
    let mut client = StorageClient::new(host.channel().await);
    let plan = client.plan_format(admin(PlanFormatReq::default())).await.unwrap().into_inner();
    assert!(plan.engines.is_empty() && !plan.destroys);
    let stale = ApplyFormatReq { digest: "0123".into(), ..ApplyFormatReq::default() };
    assert_eq!(refused(client.apply_format(admin(stale)).await).fault_code(), Some(1241));
    let same = ApplyFormatReq { digest: plan.digest, ..ApplyFormatReq::default() };
    let answer = client.apply_format(admin(same)).await.unwrap().into_inner();
    assert!(answer.results.is_empty());
    let replace = PlanFormatReq { replace: true, ..PlanFormatReq::default() };
    assert_eq!(refused(client.plan_format(admin(replace)).await).fault_code(), Some(1250));
    host.end().await;
}

#[tokio::test]
async fn a_host_says_what_it_is() {
    let host = Host::serving().await;
    let mut client = HostClient::new(host.channel().await);
    let state = client.state(admin(StateReq {})).await.unwrap().into_inner();
    assert_eq!((state.system.as_str(), state.version.as_str()), ("daos_server", "2.8.0"));
    assert!(state.insecure && state.engines.is_empty());
    host.end().await;
}

#[tokio::test]
async fn a_host_says_what_keeps_its_controllers_from_being_used() {
    let host = Host::serving().await;
    let mut client = HardwareClient::new(host.channel().await);
    let answer = client.devices(admin(DevicesReq {})).await.unwrap().into_inner();
    assert!(answer.controllers.is_empty(), "a host without controllers: {answer:?}");
    host.end().await;
}
