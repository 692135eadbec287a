//! A small server for engines under test, and a way to start them.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daos_control::drpc::{
    CallError, Client, Handler, Listener, ListenerHandle, ListenerLimits, Method, Module,
    NotifyReady, Peer, RasEvent, Reply, SetRank, Status, decode_cluster_event, decode_status,
    encode_cluster_event_answer,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Far more than anything here takes; reached only when a test fails.
pub const LONG: Duration = Duration::from_secs(30);

/// What an engine said.
#[derive(Debug)]
pub enum Said {
    Ready(NotifyReady, Peer),
    Event(RasEvent),
}

struct Server {
    said: mpsc::UnboundedSender<Said>,
    refuse: bool,
}

#[async_trait]
impl Handler for Server {
    fn modules(&self) -> &[Module] {
        &[Module::Server]
    }

    async fn handle(&self, method: Method, body: Vec<u8>, peer: Peer) -> Result<Reply, Status> {
        match method {
            Method::NotifyReady if self.refuse => Err(Status::Failure),
            Method::NotifyReady => {
                let ready = NotifyReady::decode(&body).map_err(|_| Status::UnreadableBody)?;
                self.said.send(Said::Ready(ready, peer)).map_err(|_| Status::Failure)?;
                Ok(Reply::new(Vec::new()))
            }
            Method::ClusterEvent => {
                let (sequence, event) =
                    decode_cluster_event(&body).map_err(|_| Status::UnreadableBody)?;
                let event = event.ok_or(Status::Failure)?;
                self.said.send(Said::Event(event)).map_err(|_| Status::Failure)?;
                Ok(Reply::new(encode_cluster_event_answer(sequence, 0)))
            }
            _ => Err(Status::UnknownMethod),
        }
    }
}

/// A host: directories for one engine and the server it reports to.
pub struct Host {
    pub root: TempDir,
    said: mpsc::UnboundedReceiver<Said>,
    _server: ListenerHandle,
}

impl Host {
    pub fn new() -> Self {
        Self::with(false)
    }

    /// A host whose server refuses every ready notice.
    pub fn refusing() -> Self {
        Self::with(true)
    }

    fn with(refuse: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["run", "scm"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let path = root.path().join("run/daos_server.sock");
        let (sender, said) = mpsc::unbounded_channel();
        let server = Listener::bind(&path, ListenerLimits::default()).unwrap();
        let server = server.serve(Arc::new(Server { said: sender, refuse })).unwrap();
        Self { root, said, _server: server }
    }

    pub fn run_dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    pub fn scm(&self) -> PathBuf {
        self.root.path().join("scm")
    }

    /// The command line that a server would use.
    pub fn command(&self, faults: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daos_io_server"));
        command
            .env_clear()
            .env("D_PROVIDER", "ofi+tcp")
            .env("D_INTERFACE", "lo")
            .env("DAOS_IO_SERVER_FAULTS", faults)
            .args(["-t", "2", "-x", "0", "-g", "daos_server", "-T", "1", "-I", "0", "-r", "0"])
            .args(["-H", "0", "-d"])
            .arg(self.run_dir())
            .arg("-s")
            .arg(self.scm())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    pub fn start(&self, faults: &str) -> Engine {
        Engine::of(&mut self.command(faults))
    }

    pub async fn said(&mut self) -> Said {
        timeout(LONG, self.said.recv()).await.expect("the engine says something").unwrap()
    }

    pub async fn ready(&mut self) -> NotifyReady {
        match self.said().await {
            Said::Ready(ready, _) => ready,
            other => panic!("expected a ready notice, got {other:?}"),
        }
    }

    /// Whether nothing of a stopped engine is left in the socket directory.
    pub fn sockets(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.run_dir()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "daos_server.sock").collect()
    }
}

/// A running engine; killed when dropped.
pub struct Engine(Option<Child>);

impl Engine {
    pub fn of(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub fn pid(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end: status, standard output, standard error.
    pub async fn ended(mut self) -> (ExitStatus, String, String) {
        let child = self.0.take().unwrap();
        let pid = child.id();
        let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let output = match timeout(LONG, waiting).await {
            Ok(output) => output.unwrap(),
            Err(_) => {
                let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                kill_process(pid, Signal::KILL).unwrap();
                panic!("engine {pid:?} did not end");
            }
        };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status, text(output.stdout), text(output.stderr))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ended_already = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Calls an engine as a server does.
pub async fn call(listener: &Path, method: Method, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
    Client::new(listener).call(method, body, Instant::now() + LONG).await
}

/// Calls a method whose answer is a status.
pub async fn status(listener: &Path, method: Method, body: Vec<u8>) -> i32 {
    decode_status(&call(listener, method, body).await.unwrap()).unwrap()
}

pub fn rank(rank: u32) -> Vec<u8> {
    SetRank { rank, map_version: 1 }.encode()
}

/// A port of the loopback that nobody uses now.
pub fn held_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
