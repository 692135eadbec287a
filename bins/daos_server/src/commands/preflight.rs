//! `daos_server preflight`: whether this host is ready for what is configured. Changes nothing.

use anyhow::{Context, Result};
use daos_control::config::Surroundings;
use daos_control::preflight::{Preflight, Roots};
use daos_control::server::providers_of_this_host;

use super::place::Place;
use super::{Told, print};
use crate::cli::{Global, Preflight as Options};

/// Exit status when something that is configured cannot work on this host.
const NOT_READY: u8 = 2;

/// Looks at this host; does without a configuration file.
pub fn run(global: &Global, options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let surroundings = Surroundings::of_this_process().context("looking at this process")?;
    // What is wrong with a file is the report's to say.
    let state_dir = match Place::of(global) {
        Ok(place) => place.state_dir,
        Err(_) => surroundings.default_state_dir.clone(),
    };
    let (scm, bdev) = providers_of_this_host(&state_dir);
    let preflight = Preflight { roots: Roots::default(), scm, bdev, state_dir };
    let report = runtime.block_on(preflight.of_file(global.config.as_deref(), &surroundings))?;
    if global.json {
        print(&format!("{:#}\n", report.data()))?;
    } else {
        print(&report.text(options.verbose))?;
    }
    if report.has_errors() { Err(Told(NOT_READY).into()) } else { Ok(()) }
}
