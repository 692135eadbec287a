//! The whole system: network, hosts, clients and record, and the question whether all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use daos_benches::history::members::View;
use daos_control::client::{MemberState, SystemStatus};
use daos_control::wire::Component;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::clients::{Clients, Ended, SYSTEM, host_at};
use crate::host::{ENGINES, Host, LOOK, PORT};
use crate::network::{Network, address};
use crate::recorder::Recorder;
use crate::security::Security;
use crate::timeline::Timeline;

/// Hosts of the system.
pub const HOSTS: usize = 5;
/// What anything that must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Size of the file system that holds the database of the host whose disk is filled.
const SMALL_DISK: &str = "size=32m";

/// What `look` has to say: what was wanted, or what is missing.
pub type Seen<T> = Result<T, String>;

/// The system.
#[derive(Debug)]
pub struct Cluster {
    /// Between the hosts, and to the client.
    pub network: Network,
    /// All hosts; the first are the replicas.
    pub hosts: Vec<Host>,
    /// How many replicas there are.
    pub replicas: usize,
    /// The clock, and what happened.
    pub timeline: Arc<Timeline>,
    /// What clients were told.
    pub recorder: Arc<Recorder>,
    /// A client of each host.
    pub clients: Clients,
    /// Counts the starts of each host's server.
    pub sessions: Arc<[AtomicU64]>,
    directory: PathBuf,
    programs: PathBuf,
    /// The engines that are really there, by rank.
    engines: BTreeMap<u32, String>,
}

impl Cluster {
    /// Lays the network and makes the hosts' files; the last replica's database lies on a small file system of its own.
    pub async fn make(
        directory: &Path,
        programs: &Path,
        replicas: usize,
        insecure: bool,
    ) -> Result<Self> {
        let security = if insecure {
            Security::Insecure
        } else {
            Security::make(&directory.join("certs"), programs).await?
        };
        let network = Network::lay(HOSTS).await.context("laying the network")?;
        let hosts =
            (0..HOSTS).map(|host| Host::make(host, directory, programs, replicas, &security));
        let hosts = hosts.collect::<Result<Vec<_>>>()?;
        let small = hosts[replicas - 1].file("metadata");
        let options = std::ffi::CString::new(SMALL_DISK)?;
        rustix::mount::mount(
            "tmpfs",
            &small,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            Some(options.as_c_str()),
        )?;
        let list: Vec<_> = hosts.iter().map(Host::address).collect();
        fs::write(
            directory.join("daos_control.yml"),
            format!(
                "name: {SYSTEM}\nport: {PORT}\nhostlist: {list:?}\n\
                 transport_config: {}\n",
                security.transport_config(Component::Admin)
            ),
        )?;
        Ok(Self {
            network,
            hosts,
            replicas,
            timeline: Arc::new(Timeline::begin()),
            recorder: Arc::default(),
            clients: Clients::new(HOSTS, &security)?,
            sessions: (0..HOSTS).map(|_| AtomicU64::new(0)).collect(),
            directory: directory.to_owned(),
            programs: programs.to_owned(),
            engines: BTreeMap::new(),
        })
    }

    /// Starts a host's server.
    pub fn start(&mut self, host: usize) -> Result<()> {
        self.hosts[host].start()?;
        self.sessions[host].store(self.hosts[host].starts(), Ordering::Relaxed);
        Ok(())
    }

    /// Starts every server, formats every host and waits until all engines have joined.
    pub async fn form(&mut self) -> Result<()> {
        for host in 0..HOSTS {
            self.start(host)?;
        }
        for host in &mut self.hosts {
            host.wait_for_log("waiting for storage format", ENGINES, PATIENCE).await?;
        }
        self.timeline.note(format!("{HOSTS} servers wait for a format"));
        self.dmg(&["storage", "format", "--yes"]).await?;
        self.healthy().await?;
        let members = self.leaders_view().await?.members;
        self.engines = members.into_iter().map(|member| (member.rank, member.uuid)).collect();
        self.timeline.note(format!("{} engines have joined one system", self.engines.len()));
        Ok(())
    }

    /// Runs `dmg` in the client's namespace; it must end well.
    pub async fn dmg(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.programs.join("dmg"));
        command.arg("-o").arg(self.directory.join("daos_control.yml")).args(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = timeout(PATIENCE, command.output()).await.context("dmg did not end")??;
        let output = String::from_utf8_lossy(&ended.stdout).into_owned();
        ensure!(
            ended.status.success(),
            "dmg {} ended with {}:\n{output}{}",
            arguments.join(" "),
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        );
        Ok(output)
    }

    /// Asks again until there is what is wanted.
    ///
    /// # Errors
    /// What was missing when the time was over.
    pub async fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut(&mut Self) -> Result<Seen<T>>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            let missing = match look(self).await? {
                Ok(found) => return Ok(found),
                Err(missing) => missing,
            };
            if Instant::now() >= end {
                bail!("waited {limit:?} for {what}: {missing}");
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until every server runs with all its engines, the replicas agree who leads and who the members are, and all real
    /// engines are joined. The leader's host.
    pub async fn healthy(&mut self) -> Result<usize> {
        for host in &mut self.hosts {
            host.wait_for_log(" is running", ENGINES, PATIENCE).await?;
        }
        self.until("a healthy system", PATIENCE, async |system| system.look().await).await
    }

    async fn look(&mut self) -> Result<Seen<usize>> {
        for host in &mut self.hosts {
            host.still_runs()?;
        }
        let leader = match self.agreed_leader().await {
            Ok(leader) => leader,
            Err(missing) => return Ok(Err(missing)),
        };
        if let Err(missing) = self.all_vote(leader).await {
            return Ok(Err(missing));
        }
        let mut shown: Option<Vec<_>> = None;
        for host in 0..self.replicas {
            let members = match self.clients.members(host).await {
                Ok(status) => status.members,
                Err(error) => {
                    return Ok(Err(format!(
                        "{} shows no members: {error}",
                        self.hosts[host].name()
                    )));
                }
            };
            let facts: Vec<_> =
                members.into_iter().map(|one| (one.rank, one.uuid, one.state)).collect();
            match &shown {
                Some(before) if *before != facts => {
                    return Ok(Err(format!(
                        "{} shows other members than s1",
                        self.hosts[host].name()
                    )));
                }
                Some(_) => {}
                None => shown = Some(facts),
            }
        }
        Ok(self.all_joined(&shown.unwrap_or_default()).map(|()| leader))
    }

    /// Whether every replica has a vote and says of itself that nothing is wrong.
    async fn all_vote(&self, leader: usize) -> Seen<()> {
        let set = self.clients.replicas(leader).await;
        let set = set.map_err(|error| format!("the leader does not show the replicas: {error}"))?;
        let voting = set.replicas.iter().filter(|replica| replica.voter).count();
        if voting == self.replicas && set.replicas.len() == self.replicas {
            return Ok(());
        }
        Err(format!("{voting} of {} replicas vote: {:?}", self.replicas, set.notes))
    }

    /// The host every replica says leads.
    pub async fn agreed_leader(&self) -> Seen<usize> {
        let mut named = BTreeSet::new();
        for host in 0..self.replicas {
            let name = self.hosts[host].name();
            match self.clients.leader(host).await {
                Ok(leader) => named.insert(leader.current),
                Err(error) => return Err(format!("{name} does not say who leads: {error}")),
            };
        }
        let named: Vec<_> = named.into_iter().collect();
        match &named[..] {
            [one] => host_at(one).ok_or_else(|| format!("'{one}' is named as the leader")),
            _ => Err(format!("the replicas name several leaders: {named:?}")),
        }
    }

    fn all_joined(&self, members: &[(u32, String, MemberState)]) -> Seen<()> {
        let joined = |rank: &u32, uuid: &String| {
            members.contains(&(*rank, uuid.clone(), MemberState::Joined))
        };
        if self.engines.is_empty() {
            let count =
                members.iter().filter(|(_, _, state)| *state == MemberState::Joined).count();
            let wanted = HOSTS * ENGINES;
            return if count == wanted {
                Ok(())
            } else {
                Err(format!("{count} of {wanted} have joined"))
            };
        }
        let absent: Vec<_> = self
            .engines
            .iter()
            .filter(|(rank, uuid)| !joined(rank, uuid))
            .map(|(rank, uuid)| {
                let seen = members.iter().find(|(other, _, _)| other == rank);
                seen.map_or_else(
                    || format!("rank {rank} is gone"),
                    |(_, other, state)| {
                        let changed = if other == uuid { "" } else { " with another uuid" };
                        format!("rank {rank} is {state}{changed}")
                    },
                )
            })
            .collect();
        if absent.is_empty() { Ok(()) } else { Err(absent.join(", ")) }
    }

    /// The members as the leader shows them; noted as a view that may lack nothing.
    pub async fn leaders_view(&mut self) -> Result<SystemStatus> {
        let leader = self.agreed_leader().await.map_err(anyhow::Error::msg)?;
        // A write that is acknowledged shows that it still leads.
        match self.clients.write(leader, "barrier", self.timeline.now().0).await {
            Ended::Answered(()) => {}
            ended => bail!("the leader {} takes no write: {ended:?}", self.hosts[leader].name()),
        }
        let invoked = self.timeline.now();
        let status = self.clients.members(leader).await?;
        let view = View {
            shown_by: self.hosts[leader].name(),
            invoked,
            returned: self.timeline.now(),
            members: identities(&status),
            current: true,
        };
        self.recorder.view(view);
        Ok(status)
    }

    /// The term that a replica knows of.
    pub async fn term(&self, host: usize) -> Result<u64> {
        let status = self.clients.members(host).await?;
        let replica = status.answered_by.context("no replica says who answered")?.replica;
        Ok(replica.term)
    }

    /// Ranks of the real engines of a host.
    pub fn ranks_of(&self, host: usize, status: &SystemStatus) -> Vec<u32> {
        let at = |member: &&daos_control::client::Member| {
            host_at(&member.address) == Some(host) && self.engines.contains_key(&member.rank)
        };
        status.members.iter().filter(at).map(|member| member.rank).collect()
    }

    /// Heals the network and starts every server that does not run.
    pub async fn mend(&mut self) -> Result<()> {
        self.network.cut(&[]).await?;
        for host in 0..HOSTS {
            if !self.hosts[host].runs() {
                self.start(host)?;
            }
        }
        Ok(())
    }

    /// Ends all servers that still run, in good order.
    pub async fn end(&mut self) -> Result<()> {
        for host in &mut self.hosts {
            if host.runs() {
                host.stop().await?;
            }
        }
        Ok(())
    }
}

/// Rank and engine of each member.
pub fn identities(status: &SystemStatus) -> Vec<(u32, uuid::Uuid)> {
    let parsed = status.members.iter().map(|member| Some((member.rank, member.uuid.parse().ok()?)));
    parsed.flatten().collect()
}

/// The control address of a member that only exists in joins.
pub fn nowhere(number: u32) -> String {
    format!("{}:{PORT}", std::net::Ipv4Addr::from(u32::from(address(0)) + (1 << 16) + number))
}
