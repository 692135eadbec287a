//! Preflight with real programs: on the host itself, and through `dmg` and a server that runs.

mod rig;

use std::process::{Command, Output};

use daos_control::testing::{HostRig, Mode};
use serde_json::Value;

fn preflight(host: &HostRig, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daos_server"))
        .arg("preflight")
        .args(arguments)
        .current_dir(host.file(""))
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The findings of a rule.
fn of_rule<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let found = report["findings"].as_array().expect("findings").iter();
    found.filter(|finding| finding["rule"] == rule).collect()
}

#[test]
fn a_host_is_checked_against_its_configuration_before_anything_runs() {
    let host = rig::host(1).expect("a host");
    let ran = preflight(&host, &["-o", "daos_server.yml"]);
    let told = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{told}{}", text(&ran.stderr));
    let head = format!(
        "Checked against {} (data plane emulated)\n",
        host.file("daos_server.yml").display()
    );
    assert!(told.starts_with(&head), "{told}");
    assert!(told.contains("ok       ports, control port: port "), "{told}");
    assert!(told.lines().last().is_some_and(|line| line.starts_with("0 errors, ")), "{told}");

    let ran = preflight(&host, &["-j", "-o", "daos_server.yml"]);
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
    assert_eq!((ran.status.code(), &report["counts"]["error"]), (Some(0), &Value::from(0)));
    assert_eq!(of_rule(&report, "directories").len(), 3, "{report:#}");
    assert_eq!(of_rule(&report, "engine-program")[0]["severity"], "ok");
    assert!(of_rule(&report, "config").iter().all(|each| each["severity"] != "error"));
    // Nothing was made or left behind.
    assert_eq!(std::fs::read_dir(host.file("state")).expect("read").count(), 0);
}

#[test]
fn what_cannot_work_has_an_exit_status_of_its_own_and_start_says_the_same() {
    let host = rig::host(1).expect("a host");
    let mut config = host.default_config().replace("fabric_iface: lo", "fabric_iface: nonesuch0");
    config.push_str("control_iface: nonesuch1\n");
    let config = config
        .replace("data_plane: emulated", "data_plane: engine")
        .replace("scm_size: 1}", "scm_size: 4}");
    host.write_config(&config).expect("written");
    let ran = preflight(&host, &["--json", "--config", "daos_server.yml"]);
    assert_eq!(ran.status.code(), Some(2), "{}", text(&ran.stdout));
    assert!(ran.stderr.is_empty(), "the answer is on standard output: {}", text(&ran.stderr));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
    let start = Command::new(env!("CARGO_BIN_EXE_daos_server"))
        .args(["start", "-o"])
        .arg(host.file("daos_server.yml"))
        .output()
        .expect("the program runs");
    assert_eq!(start.status.code(), Some(1), "{}", text(&start.stdout));
    let refused = text(&start.stderr);
    for (rule, code) in [("control-interface", 739), ("fabric-interface", 701)] {
        let found = of_rule(&report, rule);
        let found = found.iter().find(|each| each["fault"] == code).expect(rule);
        assert_eq!(found["severity"], "error");
        for words in ["text", "fix"] {
            let words = found[words].as_str().expect("text");
            assert!(refused.contains(words), "{words:?} is not in {refused}");
        }
    }
}

#[test]
fn without_a_configuration_the_host_alone_is_told_and_a_named_file_has_to_be_there() {
    let host = rig::host(0).expect("a host");
    let ran = preflight(&host, &["-o", "none.yml"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("none.yml"), "{ran:?}");
    if std::path::Path::new("/etc/daos/daos_server.yml").exists() {
        return;
    }
    let ran = preflight(&host, &[]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(text(&ran.stdout).starts_with("Without a configuration: the host alone"), "{ran:?}");
    assert!(text(&ran.stdout).contains("iommu"), "{ran:?}");
}

async fn over_the_network(mode: Mode) -> rig::Result<()> {
    let mut host = rig::host_in(mode, 1)?;
    rig::formatted(&mut host, 1).await?;
    let ran = host.dmg(&["system", "preflight"]).await?;
    rig::ensure_code(&ran, 0)?;
    assert!(ran.stdout.contains("(data plane emulated)\n"), "{}", ran.stdout);
    let ran = host.dmg(&["--json", "system", "preflight"]).await?;
    rig::ensure_code(&ran, 0)?;
    let answer: Value = serde_json::from_str(&ran.stdout).map_err(std::io::Error::other)?;
    let groups = answer["response"]["host_preflights"].as_object().expect("groups");
    assert_eq!(groups.len(), 1);
    let group = groups.values().next().expect("one");
    assert_eq!(group["hosts"], format!("127.0.0.1:{}", host.ports()[0]));
    let report = &group["preflight"];
    let ports: Vec<_> = of_rule(report, "ports").iter().map(|each| each["text"].clone()).collect();
    let held = |port: u16| Value::from(format!("port {port} is held by this server"));
    assert_eq!(ports, [held(host.ports()[0]), held(host.ports()[1])]);

    // Another program sees that the ports are taken, and by whom.
    let ran = preflight(&host, &["-j", "-o", "daos_server.yml"]);
    assert_eq!(ran.status.code(), Some(2));
    let report: Value = serde_json::from_slice(&ran.stdout).map_err(std::io::Error::other)?;
    let taken = of_rule(&report, "ports");
    let pid = host.server_pid().map(|pid| format!("pid {pid} "));
    assert_eq!(taken[0]["fault"], 1361);
    assert!(
        taken[0]["text"].as_str().zip(pid).is_some_and(|(text, pid)| text.contains(&pid)),
        "{taken:#?}"
    );
    let config = host.default_config();
    let line = config.lines().position(|line| line.contains("fabric_iface_port")).map(|at| at + 1);
    assert_eq!(
        (&taken[1]["fault"], &taken[1]["line"]),
        (&Value::from(1483), &Value::from(line)),
        "{taken:#?}"
    );
    host.stop_server().await?;
    Ok(())
}

#[tokio::test]
async fn dmg_asks_every_host_with_certificates() -> rig::Result<()> {
    over_the_network(Mode::Certificates).await
}

#[tokio::test]
async fn dmg_asks_every_host_in_insecure_mode() -> rig::Result<()> {
    over_the_network(Mode::Insecure).await
}
