//! `daos_server start`, and `preflight` before it.

use std::path::PathBuf;

use clap::Args;

/// Options of `start`; each wins over the configuration file (R26).
#[derive(Debug, Args)]
pub struct Start {
    /// Port of the control plane
    #[arg(short = 'p', long, value_name = "PORT")]
    pub port: Option<u16>,
    /// SCM mount point of the first engine (deprecated)
    #[arg(short = 's', long, value_name = "DIR")]
    pub storage: Option<PathBuf>,
    /// Modules every engine loads
    #[arg(short = 'm', long)]
    pub modules: Option<String>,
    /// Targets of every engine
    #[arg(short = 't', long)]
    pub targets: Option<u32>,
    /// Deprecated form of --targets
    #[arg(short = 'c', long = "cores", hide = true, conflicts_with = "targets")]
    pub cores: Option<u32>,
    /// Helper streams of every engine
    #[arg(short = 'x', long = "xshelpernr")]
    pub helpers: Option<u32>,
    /// First core of every engine
    #[arg(short = 'f', long = "firstcore")]
    pub first_core: Option<u32>,
    /// System name
    #[arg(short = 'g', long)]
    pub group: Option<String>,
    /// Directory of the sockets between server and engines
    #[arg(short = 'd', long = "socket_dir", alias = "socket-dir", value_name = "DIR")]
    pub socket_dir: Option<PathBuf>,
    /// Work without certificates
    #[arg(short = 'i', long)]
    pub insecure: bool,
    /// Make a superblock where mounted storage has none; an unreadable one is never overwritten
    #[arg(long = "recreate-superblocks")]
    pub recreate_superblocks: bool,
    /// Format blank storage without waiting for 'dmg storage format'
    #[arg(long = "auto-format")]
    pub auto_format: bool,
}

/// Options of `preflight`.
#[derive(Debug, Args)]
pub struct Preflight {
    /// Show also what was read for checks that hold
    #[arg(short, long)]
    pub verbose: bool,
}
