//! `daos_server storage` and its NVMe part.

use clap::{Args, Subcommand};
use daos_control::prepare::PagesAsk;

/// Storage commands.
#[derive(Debug, Subcommand)]
pub enum Storage {
    /// List the storage of this host; needs no configuration file
    #[command(visible_alias = "s")]
    Scan,
    /// Make NVMe and persistent memory ready for engines, or give them back with --reset
    #[command(visible_alias = "p")]
    Prepare(Prepare),
}

/// NVMe commands, in the words of 2.8.
#[derive(Debug, Subcommand)]
pub enum Nvme {
    /// List the NVMe controllers of this host
    Scan,
    /// Give controllers and huge pages to engines
    Prepare(NvmePrepare),
    /// Give controllers back to the kernel, and huge pages to the host
    Reset(NvmeLists),
}

/// Options of `storage prepare` (R72-R87).
#[derive(Debug, Args)]
pub struct Prepare {
    /// Only NVMe
    #[arg(short = 'n', long = "nvme-only", conflicts_with = "scm_only")]
    pub nvme_only: bool,
    /// Only persistent memory
    #[arg(short = 's', long = "scm-only")]
    pub scm_only: bool,
    /// Give back instead of making ready
    #[arg(long)]
    pub reset: bool,
    /// Ask nothing before persistent memory is changed
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Namespaces of persistent memory for each socket, of equal size
    #[arg(short = 'S', long = "scm-ns-per-socket", value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub scm_namespaces: u8,
    /// Addresses of the controllers to take, in one argument, separated by blanks; all by default
    #[arg(short = 'w', long = "pci-whitelist", alias = "pci-allow-list", value_name = "ADDRESSES")]
    pub allow: Option<String>,
    /// Common options
    #[command(flatten)]
    pub nvme: NvmeOptions,
}

/// Options of `nvme prepare`.
#[derive(Debug, Args)]
pub struct NvmePrepare {
    /// Which controllers
    #[command(flatten)]
    pub lists: NvmeLists,
    /// Common options
    #[command(flatten)]
    pub nvme: NvmeOptions,
}

/// Which controllers.
#[derive(Debug, Args)]
pub struct NvmeLists {
    /// Addresses of the controllers to take, separated by blanks or commas; all by default
    #[arg(value_name = "ADDRESSES")]
    pub allow: Vec<String>,
    /// Addresses of controllers to leave alone
    #[arg(long = "pci-block-list", value_name = "ADDRESSES")]
    pub block: Option<String>,
}

/// Options that both forms have.
#[derive(Debug, Args)]
pub struct NvmeOptions {
    /// Number of huge pages over all NUMA nodes, or NODE:PAGES,... for some of them [default: 1024, and never fewer than there are]
    #[arg(short = 'p', long, value_name = "PAGES", allow_negative_numbers = true)]
    pub hugepages: Option<PagesAsk>,
    /// User that will run the engines [default: who called sudo, else root]
    #[arg(short = 'u', long = "target-user", value_name = "USER")]
    pub user: Option<String>,
    /// Bind to uio although VFIO would work
    #[arg(long = "disable-vfio")]
    pub disable_vfio: bool,
}
