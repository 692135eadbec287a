//! `system …` and `server …`.

use std::collections::HashMap;

use daos_control::Fault;
use daos_control::fault::Der;
use daos_control::wire::{CallError, NotReady};
use daos_proto::daosx::v1 as ours;
use daos_proto::{ctl, mgmt, shared};

use crate::fake::Fake;
use crate::run::Dmg;

const QUERY: &str = "/mgmt.MgmtSvc/SystemQuery";
const STATE: &str = "/daosx.v1.Host/State";

fn member(rank: u32, state: &str) -> mgmt::SystemMember {
    mgmt::SystemMember {
        addr: format!("10.0.0.{}:10001", rank + 1),
        uuid: format!("00000000-0000-0000-0000-00000000000{rank}"),
        rank,
        incarnation: 7,
        state: state.into(),
        fabric_uri: format!("ofi+tcp://10.0.0.{}:31416", rank + 1),
        fabric_contexts: 4,
        fault_domain: format!("/host{rank}"),
        last_update: "2026-01-02T03:04:05.000000006Z".into(),
        info: if state == "errored" { "exited with status 1 <signal>" } else { "" }.into(),
        ..Default::default()
    }
}

fn members() -> mgmt::SystemQueryResp {
    mgmt::SystemQueryResp {
        members: vec![member(2, "joined"), member(0, "joined"), member(1, "errored")],
        providers: vec!["ofi+tcp".into()],
        sys_self_heal_policy: "exclude;pool_exclude;pool_rebuild".into(),
        ..Default::default()
    }
}

/// R165: plain, verbose, JSON.
#[test]
fn members_are_shown() {
    let server = Fake::on("127.0.0.2").answers(QUERY, members());
    Dmg::new(server.port(), "system query").run().is("system_query");
    Dmg::new(server.port(), "sys query -v").run().is("system_query_verbose");
    Dmg::new(server.port(), "system query --json").run().is("system_query_json");
    let call = &server.calls(QUERY)[0];
    let request: mgmt::SystemQueryReq = call.message();
    assert_eq!((request.sys.as_str(), request.state_mask), ("daos_server-2.8.0", 0xFFFF));
    assert_eq!(call.header("x-daos-component"), "admin");
    assert_eq!(call.header("x-daos-version"), "2.8.0");
}

/// More members than fit into the 4 MiB that gRPC takes by itself: they arrive all the same, and in the order of their ranks.
#[test]
fn fifty_thousand_members_are_shown() {
    const MEMBERS: u32 = 50_000;
    let mut many = members();
    many.members = (0..MEMBERS).rev().map(|rank| member(rank, "joined")).collect();
    let server = Fake::on("127.0.0.2").answers(QUERY, many);
    let shown = Dmg::new(server.port(), "system query --json").run().json();
    let shown = shown["response"]["members"].as_array().expect("members");
    let ranks = shown.iter().filter_map(|member| member["rank"].as_u64());
    assert!(ranks.eq(0..u64::from(MEMBERS)), "{} members", shown.len());
    let table = Dmg::new(server.port(), "system query").run();
    assert!(table.stdout().contains("0-49999 "), "{}", table.stdout());
}

#[test]
fn a_query_can_be_narrowed() {
    let server = Fake::on("127.0.0.2").answers(QUERY, members());
    for (line, ranks, hosts, mask) in [
        ("system query -r 0-1,5", "0-1,5", "", 0xFFFF),
        ("system query --rank 3 --not-ok", "3", "", 0xFFF7),
        ("system query --rank-hosts node[1-2] --with-states joined,errored", "", "node[1-2]", 0x88),
    ] {
        assert_eq!(Dmg::new(server.port(), line).run().status(), 0, "{line}");
        let request: mgmt::SystemQueryReq = server.calls(QUERY)[0].message();
        assert_eq!(
            (request.ranks.as_str(), request.hosts.as_str(), request.state_mask),
            (ranks, hosts, mask)
        );
    }
    for line in [
        "system query -r 0 --rank-hosts a",
        "system query --not-ok --with-states joined",
        "system query --with-states happy",
        "system query -r x",
        "system query -r [",
    ] {
        assert_eq!(Dmg::new(server.port(), line).run().status(), 1, "{line}");
    }
    assert!(server.calls(QUERY).is_empty());
}

/// R165: ranks and hosts that do not exist are told, exit 1.
#[test]
fn what_does_not_exist_is_told() {
    let mut answer = members();
    (answer.absentranks, answer.absenthosts) = ("7-8".into(), "node9".into());
    let server = Fake::on("127.0.0.2").answers(QUERY, answer);
    Dmg::new(server.port(), "system query -r 0-2,7-8").run().is("system_query_absent");
    let nobody = Fake::on("127.0.0.2").answers(QUERY, mgmt::SystemQueryResp::default());
    let run = Dmg::new(nobody.port(), "system query --not-ok").run();
    let said = run.stdout().lines().next().map(str::to_owned);
    assert_eq!((run.status(), said.as_deref()), (0, Some("Query matches no ranks in system")));
}

fn state(engine: &str, rank: Option<u32>) -> ours::StateResp {
    let engine = ours::EngineState { state: engine.into(), rank, ..Default::default() };
    ours::StateResp { engines: vec![engine], ..Default::default() }
}

/// Before the format and before the first member: an answer at once, exit 0.
#[test]
fn a_system_that_is_not_there_yet_is_an_answer() {
    let unformatted = Fake::on("127.0.0.2")
        .refuses(QUERY, NotReady::Uninitialized)
        .answers(STATE, state("waiting_for_format", None));
    Dmg::new(unformatted.port(), "system query").run().is("system_query_waiting");
    Dmg::new(unformatted.port(), "system query -j").run().is("system_query_waiting_json");

    let empty = Fake::on("127.0.0.2")
        .refuses(QUERY, NotReady::RaftUnavailable)
        .answers(STATE, state("starting", None));
    let run = Dmg::new(empty.port(), "system query").run();
    assert_eq!((run.status(), run.stdout().as_str()), (0, "No members in system\n"));

    let mut failed = state("failed", None);
    failed.engines[0].reason = "ended before it was ready".into();
    let failed =
        Fake::on("127.0.0.2").refuses(QUERY, NotReady::RaftUnavailable).answers(STATE, failed);
    let run = Dmg::new(failed.port(), "system query").run();
    assert_eq!((run.status(), run.stdout().as_str()), (0, "No members in system\n"));
    assert_eq!(run.stderr(), "127.0.0.2: engine 0 is failed: ended before it was ready\n");

    let idle = Fake::on("127.0.0.2")
        .refuses(QUERY, NotReady::Uninitialized)
        .answers(STATE, ours::StateResp::default());
    let run = Dmg::new(idle.port(), "system query").run();
    assert_eq!(run.stdout(), "no engine is configured on 127.0.0.2\n");

    let stock = Fake::on("127.0.0.2").refuses(QUERY, NotReady::Uninitialized);
    let run = Dmg::new(stock.port(), "system query").run();
    assert_eq!(
        (run.status(), run.stdout().as_str()),
        (0, "system is uninitialized (storage format required?)\n")
    );
}

/// A service that should be there and is not is a failure, not an empty system.
#[test]
fn a_lost_service_is_a_failure() {
    let lost = Fake::on("127.0.0.2")
        .refuses(QUERY, NotReady::RaftUnavailable)
        .answers(STATE, state("running", Some(4)));
    Dmg::new(lost.port(), "system query").run().is("system_query_unavailable");
}

/// R167: sent to the leader, the request goes there.
#[test]
fn a_refused_request_goes_to_the_leader() {
    let leader = Fake::on("127.0.0.3").answers(QUERY, members());
    let other = Fake::on("127.0.0.2").refuses(
        QUERY,
        CallError::NotLeader { hint: leader.address(), replicas: vec![leader.address()] },
    );
    let run = Dmg::new(other.port(), "system query").run();
    assert_eq!((run.status(), run.stderr().as_str()), (0, ""));
    assert!(run.stdout().contains("0,2  Joined"), "{}", run.stdout());
    assert_eq!(leader.calls(QUERY).len(), 1);
}

/// A service that is coming up is asked again for what changes something.
#[test]
fn a_service_that_comes_up_is_asked_again() {
    const STOP: &str = "/mgmt.MgmtSvc/SystemStop";
    let server = Fake::on("127.0.0.2").refuses(STOP, NotReady::SteppingUp).answers(
        STOP,
        mgmt::SystemStopResp { results: vec![stopped(0, "")], ..Default::default() },
    );
    assert_eq!(Dmg::new(server.port(), "system stop").run().status(), 0);
    assert_eq!(server.calls(STOP).len(), 2);
}

fn stopped(rank: u32, error: &str) -> shared::RankResult {
    shared::RankResult {
        rank,
        action: "stop".into(),
        errored: !error.is_empty(),
        msg: error.into(),
        state: if error.is_empty() { "stopped" } else { "errored" }.into(),
        addr: "10.0.0.1:10001".into(),
    }
}

/// R166, W37: rank by rank, failures beside successes, exit 1.
#[test]
fn stopping_tells_every_rank() {
    const STOP: &str = "/mgmt.MgmtSvc/SystemStop";
    let answer = mgmt::SystemStopResp {
        results: vec![stopped(0, ""), stopped(1, "no such process"), stopped(2, "")],
        absentranks: "9".into(),
        absenthosts: String::new(),
    };
    let server = Fake::on("127.0.0.2").answers(STOP, answer);
    Dmg::new(server.port(), "system stop --ranks 0-2,9 --ignore-admin-excluded")
        .run()
        .is("system_stop");
    let request: mgmt::SystemStopReq = server.calls(STOP)[0].message();
    assert_eq!(
        (request.ranks.as_str(), request.force, request.ignore_admin_excluded),
        ("0-2,9", true, true)
    );
    let json = Dmg::new(server.port(), "system stop --full -j").run().json();
    assert_eq!(json["response"]["Results"][1]["Errored"], true);
    assert!(!server.calls(STOP)[0].message::<mgmt::SystemStopReq>().force);
    assert_eq!(Dmg::new(server.port(), "system stop --full -r 1").run().status(), 1);
}

#[test]
fn starting_and_excluding_name_their_ranks() {
    const START: &str = "/mgmt.MgmtSvc/SystemStart";
    const EXCLUDE: &str = "/mgmt.MgmtSvc/SystemExclude";
    let started =
        shared::RankResult { action: "start".into(), state: "ready".into(), ..stopped(0, "") };
    let server = Fake::on("127.0.0.2")
        .answers(START, mgmt::SystemStartResp { results: vec![started], ..Default::default() })
        .answers(EXCLUDE, mgmt::SystemExcludeResp { results: vec![stopped(0, "")] });
    assert_eq!(Dmg::new(server.port(), "system start -r 0").run().status(), 0);
    assert_eq!(server.calls(START)[0].message::<mgmt::SystemStartReq>().ranks, "0");
    assert_eq!(Dmg::new(server.port(), "system exclude -r 0").run().status(), 0);
    assert_eq!(Dmg::new(server.port(), "system clear-exclude --rank-hosts n1").run().status(), 0);
    let excludes: Vec<(String, String, bool)> = server
        .calls(EXCLUDE)
        .iter()
        .map(|call| call.message::<mgmt::SystemExcludeReq>())
        .map(|request| (request.ranks, request.hosts, request.clear))
        .collect();
    assert_eq!(excludes, [("0".into(), "".into(), false), ("".into(), "n1".into(), true)]);
    Dmg::new(server.port(), "system exclude").run().is("system_exclude_nobody");
}

/// A fault of the server is shown with what to do about it.
#[test]
fn a_fault_is_shown_with_its_remedy() {
    let fault = Fault::new(
        "server",
        622,
        "ranks 3 are excluded by an administrator",
        "use --ignore-admin-excluded",
    );
    let server = Fake::on("127.0.0.2").refuses("/mgmt.MgmtSvc/SystemStart", fault);
    Dmg::new(server.port(), "system start -r 3").run().is("system_start_fault");
}

/// Contract 8.3: the status of the data plane is the status of the envelope.
#[test]
fn a_data_plane_status_reaches_the_envelope() {
    let server = Fake::on("127.0.0.2").refuses("/mgmt.MgmtSvc/ListPools", Der::UNREACH);
    Dmg::new(server.port(), "system list-pools -j").run().is("list_pools_status_json");
}

const ERASE: &str = "/mgmt.MgmtSvc/SystemErase";

/// Erasing needs every rank stopped, and always the word of an administrator.
#[test]
fn erasing_is_guarded() {
    let running = Fake::on("127.0.0.2").answers(QUERY, members());
    Dmg::new(running.port(), "system erase --yes").run().is("system_erase_running");
    assert!(running.calls(ERASE).is_empty());

    let all_stopped =
        mgmt::SystemQueryResp { members: vec![member(0, "stopped")], ..Default::default() };
    let pools = mgmt::ListPoolsResp {
        pools: vec![mgmt::list_pools_resp::Pool { label: "tank".into(), ..Default::default() }],
        ..Default::default()
    };
    let reset = shared::RankResult { action: "reset format".into(), ..stopped(0, "") };
    let server = Fake::on("127.0.0.2")
        .answers(QUERY, all_stopped)
        .answers("/mgmt.MgmtSvc/ListPools", pools)
        .answers(ERASE, mgmt::SystemEraseResp { results: vec![reset] });
    Dmg::new(server.port(), "system erase").run().is("system_erase_not_confirmed");
    assert!(server.calls(ERASE).is_empty());
    Dmg::new(server.port(), "system erase -y").run().is("system_erase");
    assert_eq!(server.calls(ERASE).len(), 1);
}

/// R164: the leader, the replicas, and which of them do not answer.
#[test]
fn the_leader_is_named() {
    const LEADER: &str = "/mgmt.MgmtSvc/LeaderQuery";
    let second = Fake::on("127.0.0.3");
    let first = Fake::on("127.0.0.2");
    let answer = mgmt::LeaderQueryResp {
        current_leader: first.address(),
        replicas: vec![first.address(), second.address()],
        ..Default::default()
    };
    let first = first.answers(LEADER, answer);
    let run = Dmg::new(first.port(), "system leader-query").run();
    let (one, two) = ("127.0.0.2:PORT".to_owned(), second.address());
    assert_eq!(
        run.stdout(),
        format!(
            "Current Leader: {one}\n   Replica Set: {one}, {two}\n  Unresponsive Replicas: {two}\n"
        )
    );
    let wrong = Fault::new("server", 603, "wrong system", "name the right one");
    let other = Fake::on("127.0.0.2").refuses(LEADER, wrong);
    assert_eq!(Dmg::new(other.port(), "system leader-query").run().status(), 1);
}

#[test]
fn pools_are_listed() {
    let pool = |label: &str, uuid: &str| mgmt::list_pools_resp::Pool {
        uuid: uuid.into(),
        label: label.into(),
        svc_reps: vec![2, 0, 1],
        state: "Ready".into(),
        ..Default::default()
    };
    let pools = vec![pool("tank", "11111111-2222"), pool("", "33333333-4444")];
    let answer = mgmt::ListPoolsResp { pools, ..Default::default() };
    let server = Fake::on("127.0.0.2").answers("/mgmt.MgmtSvc/ListPools", answer);
    Dmg::new(server.port(), "system list-pools -v").run().is("list_pools_verbose");
    let run = Dmg::new(server.port(), "system p").run();
    assert!(run.stdout().contains("33333333 Ready"), "{}", run.stdout());
}

#[test]
fn properties_and_attributes_are_set_and_shown() {
    let get = |path: &str| format!("/mgmt.MgmtSvc/System{path}");
    let properties =
        HashMap::from([("self_heal".into(), "exclude".into()), ("odd".into(), "1".into())]);
    let attributes = HashMap::from([("owner".into(), "me".into())]);
    let server = Fake::on("127.0.0.2")
        .answers(&get("SetProp"), mgmt::DaosResp::default())
        .answers(&get("SetAttr"), mgmt::DaosResp::default())
        .answers(
            &get("GetProp"),
            mgmt::SystemGetPropResp { properties: properties.into_iter().collect() },
        )
        .answers(
            &get("GetAttr"),
            mgmt::SystemGetAttrResp { attributes: attributes.into_iter().collect() },
        );
    let dmg = |line: &str| Dmg::new(server.port(), line).run();
    assert_eq!(
        dmg("system set-prop self_heal:exclude;pool_rebuild").stdout(),
        "system set-prop succeeded\n"
    );
    let sent: mgmt::SystemSetPropReq = server.calls(&get("SetProp"))[0].message();
    assert_eq!(sent.properties["self_heal"], "exclude;pool_rebuild");
    dmg("system get-prop").is("get_prop");
    assert_eq!(
        dmg("system get-prop self_heal -j").json()["response"][1]["description"],
        "Self-heal policy for the system"
    );
    assert_eq!(dmg("system get-attr owner -j").json()["response"]["attributes"]["owner"], "me");
    assert_eq!(
        server.calls(&get("GetAttr"))[0].message::<mgmt::SystemGetAttrReq>().keys,
        ["owner"]
    );
    assert_eq!(dmg("system del-attr owner,other").status(), 0);
    let deleted: mgmt::SystemSetAttrReq = server.calls(&get("SetAttr"))[0].message();
    assert_eq!(deleted.attributes["owner"], "");
    assert_eq!(deleted.attributes.len(), 2);
    assert_eq!(dmg("system set-attr nonsense").status(), 1);
}

/// Contract 2.1: what is left out is reset.
#[test]
fn log_masks_that_are_left_out_are_reset() {
    const MASKS: &str = "/ctl.CtlSvc/SetEngineLogMasks";
    let fine = ctl::SetLogMasksResp { status: 0, errors: vec![String::new()] };
    let bad = ctl::SetLogMasksResp { status: 0, errors: vec!["engine 0: unknown facility".into()] };
    let (first, second) = Fake::siblings();
    let (first, second) = (first.answers(MASKS, fine), second.answers(MASKS, bad));
    let run = Dmg::new(first.port(), "server set-logmasks -m ERR -d MGMT -l 127.0.0.[2-3]").run();
    run.is("set_logmasks");
    let request: ctl::SetLogMasksReq = second.calls(MASKS)[0].message();
    assert_eq!((request.masks.as_str(), request.streams.as_str()), ("ERR", "MGMT"));
    assert!(!request.reset_masks && !request.reset_streams && request.reset_subsystems);
    assert_eq!(request.sys, "daos_server-2.8.0");
}
