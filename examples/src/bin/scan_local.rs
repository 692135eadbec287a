//! Scans the storage of this host with the two storage libraries alone: NVMe controllers, persistent memory, and the block files named.
//!
//! Run: `cargo run -p daos-examples --bin scan_local -- [FILE]...`

use std::path::PathBuf;
use std::sync::Arc;

use daos_storage_nvme::linux::LinuxNvme;
use daos_storage_nvme::{
    BdevClass, BdevProvider, BdevTarget, BdevTier, ByClass, FileOwner, NvmeController, Roles,
    ScanRequest, TierDevices,
};
use daos_storage_scm::linux::LinuxScm;
use daos_storage_scm::model::Discovered;
use daos_storage_scm::{ScmInventory, ScmProvider};

/// Where a prepare on this host noted what it changed; without one a scan just knows less.
const STATE_DIR: &str = "/var/lib/daos_server";

type Row = [String; 4];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let files: Vec<PathBuf> =
        std::env::args_os().skip(1).map(std::path::absolute).collect::<Result<_, _>>()?;
    let bdev = ByClass::emulated().with(BdevClass::Nvme, Arc::new(LinuxNvme::new(STATE_DIR)));
    let found = bdev.scan(&ScanRequest { targets: engine_with(files), health: true }).await?;
    let scm = LinuxScm::new().scan(&daos_storage_scm::ScanRequest::default()).await?;

    let mut rows: Vec<Row> = found.controllers.iter().map(controller).collect();
    for device in &found.emulated {
        let size = device.size_bytes.map_or("not there".to_owned(), gigabytes);
        rows.push(["file".to_owned(), device.device.name.clone(), size, String::new()]);
    }
    // A class that cannot be looked at hides no other; that is not the same as none.
    for problem in &found.problems {
        let text = format!("{} ({})", problem.text, problem.resolution);
        rows.push([problem.class.to_string(), "?".to_owned(), String::new(), text]);
    }
    rows.extend(memory(&scm));
    print(&rows);
    Ok(())
}

/// Files are looked at for an engine that is configured with them.
fn engine_with(paths: Vec<PathBuf>) -> Vec<BdevTarget> {
    if paths.is_empty() {
        return Vec::new();
    }
    let devices = TierDevices::File { paths, size_gib: 1 };
    vec![BdevTarget {
        engine: 0,
        host: "this host".to_owned(),
        owner: FileOwner::current(),
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    }]
}

fn controller(found: &NvmeController) -> Row {
    let health = found.health.as_ref().map_or("health not readable".to_owned(), |health| {
        format!("{} K, {} power-on hours", health.temperature_k, health.power_on_hours)
    });
    let obstacles: Vec<_> = found.obstacles.iter().map(ToString::to_string).collect();
    let state = if obstacles.is_empty() { "usable".to_owned() } else { obstacles.join("; ") };
    [
        "nvme".to_owned(),
        format!("{} {} {}", found.address, found.model.trim_end(), found.serial),
        gigabytes(found.capacity_bytes()),
        format!("{state}; {health}"),
    ]
}

fn memory(found: &ScmInventory) -> Vec<Row> {
    match &found.namespaces {
        Discovered::Known(namespaces) => namespaces
            .iter()
            .map(|it| {
                let node = format!("NUMA node {}", it.numa_node);
                ["pmem".to_owned(), it.blockdev.clone(), gigabytes(it.size), node]
            })
            .collect(),
        Discovered::Unknown { why, resolution, .. } => {
            let text = format!("{why} ({resolution})");
            vec![["pmem".to_owned(), "?".to_owned(), String::new(), text]]
        }
    }
}

/// Bytes in GB of 10^9, one decimal.
fn gigabytes(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / 1_000_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

fn print(rows: &[Row]) {
    if rows.is_empty() {
        println!("no NVMe controller, no persistent memory");
        return;
    }
    let titles = ["Class", "Device", "Capacity", "State"].map(str::to_owned);
    let all: Vec<&Row> = std::iter::once(&titles).chain(rows).collect();
    let width =
        |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..3).map(width).collect();
    for [class, device, size, state] in all {
        let line = format!(
            "{class:0$}  {device:1$}  {size:>2$}  {state}",
            widths[0], widths[1], widths[2]
        );
        println!("{}", line.trim_end());
    }
}
