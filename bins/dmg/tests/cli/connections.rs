//! Hosts that are dead, silent or something else.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use daos_proto::{ctl, mgmt};

use crate::fake::Fake;
use crate::run::Dmg;

/// Nobody listens: what cannot be reached, why, and what to do.
#[test]
fn a_dead_host_is_told_with_the_remedy() {
    let (_reserved, port) = port_without_listener();
    Dmg::new(port, "storage scan").run().is("dead_host");
    Dmg::new(port, "system query").run().is("dead_service");
    Dmg::new(port, "system query -j").run().is("dead_service_json");
}

/// A port that refuses connections and that nobody else gets meanwhile: bound, but not listened on.
fn port_without_listener() -> (rustix::fd::OwnedFd, u16) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
    let reserved = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&reserved, &"127.0.0.2:0".parse::<SocketAddr>().unwrap()).unwrap();
    let address = SocketAddr::try_from(getsockname(&reserved).unwrap()).unwrap();
    (reserved, address.port())
}

/// W36: a dead replica beside a live one changes nothing for a query.
#[test]
fn a_dead_replica_does_not_stop_a_query() {
    let member = mgmt::SystemMember { state: "joined".into(), ..Default::default() };
    let answer = mgmt::SystemQueryResp { members: vec![member], ..Default::default() };
    let live = Fake::on("127.0.0.2").answers("/mgmt.MgmtSvc/SystemQuery", answer);
    let run = Dmg::new(live.port(), "system query -l 127.0.0.[2-4]").run();
    assert_eq!((run.status(), run.stderr().as_str()), (0, ""));
    assert!(run.stdout().contains("Joined"));
}

/// R101: the host file counts, not the list; `-f` and `-l` may stand anywhere.
#[test]
fn the_host_file_takes_precedence() {
    const SCAN: &str = "/ctl.CtlSvc/StorageScan";
    let answer = ctl::StorageScanResp {
        nvme: Some(ctl::ScanNvmeResp::default()),
        scm: Some(ctl::ScanScmResp::default()),
        sys_mem_info: None,
    };
    let server = Fake::on("127.0.0.3").answers(SCAN, answer);
    let dmg = Dmg::new(server.port(), "-l 127.0.0.9 storage scan");
    let file = dmg.home().join("hosts");
    std::fs::write(&file, "127.0.0.3 # the one\n").unwrap();
    let run = dmg.arg("-f").arg(&file).run();
    assert_eq!((run.status(), run.stderr().as_str()), (0, ""));
    assert!(!server.calls(SCAN).is_empty());
}

/// A peer that speaks something else is a closed connection, not a riddle.
#[test]
fn a_peer_that_speaks_something_else_is_told() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    let done = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Every connection is closed as soon as it says something.
            while !done.load(Ordering::Acquire) {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 16]);
            }
        });
        let run = Dmg::new(address.port(), "storage scan").run();
        done.store(true, Ordering::Release);
        drop(TcpStream::connect(address).unwrap());
        run
    });
    assert_eq!(run.status(), 1);
    assert!(run.stderr().contains("host closed the connection"), "{}", run.stderr());
    assert!(run.stderr().contains("code = 507"), "{}", run.stderr());
}

/// Interrupting ends it at once, also while a host is silent.
#[test]
fn an_interrupt_ends_it_at_once() {
    let silent = TcpListener::bind("127.0.0.2:0").unwrap();
    let mut dmg = Dmg::new(silent.local_addr().unwrap().port(), "system query");
    let mut child = dmg.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The request is under way as soon as it connects.
    let (mut stream, _) = silent.accept().unwrap();
    stream.read_exact(&mut [0; 8]).unwrap();
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

/// R34: proxies are never used, with or without the option.
#[test]
fn proxies_are_not_used() {
    let answer = mgmt::SystemQueryResp::default();
    let server = Fake::on("127.0.0.2").answers("/mgmt.MgmtSvc/SystemQuery", answer);
    for line in ["system query", "system query --allow-proxy"] {
        let dmg = Dmg::new(server.port(), line)
            .env("http_proxy", "http://127.0.0.1:1")
            .env("ALL_PROXY", "http://127.0.0.1:1");
        let run = dmg.run();
        let said = run.stdout().lines().next().map(str::to_owned);
        assert_eq!((run.status(), said.as_deref()), (0, Some("No members in system")));
    }
}

/// Bytes that are no message end in an error of that host, whatever was asked.
#[test]
fn nonsense_is_an_error_and_nothing_worse() {
    for (path, line) in [
        ("/ctl.CtlSvc/StorageScan", "storage scan"),
        ("/ctl.CtlSvc/NetworkScan", "network scan"),
        ("/ctl.CtlSvc/SetEngineLogMasks", "server set-logmasks"),
        ("/daosx.v1.Storage/PlanFormat", "storage format --yes"),
        ("/mgmt.MgmtSvc/SystemQuery", "system query"),
        ("/mgmt.MgmtSvc/SystemStop", "system stop"),
        ("/mgmt.MgmtSvc/LeaderQuery", "system leader-query"),
        ("/mgmt.MgmtSvc/ListPools", "system list-pools"),
        ("/mgmt.MgmtSvc/SystemGetAttr", "system get-attr"),
    ] {
        let server = Fake::on("127.0.0.2").babbles(path);
        let run = Dmg::new(server.port(), line).run();
        assert_eq!((run.status(), run.stdout().as_str()), (1, ""), "{line}");
        assert!(
            run.stderr().starts_with("dmg: ") || run.stderr().starts_with("Errors:"),
            "{}",
            run.stderr()
        );
        assert_eq!(server.calls(path).len(), 1, "{line}");
    }
}

/// A system near gRPC's usual limit of 4 MiB is no problem.
#[test]
fn a_large_system_can_be_queried() {
    let member = |rank| mgmt::SystemMember {
        rank,
        state: "joined".into(),
        uuid: "00000000-0000-0000-0000-000000000000".into(),
        fabric_uri: "ofi+tcp;ofi_rxm://10.123.123.123:31416".into(),
        addr: "10.123.123.123:10001".into(),
        info: "x".repeat(100),
        ..Default::default()
    };
    let members: Vec<_> = (0..25_000).map(member).collect();
    let answer = mgmt::SystemQueryResp { members, ..Default::default() };
    assert!(prost::Message::encoded_len(&answer) > 4 << 20);
    let server = Fake::on("127.0.0.2").answers("/mgmt.MgmtSvc/SystemQuery", answer);
    let run = Dmg::new(server.port(), "system query").run();
    assert_eq!((run.status(), run.stderr().as_str()), (0, ""));
    assert!(run.stdout().contains("0-24999 Joined"), "{}", run.stdout());
}
