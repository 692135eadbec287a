//! What an administrator may ask of a proposal, and which wishes cannot be together (contract 8.2).

use std::path::Path;

use super::error::GenerateError;

/// Name of a system that nobody named, and its port (contract 5.5).
const DEFAULT_SYSTEM: &str = "daos_server";
const DEFAULT_PORT: u16 = 10001;
/// More replicas only make every write slower (contract 5.5).
const MAX_REPLICAS: usize = 7;
/// First fabric port of engine 0, and how far the next engine's is from it.
const FIRST_FABRIC_PORT: u16 = 31316;
const FABRIC_PORT_STEP: u16 = 1000;
/// More engines than any host has NUMA nodes; also what ports of the step above have room for.
const MAX_ENGINES: u32 = 32;

/// Kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum NetClass {
    /// Ethernet, ARPHRD 1.
    Ethernet,
    /// InfiniBand, ARPHRD 32.
    #[cfg_attr(feature = "clap", value(name = "infiniband"))]
    InfiniBand,
}

impl NetClass {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Ethernet => 1,
            Self::InfiniBand => 32,
        }
    }
}

/// Wishes; the default is every NUMA node that has persistent memory, SSDs and an interface.
///
/// With the feature `clap` they are options of a command line, all but the first three fields, which each program has its own
/// source for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Options {
    /// Name of the system.
    #[cfg_attr(feature = "clap", arg(skip = DEFAULT_SYSTEM))]
    pub system: String,
    /// Port of the control plane.
    #[cfg_attr(feature = "clap", arg(skip = DEFAULT_PORT))]
    pub port: u16,
    /// Work without certificates.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub insecure: bool,
    /// Hosts of the management service, an odd number, separated by commas [default: the first three hosts].
    #[cfg_attr(
        feature = "clap",
        arg(
            short = 'r',
            long = "ms-replicas",
            aliases = ["mgmt-svc-replicas", "access-points"],
            value_delimiter = ',',
            value_name = "HOSTS"
        )
    )]
    pub replicas: Vec<String>,
    /// Engines on each host, 1 to 32 [default: one for each NUMA node that can carry one].
    #[cfg_attr(feature = "clap", arg(short = 'e', long = "num-engines", value_name = "NUMBER"))]
    pub engines: Option<u32>,
    /// Fewest SSDs of an engine; 0 means --scm-only.
    #[cfg_attr(
        feature = "clap",
        arg(long = "min-ssds", value_name = "NUMBER", default_value_t = 1)
    )]
    pub min_ssds: u32,
    /// Engines without SSDs.
    #[cfg_attr(feature = "clap", arg(short = 's', long = "scm-only"))]
    pub scm_only: bool,
    /// Only interfaces of this kind.
    #[cfg_attr(feature = "clap", arg(short = 'c', long = "net-class", value_enum))]
    pub net_class: Option<NetClass>,
    /// Only this fabric provider [default: the best one].
    #[cfg_attr(feature = "clap", arg(short = 'p', long = "net-provider", value_name = "PROVIDER"))]
    pub provider: Option<String>,
    /// Only these interfaces, separated by commas.
    #[cfg_attr(
        feature = "clap",
        arg(long = "net-ifaces", value_delimiter = ',', value_name = "NAMES")
    )]
    pub interfaces: Vec<String>,
    /// First fabric port of each engine, separated by commas [default: 31316,32316,...].
    #[cfg_attr(
        feature = "clap",
        arg(long = "fabric-ports", value_delimiter = ',', value_name = "PORTS")
    )]
    pub fabric_ports: Vec<u16>,
    /// RAM instead of persistent memory.
    #[cfg_attr(feature = "clap", arg(short = 't', long = "use-tmpfs-scm"))]
    pub tmpfs: bool,
    /// Directory for metadata on a disk; goes with --use-tmpfs-scm.
    #[cfg_attr(
        feature = "clap",
        arg(
            short = 'm',
            long = "control-metadata-path",
            visible_alias = "metadata-path",
            value_name = "DIR"
        )
    )]
    pub control_metadata: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            system: DEFAULT_SYSTEM.to_owned(),
            port: DEFAULT_PORT,
            insecure: false,
            replicas: Vec::new(),
            engines: None,
            min_ssds: 1,
            scm_only: false,
            net_class: None,
            provider: None,
            interfaces: Vec::new(),
            fabric_ports: Vec::new(),
            tmpfs: false,
            control_metadata: None,
        }
    }
}

impl Options {
    /// Wishes that no host could fulfil.
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        let bad = |option, problem: String| Err(GenerateError::BadOption { option, problem });
        if self.engines.is_some_and(|engines| engines == 0 || engines > MAX_ENGINES) {
            return bad("--num-engines", format!("give 1 to {MAX_ENGINES}"));
        }
        if let Some(path) = &self.control_metadata {
            if !self.tmpfs {
                let why = "persistent memory keeps its own metadata; give --use-tmpfs-scm with it";
                return bad("--control-metadata-path", why.to_owned());
            }
            if self.without_ssds() {
                let why = "metadata on a disk needs SSDs; leave --scm-only out";
                return bad("--control-metadata-path", why.to_owned());
            }
            let clean = path.starts_with('/') && !path.split('/').any(|part| part == "..");
            if !clean || path.contains('\0') {
                return bad("--control-metadata-path", format!("{path:?} is no absolute path"));
            }
            let mounts = (0..MAX_ENGINES).map(super::yaml::scm_mount);
            if mounts.into_iter().any(|mount| Path::new(path).starts_with(mount)) {
                let why = format!("{path} lies in an engine's SCM mount and would be lost with it");
                return bad("--control-metadata-path", why);
            }
        }
        if self.fabric_ports.contains(&0) {
            return bad("--fabric-ports", "give ports from 1 to 65535".to_owned());
        }
        let system = self.system.as_str();
        if system.is_empty() || system.chars().count() > 15 {
            return bad("--system", format!("{system:?} does not have 1 to 15 characters"));
        }
        if system.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return bad("--system", format!("{system:?} has blanks"));
        }
        self.check_replicas()
    }

    fn check_replicas(&self) -> Result<(), GenerateError> {
        let bad =
            |problem: String| Err(GenerateError::BadOption { option: "--ms-replicas", problem });
        let number = self.replicas.len();
        if number > MAX_REPLICAS || (number > 0 && number.is_multiple_of(2)) {
            return bad(format!("{number} hosts; name 1, 3, 5 or 7"));
        }
        for (place, replica) in self.replicas.iter().enumerate() {
            if self.replicas.iter().take(place).any(|other| other == replica) {
                return bad(format!("{replica} is named twice"));
            }
            if !is_replica(replica) {
                return bad(format!("{replica:?} is no host or host:port"));
            }
        }
        Ok(())
    }

    pub(super) fn without_ssds(&self) -> bool {
        self.scm_only || self.min_ssds == 0
    }

    /// The fabric port of an engine, if there is one for it.
    pub(super) fn fabric_port(&self, engine: usize) -> Option<u16> {
        if self.fabric_ports.is_empty() {
            let offset = u16::try_from(engine).ok()?.checked_mul(FABRIC_PORT_STEP)?;
            return FIRST_FABRIC_PORT.checked_add(offset);
        }
        self.fabric_ports.get(engine).copied()
    }
}

/// A name or IPv4 address, with a port or without (contract 5.5).
fn is_replica(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let form = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let number = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host_fits = !host.is_empty() && host.len() <= 253 && form && !host.contains("..");
    host_fits
        && !host.starts_with(['.', '-'])
        && (!number || host.parse::<std::net::Ipv4Addr>().is_ok())
        && port_fits
}
