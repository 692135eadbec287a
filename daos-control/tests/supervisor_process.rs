//! Real child processes that are no engines: what any program may do to its supervisor.
#![cfg(feature = "server")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daos_control::supervisor::{
    EngineEventKind, EngineLaunch, EngineUpcalls, EventStream, ExitCause, ExitStatus,
    ProcessOptions, ProcessSupervisor, StopHow, StopLimits, Supervisor, SupervisorError,
    UpcallError,
};
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

struct Host {
    directory: TempDir,
    supervisor: ProcessSupervisor,
    events: EventStream,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let supervisor = supervise(directory.path()).unwrap();
        let events = supervisor.events().unwrap();
        Self { directory, supervisor, events }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn start(&mut self, script: &str) -> u32 {
        let pid = self.supervisor.start(self.launch(script)).await.unwrap();
        let started = timeout(LONG, self.events.next()).await.unwrap().unwrap();
        assert_eq!(started.kind, EngineEventKind::Started { pid });
        pid
    }

    /// A shell that runs the script; `$DIR` is this host's directory.
    fn launch(&self, script: &str) -> EngineLaunch {
        EngineLaunch {
            index: 0,
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![
                ("DIR".into(), self.directory.path().into()),
                ("PATH".into(), "/usr/bin:/bin".into()),
            ],
            working_dir: None,
            limits: StopLimits::default(),
        }
    }

    async fn exit(&mut self) -> (ExitStatus, ExitCause) {
        match timeout(LONG, self.events.next()).await.unwrap().unwrap().kind {
            EngineEventKind::Exited { status, cause, was_ready: false, .. } => (status, cause),
            other => panic!("expected an exit: {other:?}"),
        }
    }

    async fn close(self) {
        timeout(LONG, self.supervisor.shutdown(StopHow::Kill)).await.unwrap();
        assert!(!self.directory.path().join("daos_server.sock").exists());
    }
}

fn supervise(directory: &Path) -> Result<ProcessSupervisor, SupervisorError> {
    ProcessSupervisor::new(ProcessOptions::new(directory, 1), Arc::new(NoProperties))
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

/// Whether the process runs: not gone, and not dead without having been reaped.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(Into::into).collect()
    }
}

/// R14: standard output at INFO, standard error at ERROR, each line with program and index.
#[tokio::test]
async fn what_engines_print_is_logged_line_by_line() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let mut host = Host::new();
    host.start("echo started on rank 0; echo no space >&2; printf 'no end'").await;
    assert_eq!(host.exit().await, (ExitStatus::Code(0), ExitCause::Itself));
    let lines = log.lines();
    for expected in [" INFO sh:0 started on rank 0", " INFO sh:0 no end", "ERROR sh:0 no space"] {
        assert!(lines.iter().any(|line| line == expected), "{expected:?} is not in {lines:#?}");
    }
    let ended = lines.iter().find(|line| line.contains("exited with 0")).expect("its end (E31)");
    assert!(ended.contains("sh:0 (process "), "{ended}");
    host.close().await;
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_nor_is_lost_at_the_end() {
    let mut host = Host::new();
    host.start("i=0; while [ $i -lt 20000 ]; do echo $i $i $i $i; i=$((i+1)); done >&2; exit 5")
        .await;
    assert_eq!(host.exit().await.0, ExitStatus::Code(5));
    host.close().await;
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let mut host = Host::new();
    host.start("env > $DIR/env; pwd > $DIR/pwd; cat > $DIR/stdin").await;
    host.exit().await;
    let environment = std::fs::read_to_string(host.path("env")).unwrap();
    let names: Vec<&str> =
        environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // The shell itself adds PWD, and some shells two more.
    let added = ["PWD", "SHLVL", "_", "OLDPWD"];
    let given: Vec<_> = names.into_iter().filter(|name| !added.contains(name)).collect();
    assert_eq!(given.len(), 2, "{environment}");
    assert_eq!(std::fs::read(host.path("stdin")).unwrap(), b"", "nothing to read");
    let own = std::env::current_dir().unwrap();
    assert_eq!(std::fs::read_to_string(host.path("pwd")).unwrap().trim(), own.to_str().unwrap());
    let mut launch = host.launch("pwd > $DIR/pwd");
    launch.working_dir = Some(host.directory.path().to_owned());
    host.supervisor.start(launch).await.unwrap();
    host.events.next().await.unwrap();
    host.exit().await;
    let found = std::fs::read_to_string(host.path("pwd")).unwrap();
    assert_eq!(Path::new(found.trim()), host.directory.path().canonicalize().unwrap());
    host.close().await;
}

#[tokio::test]
async fn a_kill_takes_along_what_the_engine_started() {
    let mut host = Host::new();
    host.start("sleep 1000 & echo $! > $DIR/pid.new; mv $DIR/pid.new $DIR/pid; wait").await;
    let pid = until(|| std::fs::read_to_string(host.path("pid")).ok()).await;
    assert!(is_alive(&pid));
    host.supervisor.stop(0, StopHow::Kill).await.unwrap();
    assert_eq!(host.exit().await, (ExitStatus::Signal(9), ExitCause::Killed));
    until(|| (!is_alive(&pid)).then_some(())).await;
    host.close().await;
}

#[tokio::test]
async fn an_end_is_seen_although_something_still_holds_the_output() {
    let mut host = Host::new();
    host.start("sleep 1000 & echo $! > $DIR/pid; exit 3").await;
    let exit = host.exit().await;
    let orphan = std::fs::read_to_string(host.path("pid")).unwrap();
    let orphan = rustix::process::Pid::from_raw(orphan.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(orphan, rustix::process::Signal::KILL).unwrap();
    assert_eq!(exit, (ExitStatus::Code(3), ExitCause::Itself));
    host.close().await;
}

#[tokio::test]
async fn signals_of_the_terminal_do_not_reach_engines() {
    let mut host = Host::new();
    let pid = host.start("sleep 1000 & wait").await;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat.rsplit_once(") ").unwrap().1.split_whitespace().nth(2).unwrap().to_owned();
    assert_eq!(group, pid.to_string(), "it leads a process group of its own");
    host.close().await;
}

#[tokio::test]
async fn a_program_that_cannot_run_is_an_error_and_no_engine() {
    let mut host = Host::new();
    let file = host.path("no-program");
    std::fs::write(&file, "text").unwrap();
    for program in [file, host.path("missing"), host.directory.path().to_owned()] {
        let launch = EngineLaunch { program: program.clone(), ..host.launch("") };
        let error = host.supervisor.start(launch).await.unwrap_err();
        assert_eq!(error.code(), 1267);
        assert!(error.to_string().contains(program.to_str().unwrap()), "{error}");
    }
    host.start("exit 0").await;
    host.exit().await;
    host.close().await;
}

#[tokio::test]
async fn two_servers_cannot_share_a_socket_directory() {
    let host = Host::new();
    let error = supervise(host.directory.path()).unwrap_err();
    assert_eq!(error.code(), 6);
    assert!(error.resolution().contains("another socket_dir"), "{}", error.resolution());
    host.close().await;
}

/// E28: what earlier runs left is removed; what lives or is no socket stays.
#[tokio::test]
async fn stale_sockets_are_removed_and_others_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let stale = ["daos_server.sock", "daos_engine_7.sock", "daos_io_server_8.sock"];
    for name in stale.iter().chain(&["other.sock"]) {
        drop(std::os::unix::net::UnixListener::bind(path(name)).unwrap());
    }
    let _living = std::os::unix::net::UnixListener::bind(path("daos_engine_9.sock")).unwrap();
    std::fs::write(path("daos_engine.log"), "").unwrap();
    std::fs::write(path("daos_engine_10.sock"), "a file").unwrap();
    let supervisor = supervise(directory.path()).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let kept = [
        "daos_engine.log",
        "daos_engine_10.sock",
        "daos_engine_9.sock",
        "daos_server.sock",
        "other.sock",
    ];
    assert_eq!(names, kept);
    supervisor.shutdown(StopHow::Kill).await;
}

#[tokio::test]
async fn a_socket_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let error = supervise(&missing).unwrap_err();
    assert_eq!(error.code(), 1264);
    let fault = daos_control::Fault::from(error);
    assert!(fault.reason.contains(missing.to_str().unwrap()), "{fault:?}");
    let long = directory.path().join("x".repeat(100));
    std::fs::create_dir(&long).unwrap();
    assert_eq!(supervise(&long).unwrap_err().code(), 1263);
}
