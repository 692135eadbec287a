//! Every error has a documented number and a remedy; texts that peers look for are exact (contract 1.4).

use std::path::Path;
use std::sync::Arc;

use daos_membership::conformance::samples::uuid;
use daos_membership::{
    AttributeError, ChangeRefused, ControlAddress, JoinRefused, MemberState, MembershipError,
    PropertyError, ProviderChangeRefused, Rank, RankSet, ReplicateError, SelectionError,
    StoreError,
};

fn address(text: &str) -> ControlAddress {
    text.parse().unwrap()
}

fn joins() -> Vec<JoinRefused> {
    let (uuid, rank, text) = (uuid(1), Rank::BOOTSTRAP, String::new);
    vec![
        JoinRefused::NoFabricUri { uuid, uri: text() },
        JoinRefused::WrongProvider { uuid, asked: text(), used: text() },
        JoinRefused::WrongLabels { domain: text(), labels: text() },
        JoinRefused::WrongDepth { domain: text(), levels: 1, expected: 2 },
        JoinRefused::AdminExcluded { uuid, rank },
        JoinRefused::RankChanged { uuid, known: rank, asked: rank },
        JoinRefused::UuidChanged { rank, known: uuid, asked: uuid },
        JoinRefused::AddressChanged {
            uuid,
            rank,
            known: address("10.0.0.1"),
            asked: address("10.0.0.2"),
        },
        JoinRefused::RankRetired { rank, former: uuid, uuid },
        JoinRefused::RankReserved { uuid },
        JoinRefused::NoRankLeft { uuid },
        JoinRefused::UriInUse { uuid, uri: text(), holder: uuid, rank, state: MemberState::Joined },
        JoinRefused::ReplaceWithRank { uuid, asked: rank },
        JoinRefused::AlreadyMember { uuid },
        JoinRefused::NothingToReplace { address: address("10.0.0.1"), uri: text(), domain: text() },
        JoinRefused::ReplacedRankInPool { rank },
    ]
}

fn stores() -> Vec<StoreError> {
    let path = || "/mnt/daos/control_raft/daos_system.db".into();
    vec![
        StoreError::Missing { path: path() },
        StoreError::Exists { path: path() },
        StoreError::Foreign { path: path(), found: uuid(1), expected: uuid(2) },
        StoreError::Newer { path: path(), found: 2, known: 1 },
        StoreError::InUse { path: path() },
        StoreError::Corrupt { path: path(), what: "holes".into() },
        StoreError::Gap { path: path(), last: 1, asked: 3 },
        StoreError::Io {
            path: path(),
            doing: "write",
            source: Box::new(std::io::Error::from_raw_os_error(28)),
        },
    ]
}

fn others() -> Vec<MembershipError> {
    let (rank, state) = (Rank::BOOTSTRAP, MemberState::Joined);
    let ranks = RankSet::new;
    let broken = Arc::new(StoreError::Missing { path: "/".into() });
    vec![
        MembershipError::NotReplica { replicas: vec![] },
        MembershipError::NotLeader { hint: None, replicas: vec![] },
        MembershipError::Uninitialized,
        MembershipError::Unavailable,
        MembershipError::SteppingUp,
        MembershipError::EmptyGroupMap,
        ProviderChangeRefused { known: "a".into(), wanted: "b".into(), joined: 1 }.into(),
        SelectionError::RanksAndHosts.into(),
        SelectionError::Unknown { ranks: ranks(), hosts: vec!["a".into()] }.into(),
        SelectionError::AdminExcluded { ranks: ranks() }.into(),
        SelectionError::AllAdminExcluded { ranks: ranks() }.into(),
        AttributeError::EmptyName.into(),
        AttributeError::NoneGiven.into(),
        AttributeError::NotFound { key: "a".into() }.into(),
        AttributeError::Reserved { key: "mgmt.a".into(), prefix: "mgmt." }.into(),
        PropertyError::NoneGiven.into(),
        PropertyError::Unknown { key: "a".into() }.into(),
        PropertyError::ReadOnly { key: "a".into() }.into(),
        PropertyError::BadValue { key: "a".into(), value: "b".into(), valid: "c" }.into(),
        MembershipError::BadReport { rank, state },
        MembershipError::RemoveAvailable { rank, state },
        MembershipError::Overtaken(ChangeRefused::VersionsUsedUp),
        ReplicateError::Failed(broken).into(),
        ReplicateError::OutcomeUnknown.into(),
        ReplicateError::Stopped.into(),
    ]
}

#[test]
fn every_error_has_a_documented_number_and_a_remedy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let documented = std::fs::read_to_string(path).unwrap();
    let check = |text: String, code: i32, resolution: &str| {
        assert!(!text.is_empty() && !resolution.is_empty(), "{text}: {resolution}");
        assert!(documented.contains(&format!("\n| {code} |")), "{code} ({text}) has no row");
    };
    for error in joins() {
        check(error.to_string(), error.code(), error.resolution());
    }
    for error in stores() {
        check(error.to_string(), error.code(), error.resolution());
        assert!(error.to_string().contains("daos_system.db"), "{error} names the file");
    }
    for error in others() {
        check(error.to_string(), error.code(), error.resolution());
    }
}

#[test]
fn readiness_is_told_in_the_words_that_clients_look_for() {
    let texts = [
        (MembershipError::Uninitialized, "system is uninitialized (storage format required?)"),
        (MembershipError::Unavailable, "raft service unavailable (not started yet?)"),
        (MembershipError::SteppingUp, "leader step-up in progress (try again)"),
        (MembershipError::EmptyGroupMap, "empty group map (all ranks excluded?)"),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn refusals_name_where_to_ask_instead() {
    let replicas: Vec<ControlAddress> =
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"].into_iter().map(address).collect();
    assert_eq!(
        MembershipError::NotReplica { replicas: replicas.clone() }.to_string(),
        "not a DAOS Management Service replica (try one of \
         10.0.0.1:10001,10.0.0.2:10001,10.0.0.3:10001)"
    );
    let not_leader = MembershipError::NotLeader {
        hint: Some(address("10.0.0.2")),
        replicas: replicas[1..].to_vec(),
    };
    assert_eq!(
        not_leader.to_string(),
        "not the DAOS Management Service leader (try 10.0.0.2:10001 or one of \
         10.0.0.2:10001,10.0.0.3:10001)"
    );
}

#[test]
fn a_stopped_replica_looks_like_one_that_has_not_started() {
    let error = MembershipError::from(ReplicateError::Stopped);
    assert_eq!(error.to_string(), MembershipError::Unavailable.to_string());
    let error = MembershipError::from(ReplicateError::NotLeader { hint: None, replicas: vec![] });
    assert!(matches!(error, MembershipError::NotLeader { .. }));
}
