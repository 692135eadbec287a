//! `daos_server scm`.

use clap::{Args, Subcommand};

/// Persistent memory commands, in the words of 2.8.
#[derive(Debug, Subcommand)]
pub enum Scm {
    /// List the modules, regions and namespaces of this host
    Scan,
    /// Make regions, which takes a reboot, and then namespaces; run it again after the reboot
    #[command(visible_alias = "create-namespaces")]
    Prepare {
        /// Which sockets
        #[command(flatten)]
        sockets: Sockets,
        /// Namespaces for each socket, of equal size
        #[arg(short = 'S', long = "scm-ns-per-socket", value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
        namespaces: u8,
        /// Ask nothing
        #[arg(short = 'f', long)]
        force: bool,
    },
    /// Only set the goal of interleaved regions, for the next reboot
    #[command(name = "set-interleaved")]
    SetInterleaved {
        /// Which sockets
        #[command(flatten)]
        sockets: Sockets,
        /// Ask nothing
        #[arg(short = 'f', long)]
        force: bool,
    },
    /// Remove namespaces with all that is on them, and make empty regions at the next reboot
    #[command(visible_aliases = ["remove", "remove-namespaces"])]
    Reset {
        /// Which sockets
        #[command(flatten)]
        sockets: Sockets,
        /// Make ordinary memory instead of empty regions
        #[arg(long = "memory-mode")]
        memory_mode: bool,
        /// Ask nothing
        #[arg(short = 'f', long)]
        force: bool,
    },
}

/// Which sockets.
#[derive(Debug, Args)]
pub struct Sockets {
    /// Only this socket; all by default
    #[arg(long, value_name = "NUMBER")]
    pub socket: Option<u32>,
}
