//! From written keys to the validated configuration: every rule, all broken ones reported at once.
//!
//! Called by `load` after layering. Pure: looks at no file, interface or memory; what depends on the host is
//! in `preflight`. One file per area of rules.

mod across;
mod bdev;
mod check;
mod engine;
mod environment;
mod fabric;
mod ini;
mod logging;
mod metadata;
mod replicas;
mod scm;
mod server;
mod tiers;

use std::collections::BTreeSet;

pub(crate) use bdev::vmd_of;
pub(in crate::config) use check::{Check, DOMAIN};
pub(crate) use check::{INVALID, storage_key};

use super::model::{DataPlane, EngineConfig, ServerConfig};
use super::raw::{RawConfig, RawDataPlane, RawEngine};
use super::yaml::Outline;
use super::{ConfigFault, Notice};
use crate::fault::code;

/// A configuration in which no rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The configuration.
    pub config: ServerConfig,
    /// What an administrator should know.
    pub notices: Vec<Notice>,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Every broken rule, in the order of the file.
    pub faults: Vec<ConfigFault>,
    /// What else was noticed.
    pub notices: Vec<Notice>,
}

/// Checks layered keys against every rule that needs no look at the host (R40-R65, contract 5.5).
///
/// `outline` gives the lines of the file's keys, `overridden` the paths of keys that the command line set.
///
/// # Errors
/// All broken rules with key, line, number and remedy.
pub fn validate(
    raw: &RawConfig,
    outline: &Outline,
    overridden: &BTreeSet<String>,
) -> Result<Validated, Refused> {
    let data_plane = match raw.data_plane {
        Some(RawDataPlane::Emulated) => DataPlane::Emulated,
        Some(RawDataPlane::Engine) | None => DataPlane::Engine,
    };
    let mut check = Check::new(outline, overridden, data_plane);
    let mut config = server::server(&mut check, raw, data_plane);
    let entries = engine_entries(&mut check, raw);
    config.replicas = replicas::replicas(&mut check, raw, config.port, !entries.entries.is_empty());
    fabric::top_level(&mut check, raw, &entries);
    presence(&mut check, &entries);
    config.engines = engines(&mut check, raw, &entries);
    across::engines(&mut check, entries.key, &config.engines);
    across::sockets(&mut check, entries.key, &config);
    metadata::roles_and_path(&mut check, entries.key, &config);
    server::against_engines(&mut check, entries.key, &config);
    ini::expressible(&mut check, entries.key, &config);
    let Check { mut faults, notices, .. } = check;
    if faults.is_empty() {
        return Ok(Validated { config, notices });
    }
    faults.sort_by_key(|fault| fault.position.map_or(usize::MAX, |at| at.line));
    Err(Refused { faults, notices })
}

/// The engine entries of a file and under which key they stand.
struct Entries<'a> {
    key: &'static str,
    /// Whether the list is written at all.
    written: bool,
    entries: &'a [RawEngine],
}

fn engine_entries<'a>(check: &mut Check<'_>, raw: &'a RawConfig) -> Entries<'a> {
    let (key, list) = match (&raw.engines, &raw.servers) {
        (Some(_), Some(_)) => {
            check.fault(
                "servers",
                code::CONFIG_MIXED_GENERATIONS,
                "`servers` and `engines` both list engines",
                "keep one of `servers` and `engines`",
            );
            ("engines", &raw.engines)
        }
        (None, Some(_)) => ("servers", &raw.servers),
        (_, None) => ("engines", &raw.engines),
    };
    let entries = list.as_deref().unwrap_or_default();
    let written = list.is_some();
    Entries { key, written, entries }
}

/// Having no engines is legal when it is said so (R43).
fn presence(check: &mut Check<'_>, entries: &Entries<'_>) {
    let Entries { key, written, entries } = *entries;
    let no_engines = "add an engine entry, or write `engines: []` for a server that only scans";
    if !written || (key == "servers" && entries.is_empty()) {
        check.fault(key, code::SERVER_CONFIG_NO_ENGINES, "no engines are configured", no_engines);
    } else if entries.is_empty() {
        check.notice(key, "no engines: the server serves scans and nothing else");
    }
}

fn engines(check: &mut Check<'_>, raw: &RawConfig, entries: &Entries<'_>) -> Vec<EngineConfig> {
    let mut engines = Vec::new();
    for (index, entry) in entries.entries.iter().enumerate() {
        let path = format!("{}[{index}]", entries.key);
        // A list never has more entries than the file has bytes, far below u32.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        engines.push(engine::engine(check, raw, entry, index, &path, entries.key == "servers"));
    }
    engines
}
