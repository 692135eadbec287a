//! How long the main steps take and how much memory the programs need: medians over runs of release binaries.
//!
//! Run: `cargo run --release -p daos-benches --bin footprint -- [RUNS]` (7 runs unless told otherwise, at least 7).
//! Prints one JSON object. Times are of this machine at this moment: compare only within one run of one machine.
//!
//! * `start_to_listen_ms`: from starting `daos_server` until its port takes a connection
//! * `format_to_joined_ms`: from starting `dmg storage format` until a query shows both ranks joined
//! * `restart_to_joined_ms`: from starting `daos_server` on formatted storage until a query shows both ranks joined
//! * `idle_rss_mb`: resident memory of the server, formatted, two engines joined
//! * `dmg_query_ms`, `dmg_query_rss_mb`: one `dmg system query`, as a whole process
//! * `*_binary_mb`: size of the stripped programs

mod sys;

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use daos_control::testing::HostRig;

const ENGINES: usize = 2;
const LEAST_RUNS: usize = 7;
const MEBI: f64 = 1024.0 * 1024.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let asked = std::env::args().nth(1).map(|runs| runs.parse::<usize>()).transpose();
    let runs = asked.context("RUNS is not a number")?.unwrap_or(LEAST_RUNS).max(LEAST_RUNS);
    let programs = build()?;
    let mut samples = Samples::default();
    for run in 1..=runs {
        eprintln!("run {run} of {runs}");
        measure(&programs, &mut samples).await?;
    }
    println!("{}", serde_json::to_string_pretty(&samples.report(&programs, runs)?)?);
    Ok(())
}

#[derive(Default)]
struct Samples {
    start_to_listen_ms: Vec<f64>,
    format_to_joined_ms: Vec<f64>,
    restart_to_joined_ms: Vec<f64>,
    idle_rss_mb: Vec<f64>,
    dmg_query_ms: Vec<f64>,
    dmg_query_rss_mb: Vec<f64>,
}

impl Samples {
    fn report(&mut self, programs: &Path, runs: usize) -> Result<serde_json::Value> {
        Ok(serde_json::json!({
            "runs": runs,
            "start_to_listen_ms": median(&mut self.start_to_listen_ms),
            "format_to_joined_ms": median(&mut self.format_to_joined_ms),
            "restart_to_joined_ms": median(&mut self.restart_to_joined_ms),
            "idle_rss_mb": median(&mut self.idle_rss_mb),
            "dmg_query_ms": median(&mut self.dmg_query_ms),
            "dmg_query_rss_mb": median(&mut self.dmg_query_rss_mb),
            "daos_server_binary_mb": size_mb(&programs.join("daos_server"))?,
            "dmg_binary_mb": size_mb(&programs.join("dmg"))?,
            "daos_io_server_binary_mb": size_mb(&programs.join("daos_io_server"))?,
        }))
    }
}

async fn measure(programs: &Path, samples: &mut Samples) -> Result<()> {
    let mut rig = HostRig::new(programs, ENGINES)?;
    samples.start_to_listen_ms.push(start_until_listening(&mut rig)?);
    rig.wait_for_log("waiting for storage format on server", ENGINES).await?;

    let began = Instant::now();
    let format = rig.dmg(&["storage", "format"]).await?;
    ensure!(format.code == 0, "format failed: {}{}", format.stdout, format.stderr);
    until_joined(&rig).await?;
    samples.format_to_joined_ms.push(milliseconds(began));

    samples.idle_rss_mb.push(resident_mb(&rig)?);
    for _ in 0..3 {
        let (took, peak) = query(programs, &rig)?;
        samples.dmg_query_ms.push(took);
        samples.dmg_query_rss_mb.push(peak);
    }

    let (ended, _) = rig.stop_server().await?;
    ensure!(ended.success(), "daos_server ended with {ended}");
    let began = Instant::now();
    rig.start_server(&[])?;
    until_joined(&rig).await?;
    samples.restart_to_joined_ms.push(milliseconds(began));
    rig.clear().await?;
    Ok(())
}

fn start_until_listening(rig: &mut HostRig) -> Result<f64> {
    let address = (Ipv4Addr::LOCALHOST, rig.ports()[0]);
    let began = Instant::now();
    rig.start_server(&[])?;
    while TcpStream::connect(address).is_err() {
        ensure!(began.elapsed() < Duration::from_secs(30), "daos_server does not listen");
        std::thread::yield_now();
    }
    Ok(milliseconds(began))
}

/// Asks without pause; the cost of one query is in the figure.
async fn until_joined(rig: &HostRig) -> Result<()> {
    let began = Instant::now();
    loop {
        let asked = rig.dmg(&["--json", "system", "query"]).await?;
        if asked.stdout.matches("\"joined\"").count() == ENGINES {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "the ranks do not join");
    }
}

fn resident_mb(rig: &HostRig) -> Result<f64> {
    let pid = rig.server_pid().context("no server runs")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("VmRSS without a number")?.parse()?;
    Ok(kib / 1024.0)
}

fn query(programs: &Path, rig: &HostRig) -> Result<(f64, f64)> {
    let mut command = Command::new(programs.join("dmg"));
    command.arg("-o").arg(rig.file("daos_control.yml")).args(["system", "query"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let child = command.spawn()?;
    let (succeeded, peak_kib) = sys::wait_with_peak(child.id())?;
    let took = milliseconds(began);
    ensure!(succeeded, "dmg system query failed");
    Ok((took, peak_kib / 1024.0))
}

fn build() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let programs = own.parent().context("this program lies in no directory")?.to_owned();
    ensure!(programs.ends_with("release"), "run this with --release: other binaries mean nothing");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // One at a time: built together they would share features, and dmg would carry the server's.
    for program in ["daos_server", "daos_io_server", "dmg"] {
        let mut one = Command::new(&cargo);
        one.args(["build", "--release", "--quiet", "-p", program]);
        ensure!(one.status()?.success(), "cargo build -p {program} failed");
    }
    Ok(programs)
}

fn size_mb(program: &Path) -> Result<f64> {
    let bytes = fs::metadata(program).with_context(|| program.display().to_string())?.len();
    Ok(rounded(bytes as f64 / MEBI))
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().map_or(f64::NAN, rounded)
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
