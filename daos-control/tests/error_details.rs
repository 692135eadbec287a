//! Errors on the wire: exact bytes of the details, and the way back (contract 1.4, 1.5).
#![cfg(feature = "client")]

use std::io;

use daos_control::fault::{Der, Fault, code};
use daos_control::wire::{CallError, NotReady, connection_fault};
use tonic::{Code, Status};

/// A length-delimited protobuf field, written by hand so that the test does not lean on the code under test.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

fn entry(key: &str, value: &str) -> Vec<u8> {
    let value = if value.is_empty() { Vec::new() } else { field(2, value.as_bytes()) };
    field(3, &[field(1, key.as_bytes()), value].concat())
}

fn golden(message: &str, reason: &str, domain: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut info = [field(1, reason.as_bytes()), field(2, domain.as_bytes())].concat();
    for (key, value) in metadata {
        info.extend(entry(key, value));
    }
    let url = field(1, b"type.googleapis.com/google.rpc.ErrorInfo");
    let any = [url, field(2, &info)].concat();
    [vec![0x08, 13], field(2, message.as_bytes()), field(3, &any)].concat()
}

#[test]
fn a_fault_travels_with_its_five_values() {
    let fault = Fault::new("scm", 101, "mounted", "use --reformat").with_reason("because");
    let status = CallError::Fault(fault.clone()).to_status();
    let message = "scm: code = 101 description = \"mounted\"";
    assert_eq!((status.code(), status.message()), (Code::Internal, message));
    let expected = golden(
        message,
        "proto.fault.Fault",
        "scm",
        &[
            ("Code", "101"),
            ("Description", "mounted"),
            ("Domain", "scm"),
            ("Reason", "because"),
            ("Resolution", "use --reformat"),
        ],
    );
    assert_eq!(status.details(), expected);
    assert_eq!(CallError::from_status(&status, "h"), CallError::Fault(fault));
}

#[test]
fn a_data_plane_status_travels_as_decimal() {
    let status = CallError::Der(Der::UNREACH).to_status();
    let message = "DER_UNREACH(-1006): node cannot be reached";
    assert_eq!((status.code(), status.message()), (Code::Internal, message));
    let expected = golden(message, "proto.daos.DaosStatus", "DAOS", &[("Status", "-1006")]);
    assert_eq!(status.details(), expected);
    assert_eq!(CallError::from_status(&status, "h"), CallError::Der(Der::UNREACH));
}

#[test]
fn leader_and_replica_refusals_carry_json_lists() {
    let error =
        CallError::NotLeader { hint: "b:1".into(), replicas: vec!["a:1".into(), "b:1".into()] };
    let status = error.to_status();
    let message = "not the DAOS Management Service leader (try b:1 or one of a:1,b:1)";
    let expected = golden(
        message,
        "proto.system.ErrNotLeader",
        "DAOS",
        &[("LeaderHint", "b:1"), ("Replicas", "[\"a:1\",\"b:1\"]")],
    );
    assert_eq!((status.message(), status.details()), (message, expected.as_slice()));
    assert_eq!(CallError::from_status(&status, "h"), error);

    let error = CallError::NotLeader { hint: String::new(), replicas: Vec::new() };
    let status = error.to_status();
    assert!(status.details().windows(4).any(|window| window == b"null"));
    assert_eq!(CallError::from_status(&status, "h"), error);

    let error = CallError::NotReplica { replicas: vec!["a:1".into(), "b:1".into(), "c:1".into()] };
    let status = error.to_status();
    let message = "not a DAOS Management Service replica (try one of a:1,b:1,c:1)";
    let expected = golden(
        message,
        "proto.system.ErrNotReplica",
        "DAOS",
        &[("Replicas", "[\"a:1\",\"b:1\",\"c:1\"]")],
    );
    assert_eq!((status.message(), status.details()), (message, expected.as_slice()));
    assert_eq!(CallError::from_status(&status, "h"), error);
}

#[test]
fn a_missing_pool_says_how_it_was_looked_for() {
    let error = CallError::PoolNotFound { rank: Some(3), uuid: None, label: Some("p".into()) };
    let status = error.to_status();
    let json = "{\"Rank\":3,\"UUID\":null,\"Label\":\"p\"}";
    let expected =
        golden("pool p not found", "proto.system.ErrPoolNotFound", "DAOS", &[("PoolInfo", json)]);
    assert_eq!(status.details(), expected);
    assert_eq!(CallError::from_status(&status, "h"), error);
}

#[test]
fn readiness_is_told_by_text_alone_and_found_inside_a_longer_one() {
    let texts = [
        (NotReady::Uninitialized, "system is uninitialized (storage format required?)"),
        (NotReady::RaftUnavailable, "raft service unavailable (not started yet?)"),
        (NotReady::SteppingUp, "leader step-up in progress (try again)"),
        (NotReady::EmptyGroupMap, "empty group map (all ranks excluded?)"),
    ];
    for (state, text) in texts {
        let status = CallError::NotReady(state).to_status();
        assert_eq!((status.code(), status.message()), (Code::Unknown, text));
        assert!(status.details().is_empty());
        let wrapped = Status::unknown(format!("failed to handle request: {text}"));
        assert_eq!(CallError::from_status(&wrapped, "h"), CallError::NotReady(state));
    }
    assert!(CallError::NotReady(NotReady::Uninitialized).is_not_ready());
    assert!(!CallError::NotReady(NotReady::Uninitialized).is_unavailable());
    assert!(CallError::NotReady(NotReady::SteppingUp).is_unavailable());
    assert!(!CallError::NotReady(NotReady::EmptyGroupMap).is_not_ready());
    let engine_down = Fault::new("server", code::SERVER_DATA_PLANE_NOT_STARTED, "d", "r");
    assert!(CallError::Fault(engine_down).is_unavailable());
}

#[test]
fn codes_without_details_keep_their_meaning() {
    let pairs = [
        (Status::unimplemented("m"), CallError::Unimplemented("m".into())),
        (Status::deadline_exceeded("m"), CallError::DeadlineExceeded("m".into())),
        (Status::cancelled("m"), CallError::Cancelled("m".into())),
        (Status::permission_denied("m"), CallError::PermissionDenied("m".into())),
        (Status::unauthenticated("m"), CallError::Unauthenticated("m".into())),
        (Status::unknown("m"), CallError::text("m")),
        (Status::invalid_argument("m"), CallError::Other { code: 3, message: "m".into() }),
    ];
    for (status, error) in pairs {
        assert_eq!(CallError::from_status(&status, "h"), error);
        assert_eq!((error.to_status().code(), error.to_status().message()), (status.code(), "m"));
    }
}

#[test]
fn details_that_are_nonsense_fall_through() {
    let garbage = Status::with_details(Code::Internal, "m", vec![0xff; 40].into());
    assert_eq!(
        CallError::from_status(&garbage, "h"),
        CallError::Other { code: 13, message: "m".into() }
    );
    let other = golden("m", "proto.other", "DAOS", &[("Status", "x")]);
    let unknown = Status::with_details(Code::Internal, "m", other.into());
    assert_eq!(
        CallError::from_status(&unknown, "h"),
        CallError::Other { code: 13, message: "m".into() }
    );
    let bad_number = golden("m", "proto.daos.DaosStatus", "DAOS", &[("Status", "x")]);
    let status = Status::with_details(Code::Internal, "m", bad_number.into());
    assert!(matches!(CallError::from_status(&status, "h"), CallError::Other { code: 13, .. }));
}

#[test]
fn connection_failures_become_client_faults_that_name_the_host() {
    let cases = [
        ("dial tcp 10.0.0.1:10001: connect: connection refused", 506),
        ("transport is closing", 507),
        ("connection closed before server preface received", 507),
        ("no route to host", 505),
        ("lookup x: no such host", 504),
        ("read: i/o timeout", 508),
        ("x509: certificate has expired or is not yet valid", 903),
    ];
    for (text, number) in cases {
        let error = CallError::from_status(&Status::unavailable(text), "node7:10001");
        assert_eq!(error.fault_code(), Some(number), "{text}");
        assert!(error.to_string().contains("node7:10001"), "{error}");
        assert_eq!(error.is_connection_failure(), number != 903);
    }
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(connection_fault("h", &refused).map(|fault| fault.code), Some(506));
    let other = io::Error::other("strange");
    assert_eq!(connection_fault("h", &other), None);
}
