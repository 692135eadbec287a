//! How long a system of several replicas takes no writes after its leader was killed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use daos_proto::mgmt::{SystemQueryReq, SystemSetAttrReq};
use futures_util::future::select_ok;
use rustix::process::Signal;
use serde_json::json;

use crate::arguments::Arguments;
use crate::cluster::Cluster;
use crate::disk::Disk;
use crate::joining::{SYSTEM, connect, signed};
use crate::report::{Report, median};

/// Bound of one try to write; a replica that does not answer in this time is asked again.
const ONE_TRY: Duration = Duration::from_millis(500);
/// Pause between tries, so that asking does not take the processor from the election: what a time may be late.
const PAUSE: Duration = Duration::from_millis(5);
/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills the leader `runs` times; the killed server comes back between.
pub async fn rounds(arguments: &Arguments, programs: &Path, report: &mut Report) -> Result<()> {
    ensure!(arguments.replicas >= 3, "a system without its leader needs --replicas 3 or more");
    let disk = Disk::at(arguments.disk.as_deref().unwrap_or(&std::env::temp_dir()))?;
    let mut cluster = Cluster::new(programs, arguments.replicas, &disk)?;
    cluster.form().await?;
    settle(&cluster).await?;
    let about = vec![
        ("measure", json!("leader_loss")),
        ("replicas", json!(arguments.replicas)),
        ("disk", json!(disk.kind)),
    ];
    let mut times = Vec::new();
    for run in 1..=arguments.runs {
        let leader = cluster.leader().await?;
        let took = lose(&mut cluster, leader, run).await?;
        times.push(took.as_secs_f64() * 1e3);
        let worst = times.iter().copied().fold(0.0, f64::max);
        let median = median(times.clone()).context("no round")?;
        eprintln!("round {run} of {}: {took:?}", arguments.runs);
        let figures = vec![("first_write_ms", took.as_secs_f64() * 1e3)];
        let more = vec![
            ("median_so_far_ms", json!(median.round())),
            ("worst_so_far_ms", json!(worst.round())),
        ];
        report.run(about.clone(), figures, more)?;
        cluster.host_mut(leader)?.start_server(&[])?;
        cluster.host(leader)?.wait_for_log("is running", 1).await?;
        settle(&cluster).await?;
    }
    cluster.clear().await
}

/// Kills the leader; the time until another replica has taken a write.
async fn lose(cluster: &mut Cluster, leader: usize, run: u16) -> Result<Duration> {
    let others: Vec<u16> = (0..cluster.len())
        .filter(|at| *at != leader)
        .map(|at| cluster.port(at))
        .collect::<Result<_>>()?;
    cluster.host(leader)?.signal_server(Signal::KILL)?;
    let killed = Instant::now();
    let writes = others.iter().map(|port| Box::pin(until_written(*port, run)));
    let written = tokio::time::timeout(PATIENCE, select_ok(writes)).await;
    let took = killed.elapsed();
    written.context("no replica takes writes")??;
    // Its end is waited for outside the time that counts.
    cluster.host_mut(leader)?.server_ended().await?;
    Ok(took)
}

async fn until_written(port: u16, run: u16) -> Result<()> {
    loop {
        let attributes = [("bench_round".to_owned(), run.to_string())].into();
        let message = SystemSetAttrReq { sys: SYSTEM.to_owned(), attributes };
        let write = async {
            Ok::<_, anyhow::Error>(connect(port).await?.system_set_attr(signed(message)).await?)
        };
        if let Ok(Ok(_)) = tokio::time::timeout(ONE_TRY, write).await {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until all replicas have applied the same, so that each could lead.
async fn settle(cluster: &Cluster) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let mut versions = Vec::new();
        for port in cluster.ports() {
            versions.push(data_version(port).await.ok());
        }
        if versions.iter().all(|version| version.is_some() && *version == versions[0]) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("the replicas do not agree in {PATIENCE:?}")
}

async fn data_version(port: u16) -> Result<u64> {
    let message =
        SystemQueryReq { sys: SYSTEM.to_owned(), state_mask: 0xFFFF, ..SystemQueryReq::default() };
    Ok(connect(port).await?.system_query(signed(message)).await?.into_inner().data_version)
}
