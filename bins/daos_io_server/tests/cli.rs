//! The program itself, run as a server runs it: handshake, calls, signals, restarts, misbehaviour.

mod support;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;

use assert_cmd::Command as Run;
use daos_control::drpc::{GroupMember, GroupUpdate, LogMasks, Method, RasId, RasSeverity, RasType};
use rustix::process::Signal;
use support::{Engine, Host, Said, call, held_port, rank, status};

fn group(map_version: u32, ranks: u32) -> Vec<u8> {
    let member = |rank| GroupMember { rank, uri: format!("u{rank}"), incarnation: 1 };
    GroupUpdate { map_version, members: (0..ranks).map(member).collect() }.encode()
}

#[tokio::test]
async fn reports_ready_as_the_process_it_is() {
    let mut host = Host::new();
    let engine = host.start("");
    let Said::Ready(ready, peer) = host.said().await else { panic!("no ready notice") };
    assert_eq!(peer.pid, engine.pid());
    assert_eq!((ready.index, ready.targets, ready.contexts), (0, 2, 4));
    assert!(!ready.check_mode && ready.secondary_uris.is_empty());
    assert!(ready.incarnation > 1_600_000_000_000_000_000);
    let socket = host.run_dir().join(format!("daos_engine_{}.sock", engine.pid()));
    assert_eq!(ready.listener, socket);
    let found = std::fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let address = ready.uri.strip_prefix("ofi+tcp://127.0.0.1:").expect("address of lo");
    std::net::TcpStream::connect(("127.0.0.1", address.parse::<u16>().unwrap())).unwrap();
}

#[tokio::test]
async fn serves_the_start_of_the_contract_and_announces_itself() {
    let mut host = Host::new();
    let engine = host.start("");
    let at = host.ready().await.listener;
    let pid = engine.pid();
    assert_eq!(status(&at, Method::SetUp, vec![]).await, -1014);
    assert_eq!(status(&at, Method::GroupUpdate, group(2, 2)).await, -1036);
    assert_eq!(status(&at, Method::SetRank, rank(1)).await, 0);
    assert_eq!(status(&at, Method::SetRank, rank(1)).await, -1003);
    assert_eq!(status(&at, Method::GroupUpdate, group(2, 2)).await, 0);
    assert_eq!(status(&at, Method::SetUp, vec![]).await, 0);
    assert_eq!(status(&at, Method::GroupUpdate, group(3, 0)).await, -1003);
    assert_eq!(status(&at, Method::GroupUpdate, group(1, 1)).await, 0);
    assert_eq!(status(&at, Method::PingRank, vec![]).await, 0);
    let masks = LogMasks { masks: "DEBUG".into(), streams: String::new() };
    assert_eq!(status(&at, Method::SetLogMasks, masks.encode()).await, 0);
    assert_eq!(status(&at, Method::PrepareShutdown, vec![]).await, 0);
    let unknown = call(&at, Method::PoolCreate, vec![]).await.unwrap_err();
    assert!(unknown.to_string().contains("unknown method"), "{unknown}");
    engine.signal(Signal::INT);
    let (ended, stdout, _) = engine.ended().await;
    assert_eq!(ended.code(), Some(0));
    let version = env!("CARGO_PKG_VERSION");
    let line = format!(
        "DAOS I/O server (v{version}) process {pid} started on rank 1 (out of 2) with 2 target xstream set(s), 0 \
         helper XS, firstcore 0."
    );
    assert!(stdout.lines().any(|found| found == line), "{stdout}");
    assert_eq!(host.sockets(), Vec::<String>::new());
}

#[tokio::test]
async fn aborts_when_it_is_set_up_twice() {
    let mut host = Host::new();
    let engine = host.start("");
    let at = host.ready().await.listener;
    for (method, body) in
        [(Method::SetRank, rank(0)), (Method::SetUp, vec![]), (Method::SetUp, vec![])]
    {
        assert_eq!(status(&at, method, body).await, 0);
    }
    let (ended, ..) = engine.ended().await;
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
}

#[tokio::test]
async fn is_the_same_engine_after_a_kill() {
    let mut host = Host::new();
    let first = host.start("");
    let before = host.ready().await;
    first.signal(Signal::KILL);
    assert_eq!(first.ended().await.0.signal(), Some(libc::SIGKILL));
    let identity = std::fs::read_to_string(host.scm().join("daos_io/identity.json")).unwrap();
    let uuid = identity.lines().find(|line| line.contains("uuid")).unwrap();
    let _second = host.start("");
    let after = host.ready().await;
    assert!(after.incarnation > before.incarnation);
    let identity = std::fs::read_to_string(host.scm().join("daos_io/identity.json")).unwrap();
    assert!(identity.contains(uuid));
}

#[tokio::test]
async fn ends_on_both_signals_before_it_is_set_up() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut host = Host::new();
        let engine = host.start("");
        host.ready().await;
        engine.signal(signal);
        assert_eq!(engine.ended().await.0.code(), Some(0));
        assert!(host.sockets().is_empty());
    }
}

#[tokio::test]
async fn a_refused_notice_ends_it_with_an_error() {
    let host = Host::refusing();
    let (ended, _, stderr) = host.start("").ended().await;
    assert_eq!(ended.code(), Some(1));
    assert!(stderr.starts_with("ERROR: engine 0: cannot report to daos_server"), "{stderr}");
    assert!(host.sockets().is_empty());
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let host = Host::new();
    let (_holder, port) = held_port();
    let output = host.command("").env("D_PORT", port.to_string()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(&format!("cannot use fabric address 127.0.0.1:{port}")), "{stderr}");
}

#[tokio::test]
async fn devices_are_marked_once_and_foreign_ones_refused() {
    let mut host = Host::new();
    let device = host.root.path().join("bdev");
    let config = host.root.path().join("daos_nvme.conf");
    std::fs::write(&device, vec![0; 65536]).unwrap();
    let text = format!(
        r#"{{"daos_data":{{"config":[]}},"subsystems":[{{"subsystem":"bdev","config":[{{"params":{{
        "block_size":4096,"name":"AIO_h_0_1_0","filename":"{}"}},"method":"bdev_aio_create"}}]}}]}}"#,
        device.display()
    );
    std::fs::write(&config, text).unwrap();
    for _ in 0..2 {
        let engine = Engine::of(host.command("").arg("-n").arg(&config));
        host.ready().await;
        assert_eq!(&std::fs::read(&device).unwrap()[..8], b"DAOSIOBD");
        drop(engine);
    }
    let other = Host::new();
    let output = other.command("").arg("-n").arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("AIO_h_0_1_0") && stderr.contains("belongs to engine"), "{stderr}");
}

#[tokio::test]
async fn scripted_ends_before_ready() {
    let host = Host::new();
    let (ended, _, stderr) = host.start("exit-before-ready=7,stderr-lines=3").ended().await;
    assert_eq!(ended.code(), Some(7));
    assert_eq!(stderr.lines().count(), 3);
    assert!(host.sockets().is_empty());
}

#[tokio::test]
async fn scripted_deafness_yields_to_a_kill_only() {
    let mut host = Host::new();
    let engine = host.start("ignore-sigint");
    let at = host.ready().await.listener;
    engine.signal(Signal::INT);
    engine.signal(Signal::TERM);
    assert_eq!(status(&at, Method::PingRank, vec![]).await, 0);
    engine.signal(Signal::KILL);
    assert_eq!(engine.ended().await.0.signal(), Some(libc::SIGKILL));
}

#[tokio::test]
async fn scripted_crash_follows_the_answer_to_set_up() {
    let mut host = Host::new();
    let engine = host.start("crash-after-set-up");
    let at = host.ready().await.listener;
    assert_eq!(status(&at, Method::SetRank, rank(0)).await, 0);
    assert_eq!(status(&at, Method::SetUp, vec![]).await, 0);
    assert_eq!(engine.ended().await.0.signal(), Some(libc::SIGABRT));
}

#[tokio::test]
async fn scripted_self_termination_reports_a_newer_incarnation() {
    let mut host = Host::new();
    let engine = host.start("self-terminate");
    let ready = host.ready().await;
    assert_eq!(status(&ready.listener, Method::SetRank, rank(3)).await, 0);
    assert_eq!(status(&ready.listener, Method::SetUp, vec![]).await, 0);
    let Said::Event(event) = host.said().await else { panic!("no event") };
    assert_eq!(event.id, RasId::ENGINE_SELF_TERMINATED);
    assert_eq!((event.kind, event.severity), (RasType::Info, RasSeverity::Notice));
    assert_eq!((event.rank, event.process_id), (Some(3), u64::from(engine.pid())));
    assert!(event.incarnation > ready.incarnation);
    assert!(!event.hostname.is_empty() && event.timestamp.ends_with("+0000"));
    assert_eq!(engine.ended().await.0.signal(), Some(libc::SIGKILL));
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let run = |arguments: &[&str]| {
        Run::new(env!("CARGO_BIN_EXE_daos_io_server")).args(arguments).assert()
    };
    let refused = run(&["-S", "x", "-s", "/nowhere"]).failure().code(1);
    assert!(String::from_utf8_lossy(&refused.get_output().stderr).contains("Usage: "));
    let help = run(&["-h"]).success();
    let text = String::from_utf8_lossy(&help.get_output().stdout).into_owned();
    assert!(text.contains("management, not I/O") && text.contains("DAOS_IO_SERVER_FAULTS"));
}

#[test]
fn what_is_missing_is_said_on_one_line() {
    let cases = [
        (vec![], "D_PROVIDER is not set"),
        (vec![("D_PROVIDER", "ofi+tcp"), ("D_INTERFACE", "lo")], "/nowhere is not a directory"),
    ];
    for (environment, text) in cases {
        let failed = Run::new(env!("CARGO_BIN_EXE_daos_io_server"))
            .env_clear()
            .envs(environment)
            .args(["-s", "/nowhere", "-I", "1"])
            .assert()
            .failure()
            .code(1);
        let stderr = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(stderr.starts_with("ERROR: engine 1: ") && stderr.contains(text), "{stderr}");
        assert_eq!(stderr.lines().count(), 1);
    }
}

/// The size that a host pays for each engine; the debug build shows it well enough to notice a threaded runtime.
#[tokio::test]
async fn stays_small() {
    let mut host = Host::new();
    let engine = host.start("");
    let at = host.ready().await.listener;
    status(&at, Method::SetRank, rank(0)).await;
    status(&at, Method::SetUp, vec![]).await;
    let proc = std::fs::read_to_string(format!("/proc/{}/status", engine.pid())).unwrap();
    let value = |name: &str| -> u64 {
        let line = proc.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(value("Threads:"), 1);
    println!("anonymous memory: {} kB, resident: {} kB", value("RssAnon:"), value("VmRSS:"));
    assert!(value("RssAnon:") < 2048, "{proc}");
}
