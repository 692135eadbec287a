//! `dmg storage`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum StorageCommand {
    /// Show the storage of hosts
    #[command(visible_alias = "s")]
    Scan(StorageScan),
    /// Make the NVMe of hosts ready for engines, or give it back
    #[command(visible_alias = "p")]
    Prepare(StoragePrepare),
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

/// Takes NVMe controllers from the kernel for engines, and sets huge pages. What is mounted or in use otherwise is refused. Servers
/// have to run as root for it.
#[derive(Debug, Args)]
pub struct StoragePrepare {
    /// Only NVMe; persistent memory is prepared on its host
    #[arg(short = 'n', long, conflicts_with = "scm_only")]
    pub nvme_only: bool,
    /// Only persistent memory
    #[arg(short = 's', long)]
    pub scm_only: bool,
    /// Give back instead of making ready
    #[arg(long)]
    pub reset: bool,
    /// Addresses of the controllers to take, in one argument, separated by blanks; all by default
    #[arg(short = 'w', long = "pci-whitelist", alias = "pci-allow-list", value_name = "ADDRESSES")]
    pub allow: Option<String>,
    /// Addresses of controllers to leave alone
    #[arg(long = "pci-block-list", value_name = "ADDRESSES")]
    pub block: Option<String>,
    /// Number of huge pages over all NUMA nodes of a host [default: 1024]
    #[arg(short = 'p', long, value_name = "PAGES", allow_negative_numbers = true)]
    pub hugepages: Option<i64>,
    /// User that will run the engines [default: the user of the server]
    #[arg(short = 'u', long = "target-user", value_name = "USER")]
    pub user: Option<String>,
    /// Bind to uio although VFIO would work
    #[arg(long)]
    pub disable_vfio: bool,
    /// Ask nothing; nothing is asked for NVMe
    #[arg(long, hide = true)]
    pub force: bool,
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
