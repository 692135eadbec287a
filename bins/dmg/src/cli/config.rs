//! `dmg config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Propose server configurations for what hosts have
    #[command(visible_aliases = ["gen", "g"])]
    Generate(ConfigGenerate),
}

/// The servers of the hosts have to run; `engines: []` is enough of a configuration for that. Files go to standard output, explanations
/// to standard error.
#[derive(Debug, Args)]
pub struct ConfigGenerate {
    /// Hosts of the management service, an odd number, separated by commas [default: the first three hosts]
    #[arg(short = 'r', long = "ms-replicas", aliases = ["mgmt-svc-replicas", "access-points"], value_delimiter = ',', value_name = "HOSTS")]
    pub replicas: Vec<String>,
    /// Engines on each host [default: one for each NUMA node that can carry one]
    #[arg(short = 'e', long = "num-engines", value_name = "NUMBER")]
    pub engines: Option<u32>,
    /// Fewest SSDs of an engine; 0 means --scm-only
    #[arg(long = "min-ssds", value_name = "NUMBER", default_value_t = 1)]
    pub min_ssds: u32,
    /// Engines without SSDs
    #[arg(short = 's', long = "scm-only")]
    pub scm_only: bool,
    /// Only interfaces of this kind
    #[arg(short = 'c', long = "net-class", value_enum)]
    pub net_class: Option<NetworkKind>,
    /// Only this fabric provider [default: the best one]
    #[arg(short = 'p', long = "net-provider", value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// Only these interfaces, separated by commas
    #[arg(long = "net-ifaces", value_delimiter = ',', value_name = "NAMES")]
    pub interfaces: Vec<String>,
    /// First fabric port of each engine, separated by commas [default: 31316,32316,...]
    #[arg(long = "fabric-ports", value_delimiter = ',', value_name = "PORTS")]
    pub fabric_ports: Vec<u16>,
    /// RAM instead of persistent memory
    #[arg(short = 't', long = "use-tmpfs-scm")]
    pub tmpfs: bool,
    /// Directory for metadata on a disk; goes with --use-tmpfs-scm
    #[arg(
        short = 'm',
        long = "control-metadata-path",
        visible_alias = "metadata-path",
        value_name = "DIR"
    )]
    pub control_metadata: Option<String>,
    /// Write one file for each host into this directory instead; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkKind {
    Ethernet,
    Infiniband,
}
