//! `daos_server storage scan`, `nvme scan` and `scm scan` (R67, R88-R93, R113, R114).
//!
//! None of them needs a configuration. With one (`-o`) a scan knows which devices engines list, and where a prepare of that
//! configuration recorded what it took.

use anyhow::{Context, Result};
use daos_control::Fault;
use daos_control::config::{CommandLine, Surroundings, load};
use daos_control::scan::{
    HostStorage, ScanOptions, ScanTarget, Scanner, StructuredNvme, StructuredScan, errors_text,
    nvme_faults, nvme_text, scan_text, scm_data, scm_text,
};
use daos_control::server::providers_of_this_host;
use tokio::runtime::Runtime;

use super::config::explained;
use super::place::Place;
use super::print;
use crate::cli::Global;

/// What storage this host has.
pub fn look(global: &Global, health: bool) -> Result<HostStorage> {
    let options = ScanOptions { health, ..ScanOptions::default() };
    Ok(runtime()?.block_on(scanner(global)?.scan(options)))
}

/// Shows it.
pub fn scan(global: &Global) -> Result<()> {
    begin(global, "Scanning locally-attached storage...\n")?;
    let found = look(global, true)?;
    let data = || serde_json::to_string_pretty(&StructuredScan::of(&found));
    show(global, || scan_text(&found), data, &found.faults())
}

/// Looks at NVMe alone: persistent memory that cannot be looked at is no matter of this command.
pub fn scan_nvme(global: &Global) -> Result<()> {
    begin(global, "Scanning locally-attached NVMe storage...\n")?;
    let options = ScanOptions { health: true, ..ScanOptions::default() };
    let found = runtime()?.block_on(scanner(global)?.scan_bdevs(options));
    let data = || serde_json::to_string_pretty(&StructuredNvme::of(&found));
    show(global, || nvme_text(&found), data, &nvme_faults(&found))
}

/// Looks at persistent memory alone, and shows all of it.
pub fn scan_scm(global: &Global) -> Result<()> {
    let found = runtime()?.block_on(scanner(global)?.scan_pmem())?;
    match global.json {
        true => print(&format!("{:#}\n", scm_data(&found))),
        false => print(&scm_text(&found)),
    }
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Of this host, and of the engines of the configuration that was named.
fn scanner(global: &Global) -> Result<Scanner> {
    let surroundings = Surroundings::of_this_process().context("looking at this process")?;
    let Some(file) = &global.config else {
        // The server of this host, if there is one, has the default file.
        let (scm, bdev) = providers_of_this_host(&Place::to_look_at(global)?.state_dir);
        return Ok(Scanner::new(scm, bdev, Vec::new()));
    };
    let loaded = load(Some(file), &CommandLine::default(), &surroundings).map_err(explained)?;
    let targets = ScanTarget::of_config(&loaded.config)?;
    let (scm, bdev) = providers_of_this_host(&loaded.config.state_dir);
    Ok(Scanner::new(scm, bdev, targets))
}

fn begin(global: &Global, line: &str) -> Result<()> {
    if global.json { Ok(()) } else { print(line) }
}

fn show(
    global: &Global,
    text: impl Fn() -> String,
    data: impl Fn() -> serde_json::Result<String>,
    faults: &[Fault],
) -> Result<()> {
    match global.json {
        true => {
            let data = data().context("writing JSON")?;
            print(&format!("{data}\n"))?;
        }
        false => print(&text())?,
    }
    // One part that failed hides no other, and is not passed over (R92).
    match errors_text(faults) {
        Some(errors) => anyhow::bail!("{errors}"),
        None => Ok(()),
    }
}
