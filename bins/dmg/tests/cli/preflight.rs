//! `system preflight`: hosts with equal answers are one group, and one that cannot tell is named.

use daos_proto::daosx::v1::{
    PreflightEvidence, PreflightFinding, PreflightReq, PreflightResp, PreflightSeverity,
};

use crate::fake::Fake;
use crate::run::Dmg;

const CHECK: &str = "/daosx.v1.Preflight/Check";

fn evidence(source: &str, seen: &str) -> Vec<PreflightEvidence> {
    vec![PreflightEvidence { source: source.into(), seen: seen.into() }]
}

fn passed(rule: &str, text: &str, seen: &str) -> PreflightFinding {
    PreflightFinding {
        rule: rule.into(),
        severity: PreflightSeverity::Ok.into(),
        text: text.into(),
        evidence: evidence("getrlimit(RLIMIT_MEMLOCK)", seen),
        ..PreflightFinding::default()
    }
}

/// A host that lacks huge pages; `seen` differs between hosts that are alike.
fn lacking(seen: &str) -> PreflightResp {
    let short = PreflightFinding {
        rule: "hugepages".into(),
        severity: PreflightSeverity::Error.into(),
        fault: 1477,
        subject: "node 1".into(),
        text: "has 195 of the 1024 huge pages of 2 MiB that engines need".into(),
        key: "nr_hugepages".into(),
        line: 7,
        evidence: evidence("/sys/devices/system/node/node1/meminfo", "HugePages_Total 195"),
        fix: "as root `echo 1024 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages`".into(),
    };
    let clock = PreflightFinding {
        rule: "clock".into(),
        severity: PreflightSeverity::Warning.into(),
        fault: 1482,
        text: "nothing keeps the clock of this host right".into(),
        evidence: evidence("adjtimex", "STA_UNSYNC"),
        fix: "as root `systemctl enable --now chronyd`".into(),
        ..PreflightFinding::default()
    };
    PreflightResp {
        config: "/etc/daos/daos_server.yml".into(),
        data_plane: "engine".into(),
        findings: vec![passed("memlock", "high enough", seen), clock, short],
    }
}

fn ready() -> PreflightResp {
    let findings = vec![passed("memlock", "high enough", "unlimited")];
    PreflightResp { findings, ..lacking("") }
}

#[test]
fn equal_hosts_are_told_once_and_the_worst_comes_first() {
    let (first, second) = Fake::siblings();
    let (first, second) =
        (first.answers(CHECK, lacking("1 GiB")), second.answers(CHECK, lacking("2 GiB")));
    let run = |line: &str| Dmg::new(first.port(), line).run();
    run("system preflight -l 127.0.0.[2-4]").is("system_preflight");
    // What was read where a check holds differs, and is shown when it is asked for.
    run("system preflight --verbose -l 127.0.0.[2-3]").is("system_preflight_verbose");
    let json = run("system preflight -j -l 127.0.0.[2-4]").json();
    let groups = json["response"]["host_preflights"].as_object().unwrap();
    assert_eq!(groups.len(), 2, "{json:#}");
    let group =
        groups.values().find(|group| group["hosts"] == format!("127.0.0.2:{}", first.port()));
    let report = &group.unwrap()["preflight"];
    assert_eq!(report["counts"]["error"], 1);
    assert_eq!(report["findings"][2]["evidence"][0]["seen"], "HugePages_Total 195");
    assert_eq!(report["findings"][2]["line"], 7);
    let dead = &json["response"]["host_errors"]["host refused the connection"];
    assert_eq!(*dead, format!("127.0.0.4:{}", first.port()));
    assert_eq!(json["status"], -1025);
    assert!(second.calls(CHECK)[0].message::<PreflightReq>().sys.starts_with("daos_server"));
}

#[test]
fn a_host_that_is_ready_is_exit_0_and_a_stock_server_is_named_as_such() {
    let (first, second) = Fake::siblings();
    let first = first.answers(CHECK, ready());
    Dmg::new(first.port(), "sys preflight").run().is("system_preflight_ready");
    Dmg::new(first.port(), "system preflight -l 127.0.0.[2-3]").run().is("system_preflight_stock");
    drop(second);
}

#[test]
fn a_severity_that_is_not_known_is_no_pass() {
    let mut answer = ready();
    answer.findings[0].severity = 77;
    let server = Fake::on("127.0.0.2").answers(CHECK, answer);
    let run = Dmg::new(server.port(), "system preflight").run();
    assert_eq!(run.status(), 1);
    assert!(run.stderr().contains("cannot be understood"), "{}", run.stderr());
}
