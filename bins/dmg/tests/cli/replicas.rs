//! `system ms`, and what is said where nobody leads the management service.

use daos_control::wire::CallError;
use daos_proto::daosx::v1 as ours;
use daos_proto::mgmt;

use crate::fake::Fake;
use crate::run::Dmg;

const LIST: &str = "/daosx.v1.ManagementService/ListReplicas";
const ADD: &str = "/daosx.v1.ManagementService/AddReplicas";
const STATUS: &str = "/daosx.v1.Replica/Status";
const ATTRIBUTES: &str = "/mgmt.MgmtSvc/SystemGetAttr";
const EVENTS: &str = "/daosx.v1.Members/Events";
const QUERY: &str = "/mgmt.MgmtSvc/SystemQuery";

fn says(role: &str, leader: &str, heard_ms: u64) -> ours::ReplicaStatusResp {
    ours::ReplicaStatusResp {
        kind: "running".into(),
        replica_id: "5b7c0e6f1d2a3b4c".into(),
        role: role.into(),
        term: 7,
        leader: leader.into(),
        applied: 412,
        last_log: 413,
        last_contact_ms: Some(heard_ms),
        ..ours::ReplicaStatusResp::default()
    }
}

fn entry(address: &str, role: &str, voter: bool, note: &str) -> ours::ReplicaEntry {
    ours::ReplicaEntry {
        address: address.into(),
        role: role.into(),
        voter,
        note: note.into(),
        ..ours::ReplicaEntry::default()
    }
}

/// Two of three replicas are gone: that there is no leader is said after little more than an election, with what the
/// replica that is left knows of itself.
#[test]
fn a_system_without_a_leader_is_told_as_such() {
    let nobody = CallError::NotLeader { hint: String::new(), replicas: Vec::new() };
    let server =
        Fake::on("127.0.0.2").refuses(LIST, nobody).answers(STATUS, says("candidate", "", 15_000));
    let begun = std::time::Instant::now();
    let text = Dmg::new(server.port(), "system ms status").run();
    assert!((10..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    text.is("system_ms_status_no_leader");
}

/// An order that was only written down is no success.
#[test]
fn replicas_that_are_wanted_and_do_not_come_are_a_failure() {
    let set =
        |replicas| ours::ReplicaSetResp { replicas, term: 3, committed: 9, notes: Vec::new() };
    let leader = || entry("10.0.0.1:10001", "leader", true, "");
    let waits = "host 10.0.0.8:10001 cannot be reached";
    let server = Fake::on("127.0.0.2")
        .answers(ADD, set(vec![leader(), entry("10.0.0.8:10001", "wanted", false, waits)]))
        .answers(ADD, set(vec![leader(), entry("10.0.0.8:10001", "follower", true, "")]));
    let line = "system ms add 10.0.0.8:10001 --force-even";
    Dmg::new(server.port(), line).run().is("system_ms_add_waits");
    assert_eq!(Dmg::new(server.port(), line).run().status(), 0);
}

/// What a replica without a leader remembers is shown as such, and is nothing that can be waited for.
#[test]
fn waiting_ends_with_fresh_answers_only() {
    let member = mgmt::SystemMember { state: "joined".into(), ..mgmt::SystemMember::default() };
    let members =
        mgmt::SystemQueryResp { members: vec![member], data_version: 1, ..Default::default() };
    let server = Fake::on("127.0.0.2")
        .answers(QUERY, members)
        .answers(STATUS, says("candidate", "", 9000))
        .answers(STATUS, says("candidate", "", 9000))
        .answers(STATUS, says("follower", "10.0.0.1:10001", 80));
    let line = "system wait --for joined=1 --timeout 0";
    Dmg::new(server.port(), line).run().is("system_wait_stale");
    let shown = Dmg::new(server.port(), "system query").run();
    assert!(shown.stdout().contains("so this may be out of date"), "{}", shown.stdout());
    let pairs = mgmt::SystemGetAttrResp { attributes: [("a".into(), "b".into())].into() };
    let left = Fake::on("127.0.0.2")
        .answers(ATTRIBUTES, pairs)
        .answers(EVENTS, ours::EventsResp::default())
        .answers(STATUS, says("candidate", "", 9000));
    for line in ["system get-attr", "system events"] {
        let run = Dmg::new(left.port(), line).run();
        let remark = "dmg: answered by 127.0.0.2:PORT, a candidate that knows of no leader: this may be out of date\n";
        assert_eq!((run.status(), run.stderr().as_str()), (0, remark), "{line}");
    }
    assert_eq!(Dmg::new(server.port(), line).run().status(), 0);
}
