//! One host's worth of files, ports and real processes, and their removal.
//!
//! Used by the guided tour, the end-to-end tests and the benchmarks. Knows the programs by their command lines only.

use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::log::LogLines;
use crate::tls::TlsError;
use crate::tls::authority::{self, Issue};
use crate::wire::Component;

/// Bound of every single wait; each takes a fraction of a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the programs of a host speak to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With certificates, made for this host alone.
    Certificates,
    /// Without.
    Insecure,
}

impl Mode {
    /// The mode that end-to-end tests run in: certificates, or insecure when `DAOS_TEST_MODE=insecure` is set.
    #[must_use]
    pub fn of_tests() -> Self {
        match std::env::var_os("DAOS_TEST_MODE") {
            Some(mode) if mode == "insecure" => Self::Insecure,
            _ => Self::Certificates,
        }
    }
}

/// One host. Dropping it kills the server, unmounts what lies at its mount points and removes its files.
#[derive(Debug)]
pub struct HostRig {
    programs: PathBuf,
    files: TempDir,
    mounts: Vec<PathBuf>,
    ports: Vec<u16>,
    server: Option<RunningServer>,
    user: Option<u32>,
    mode: Mode,
}

/// The user "nobody": owns nothing and may not mount.
const NOBODY: u32 = 65534;

#[derive(Debug)]
struct RunningServer {
    child: Child,
    log: LogLines,
}

/// What a program printed and how it ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status, −1 for a signal.
    pub code: i32,
}

/// The directory of the programs, when this very program lies in it or one level below (as tests do).
///
/// # Errors
/// When `daos_server` is in neither place: build the workspace first.
pub fn programs_beside(program: &Path) -> io::Result<PathBuf> {
    program
        .ancestors()
        .skip(1)
        .take(2)
        .find(|directory| directory.join("daos_server").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| {
            io::Error::other(format!(
                "no daos_server beside {}; build the workspace first",
                program.display()
            ))
        })
}

impl HostRig {
    /// Directories, mount points and free ports for a host with this many engines, and both configuration files; in
    /// insecure mode.
    ///
    /// # Errors
    /// When there is no RAM file system this user may write to, or files cannot be made.
    pub fn new(programs: &Path, engines: usize) -> io::Result<Self> {
        Self::in_mode(Mode::Insecure, programs, engines)
    }

    /// As `new`, in the mode given.
    ///
    /// # Errors
    /// As `new`.
    pub fn in_mode(mode: Mode, programs: &Path, engines: usize) -> io::Result<Self> {
        let files = tempfile::Builder::new().prefix("daos_try_").tempdir()?;
        let unique = files.path().file_name().map(|name| name.to_string_lossy().into_owned());
        let unique = unique.ok_or_else(|| io::Error::other("a directory without a name"))?;
        let memory = memory_directory()?;
        let mounts = (0..engines).map(|engine| memory.join(format!("{unique}_{engine}"))).collect();
        let ports = free_ports(1 + engines)?;
        let programs = programs.to_owned();
        let rig = Self { programs, files, mounts, ports, server: None, user: None, mode };
        for directory in ["sockets", "state"] {
            fs::create_dir(rig.file(directory))?;
        }
        if mode == Mode::Certificates {
            rig.make_certificates()?;
        }
        rig.write_config(&rig.default_config())?;
        let port = rig.ports[0];
        fs::write(
            rig.file("daos_control.yml"),
            format!(
                "name: daos_try\nport: {port}\nhostlist: [\"127.0.0.1:{port}\"]\n\
                 transport_config: {}\n",
                rig.transport("admin")
            ),
        )?;
        Ok(rig)
    }

    fn make_certificates(&self) -> io::Result<()> {
        let directory = self.file("certs");
        let failed = |error: TlsError| io::Error::other(error);
        authority::init(&directory, 10, None, false).map_err(failed)?;
        for component in [Component::Server, Component::Admin, Component::Agent] {
            let asked = Issue {
                component,
                names: Vec::new(),
                days: 10,
                key: None,
                authority_key: None,
                replace: false,
            };
            authority::issue(&directory, &asked).map_err(failed)?;
        }
        Ok(())
    }

    /// `transport_config` for this role, on one line.
    #[must_use]
    pub fn transport(&self, role: &str) -> String {
        if self.mode == Mode::Insecure {
            return "{allow_insecure: true}".to_owned();
        }
        let certs = self.file("certs").display().to_string();
        let clients = match role {
            "server" => format!(", client_cert_dir: {certs}/clients"),
            _ => String::new(),
        };
        format!(
            "{{ca_cert: {certs}/daosCA.crt, cert: {certs}/{role}.crt, key: {certs}/{role}.key{clients}}}"
        )
    }

    /// Whether its programs use certificates.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// As `new`, with every program run by a user who owns nothing else and may not mount. A caller who is not root
    /// is such a user already.
    ///
    /// # Errors
    /// As `new`.
    pub fn for_plain_user(mode: Mode, programs: &Path, engines: usize) -> io::Result<Self> {
        let mut rig = Self::in_mode(mode, programs, engines)?;
        if !rustix::process::geteuid().is_root() {
            return Ok(rig);
        }
        // The build directory may be closed to others.
        let own_programs = rig.file("bin");
        fs::create_dir(&own_programs)?;
        for name in ["daos_server", "dmg", "daos_io_server"] {
            let (from, to) = (rig.programs.join(name), own_programs.join(name));
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        }
        rig.programs = own_programs;
        rig.user = Some(NOBODY);
        fs::set_permissions(rig.files.path(), fs::Permissions::from_mode(0o755))?;
        for name in ["", "sockets", "state", "daos_server.yml", "daos_control.yml"] {
            std::os::unix::fs::chown(rig.file(name), Some(NOBODY), Some(NOBODY))?;
        }
        for entry in fs::read_dir(rig.file("certs")).into_iter().flatten() {
            std::os::unix::fs::chown(entry?.path(), Some(NOBODY), Some(NOBODY))?;
        }
        Ok(rig)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        // A group of its own: a Ctrl-C meant for the caller does not end it behind the caller's back.
        command.stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        command
    }

    /// A file of this host.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// The SCM mount points, one for each engine.
    #[must_use]
    pub fn mounts(&self) -> &[PathBuf] {
        &self.mounts
    }

    /// The control port, then one fabric port for each engine.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Emulated data plane, RAM and one file for each engine, one replica, secured by the mode of the rig.
    #[must_use]
    pub fn default_config(&self) -> String {
        let port = self.ports[0];
        let mut text = format!(
            "name: daos_try\nport: {port}\nmgmt_svc_replicas: [\"127.0.0.1:{port}\"]\n\
             data_plane: emulated\ntransport_config: {}\nprovider: ofi+tcp\n\
             socket_dir: {}\nstate_dir: {}\nengines:\n",
            self.transport("server"),
            self.file("sockets").display(),
            self.file("state").display(),
        );
        for (engine, mount) in self.mounts.iter().enumerate() {
            let fabric_port = self.ports[1 + engine];
            let log = self.file(&format!("engine{engine}.log"));
            let device = self.file(&format!("nvme{engine}"));
            // Writing to a String does not fail.
            let _infallible = write!(
                text,
                "- targets: 2\n  fabric_iface: lo\n  fabric_iface_port: {fabric_port}\n  log_file: {}\n  storage:\n  \
                 - {{class: ram, scm_mount: {}, scm_size: 1}}\n  \
                 - {{class: file, bdev_list: [{}], bdev_size: 1}}\n",
                log.display(),
                mount.display(),
                device.display(),
            );
        }
        text
    }

    /// Replaces the server's configuration file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) -> io::Result<()> {
        fs::write(self.file("daos_server.yml"), text)
    }

    /// Starts `daos_server start` with further arguments. Does not wait for anything.
    ///
    /// # Errors
    /// When one already runs or none can be started.
    pub fn start_server(&mut self, arguments: &[&str]) -> io::Result<()> {
        self.start_server_with(arguments, &[])
    }

    /// As `start_server`, with environment variables of its own.
    ///
    /// # Errors
    /// As `start_server`.
    pub fn start_server_with(
        &mut self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> io::Result<()> {
        if self.server.is_some() {
            return Err(io::Error::other("a server already runs"));
        }
        let mut server = self.command("daos_server");
        server.args(["start", "-o"]).arg(self.file("daos_server.yml")).args(arguments);
        server.envs(environment.iter().copied());
        server.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = server.spawn()?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("the server has no output"));
        };
        self.server = Some(RunningServer { child, log: LogLines::collect(output, errors) });
        Ok(())
    }

    /// Process id of the server.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(|server| server.child.id())
    }

    /// Waits until `count` lines of the server hold the text.
    ///
    /// # Errors
    /// When no server runs, it ends first, or it takes too long.
    pub async fn wait_for_log(&self, text: &str, count: usize) -> io::Result<()> {
        let server = self.server.as_ref().ok_or_else(|| io::Error::other("no server runs"))?;
        server.log.wait_for(text, count, PATIENCE).await
    }

    /// All lines of the server so far.
    #[must_use]
    pub fn server_log(&self) -> Vec<String> {
        self.server.as_ref().map(|server| server.log.so_far()).unwrap_or_default()
    }

    /// Runs `dmg` against this host.
    ///
    /// # Errors
    /// When it cannot be run or does not end.
    pub async fn dmg(&self, arguments: &[&str]) -> io::Result<Ran> {
        let config = self.file("daos_control.yml");
        let config = config.to_string_lossy();
        let mut all = vec!["-o", config.as_ref()];
        all.extend(arguments);
        self.run("dmg", &all).await
    }

    /// Starts `dmg` against this host for a command that goes on. Its standard output is a pipe; dropped, it ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn dmg_going_on(&self, arguments: &[&str]) -> io::Result<Child> {
        let mut command = self.command("dmg");
        command.arg("-o").arg(self.file("daos_control.yml")).args(arguments);
        command.stdout(Stdio::piped()).kill_on_drop(true).spawn()
    }

    /// Runs any of the programs to its end.
    ///
    /// # Errors
    /// When it cannot be run or does not end.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> io::Result<Ran> {
        let mut command = self.command(program);
        command.args(arguments);
        let ended = timeout(PATIENCE, command.output()).await;
        let output = ended.map_err(|_| io::Error::other(format!("{program} did not end")))??;
        Ok(Ran {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        })
    }

    /// Waits until this many engines run under the present server and a query shows as many joined ranks. The query
    /// alone says nothing after a restart: the members of a system that was down are still joined.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn wait_for_joined(&self, wanted: usize) -> io::Result<()> {
        self.wait_for_log("is running", wanted).await?;
        self.wait_until(&format!("{wanted} joined ranks"), || async {
            let ran = self.dmg(&["--json", "system", "query"]).await?;
            Ok(ran.stdout.matches("\"joined\"").count() == wanted)
        })
        .await
    }

    /// Asks again until the answer is yes.
    ///
    /// # Errors
    /// When that does not happen in time, or asking fails.
    pub async fn wait_until<F: Future<Output = io::Result<bool>>>(
        &self,
        what: &str,
        ask: impl Fn() -> F,
    ) -> io::Result<()> {
        let asking = async {
            while !ask().await? {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        let last =
            || self.server_log().into_iter().rev().take(25).rev().collect::<Vec<_>>().join("\n");
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
            Err(io::Error::other(format!(
                "waited for {what}; the server's last lines:\n{}",
                last()
            )))
        })
    }

    /// Ends the server with SIGTERM and waits for it; its status and all its lines.
    ///
    /// # Errors
    /// When none runs or it does not end.
    pub async fn stop_server(&mut self) -> io::Result<(ExitStatus, Vec<String>)> {
        self.signal_server(Signal::TERM)?;
        self.server_ended().await
    }

    /// Sends the server a signal.
    ///
    /// # Errors
    /// When none runs.
    pub fn signal_server(&self, signal: Signal) -> io::Result<()> {
        let pid = self.server_pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("no server runs"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for the server to end by itself.
    ///
    /// # Errors
    /// When none runs or it does not end.
    pub async fn server_ended(&mut self) -> io::Result<(ExitStatus, Vec<String>)> {
        let mut server = self.server.take().ok_or_else(|| io::Error::other("no server runs"))?;
        let ended = timeout(PATIENCE, server.child.wait()).await;
        let status = ended.map_err(|_| io::Error::other("the server did not end"))??;
        // Engines hold the streams as well; their end is the end of the log.
        let _still_open = timeout(PATIENCE, server.log.end()).await;
        Ok((status, server.log.so_far()))
    }

    /// Ends what runs, in good order, and removes everything.
    ///
    /// # Errors
    /// When something cannot be ended or removed.
    pub async fn clear(mut self) -> io::Result<()> {
        let stopped =
            if self.server.is_some() { self.stop_server().await.map(drop) } else { Ok(()) };
        let removed = self.remove_storage();
        stopped.and(removed)
    }

    fn remove_storage(&self) -> io::Result<()> {
        for mount in &self.mounts {
            if is_mount_point(mount)? {
                rustix::mount::unmount(mount, rustix::mount::UnmountFlags::empty())?;
            }
            if mount.exists() {
                fs::remove_dir_all(mount)?;
            }
        }
        Ok(())
    }
}

impl Drop for HostRig {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // Its engines die with it, but their mounts stay busy until they are gone.
            let _already_gone = server.child.start_kill();
            while matches!(server.child.try_wait(), Ok(None)) {
                std::thread::yield_now();
            }
        }
        let began = std::time::Instant::now();
        while self.remove_storage().is_err() && began.elapsed() < Duration::from_secs(5) {
            std::thread::yield_now();
        }
    }
}

/// A tmpfs mount point where this user may make a directory.
fn memory_directory() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    for candidate in std::iter::once(PathBuf::from("/dev/shm")).chain(runtime) {
        if tempfile::tempdir_in(&candidate).is_ok() && is_mount_point(&candidate)? {
            return Ok(candidate);
        }
    }
    Err(io::Error::other(
        "neither /dev/shm nor $XDG_RUNTIME_DIR is a RAM file system this user may write to",
    ))
}

fn is_mount_point(path: &Path) -> io::Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let wanted = path.to_string_lossy();
    Ok(mounts.lines().filter_map(|line| line.split(' ').nth(4)).any(|point| point == wanted))
}

/// Ports nobody listens on now. Held together until all are known, so that they differ.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
