//! `dmg storage`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum StorageCommand {
    /// Show the storage of hosts
    #[command(visible_alias = "s")]
    Scan(StorageScan),
    /// Format the storage that servers are configured with
    #[command(visible_alias = "f")]
    Format(StorageFormat),
}

#[derive(Debug, Args)]
pub struct StorageScan {
    /// Show every device
    #[arg(short, long, conflicts_with = "nvme_health")]
    pub verbose: bool,
    /// Show the health of NVMe devices
    #[arg(short, long)]
    pub nvme_health: bool,
}

/// Blank devices are formatted without asking. What would be destroyed is shown and must be agreed to.
#[derive(Debug, Args)]
pub struct StorageFormat {
    /// Show the result for every device
    #[arg(short, long)]
    pub verbose: bool,
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Format also what is formatted or holds something else; still asks
    #[arg(long, visible_alias = "force", conflicts_with = "replace")]
    pub reformat: bool,
    /// Let the engine take over the rank whose storage was lost; one host only
    #[arg(long)]
    pub replace: bool,
    /// Agree beforehand to everything that is destroyed
    #[arg(short, long)]
    pub yes: bool,
}
