//! The process supervisor with this program as its data plane passes the suite of all supervisors, and what only
//! real processes show: who may report, what is left behind, what happens when the server dies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daos_control::drpc::{Client, Method, NotifyReady};
use daos_control::stand_in::{Script, VARIABLE};
use daos_control::supervisor::conformance::{self, Bed};
use daos_control::supervisor::{
    CallLimits, EngineEvent, EngineEventKind, EngineLaunch, EngineUpcalls, ExitCause, ExitStatus,
    ProcessOptions, ProcessSupervisor, StopHow, StopLimits, Supervisor, UpcallError,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

const LONG: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct NoProperties;

#[async_trait]
impl EngineUpcalls for NoProperties {
    async fn system_properties(
        &self,
        _keys: &[String],
    ) -> Result<BTreeMap<String, String>, UpcallError> {
        Ok(BTreeMap::new())
    }
}

/// A host directory for each supervisor; the last one is looked at for leftovers.
struct Processes {
    hosts: Mutex<Vec<TempDir>>,
}

impl Processes {
    fn new() -> Self {
        Self { hosts: Mutex::new(Vec::new()) }
    }

    fn last(&self) -> PathBuf {
        self.hosts.lock().unwrap().last().unwrap().path().to_owned()
    }
}

impl Bed for Processes {
    fn supervisor(&self, engines: u32, calls: CallLimits) -> Arc<dyn Supervisor> {
        let host = tempfile::tempdir().unwrap();
        let supervisor = supervise(host.path(), engines, calls);
        self.hosts.lock().unwrap().push(host);
        Arc::new(supervisor)
    }

    fn launch(&self, index: u32, script: &Script) -> EngineLaunch {
        launch(&self.last(), index, &script.to_string())
    }

    fn leftovers(&self) -> Vec<String> {
        let sockets = std::fs::read_dir(self.last().join("run")).unwrap();
        let sockets = sockets.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        sockets.chain(left_of(&self.last())).collect()
    }
}

fn supervise(host: &Path, engines: u32, calls: CallLimits) -> ProcessSupervisor {
    std::fs::create_dir_all(host.join("run")).unwrap();
    for index in 0..engines {
        std::fs::create_dir_all(host.join(format!("scm{index}"))).unwrap();
    }
    let options = ProcessOptions { calls, ..ProcessOptions::new(host.join("run"), engines) };
    ProcessSupervisor::new(options, Arc::new(NoProperties)).unwrap()
}

fn launch(host: &Path, index: u32, script: &str) -> EngineLaunch {
    let scm = host.join(format!("scm{index}"));
    let mut arguments: Vec<std::ffi::OsString> =
        ["-t", "1", "-x", "0", "-T", "1", "-r", "0", "-H", "0"].map(Into::into).to_vec();
    arguments.extend(["-I".into(), index.to_string().into()]);
    arguments.extend(["-d".into(), host.join("run").into(), "-s".into(), scm.into()]);
    EngineLaunch {
        index,
        program: env!("CARGO_BIN_EXE_daos_io_server").into(),
        arguments,
        environment: vec![
            ("D_PROVIDER".into(), "ofi+tcp".into()),
            ("D_INTERFACE".into(), "lo".into()),
            (VARIABLE.into(), script.into()),
        ],
        working_dir: None,
        limits: StopLimits::default(),
    }
}

/// A process as /proc/PID/stat shows it.
struct Process {
    pid: i32,
    parent: i32,
    is_zombie: bool,
}

/// All stand-in engines there are, with those that nobody has reaped.
fn engines() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let stats = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter_map(|stat| {
            let (head, tail) = stat.split_once(" (daos_io_server) ")?;
            let mut words = tail.split_whitespace();
            let is_zombie = words.next()? == "Z";
            Some(Process {
                pid: head.parse().ok()?,
                parent: words.next()?.parse().ok()?,
                is_zombie,
            })
        })
        .collect()
}

fn is_gone(pid: i32) -> bool {
    !engines().iter().any(|engine| engine.pid == pid && !engine.is_zombie)
}

/// Engines of that host that live, and children of this process that stay unreaped.
fn left_of(host: &Path) -> Vec<String> {
    let own = i32::try_from(std::process::id()).unwrap();
    let unreaped = || -> BTreeSet<i32> {
        let engines = engines().into_iter();
        engines
            .filter(|engine| engine.is_zombie && engine.parent == own)
            .map(|engine| engine.pid)
            .collect()
    };
    // Tests beside this one have zombies too, for an instant.
    let mut zombies = unreaped();
    let deadline = Instant::now() + LONG;
    while !zombies.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
        zombies = &zombies & &unreaped();
    }
    let living = engines().into_iter().map(|engine| engine.pid).filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(host.to_str().unwrap())
    });
    living.chain(zombies).map(|pid| format!("process {pid}")).collect()
}

#[tokio::test]
async fn passes_the_suite() {
    conformance::run(&Processes::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_outlives_the_thread_that_asked_for_it() {
    let host = tempfile::tempdir().unwrap();
    let supervisor = Arc::new(supervise(host.path(), 1, CallLimits::default()));
    let mut events = supervisor.events().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let asker = std::thread::spawn({
        let (supervisor, launch) = (Arc::clone(&supervisor), launch(host.path(), 0, ""));
        move || runtime.block_on(supervisor.start(launch)).unwrap()
    });
    asker.join().unwrap(); // The thread is gone, and with it a death signal that were tied to it (W32).
    events.next().await.unwrap();
    let ready = timeout(LONG, events.next()).await.unwrap().unwrap();
    assert!(matches!(ready.kind, EngineEventKind::Ready { .. }), "{ready:?}");
    supervisor.ping(0).await.unwrap();
    supervisor.shutdown(StopHow::Kill).await;
}

/// W29: only the process that was started for an index may report for it.
#[tokio::test]
async fn a_stranger_cannot_report_ready() {
    let host = tempfile::tempdir().unwrap();
    let supervisor = supervise(host.path(), 2, CallLimits::default());
    let mut events = supervisor.events().unwrap();
    supervisor.start(launch(host.path(), 0, "never-ready")).await.unwrap();
    events.next().await.unwrap();
    let notice = NotifyReady {
        uri: "ofi+tcp://127.0.0.1:1".into(),
        listener: supervisor.socket_path(),
        index: 0,
        ..NotifyReady::default()
    };
    let server = Client::of_engine(supervisor.socket_path());
    let refused = server.call(Method::NotifyReady, notice.encode(), Instant::now() + LONG).await;
    assert_eq!(refused.unwrap_err().code(), 1262);
    assert_eq!(supervisor.ping(0).await.unwrap_err().code(), 1269, "engine 0 did not get ready");
    supervisor.shutdown(StopHow::Kill).await;
    let exit = events.next().await.unwrap();
    assert!(matches!(exit.kind, EngineEventKind::Exited { was_ready: false, .. }), "{exit:?}");
}

#[tokio::test]
async fn an_engine_that_claims_another_index_is_refused_and_ends() {
    let host = tempfile::tempdir().unwrap();
    let supervisor = supervise(host.path(), 2, CallLimits::default());
    let mut events = supervisor.events().unwrap();
    for claimed in ["1", "7"] {
        let mut wrong = launch(host.path(), 0, "");
        wrong.arguments.extend(["-I".into(), claimed.into()]);
        supervisor.start(wrong).await.unwrap();
        events.next().await.unwrap();
        let EngineEvent { index, kind } = timeout(LONG, events.next()).await.unwrap().unwrap();
        let EngineEventKind::Exited { status, was_ready, cause, .. } = kind else {
            panic!("expected an end: {kind:?}");
        };
        assert_eq!((index, status, was_ready), (0, ExitStatus::Code(1), false));
        assert_eq!(cause, ExitCause::Refused);
    }
    supervisor.shutdown(StopHow::Kill).await;
}

const PARENT: &str = "DAOS_TEST_PARENT";

/// Not a test of its own: the server that `engines_die_with_their_server` kills.
#[tokio::test]
#[ignore = "run by engines_die_with_their_server"]
async fn server_to_be_killed() {
    let host = PathBuf::from(std::env::var_os(PARENT).expect("started by the other test"));
    let supervisor = supervise(&host, 1, CallLimits::default());
    let mut events = supervisor.events().unwrap();
    supervisor.start(launch(&host, 0, "ignore-sigint")).await.unwrap();
    while let Some(event) = events.next().await {
        if let EngineEventKind::Ready { pid, .. } = event.kind {
            std::fs::write(host.join("pid.new"), pid.to_string()).unwrap();
            std::fs::rename(host.join("pid.new"), host.join("pid")).unwrap();
        }
    }
}

/// R17: `kill -9` of the server leaves no engine, and the next server cleans up and starts.
#[tokio::test]
async fn engines_die_with_their_server() {
    let host = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["server_to_be_killed", "--exact", "--ignored", "--nocapture"])
        .env(PARENT, host.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let engine = until(|| std::fs::read_to_string(host.path().join("pid")).ok()).await;
    let engine: i32 = engine.parse().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    until(|| is_gone(engine).then_some(())).await;
    let stale = host.path().join(format!("run/daos_engine_{engine}.sock"));
    assert!(stale.exists(), "killed engines leave their socket");
    let supervisor = supervise(host.path(), 1, CallLimits::default());
    assert!(!stale.exists(), "the next server removes it (E28)");
    let mut events = supervisor.events().unwrap();
    supervisor.start(launch(host.path(), 0, "")).await.unwrap();
    events.next().await.unwrap();
    let ready = timeout(LONG, events.next()).await.unwrap().unwrap();
    assert!(matches!(ready.kind, EngineEventKind::Ready { .. }), "{ready:?}");
    supervisor.shutdown(StopHow::Kill).await;
}

/// Dropping a supervisor without a shutdown still takes its engines along.
#[tokio::test]
async fn engines_die_with_their_supervisor() {
    let host = tempfile::tempdir().unwrap();
    let supervisor = supervise(host.path(), 1, CallLimits::default());
    let pid = supervisor.start(launch(host.path(), 0, "never-ready")).await.unwrap();
    drop(supervisor);
    until(|| is_gone(i32::try_from(pid).unwrap()).then_some(())).await;
    let socket = host.path().join("run/daos_server.sock");
    until(|| (!socket.exists()).then_some(())).await;
}

/// kill -9 of engines at will: every end is seen, nothing piles up.
#[tokio::test]
async fn kills_from_outside_are_seen_every_time() {
    let host = tempfile::tempdir().unwrap();
    let supervisor = supervise(host.path(), 1, CallLimits::default());
    let mut events = supervisor.events().unwrap();
    for _ in 0..10 {
        let pid = supervisor.start(launch(host.path(), 0, "")).await.unwrap();
        events.next().await.unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        let exit = loop {
            match timeout(LONG, events.next()).await.unwrap().unwrap().kind {
                EngineEventKind::Exited { status, cause, .. } => break (status, cause),
                EngineEventKind::Ready { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(exit, (ExitStatus::Signal(9), ExitCause::Itself));
    }
    assert_eq!(std::fs::read_dir(host.path().join("run")).unwrap().count(), 1);
    assert_eq!(left_of(host.path()), Vec::<String>::new());
    supervisor.shutdown(StopHow::Kill).await;
}

/// Polls for what only the kernel or another process can say.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
