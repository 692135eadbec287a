//! Three storage nodes in one process form one system, and go on when the one that leads is gone.
//!
//! Run: `cargo run -p daos-examples --bin three_hosts_join`
//!
//! Shows how to embed the server: a configuration, the parts it is built on (here simulated memory, devices and
//! engines), and `Server::start`. Listeners, system databases and replication are the real ones, on ports of the loopback
//! interface. Needs no root, and leaves nothing behind.

mod host;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use daos_control::client::{
    Client, ClientConfig, Consent, FormatMode, HostSet, MemberState, SystemQuery, Transport,
};
use tokio::time::{sleep, timeout};

use host::{Host, SYSTEM, free_ports};

const HOSTS: usize = 3;
/// Bound of every single wait; each takes a moment on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let files = tempfile::Builder::new().prefix("daos_three_hosts_").tempdir()?;
    let ports = free_ports(HOSTS)?;
    let mut hosts = Vec::new();
    for number in 0..HOSTS {
        hosts.push(Host::start(files.path(), number, &ports).await?);
    }
    let played = tokio::select! {
        played = play(&mut hosts, &ports) => played,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    for host in hosts {
        host.shut_down().await;
    }
    played
}

async fn play(hosts: &mut Vec<Host>, ports: &[u16]) -> Result<()> {
    let client = client(ports)?;
    println!("# {HOSTS} hosts wait for a format.");
    until("every host waiting", async || {
        let states = client.host_states().await;
        Ok(states.answers.len() == HOSTS)
    })
    .await?;

    println!("# Their storage is formatted; the engines join by themselves.");
    let previews = client.plan_format(FormatMode::Waiting).await;
    let reports = client.apply_format(previews.accept(Consent::NotAsked)?).await?;
    if let Some((host, error)) = reports.failures.first() {
        bail!("{host} was not formatted: {error}");
    }
    until("every engine joined", async || joined(&client, HOSTS).await).await?;
    // A host votes once it has what the first one has; only then can that one be missed.
    until("every host a replica", async || {
        let set = client.replica_set().await?;
        Ok(set.replicas.iter().filter(|replica| replica.voter).count() == HOSTS)
    })
    .await?;
    show(&client).await?;

    let leader = client.leader_query().await?.current;
    let place = hosts.iter().position(|host| host.address() == leader);
    let place = place.with_context(|| format!("'{leader}' leads, which is none of the hosts"))?;
    println!("# The host that leads, {leader}, ends. The others elect a new one.");
    hosts.remove(place).shut_down().await;
    let left = client.with_hosts(HostSet::parse(&addresses(hosts))?);
    until("a new leader", async || {
        let now = left.leader_query().await?.current;
        Ok(!now.is_empty() && now != leader)
    })
    .await?;
    show(&left).await
}

/// Who leads, and who the members are.
async fn show(client: &Client) -> Result<()> {
    let leader = client.leader_query().await?;
    println!("    {} leads, of {}", leader.current, leader.replicas.join(", "));
    let system = client.system_query(&SystemQuery::default()).await?;
    ensure!(system.members.len() == HOSTS, "{} members", system.members.len());
    for member in system.members {
        println!("    rank {} at {}: {}", member.rank, member.address, member.state);
    }
    Ok(())
}

async fn joined(client: &Client, count: usize) -> Result<bool> {
    // The management service needs a moment to come up after the format.
    let Ok(system) = client.system_query(&SystemQuery::default()).await else { return Ok(false) };
    let joined = system.members.iter().filter(|member| member.state == MemberState::Joined);
    Ok(joined.count() == count)
}

fn client(ports: &[u16]) -> Result<Client> {
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = ClientConfig {
        system_name: SYSTEM.to_owned(),
        hosts: HostSet::parse(&hosts.join(","))?,
        transport: Transport::Insecure,
        ..ClientConfig::default()
    };
    Ok(Client::new(&config)?)
}

fn addresses(hosts: &[Host]) -> String {
    hosts.iter().map(Host::address).collect::<Vec<_>>().join(",")
}

/// Asks again until the answer is yes.
async fn until(what: &str, ask: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let asking = async {
        while !ask().await? {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| bail!("waited in vain for {what}"))
}
