//! One measurement of joins: a fresh system, a storm, queries, a restart; and which figures are taken of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Connections};
use crate::cluster::Cluster;
use crate::disk::Disk;
use crate::process;
use crate::query;
use crate::report::{About, Figures, Report, median};
use crate::storm::{self, Joined, Storm};

/// Joins of one slice.
const SLICE: usize = 5000;
/// Bound of the time that the engine may lag behind the last join.
const ENGINE_PATIENCE: Duration = Duration::from_secs(120);

/// Measures every combination that was asked for, and each as often as was asked for.
pub async fn joins(arguments: &Arguments, programs: &Path, report: &mut Report) -> Result<()> {
    let disk = Disk::at(arguments.disk.as_deref().unwrap_or(&std::env::temp_dir()))?;
    eprintln!("system database on {} ({})", disk.directory.display(), disk.kind);
    for &members in &arguments.members {
        for &connections in &arguments.connections {
            for run in 1..=arguments.runs {
                eprintln!(
                    "{members} joins, connections {connections}, run {run} of {}",
                    arguments.runs
                );
                let round = Round { arguments, members, connections };
                let (figures, more) = round.run(programs, &disk).await?;
                report.run(round.about(&disk), figures, more)?;
            }
        }
    }
    Ok(())
}

struct Round<'a> {
    arguments: &'a Arguments,
    members: u32,
    connections: Connections,
}

impl Round<'_> {
    fn about(&self, disk: &Disk) -> About {
        vec![
            ("measure", json!("joins")),
            ("members", json!(self.members)),
            ("connections", json!(self.connections.to_string())),
            ("replicas", json!(self.arguments.replicas)),
            ("disk", json!(disk.kind)),
        ]
    }

    async fn run(&self, programs: &Path, disk: &Disk) -> Result<(Figures, About)> {
        let mut cluster = Cluster::new(programs, self.arguments.replicas, disk)?;
        cluster.form().await?;
        let all = self.members as usize + cluster.len();
        let leader = cluster.leader().await?;
        let idle = process::memory(cluster.server(leader)?)?;
        let (mut figures, storm) = self.storm(&cluster, leader, all).await?;

        let (dmg, config) = cluster.dmg(leader)?;
        let joined = query::joined(&dmg, &config).await?;
        ensure!(joined == all, "{joined} members joined, not {all}");
        let times = query::times(&dmg, &config, self.arguments.queries).await?;
        figures.push(("query_ms", median(times).context("no query")?));

        figures.push(("idle_rss_mb", idle.now));
        figures.push(("peak_rss_mb", process::memory(cluster.server(leader)?)?.peak));
        figures.push(("database_mb", cluster.database_bytes(leader)? as f64 / f64::from(1 << 20)));
        let leader = restart(&mut cluster, all).await?;
        let restarted = process::memory(cluster.server(leader)?)?;
        figures.push(("restarted_rss_mb", restarted.now));
        figures.push(("restarted_peak_mb", restarted.peak));
        let slices: Vec<Value> =
            slices(&storm.joined).into_iter().map(|rate| json!(rate.round())).collect();
        let more = vec![("joins_s_by_slice", json!(slices)), ("retried", json!(storm.retried))];
        cluster.clear().await?;
        Ok((figures, more))
    }

    /// The storm itself, and what everybody used meanwhile.
    async fn storm(
        &self,
        cluster: &Cluster,
        leader: usize,
        all: usize,
    ) -> Result<(Figures, Storm)> {
        let (server, engine) = (cluster.server(leader)?, cluster.engine(leader)?);
        let log = cluster.engine_log(leader)?;
        let used = || -> Result<[f64; 3]> {
            Ok([
                process::processor_time(server)?,
                process::processor_time(std::process::id())?,
                process::processor_time(engine)?,
            ])
        };
        let before = used()?;
        let port = cluster.port(leader)?;
        let joins = storm::run(port, self.members, self.connections, self.arguments.in_flight);
        let (storm, held) = tokio::try_join!(joins, log.holds(all, ENGINE_PATIENCE))?;
        let after = used()?;
        let micros = |at: usize| (after[at] - before[at]) * 1e6 / f64::from(self.members);
        let took = storm.joined.last().context("nobody joined")?.at;
        let mut figures = vec![
            ("joins_s", storm.joined.len() as f64 / took.as_secs_f64()),
            ("joined_ms", took.as_secs_f64() * 1e3),
            ("engine_map_ms", held.duration_since(storm.began).as_secs_f64() * 1e3),
            ("p50_ms", percentile(&storm.joined, 50)),
            ("p99_ms", percentile(&storm.joined, 99)),
            ("server_cpu_us", micros(0)),
            ("client_cpu_us", micros(1)),
            ("engine_cpu_us", micros(2)),
        ];
        let slices = slices(&storm.joined);
        if let (Some(second), Some(last), true) = (slices.get(1), slices.last(), slices.len() > 2) {
            figures.push(("last_to_second", last / second));
        }
        Ok((figures, storm))
    }
}

/// Stops all servers, starts them again and waits until everything is as it was; the host that leads then.
async fn restart(cluster: &mut Cluster, all: usize) -> Result<usize> {
    for at in 0..cluster.len() {
        let (ended, _) = cluster.host_mut(at)?.stop_server().await?;
        ensure!(ended.success(), "daos_server ended with {ended}");
    }
    let logs = (0..cluster.len()).map(|at| cluster.engine_log(at)).collect::<Result<Vec<_>>>()?;
    for at in 0..cluster.len() {
        cluster.host_mut(at)?.start_server(&[])?;
    }
    for at in 0..cluster.len() {
        cluster.host(at)?.wait_for_log("is running", 1).await?;
    }
    let leader = cluster.leader().await?;
    let log = logs.into_iter().nth(leader).context("no log of the leader's engine")?;
    log.holds(all, ENGINE_PATIENCE).await?;
    Ok(leader)
}

/// Joins a second in each full slice.
fn slices(joined: &[Joined]) -> Vec<f64> {
    let mut from = Duration::ZERO;
    let rate = |slice: &[Joined]| {
        let upto = slice.last().map_or(from, |last| last.at);
        let took = upto.saturating_sub(std::mem::replace(&mut from, upto));
        slice.len() as f64 / took.as_secs_f64()
    };
    joined.chunks_exact(SLICE).map(rate).collect()
}

/// Milliseconds within which so many of a hundred joins were answered.
fn percentile(joined: &[Joined], hundredths: usize) -> f64 {
    let mut times: Vec<Duration> = joined.iter().map(|joined| joined.took).collect();
    times.sort_unstable();
    let at = (times.len() * hundredths).div_ceil(100).saturating_sub(1);
    times.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Joined, SLICE, percentile, slices};

    fn joined(at: u64, took: u64) -> Joined {
        Joined { at: Duration::from_micros(at), took: Duration::from_micros(took) }
    }

    #[test]
    fn slices_follow_each_other() {
        let all: Vec<_> = (1..=2 * SLICE as u64 + 1)
            .map(|at| {
                joined(
                    if at <= SLICE as u64 {
                        at * 100
                    } else {
                        SLICE as u64 * 100 + (at - SLICE as u64) * 200
                    },
                    1,
                )
            })
            .collect();
        let rates: Vec<u64> = slices(&all).into_iter().map(|rate| rate.round() as u64).collect();
        assert_eq!(rates, [10_000, 5_000]);
        assert!(slices(&all[..SLICE - 1]).is_empty());
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let all: Vec<_> = (1..=200).map(|took| joined(1, took * 1000)).collect();
        assert_eq!((percentile(&all, 50), percentile(&all, 99)), (100.0, 198.0));
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
