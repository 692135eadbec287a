//! A few encodings worked out by hand from the field numbers of contract 2, byte for byte.

use std::collections::BTreeMap;

use daos_proto::{ctl, drpc, mgmt, rpc_status, shared};
use prost::Message;

#[test]
fn a_join_request_has_the_stock_field_numbers() {
    let request = mgmt::JoinReq {
        sys: "daos_server-2.8.0".into(),
        uuid: "u".into(),
        rank: u32::MAX,
        uri: "ofi+tcp://a:1".into(),
        nctxs: 5,
        addr: "0.0.0.0:10001".into(),
        srv_fault_domain: "/h".into(),
        idx: 1,
        incarnation: 300,
        secondary_uris: vec!["s".into()],
        secondary_nctxs: vec![1, 2],
        check_mode: true,
        replace: true,
    };
    let mut expected = vec![0x0a, 17];
    expected.extend_from_slice(b"daos_server-2.8.0");
    expected.extend_from_slice(&[0x12, 1, b'u']);
    expected.extend_from_slice(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    expected.extend_from_slice(&[0x22, 13]);
    expected.extend_from_slice(b"ofi+tcp://a:1");
    expected.extend_from_slice(&[0x28, 5, 0x32, 13]);
    expected.extend_from_slice(b"0.0.0.0:10001");
    expected.extend_from_slice(&[0x3a, 2, b'/', b'h', 0x40, 1, 0x48, 0xac, 0x02]);
    expected.extend_from_slice(&[0x52, 1, b's', 0x5a, 2, 1, 2, 0x60, 1, 0x68, 1]);
    assert_eq!(request.encode_to_vec(), expected);
}

#[test]
fn a_group_update_nests_its_engines() {
    let request = mgmt::GroupUpdateReq {
        map_version: 2,
        engines: vec![
            mgmt::group_update_req::Engine { rank: 0, uri: "a".into(), incarnation: 1 },
            mgmt::group_update_req::Engine { rank: 7, uri: "b".into(), incarnation: 128 },
        ],
    };
    let expected = [
        0x08, 2, // map_version
        0x12, 5, 0x12, 1, b'a', 0x18, 1, // rank 0 is left out
        0x12, 8, 0x08, 7, 0x12, 1, b'b', 0x18, 0x80, 0x01,
    ];
    assert_eq!(request.encode_to_vec(), expected);
}

#[test]
fn error_info_keeps_its_metadata_in_field_three() {
    let info = rpc_status::ErrorInfo {
        reason: "proto.fault.Fault".into(),
        domain: "scm".into(),
        metadata: BTreeMap::from([("Code".to_owned(), "101".to_owned())]),
    };
    let mut expected = vec![0x0a, 17];
    expected.extend_from_slice(b"proto.fault.Fault");
    expected.extend_from_slice(&[0x12, 3, b's', b'c', b'm', 0x1a, 11]);
    expected.extend_from_slice(&[0x0a, 4, b'C', b'o', b'd', b'e', 0x12, 3, b'1', b'0', b'1']);
    assert_eq!(info.encode_to_vec(), expected);
}

#[test]
fn a_status_wraps_its_details_in_any() {
    let status = rpc_status::Status {
        code: 13,
        message: "m".into(),
        details: vec![prost_types::Any { type_url: "t".into(), value: vec![9] }],
    };
    assert_eq!(
        status.encode_to_vec(),
        [0x08, 13, 0x12, 1, b'm', 0x1a, 6, 0x0a, 1, b't', 0x12, 1, 9]
    );
}

#[test]
fn a_negative_status_takes_ten_bytes() {
    let response = mgmt::DaosResp { status: -1006 };
    assert_eq!(
        response.encode_to_vec(),
        [0x08, 0x92, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
    );
}

#[test]
fn an_empty_drpc_response_is_no_bytes_at_all() {
    let response =
        drpc::Response { sequence: 0, status: drpc::Status::Success as i32, body: Vec::new() };
    assert!(response.encode_to_vec().is_empty());
}

#[test]
fn rank_requests_skip_the_two_oldest_numbers() {
    let request = ctl::RanksReq { force: true, ranks: "0-3".into(), check_mode: true };
    assert_eq!(request.encode_to_vec(), [0x18, 1, 0x22, 3, b'0', b'-', b'3', 0x28, 1]);
    let result = shared::RankResult {
        rank: 1,
        action: "stop".into(),
        errored: true,
        msg: "m".into(),
        state: "errored".into(),
        addr: "a".into(),
    };
    let mut expected = vec![0x08, 1, 0x12, 4];
    expected.extend_from_slice(b"stop");
    expected.extend_from_slice(&[0x18, 1, 0x22, 1, b'm', 0x2a, 7]);
    expected.extend_from_slice(b"errored");
    expected.extend_from_slice(&[0x32, 1, b'a']);
    assert_eq!(result.encode_to_vec(), expected);
}

#[test]
fn an_event_carries_one_kind_of_extra_information() {
    let event = shared::RasEvent {
        id: 17,
        extended_info: Some(shared::ras_event::ExtendedInfo::StrInfo("x".into())),
        ..Default::default()
    };
    assert_eq!(event.encode_to_vec(), [0x08, 17, 0x8a, 0x01, 1, b'x']);
}

#[test]
fn a_scan_request_keeps_its_odd_field_order() {
    let request = ctl::ScanNvmeReq {
        health: true,
        meta: false,
        basic: true,
        meta_size: 1,
        rdb_size: 0,
        mem_ratio: 0.5,
        link_stats: true,
    };
    assert_eq!(request.encode_to_vec(), [0x08, 1, 0x18, 1, 0x20, 1, 0x35, 0, 0, 0, 0x3f, 0x38, 1]);
}

#[test]
fn every_service_has_its_stock_methods() {
    let set = prost_types::FileDescriptorSet::decode(daos_proto::FILE_DESCRIPTOR_SET)
        .expect("descriptors");
    let count = |name: &str| {
        set.file
            .iter()
            .flat_map(|file| &file.service)
            .filter(|service| service.name() == name)
            .map(|service| service.method.len())
            .sum::<usize>()
    };
    assert_eq!(count("MgmtSvc"), 51);
    assert_eq!(count("CtlSvc"), 16);
}
