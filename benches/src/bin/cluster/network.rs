//! A switch, hosts and a client, each in a network namespace, joined by veth pairs; packets are dropped where they arrive.
//!
//! The client is this very process's namespace. Knows `ip`, `nsenter` and `nft`; must not know what runs on the hosts.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::cuts::{Cut, Node};

/// Every node drops what comes from the addresses in this set.
const TABLE: &str = "table inet cut {\n set from { type ipv4_addr; }\n \
    chain arriving { type filter hook input priority 0; ip saddr @from drop; }\n}\n";

/// The network of one run.
#[derive(Debug)]
pub struct Network {
    hosts: usize,
    severed: BTreeSet<(Node, Node)>,
}

/// Address of a node.
pub fn address(node: Node) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(node + 1).unwrap_or(u8::MAX))
}

/// Name of a host, also of its namespace.
pub fn name(host: Node) -> String {
    format!("s{}", host + 1)
}

/// A command that runs in the network of a host, and in every other respect here.
pub fn on_host(host: Node, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", name(host))).arg(program);
    command
}

impl Network {
    /// Lays the cables.
    pub async fn lay(hosts: usize) -> Result<Self> {
        let mut namespaces = "netns add switch\n".to_owned();
        let mut cables = "link set lo up\n".to_owned();
        let mut ports = "link add bridge type bridge\nlink set bridge up\n".to_owned();
        // Writing to a String does not fail.
        for host in 0..hosts {
            let _ = writeln!(namespaces, "netns add {}", name(host));
        }
        for node in 0..=hosts {
            let end = if node == hosts { String::new() } else { format!(" netns {}", name(node)) };
            let _ =
                writeln!(cables, "link add port{node} netns switch type veth peer name eth0{end}");
            let _ = writeln!(ports, "link set port{node} master bridge up");
        }
        ip(None, &namespaces).await?;
        ip(None, &cables).await?;
        ip(Some("switch"), &ports).await?;
        for node in 0..=hosts {
            let place = (node < hosts).then(|| name(node));
            let up = format!(
                "link set lo up\nlink set eth0 up\naddr add {}/24 dev eth0\n",
                address(node)
            );
            ip(place.as_deref(), &up).await?;
            nft(node, hosts, TABLE).await?;
        }
        Ok(Self { hosts, severed: BTreeSet::new() })
    }

    /// Makes exactly these things wrong; none heals the network.
    pub async fn cut(&mut self, cuts: &[Cut]) -> Result<()> {
        let wanted: BTreeSet<_> = cuts.iter().flat_map(|cut| cut.pairs(self.hosts)).collect();
        for node in 0..=self.hosts {
            let from = |pairs: &BTreeSet<(Node, Node)>| -> Vec<String> {
                let to_node = pairs.iter().filter(|(_, to)| *to == node);
                to_node.map(|(from, _)| address(*from).to_string()).collect()
            };
            let (now, before) = (from(&wanted), from(&self.severed));
            if now == before {
                continue;
            }
            let mut script = "flush set inet cut from\n".to_owned();
            if !now.is_empty() {
                let _infallible =
                    writeln!(script, "add element inet cut from {{ {} }}", now.join(", "));
            }
            nft(node, self.hosts, &script).await?;
        }
        self.severed = wanted;
        Ok(())
    }

    /// Hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts
    }
}

async fn ip(namespace: Option<&str>, batch: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-netns", namespace]);
    }
    feed(command.args(["-batch", "-"]), batch).await
}

async fn nft(node: Node, hosts: usize, script: &str) -> Result<()> {
    let mut command =
        if node == hosts { Command::new("nft") } else { on_host(node, Path::new("nft")) };
    feed(command.args(["-f", "-"]), script).await
}

/// Runs a program with this input; it must end well.
async fn feed(command: &mut Command, input: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let described = format!("{:?}", command.as_std());
    let mut child = command.spawn().with_context(|| format!("cannot run {described}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let ended = child.wait_with_output().await?;
    ensure!(
        ended.status.success(),
        "{described} failed: {}\ninput:\n{input}",
        String::from_utf8_lossy(&ended.stderr).trim()
    );
    Ok(())
}
