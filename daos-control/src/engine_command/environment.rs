//! The environment of an engine, in layers (R29-R35, contract 4.3).
//!
//! Lowest is the launching environment, then `env_vars`, then what configuration keys say. Called when an engine
//! is about to be started. The launching environment is an argument; this process's own is never read.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::log_mask::{LogMask, LogMaskError};
use super::tuning::{self, TuningError};
use crate::Fault;
use crate::config::{BdevMedia, EngineConfig, EnvVar};

/// Variables that come from configuration keys and never from the launching environment (R29).
const FROM_KEYS_ONLY: [&str; 9] = [
    "D_PROVIDER",
    "D_INTERFACE",
    "D_PORT",
    "D_DOMAIN",
    "D_LOG_MASK",
    "D_LOG_FILE",
    "CRT_PHY_ADDR_STR",
    "OFI_INTERFACE",
    "OFI_PORT",
];

/// Removed from the launching environment unless proxies are allowed (R34), in lower and upper case.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "socks_proxy", "no_proxy"];

/// An environment by name; any bytes but zero are legal in both parts.
pub type Environment = BTreeMap<OsString, OsString>;

/// What is known only at the start of an engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentInput<'a> {
    /// The environment of the server process, in its order.
    pub launching: &'a [(OsString, OsString)],
    /// `--allow-proxy` was given, or scrubbing is switched off.
    pub allow_proxy: bool,
    /// Device of the interface for the provider, when the fabric was looked up (R35).
    pub domain: Option<&'a str>,
}

/// Why an engine cannot be given an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A given value contradicts what the storage class or provider needs.
    #[error("engine {engine}: {source}")]
    Tuning {
        /// Index of the engine.
        engine: u32,
        /// Which variable, and why.
        #[source]
        source: TuningError,
    },
    /// `DD_SUBSYS` cannot be folded into the log mask.
    #[error("engine {engine}: DD_SUBSYS: {source}")]
    Subsystems {
        /// Index of the engine.
        engine: u32,
        /// The offending word.
        #[source]
        source: LogMaskError,
    },
}

impl EnvironmentError {
    /// Fault number: an invalid configuration (contract 10.2).
    #[must_use]
    pub fn code(&self) -> i32 {
        701
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        "unset that variable where the server is started, or give it a valid value in `env_vars`"
    }
}

impl From<&EnvironmentError> for Fault {
    fn from(error: &EnvironmentError) -> Self {
        Self::new("serverconfig", error.code(), error.to_string(), error.resolution())
    }
}

/// The whole environment of an engine. Its names are unique and its values not empty (R33).
///
/// # Errors
/// [`EnvironmentError`] when a variable that is passed through does not fit the engine.
pub fn environment(
    engine: &EngineConfig,
    input: &EnvironmentInput<'_>,
) -> Result<Environment, EnvironmentError> {
    let mut variables = passed_through(engine, input);
    for variable in &engine.env_vars {
        set(&mut variables, &variable.name, &variable.value);
    }
    from_keys(&mut variables, engine, input.domain);
    fold_subsystems(&mut variables, engine)?;
    let given = |name: &str| text(&variables, name);
    let tuned = tuning::variables(engine, given)
        .map_err(|source| EnvironmentError::Tuning { engine: engine.index, source })?;
    for EnvVar { name, value } in tuned {
        set(&mut variables, &name, &value);
    }
    Ok(variables)
}

/// Removes proxy variables (R34); every program of ours does it before anything else.
pub fn without_proxies(
    launching: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    launching.into_iter().filter(|(name, _)| !is_proxy(name)).collect()
}

fn is_proxy(name: &OsStr) -> bool {
    PROXIES.iter().any(|proxy| name == *proxy || name == proxy.to_ascii_uppercase().as_str())
}

fn text<'a>(variables: &'a Environment, name: &str) -> Option<&'a str> {
    variables.get(OsStr::new(name)).and_then(|value| value.to_str())
}

/// Sets a variable; an empty name or value sets nothing (R33).
fn set(variables: &mut Environment, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
    let (name, value) = (name.as_ref(), value.as_ref());
    if !name.is_empty() && !value.is_empty() {
        variables.insert(name.to_owned(), value.to_owned());
    }
}

fn passed_through(engine: &EngineConfig, input: &EnvironmentInput<'_>) -> Environment {
    let listed = |name: &OsStr| match &engine.env_pass_through {
        Some(names) => names.iter().any(|listed| name == listed.as_str()),
        None => true,
    };
    let from_keys = |name: &OsStr| FROM_KEYS_ONLY.iter().any(|key| name == *key);
    let mut variables = Environment::new();
    for (name, value) in input.launching {
        let proxy = is_proxy(name) && !input.allow_proxy;
        // The first of equal names wins, as in every list (R33).
        if listed(name) && !proxy && !from_keys(name) && !variables.contains_key(name) {
            set(&mut variables, name, value);
        }
    }
    variables
}

fn from_keys(variables: &mut Environment, engine: &EngineConfig, domain: Option<&str>) {
    let fabric = &engine.fabric;
    // Each under the name of DAOS 2.8 and under the seed's, for engines of both generations.
    for name in ["D_PROVIDER", "CRT_PHY_ADDR_STR"] {
        set(variables, name, &fabric.provider);
    }
    for name in ["D_INTERFACE", "OFI_INTERFACE"] {
        set(variables, name, &fabric.interface);
    }
    for name in ["D_PORT", "OFI_PORT"] {
        set(variables, name, fabric.port.to_string());
    }
    let own_domain = engine
        .env_vars
        .iter()
        .any(|given| matches!(given.name.as_str(), "D_DOMAIN" | "OFI_DOMAIN"));
    if let (false, Some(domain)) = (own_domain, domain) {
        set(variables, "D_DOMAIN", domain);
    }
    set(variables, "D_LOG_MASK", engine.log_mask.as_deref().unwrap_or_default());
    set(variables, "D_LOG_FILE", engine.log_file.as_deref().unwrap_or("".as_ref()));
    if let Some(tier) = engine.bdevs.first() {
        set(variables, "VOS_BDEV_CLASS", bdev_class(&tier.media));
    }
    match fabric.crt_timeout_s {
        Some(seconds) => set(variables, "CRT_TIMEOUT", seconds.to_string()),
        None => {
            variables.entry("CRT_TIMEOUT".into()).or_insert_with(|| "0".into());
        }
    }
    set(variables, "FI_OFI_RXM_USE_SRX", if fabric.disable_srx { "0" } else { "1" });
    set(variables, "D_PROVIDER_AUTH_KEY", fabric.auth_key.as_deref().unwrap_or_default());
}

fn bdev_class(media: &BdevMedia) -> &'static str {
    match media {
        BdevMedia::Nvme { .. } => "NVME",
        BdevMedia::File { .. } | BdevMedia::Kdev { .. } => "AIO",
        BdevMedia::Malloc { .. } => "MALLOC",
    }
}

/// Folds `DD_SUBSYS` into the mask of the key `log_mask`; without that key both pass as they are.
fn fold_subsystems(
    variables: &mut Environment,
    engine: &EngineConfig,
) -> Result<(), EnvironmentError> {
    let Some(mask) = &engine.log_mask else { return Ok(()) };
    let Some(subsystems) = variables.remove(OsStr::new("DD_SUBSYS")) else { return Ok(()) };
    let folded = mask
        .parse::<LogMask>()
        .and_then(|mask| mask.limited_to(&subsystems.to_string_lossy()))
        .map_err(|source| EnvironmentError::Subsystems { engine: engine.index, source })?;
    set(variables, "D_LOG_MASK", folded.to_string());
    Ok(())
}

#[cfg(test)]
mod tests;
