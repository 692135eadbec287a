//! `daos_server ms`.

use std::path::PathBuf;

use clap::Subcommand;

/// Management service commands. The server must be stopped.
#[derive(Debug, Subcommand)]
pub enum Ms {
    /// Show what is in the system database
    Status,
    /// Write the system to a new file
    Backup {
        /// The file
        file: PathBuf,
    },
    /// Make the replica of this host the only one, when most replicas are lost for good
    Recover {
        /// Agree beforehand to what is shown
        #[arg(short, long)]
        yes: bool,
    },
    /// Make the system database anew from a backup or a snapshot that was kept
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE", conflicts_with = "list")]
        from: Option<PathBuf>,
        /// Only list the snapshots that the server kept
        #[arg(long)]
        list: bool,
        /// Agree beforehand to what is shown
        #[arg(short, long)]
        yes: bool,
    },
}
