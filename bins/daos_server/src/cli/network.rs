//! `daos_server network`.

use clap::Subcommand;

/// Network commands.
#[derive(Debug, Subcommand)]
pub enum Network {
    /// List fabric interfaces, providers and NUMA nodes
    Scan {
        /// Show only this provider
        #[arg(short = 'p', long, conflicts_with = "all")]
        provider: Option<String>,
        /// Show every provider
        #[arg(short = 'a', long)]
        all: bool,
    },
    /// List the providers that are known
    List,
}
