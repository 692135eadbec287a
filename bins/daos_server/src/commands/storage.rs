//! `daos_server storage scan` and `scm scan` (R67, R88-R93, R113, R114).

use anyhow::{Context, Result};
use daos_control::config::Surroundings;
use daos_control::scan::{
    HostStorage, ScanOptions, Scanner, StructuredScan, errors_text, scan_text, scm_data, scm_text,
};
use daos_control::server::providers_of_this_host;

use super::print;
use crate::cli::Global;

/// What storage this host has; needs no configuration file.
pub fn look(health: bool) -> Result<HostStorage> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let surroundings = Surroundings::of_this_process().context("looking at this process")?;
    let (scm, bdev) = providers_of_this_host(&surroundings.default_state_dir);
    let scanner = Scanner::new(scm, bdev, Vec::new());
    Ok(runtime.block_on(scanner.scan(ScanOptions { health, ..ScanOptions::default() })))
}

/// Shows it.
pub fn scan(global: &Global) -> Result<()> {
    if !global.json {
        print("Scanning locally-attached storage...\n")?;
    }
    let found = look(true)?;
    if global.json {
        let text =
            serde_json::to_string_pretty(&StructuredScan::of(&found)).context("writing JSON")?;
        print(&format!("{text}\n"))?;
    } else {
        print(&scan_text(&found))?;
    }
    // One part that failed hides no other, and is not passed over (R92).
    match errors_text(&found) {
        Some(errors) => anyhow::bail!("{errors}"),
        None => Ok(()),
    }
}

/// Looks at persistent memory alone, and shows all of it.
pub fn scan_scm(global: &Global) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let surroundings = Surroundings::of_this_process().context("looking at this process")?;
    let (scm, bdev) = providers_of_this_host(&surroundings.default_state_dir);
    let found = runtime.block_on(Scanner::new(scm, bdev, Vec::new()).scan_pmem())?;
    match global.json {
        true => print(&format!("{:#}\n", scm_data(&found))),
        false => print(&scm_text(&found)),
    }
}
