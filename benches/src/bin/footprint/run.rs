//! One run: a fresh host is started, formatted, queried, stopped and started again, and every step is timed.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use daos_control::testing::HostRig;
use serde_json::Value;

use crate::samples::Samples;
use crate::sys;

/// What is measured.
pub const PROGRAMS: [&str; 3] = ["daos_server", "dmg", "daos_io_server"];
const ENGINES: usize = 2;
/// Queries of one run: they are short and vary.
const QUERIES: usize = 5;
/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(60);
const KIBI: f64 = 1024.0;

/// Where the programs are.
#[derive(Debug)]
pub struct Bench {
    pub programs: PathBuf,
}

impl Bench {
    /// Measures everything once.
    pub async fn run(&self, samples: &mut Samples) -> Result<()> {
        let mut rig = HostRig::new(&self.programs, ENGINES)?;
        samples.start_to_listen_ms.push(start_until_listening(&mut rig)?);
        rig.wait_for_log("waiting for storage format on server", ENGINES).await?;

        let began = Instant::now();
        let format = rig.dmg(&["storage", "format"]).await?;
        ensure!(format.code == 0, "format failed: {}{}", format.stdout, format.stderr);
        let formatted = until_joined(&rig, &[]).await?;
        samples.format_to_joined_ms.push(milliseconds(began));

        rig.wait_for_log("is running", ENGINES).await?;
        let server = rig.server_pid().context("no server runs")?;
        samples.idle_rss_mb.push(resident_mb(server)?);
        for engine in children(server)? {
            samples.engine_rss_mb.push(resident_mb(engine)?);
        }
        for _ in 0..QUERIES {
            let (took, peak) = self.query(&rig)?;
            samples.dmg_query_ms.push(took);
            samples.dmg_query_rss_mb.push(peak);
        }

        let (ended, _) = rig.stop_server().await?;
        ensure!(ended.success(), "daos_server ended with {ended}");
        let began = Instant::now();
        rig.start_server(&[])?;
        until_joined(&rig, &formatted).await?;
        samples.restart_to_joined_ms.push(milliseconds(began));
        rig.clear().await?;
        Ok(())
    }

    /// Size of each program in MiB.
    pub fn sizes(&self) -> Result<Vec<(String, f64)>> {
        let size = |name: &str| -> Result<(String, f64)> {
            let program = self.programs.join(name);
            let found = fs::metadata(&program).with_context(|| program.display().to_string())?;
            Ok((format!("{name}_binary_mb"), found.len() as f64 / KIBI / KIBI))
        };
        PROGRAMS.into_iter().map(size).collect()
    }

    /// Milliseconds and peak resident MiB of one `dmg system query`.
    fn query(&self, rig: &HostRig) -> Result<(f64, f64)> {
        let mut command = Command::new(self.programs.join("dmg"));
        command.arg("-o").arg(rig.file("daos_control.yml")).args(["system", "query"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn()?;
        let (succeeded, peak_kib) = sys::wait_with_peak(child.id())?;
        let took = milliseconds(began);
        ensure!(succeeded, "dmg system query failed");
        Ok((took, peak_kib / KIBI))
    }
}

fn start_until_listening(rig: &mut HostRig) -> Result<f64> {
    let port = *rig.ports().first().context("a host without a port")?;
    let began = Instant::now();
    rig.start_server(&[])?;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        ensure!(began.elapsed() < PATIENCE, "daos_server does not listen");
        std::thread::yield_now();
    }
    Ok(milliseconds(began))
}

/// Asks without pause until every rank is joined, each with a later incarnation than before; the time of the last query
/// is in the figure. The members of a stopped system stay joined, so that the state alone says nothing after a restart.
async fn until_joined(rig: &HostRig, before: &[u64]) -> Result<Vec<u64>> {
    let began = Instant::now();
    loop {
        let asked = rig.dmg(&["--json", "system", "query"]).await?;
        let now = joined_incarnations(&asked.stdout);
        let is_later = before.iter().zip(&now).all(|(before, now)| before < now);
        if now.len() == ENGINES && is_later {
            return Ok(now);
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "the ranks do not join: {}{}",
            asked.stdout,
            asked.stderr
        );
    }
}

/// The incarnations of the joined ranks, by rank. None while there is no system.
fn joined_incarnations(answer: &str) -> Vec<u64> {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let members = answer.pointer("/response/members").and_then(Value::as_array);
    let joined = members.into_iter().flatten().filter(|member| member["state"] == "joined");
    let mut joined: Vec<(u64, u64)> = joined
        .filter_map(|member| Some((member["rank"].as_u64()?, member["incarnation"].as_u64()?)))
        .collect();
    joined.sort_unstable();
    joined.into_iter().map(|(_, incarnation)| incarnation).collect()
}

fn resident_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("VmRSS without a number")?.parse()?;
    Ok(kib / KIBI)
}

/// Child processes, whichever thread made them.
fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"))? {
        let listed = fs::read_to_string(task?.path().join("children"))?;
        for child in listed.split_whitespace() {
            found.push(child.parse()?);
        }
    }
    ensure!(found.len() == ENGINES, "{} processes run below daos_server", found.len());
    Ok(found)
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::joined_incarnations;

    #[test]
    fn only_joined_ranks_count_in_their_order() {
        let answer = r#"{"response": {"members": [
            {"rank": 2, "state": "joined", "incarnation": 7},
            {"rank": 1, "state": "stopped", "incarnation": 6},
            {"rank": 0, "state": "joined", "incarnation": 18446744073709551615}]}}"#;
        assert_eq!(joined_incarnations(answer), [u64::MAX, 7]);
        assert!(joined_incarnations("").is_empty());
        assert!(joined_incarnations(r#"{"response": null}"#).is_empty());
    }
}
