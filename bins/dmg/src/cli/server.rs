//! `dmg server` and `dmg network`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Set the log masks of all engines; what is left out goes back to the configuration
    #[command(visible_alias = "slm")]
    SetLogmasks(SetLogMasks),
}

#[derive(Debug, Args)]
pub struct SetLogMasks {
    /// Log mask, e.g. ERR,mgmt=DEBUG
    #[arg(short, long)]
    pub masks: Option<String>,
    /// Debug streams, e.g. MGMT (also -d)
    #[arg(long)]
    pub streams: Option<String>,
    /// Subsystems that write debug lines
    #[arg(short, long)]
    pub subsystems: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Show the fabric interfaces of hosts
    #[command(visible_alias = "s")]
    Scan(NetworkScan),
}

#[derive(Debug, Args)]
pub struct NetworkScan {
    /// Only interfaces for this provider; 'all' for every provider. Default: the servers' configured ones
    #[arg(short, long)]
    pub provider: Option<String>,
    /// Same as --provider all
    #[arg(short, long, conflicts_with = "provider")]
    pub all: bool,
}
