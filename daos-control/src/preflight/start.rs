//! What a start takes from the check: refused early where something configured cannot work, else a configuration with the
//! sizes filled in that only the host knows.
//!
//! Called by `daos_server start` and by whoever embeds a server. The words are those of the findings.

use std::net::Ipv4Addr;

use super::check::{Chosen, Findings, for_start};
use super::facts::HostFacts;
use super::finding::{Finding, Severity};
use super::keys::{Asked, ConfigKeys};
use crate::config::{ConfigError, ConfigFault, Loaded, Notice, ServerConfig};
use crate::fault::{Fault, table};

/// What a server is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The configuration with every size filled in.
    pub config: ServerConfig,
    /// Where its keys stand.
    pub keys: ConfigKeys,
    /// Address to listen on and to advertise, when `control_iface` is given.
    pub control_address: Option<Ipv4Addr>,
    /// What an administrator should know.
    pub notices: Vec<Notice>,
}

/// What came out of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVerdict {
    /// Every broken rule; none means that the server may start.
    pub faults: Vec<ConfigFault>,
    /// What an administrator should know.
    pub notices: Vec<Notice>,
    /// Size for each RAM tier that is configured as 0, GiB; none when there are none or too little memory.
    pub ram_tier_gib: Option<u32>,
    /// Address to listen on and to advertise when `control_iface` is given.
    pub control_address: Option<Ipv4Addr>,
}

/// Compares a loaded configuration with the host.
#[must_use]
pub fn check_host(loaded: &Loaded, facts: &HostFacts) -> HostVerdict {
    let keys = ConfigKeys::of(loaded);
    let mut findings = Findings::new(Some(Asked { config: &loaded.config, keys: &keys }));
    let Chosen { ram_tier_gib, control_address } = for_start(&mut findings, facts);
    let (mut faults, mut notices) = (Vec::new(), Vec::new());
    for finding in findings.into_list() {
        let Finding { severity, code, text, key, fix, .. } = finding;
        let position = loaded.outline.nearest_position(&key);
        match severity {
            Severity::Ok => {}
            Severity::Notice | Severity::Warning => notices.push(Notice { key, position, text }),
            Severity::Error => {
                let domain = table::find(code).map_or("host", |row| row.domain);
                let fault = Fault::new(domain, code, text, fix);
                faults.push(ConfigFault { key, position, fault });
            }
        }
    }
    HostVerdict { faults, notices, ram_tier_gib, control_address }
}

/// Checks the configuration against the host and fills in the sizes of RAM tiers that are configured as 0.
///
/// # Errors
/// Every rule that is broken, at once.
pub fn fit_to_host(loaded: &Loaded, facts: &HostFacts) -> Result<Fitted, ConfigError> {
    let HostVerdict { faults, notices, ram_tier_gib, control_address } = check_host(loaded, facts);
    if !faults.is_empty() {
        return Err(ConfigError::Invalid { path: loaded.path.clone(), faults, notices });
    }
    let mut config = loaded.config.clone();
    if let Some(gib) = ram_tier_gib {
        config.size_ram_tiers(gib);
    }
    Ok(Fitted { config, keys: ConfigKeys::of(loaded), control_address, notices })
}
