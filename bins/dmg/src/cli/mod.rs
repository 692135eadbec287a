//! The command tree (contract 8.2): both generations' names and options.
//!
//! Declares only; what commands do is in `cmd`.

pub mod argv;
mod config;
mod server;
mod storage;
mod system;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use config::{ConfigCommand, ConfigGenerate};
pub use server::{NetworkCommand, NetworkScan, ServerCommand, SetLogMasks};
pub use storage::{StorageCommand, StorageFormat, StoragePrepare, StorageScan};
pub use system::{
    ChangeReplicas, Cleanup, ClearExclude, Drain, Erase, Events, Exclude, LeaderQuery, ListPools,
    ManagementCommand, Preflight, Query, Ranks, Start, Stop, SystemCommand, Wait,
};

/// Administers a DAOS system: its storage, engines and ranks.
#[derive(Debug, Parser)]
#[command(name = "dmg", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Hosts are written like node[1-3,7]:10001 and separated by commas.")]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for every command")]
pub struct Globals {
    /// Hosts to talk to, instead of those in the configuration
    #[arg(short = 'l', long, global = true, value_name = "HOSTS")]
    pub host_list: Vec<String>,
    /// File of hosts, one pattern a line; takes precedence over the host list
    #[arg(short = 'f', long, global = true, value_name = "PATH")]
    pub host_file: Option<PathBuf>,
    /// Client configuration file
    #[arg(short = 'o', long, visible_alias = "config", global = true, value_name = "PATH")]
    pub config_path: Option<PathBuf>,
    /// Do without certificates
    #[arg(short, long, global = true)]
    pub insecure: bool,
    /// Write what is done to the log
    #[arg(short, long, global = true)]
    pub debug: bool,
    /// Print the result as JSON
    #[arg(short, long, global = true)]
    pub json: bool,
    /// Write log lines as JSON
    #[arg(short = 'J', long, global = true)]
    pub json_logging: bool,
    /// Append log lines to a file instead of standard error
    #[arg(long, global = true, value_name = "PATH")]
    pub log_file: Option<PathBuf>,
    /// Accepted for compatibility: connections never go through a proxy
    #[arg(long, global = true)]
    pub allow_proxy: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Storage of hosts
    #[command(subcommand, visible_aliases = ["sto", "st"])]
    Storage(StorageCommand),
    /// Fabric of hosts
    #[command(subcommand, visible_aliases = ["net", "n"])]
    Network(NetworkCommand),
    /// The system and its ranks
    #[command(subcommand, visible_aliases = ["sys", "sy"])]
    System(SystemCommand),
    /// Configurations of servers
    #[command(subcommand, visible_alias = "cfg")]
    Config(ConfigCommand),
    /// Servers and their engines
    #[command(subcommand, visible_alias = "srv")]
    Server(ServerCommand),
    /// Version of this program
    Version,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// clap's own checks: no option letter is used twice, whatever the level.
    #[test]
    fn the_tree_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
