//! One host: its files, its configuration, its server process and what that printed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use daos_control::wire::Component;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::network::{address, name, on_host};
use crate::security::Security;

/// Engines of each host.
pub const ENGINES: usize = 2;
/// Control port of every host.
pub const PORT: u16 = 10001;
/// First fabric port of every host.
const FABRIC_PORT: usize = 31416;
/// How long engines wait for a silent one before they give it up: longer than a link is cut at a time, shorter than the 20 s of
/// a cluster that nobody watches.
const SUSPECTED_MS: u32 = 8000;
/// What the orderly end of a server may take on a busy machine.
const STOP: Duration = Duration::from_secs(30);
/// How often something outside this process is looked at.
pub const LOOK: Duration = Duration::from_millis(25);

/// A host of the system.
#[derive(Debug)]
pub struct Host {
    index: usize,
    directory: PathBuf,
    programs: PathBuf,
    server: Option<Child>,
    /// Where in its log the present server began.
    log_begins: u64,
    starts: u64,
}

impl Host {
    /// Makes its files: everything it keeps lies in a directory of its own.
    pub fn make(
        index: usize,
        run: &Path,
        programs: &Path,
        replicas: usize,
        security: &Security,
    ) -> Result<Self> {
        let directory = run.join(name(index));
        for part in ["sockets", "state", "metadata"] {
            fs::create_dir_all(directory.join(part))?;
        }
        let host = Self {
            index,
            directory,
            programs: programs.to_owned(),
            server: None,
            log_begins: 0,
            starts: 0,
        };
        fs::write(host.file("daos_server.yml"), host.config(replicas, security))?;
        Ok(host)
    }

    fn config(&self, replicas: usize, security: &Security) -> String {
        let replicas: Vec<_> =
            (0..replicas).map(|host| format!("{}:{PORT}", address(host))).collect();
        let mut text = format!(
            "name: daos_cluster\nport: {PORT}\nmgmt_svc_replicas: {replicas:?}\ndata_plane: emulated\n\
             provider: ofi+tcp\ntransport_config: {transport}\nfault_path: /{name}\n\
             socket_dir: {sockets}\nstate_dir: {state}\ncontrol_metadata: {{path: {metadata}}}\nengines:\n",
            transport = security.transport_config(Component::Server),
            name = name(self.index),
            sockets = self.file("sockets").display(),
            state = self.file("state").display(),
            metadata = self.file("metadata").display(),
        );
        for engine in 0..ENGINES {
            // Writing to a String does not fail.
            let _infallible = write!(
                text,
                "- targets: 1\n  fabric_iface: eth0\n  fabric_iface_port: {port}\n  log_file: {log}\n  \
                 env_vars: [SWIM_SUSPECT_TIMEOUT={SUSPECTED_MS}]\n  storage:\n  \
                 - {{class: ram, scm_mount: {scm}, scm_size: 1}}\n  \
                 - {{class: malloc, bdev_number: 1, bdev_size: 1, bdev_roles: [wal, meta, data]}}\n",
                port = FABRIC_PORT + engine,
                log = self.file(&format!("engine{engine}.log")).display(),
                scm = self.file(&format!("scm{engine}")).display(),
            );
        }
        text
    }

    /// A file of this host.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Its control address.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", address(self.index))
    }

    /// Its name.
    pub fn name(&self) -> String {
        name(self.index)
    }

    /// How often its server was started.
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Whether its server was started and not ended by this program.
    pub fn runs(&self) -> bool {
        self.server.is_some()
    }

    /// Starts the server; waits for nothing.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.server.is_none(), "the server of {} runs already", self.name());
        let mut log = File::options().create(true).append(true).open(self.file("server.log"))?;
        self.log_begins = log.seek(SeekFrom::End(0))?;
        let mut command = on_host(self.index, &self.programs.join("daos_server"));
        command.args(["start", "-o"]).arg(self.file("daos_server.yml"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        self.server = Some(command.spawn().context("cannot run nsenter (package util-linux)")?);
        self.starts += 1;
        Ok(())
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.server.as_ref().and_then(Child::id).map(u32::cast_signed);
        let pid = pid.and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("no server runs on {}", self.name()))?;
        Ok(kill_process(pid, signal)?)
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.gone().await.map(drop)
    }

    /// Ends the server in good order.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.gone().await?;
        ensure!(status.success(), "the server of {} ended with {status}", self.name());
        Ok(())
    }

    async fn gone(&mut self) -> Result<ExitStatus> {
        let name = self.name();
        let server = self.server.as_mut().with_context(|| format!("no server runs on {name}"))?;
        let status = timeout(STOP, server.wait()).await;
        let status = status.with_context(|| format!("the server of {name} did not end"))??;
        self.server = None;
        Ok(status)
    }

    /// Fails when the server ended by itself.
    pub fn still_runs(&mut self) -> Result<()> {
        let name = self.name();
        let Some(server) = &mut self.server else { return Ok(()) };
        let ended = server.try_wait()?;
        ensure!(
            ended.is_none(),
            "the server of {name} ended by itself with {}",
            ended.unwrap_or_default()
        );
        Ok(())
    }

    /// What the present server printed so far.
    pub fn log(&self) -> Result<String> {
        let mut file = File::open(self.file("server.log"))?;
        file.seek(SeekFrom::Start(self.log_begins))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `count` lines of the present server hold the text.
    pub async fn wait_for_log(&mut self, text: &str, count: usize, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        loop {
            let log = self.log()?;
            if log.lines().filter(|line| line.contains(text)).count() >= count {
                return Ok(());
            }
            self.still_runs()?;
            ensure!(
                Instant::now() < until,
                "waited {limit:?} for {count} lines with '{text}' from {}; its last lines:\n{}",
                self.name(),
                last_lines(&log, 15)
            );
            sleep(LOOK).await;
        }
    }
}

/// The last lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
