//! `system events`, `wait`, `query --watch`, `drain`, `reintegrate`, `cleanup` and forced exclusions.

use daos_control::Fault;
use daos_proto::daosx::v1 as ours;
use daos_proto::{mgmt, shared};

use crate::fake::Fake;
use crate::run::Dmg;

const QUERY: &str = "/mgmt.MgmtSvc/SystemQuery";
const EVENTS: &str = "/daosx.v1.Members/Events";
const FOLLOW: &str = "/daosx.v1.Members/Follow";

fn event(number: u64, kind: &str, ranks: &str) -> ours::Event {
    ours::Event {
        number,
        time: format!("2026-01-02T03:04:{:02}.000000006Z", number % 60),
        kind: kind.into(),
        ranks: ranks.into(),
        ..ours::Event::default()
    }
}

fn several() -> Vec<ours::Event> {
    vec![
        ours::Event {
            host: "10.0.0.1:10001".into(),
            reason: "leads the management service in term 3".into(),
            by: "management service".into(),
            ..event(7, "leader", "")
        },
        ours::Event { to: "joined".into(), by: "engine".into(), ..event(8, "joined", "0-3,5") },
        ours::Event {
            host: "10.0.0.4:10001".into(),
            from: "joined".into(),
            to: "errored".into(),
            reason: "killed by signal 9\u{1b}[2J".into(),
            ..event(9, "state", "3")
        },
        ours::Event {
            reason: "self_heal=none".into(),
            by: "administrator at 10.0.0.9".into(),
            ..event(10, "properties", "")
        },
    ]
}

fn page(events: Vec<ours::Event>, missed: u64) -> ours::EventsResp {
    let last = events.last().map_or(0, |event| event.number);
    ours::EventsResp { events, missed, last }
}

fn pages(events: Vec<ours::Event>, missed: u64) -> ours::FollowResp {
    let ours::EventsResp { events, missed, last } = page(events, missed);
    ours::FollowResp { events, missed, last }
}

fn members(states: &[&str]) -> mgmt::SystemQueryResp {
    let member = |(rank, state): (u32, &&str)| mgmt::SystemMember {
        addr: format!("10.0.0.{}:10001", rank + 1),
        rank,
        state: (*state).into(),
        ..mgmt::SystemMember::default()
    };
    let members = (0..).zip(states).map(member).collect();
    mgmt::SystemQueryResp { members, data_version: 1, ..Default::default() }
}

#[test]
fn events_are_listed() {
    let server = Fake::on("127.0.0.2").answers(EVENTS, page(several(), 0));
    Dmg::new(server.port(), "system events").run().is("system_events");
    Dmg::new(server.port(), "system events -j").run().is("system_events_json");
    let asked: ours::EventsReq = server.calls(EVENTS)[0].message();
    assert_eq!((asked.sys.as_str(), asked.limit, asked.newest), ("daos_server-2.8.0", 100, true));
    Dmg::new(server.port(), "sys ev --after 6 --limit 4").run().status();
    let asked: ours::EventsReq = server.calls(EVENTS)[0].message();
    assert_eq!((asked.after, asked.limit, asked.newest), (6, 4, false));

    let none = Fake::on("127.0.0.2").answers(EVENTS, page(vec![], 0));
    let run = Dmg::new(none.port(), "system events").run();
    assert_eq!((run.status(), run.stdout().as_str()), (0, "No events\n"));
    let some = Fake::on("127.0.0.2").answers(EVENTS, page(several(), 6));
    let run = Dmg::new(some.port(), "system events --after 0").run();
    assert!(run.stdout().starts_with("... 6 older events are not kept any more\n"));
    let stock = Fake::on("127.0.0.2");
    Dmg::new(stock.port(), "system events").run().is("system_events_stock");
}

/// The stream of one replica ends; the other goes on after the last number that was seen, and nothing comes twice.
#[test]
fn following_goes_on_at_another_replica() {
    let (first, second) = Fake::siblings();
    let [leader, joined, state, properties]: [ours::Event; 4] = several().try_into().unwrap();
    let listed = || page(vec![leader.clone()], 0);
    let first = first.answers(EVENTS, listed()).streams(
        FOLLOW,
        &[pages(vec![], 0), pages(vec![joined.clone()], 0)],
        false,
    );
    let second = second.answers(EVENTS, listed()).streams(
        FOLLOW,
        &[pages(vec![state.clone(), properties.clone()], 0)],
        true,
    );
    let line = "system events -f -l 127.0.0.2,127.0.0.3";
    let mut going = Dmg::new(first.port(), line).start();
    let lines: Vec<String> = (0..4).map(|_| going.line()).collect();
    let numbers: Vec<&str> =
        lines.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(numbers, ["7", "8", "9", "10"]);
    assert_eq!(
        going.error(),
        "dmg: 127.0.0.2:PORT sends no more events (it ended), asking another replica\n"
    );
    drop(going);
    assert_eq!(first.calls(FOLLOW)[0].message::<ours::FollowReq>().after, 7);
    assert_eq!(second.calls(FOLLOW)[0].message::<ours::FollowReq>().after, 8);
}

/// A reader that was away too long is told so, and the documents stay one per line.
#[test]
fn what_is_not_kept_any_more_is_told_to_followers() {
    let [_, _, state, properties]: [ours::Event; 4] = several().try_into().unwrap();
    let server = Fake::on("127.0.0.2")
        .answers(EVENTS, page(vec![event(3, "joined", "0")], 0))
        .streams(FOLLOW, &[pages(vec![state.clone()], 5)], true)
        .streams(FOLLOW, &[pages(vec![state, properties], 0)], true);
    let mut going = Dmg::new(server.port(), "system events --follow -j").start();
    let lines: Vec<serde_json::Value> =
        (0..4).map(|_| serde_json::from_str(&going.line()).unwrap()).collect();
    drop(going);
    assert_eq!((lines[0]["number"].as_u64(), lines[1]["missed"].as_u64()), (Some(3), Some(5)));
    assert_eq!((lines[2]["number"].as_u64(), lines[3]["number"].as_u64()), (Some(9), Some(10)));
    let asked: Vec<u64> =
        server.calls(FOLLOW).iter().map(|call| call.message::<ours::FollowReq>().after).collect();
    assert_eq!(asked, [3, 8]);
}

#[test]
fn waiting_ends_when_the_members_are_as_wanted_and_says_who_is_missing_when_not() {
    let server = Fake::on("127.0.0.2")
        .answers(QUERY, members(&["joined", "starting"]))
        .answers(QUERY, members(&["joined", "joined"]))
        .answers(EVENTS, page(several(), 0))
        .streams(FOLLOW, &[pages(vec![event(11, "joined", "1")], 0)], true);
    Dmg::new(server.port(), "system wait --for joined=2 --timeout 60s").run().is("system_wait");
    let late = Fake::on("127.0.0.2").answers(QUERY, members(&["joined", "stopped", "errored"]));
    Dmg::new(late.port(), "system wait --for all-joined --timeout 0").run().is("system_wait_late");
    let json = Dmg::new(late.port(), "system wait --for joined=3 --timeout 0 -j").run().json();
    assert_eq!(
        (json["response"]["met"].as_bool(), json["status"].as_i64()),
        (Some(false), Some(-1025))
    );
    for line in
        ["system wait", "system wait --for happy=1", "system wait --for joined=1 --timeout x"]
    {
        assert_eq!(Dmg::new(late.port(), line).run().status(), 1, "{line}");
    }
}

/// Nothing but what changed is shown again, and no command for a terminal reaches a file.
#[test]
fn a_watched_query_is_shown_with_every_change() {
    let watched = || {
        Fake::on("127.0.0.2")
            .answers(QUERY, members(&["joined", "starting"]))
            .answers(QUERY, members(&["joined", "starting"]))
            .answers(QUERY, members(&["joined", "joined"]))
            .answers(EVENTS, page(several(), 0))
            .streams(FOLLOW, &[pages(vec![event(11, "joined", "1")], 0)], true)
    };
    let server = watched();
    let mut going = Dmg::new(server.port(), "system query --watch").start();
    let text: String = (0..10).map(|_| going.line()).collect();
    let insecure = "Insecure mode: no certificates are used, all callers are believed\n";
    drop(going);
    assert_eq!(
        text,
        format!(
            "Rank State    \n---- -----    \n0    Joined   \n1    Starting \n{insecure}\nRank State  \n---- -----  \n0-1  Joined \n{insecure}"
        )
    );
    let server = watched();
    let mut going = Dmg::new(server.port(), "system query -w -j").start();
    for states in [["joined", "starting"], ["joined", "joined"]] {
        let document: serde_json::Value = serde_json::from_str(&going.line()).unwrap();
        let members = document["response"]["members"].as_array().unwrap();
        let found: Vec<_> =
            members.iter().map(|member| member["state"].as_str().unwrap()).collect();
        assert_eq!((found, document["status"].as_i64()), (states.to_vec(), Some(0)));
    }
}

fn result(rank: u32, error: &str) -> shared::RankResult {
    shared::RankResult { rank, errored: !error.is_empty(), msg: error.into(), ..Default::default() }
}

/// Contract 6.9: pool by pool where there are pools, a plain answer where there are none.
#[test]
fn draining_and_reintegrating_name_their_ranks() {
    const DRAIN: &str = "/mgmt.MgmtSvc/SystemDrain";
    let pool = |id: &str, results| mgmt::PoolRanksResp { id: id.into(), results };
    let answer = mgmt::SystemDrainResp {
        reint: false,
        responses: vec![
            pool("tank", vec![result(0, ""), result(1, "")]),
            pool("lake", vec![result(0, ""), result(1, "busy")]),
        ],
    };
    let server = Fake::on("127.0.0.2").answers(DRAIN, answer);
    Dmg::new(server.port(), "system drain -r 0-1").run().is("system_drain");
    assert_eq!(Dmg::new(server.port(), "system reint --rank-hosts n1").run().status(), 1);
    let asked: Vec<_> = server.calls(DRAIN).iter().map(|call| call.message()).collect();
    let asked: Vec<(String, String, bool)> = asked
        .into_iter()
        .map(|request: mgmt::SystemDrainReq| (request.ranks, request.hosts, request.reint))
        .collect();
    assert_eq!(asked, [("0-1".into(), "".into(), false), ("".into(), "n1".into(), true)]);
    assert_eq!(Dmg::new(server.port(), "system drain").run().status(), 1);
    assert!(server.calls(DRAIN).is_empty());
    let none =
        Fault::new("system", 1365, "there is no pool in this system", "nothing has to be done");
    let none = Fake::on("127.0.0.2").refuses(DRAIN, none);
    Dmg::new(none.port(), "system drain -r 0").run().is("system_drain_no_pools");
}

#[test]
fn a_machine_is_cleaned_up() {
    const CLEANUP: &str = "/mgmt.MgmtSvc/SystemCleanup";
    let result = |pool_id: &str, count| mgmt::system_cleanup_resp::CleanupResult {
        pool_id: pool_id.into(),
        count,
        ..Default::default()
    };
    let results = vec![result("tank", 3), result("lake", 0)];
    let server = Fake::on("127.0.0.2").answers(CLEANUP, mgmt::SystemCleanupResp { results });
    Dmg::new(server.port(), "system cleanup client7").run().is("system_cleanup");
    Dmg::new(server.port(), "system cleanup -v client7 -j").run().is("system_cleanup_json");
    assert_eq!(server.calls(CLEANUP)[0].message::<mgmt::SystemCleanupReq>().machine, "client7");
    let none = Fake::on("127.0.0.2").answers(CLEANUP, mgmt::SystemCleanupResp::default());
    let run = Dmg::new(none.port(), "system cleanup client7").run();
    assert_eq!(
        (run.status(), run.stdout().as_str()),
        (0, "No pool handles of client7 to revoke\n")
    );
    assert_eq!(Dmg::new(none.port(), "system cleanup").run().status(), 1);
}

/// The stock request never takes the last usable engine; ours does when told so by name.
#[test]
fn the_last_usable_engine_has_to_be_named() {
    const EXCLUDE: &str = "/mgmt.MgmtSvc/SystemExclude";
    const OURS: &str = "/daosx.v1.Members/Exclude";
    let last = Fault::new(
        "system",
        1415,
        "ranks 0 are the last usable engines on the hosts of the management service",
        "start another engine on one of those hosts first, or say --force-last-usable",
    );
    let done = ours::MemberResult {
        action: "set admin-excluded state".into(),
        state: "adminexcluded".into(),
        ..ours::MemberResult::default()
    };
    let server = Fake::on("127.0.0.2")
        .refuses(EXCLUDE, last)
        .answers(OURS, ours::ExcludeResp { results: vec![done] });
    Dmg::new(server.port(), "system exclude -r 0").run().is("system_exclude_last");
    let forced = Dmg::new(server.port(), "system exclude -r 0 --force-last-usable").run();
    assert_eq!(forced.status(), 0, "{}", forced.stderr());
    let asked: ours::ExcludeReq = server.calls(OURS)[0].message();
    assert_eq!((asked.ranks.as_str(), asked.clear, asked.force_last_usable), ("0", false, true));
    assert_eq!(server.calls(EXCLUDE).len(), 1);
}
