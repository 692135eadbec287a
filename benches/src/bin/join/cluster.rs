//! One or more real servers on this machine that form one system, each with an engine and its database on a disk.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use daos_control::testing::HostRig;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::engine_log::EngineLog;
use crate::joining::{self, SYSTEM};
use crate::process;
use crate::query;

/// The engines that join do not exist, so those that do must not look for them.
const NO_DETECTOR: &str = "SWIM_PROTOCOL_PERIOD_LEN=3600000, SWIM_SUSPECT_TIMEOUT=3600000";

/// Bound of an election, and the pause before it is asked again who leads.
const ELECTION: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// The servers of one system.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    hosts: Vec<HostRig>,
    metadata: Vec<TempDir>,
}

impl Cluster {
    /// Files, ports and configurations; nothing runs yet.
    pub fn new(programs: &Path, replicas: usize, disk: &Disk) -> Result<Self> {
        let hosts = (0..replicas).map(|_| HostRig::new(programs, 1));
        let hosts: Vec<HostRig> = hosts.collect::<Result<_, _>>()?;
        let metadata = (0..replicas)
            .map(|_| tempfile::Builder::new().prefix("daos_bench_").tempdir_in(&disk.directory));
        let metadata = metadata.collect::<Result<_, _>>()?;
        let cluster = Self { programs: programs.to_owned(), hosts, metadata };
        let replicas: Vec<String> =
            cluster.ports().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        for at in 0..cluster.hosts.len() {
            cluster.configure(at, &replicas.join(", "))?;
        }
        Ok(cluster)
    }

    fn configure(&self, at: usize, replicas: &str) -> Result<()> {
        let host = self.host(at)?;
        let metadata = self.metadata.get(at).context("a host without a disk")?;
        let (port, fabric_port) = (host.ports()[0], host.ports()[1]);
        let mut text = format!("name: {SYSTEM}\nport: {port}\nmgmt_svc_replicas: [{replicas}]\n");
        // Writing to a String does not fail.
        let _infallible = write!(
            text,
            "data_plane: emulated\ntransport_config: {{allow_insecure: true}}\nprovider: ofi+tcp\n\
             socket_dir: {}\nstate_dir: {}\ncontrol_metadata: {{path: {}}}\nengines:\n\
             - targets: 1\n  fabric_iface: lo\n  fabric_iface_port: {fabric_port}\n  \
             log_file: {}\n  log_mask: INFO\n  env_vars: [{NO_DETECTOR}]\n  storage:\n  \
             - {{class: ram, scm_mount: {}, scm_size: 1}}\n  \
             - {{class: file, bdev_list: [{}], bdev_size: 1, bdev_roles: [wal, meta, data]}}\n",
            host.file("sockets").display(),
            host.file("state").display(),
            metadata.path().join("metadata").display(),
            host.file("engine0.log").display(),
            host.mounts()[0].display(),
            host.file("nvme0").display(),
        );
        host.write_config(&text)?;
        fs::write(
            host.file("daos_control.yml"),
            format!(
                "name: {SYSTEM}\nport: {port}\nhostlist: [{replicas}]\ntransport_config: {{allow_insecure: true}}\n"
            ),
        )?;
        Ok(())
    }

    /// Starts all servers, formats their storage and waits until every engine has joined.
    pub async fn form(&mut self) -> Result<()> {
        for host in &mut self.hosts {
            host.start_server(&[])?;
        }
        for host in &self.hosts {
            host.wait_for_log("waiting for storage format on server 0", 1).await?;
        }
        let format = self.host(0)?.dmg(&["storage", "format"]).await?;
        ensure!(format.code == 0, "format failed: {}{}", format.stdout, format.stderr);
        self.until_joined(self.hosts.len()).await?;
        self.until_all_vote().await
    }

    /// Waits until every host's replica votes: before that the first one is the whole system.
    async fn until_all_vote(&self) -> Result<()> {
        let voters = || async {
            let asked = self.hosts[0].dmg(&["-j", "system", "ms", "status"]).await?;
            Ok(asked.stdout.matches("\"voter\": true").count() == self.hosts.len())
        };
        Ok(self.host(0)?.wait_until("all replicas to vote", voters).await?)
    }

    /// Waits until every server's engine runs and so many members are joined.
    pub async fn until_joined(&self, members: usize) -> Result<()> {
        for host in &self.hosts {
            host.wait_for_log("is running", 1).await?;
        }
        let (dmg, config) = self.dmg(0)?;
        let host = self.host(0)?;
        let joined = || async {
            Ok(query::joined(&dmg, &config).await.is_ok_and(|joined| joined == members))
        };
        Ok(host.wait_until("all members", joined).await?)
    }

    /// Number of the host whose server leads; an election is waited for.
    pub async fn leader(&self) -> Result<usize> {
        let began = Instant::now();
        loop {
            match self.leader_now().await {
                Err(_) if began.elapsed() < ELECTION => tokio::time::sleep(PAUSE).await,
                found => return found,
            }
        }
    }

    async fn leader_now(&self) -> Result<usize> {
        let mut refused = anyhow::anyhow!("no host was asked");
        for port in self.ports() {
            match joining::leader(port).await {
                Ok(leader) => {
                    let led = |port: u16| leader.ends_with(&format!(":{port}"));
                    let at = self.ports().position(led);
                    return at.with_context(|| format!("a stranger leads: {leader}"));
                }
                Err(error) => refused = error,
            }
        }
        Err(refused.context("nobody knows the leader"))
    }

    /// Control ports of all hosts.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.hosts.iter().filter_map(|host| host.ports().first().copied())
    }

    /// Control port of one host.
    pub fn port(&self, at: usize) -> Result<u16> {
        self.ports().nth(at).context("no such host")
    }

    /// The rig of one host.
    pub fn host(&self, at: usize) -> Result<&HostRig> {
        self.hosts.get(at).context("no such host")
    }

    /// The rig of one host, to start and stop its server.
    pub fn host_mut(&mut self, at: usize) -> Result<&mut HostRig> {
        self.hosts.get_mut(at).context("no such host")
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Process id of a server.
    pub fn server(&self, at: usize) -> Result<u32> {
        self.host(at)?.server_pid().context("its server does not run")
    }

    /// Process id of a server's engine.
    pub fn engine(&self, at: usize) -> Result<u32> {
        process::children(self.server(at)?)?.first().copied().context("it has no engine")
    }

    /// What the engine of a host will log from now on.
    pub fn engine_log(&self, at: usize) -> Result<EngineLog> {
        EngineLog::from_now(self.host(at)?.file("engine0.log"))
    }

    /// The administrator's tool, and its configuration for this system.
    pub fn dmg(&self, at: usize) -> Result<(PathBuf, PathBuf)> {
        Ok((self.programs.join("dmg"), self.host(at)?.file("daos_control.yml")))
    }

    /// Bytes of the system database of a host.
    pub fn database_bytes(&self, at: usize) -> Result<u64> {
        let metadata = self.metadata.get(at).context("no such host")?.path();
        let file = metadata.join("metadata/daos_control/control_raft/daos_system.db");
        Ok(fs::metadata(&file).with_context(|| file.display().to_string())?.len())
    }

    /// Ends everything and removes it.
    pub async fn clear(self) -> Result<()> {
        for host in self.hosts {
            host.clear().await?;
        }
        Ok(())
    }
}
