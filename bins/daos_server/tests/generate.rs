//! `config generate` on this host: whatever it proposes is what `config check` takes, and what is in the way is said (T8).

mod rig;

use std::path::Path;
use std::process::{Command, Output};

use rig::plain_host;

fn daos_server(directory: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daos_server"))
        .args(line.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn t8_a_proposal_for_this_host_passes_config_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let line =
        "config generate --use-tmpfs-scm --scm-only -i --system lab -r node1,node2:10002,node3";
    let proposed = daos_server(dir.path(), line);
    if text(&proposed.stderr).contains("code = 1486") {
        // No interface but loopback: that is what a host without a network is told.
        assert!(proposed.stdout.is_empty() && proposed.status.code() == Some(1), "{proposed:?}");
        println!("skipped: needs a network interface");
        return;
    }
    assert!(proposed.status.success(), "{proposed:?}");
    assert!(text(&proposed.stderr).contains("NOTICE: provider ofi+"), "{proposed:?}");
    std::fs::write(dir.path().join("server.yml"), &proposed.stdout).expect("written");
    let checked = daos_server(dir.path(), "config check server.yml");
    assert!(checked.status.success(), "{}\n{}", text(&proposed.stdout), text(&checked.stderr));
    assert!(text(&checked.stdout).contains("is valid: system lab, port 10001"), "{checked:?}");

    let json = daos_server(dir.path(), &format!("-j {line}"));
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON alone");
    assert_eq!(value["config"].as_str(), Some(text(&proposed.stdout)));
    assert!(value["notes"].as_array().is_some_and(|notes| !notes.is_empty()));
}

#[test]
fn t8_what_cannot_be_proposed_is_an_error_with_a_remedy() {
    let dir = tempfile::tempdir().expect("a directory");
    for (line, code) in [
        ("config generate -p ofi+pigeon", 1486),
        ("config generate --use-tmpfs-scm --scm-only --net-ifaces nonesuch0", 1486),
        ("config gen -r a,b", 1485),
        ("cfg generate -m /var/lib/x", 1485),
        ("config generate -t --num-engines 0", 1485),
    ] {
        let told = daos_server(dir.path(), line);
        assert_eq!((told.status.code(), text(&told.stdout)), (Some(1), ""), "{line}");
        let words = text(&told.stderr);
        assert!(words.contains(&format!("code = {code} resolution = ")), "{line}: {words}");
    }
}

/// A server without engines starts without the program of a data plane, and is enough for `dmg config generate`.
#[tokio::test]
async fn r43_a_server_without_engines_runs_no_program_and_can_be_asked() -> rig::Result<()> {
    let mut host = plain_host(1)?;
    let config = host.default_config().replace("data_plane: emulated\n", "");
    let (head, _) = config.split_once("provider:").expect("a provider");
    let places = format!(
        "socket_dir: {}\nstate_dir: {}\n",
        host.file("sockets").display(),
        host.file("state").display()
    );
    host.write_config(&format!("{head}{places}engines: []\n"))?;
    host.start_server(&[])?;
    host.wait_for_log("listening", 1).await?;
    let asked = host.dmg(&["config", "generate", "--scm-only", "--use-tmpfs-scm"]).await?;
    let local = daos_server(Path::new("/"), "config generate --scm-only --use-tmpfs-scm");
    assert_eq!(asked.code == 0, local.status.success(), "{}", asked.stderr);
    if asked.code == 0 {
        // Both see the same host.
        let engines = |text: &str| text.split_once("engines:").map(|(_, rest)| rest.to_owned());
        assert_eq!(engines(&asked.stdout), engines(text(&local.stdout)));
    }
    let (status, log) = host.stop_server().await?;
    assert!(status.success(), "{status}: {log:?}");
    Ok(())
}
