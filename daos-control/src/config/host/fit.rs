//! A loaded configuration made fit for its host: checked, with sizes filled in that only the host knows.
//!
//! Called by `daos_server start` and by whoever embeds a server.

use std::net::Ipv4Addr;

use super::{HostFacts, check_host};
use crate::config::model::{ScmTier, ServerConfig};
use crate::config::{ConfigError, Loaded, Notice};

/// What a server is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The configuration with every size filled in.
    pub config: ServerConfig,
    /// Address to listen on and to advertise, when `control_iface` is given.
    pub control_address: Option<Ipv4Addr>,
    /// What an administrator should know.
    pub notices: Vec<Notice>,
}

/// Checks the configuration against the host and fills in the sizes of RAM tiers that are configured as 0.
///
/// # Errors
/// Every rule that is broken, at once.
pub fn fit_to_host(loaded: &Loaded, facts: &HostFacts) -> Result<Fitted, ConfigError> {
    let verdict = check_host(loaded, facts);
    if !verdict.faults.is_empty() {
        let (path, faults, notices) = (loaded.path.clone(), verdict.faults, verdict.notices);
        return Err(ConfigError::Invalid { path, faults, notices });
    }
    let mut config = loaded.config.clone();
    for engine in &mut config.engines {
        if let (ScmTier::Ram { size_gib, .. }, Some(fitting)) =
            (&mut engine.scm, verdict.ram_tier_gib)
            && *size_gib == 0
        {
            *size_gib = fitting;
        }
    }
    let (control_address, notices) = (verdict.control_address, verdict.notices);
    Ok(Fitted { config, control_address, notices })
}
