//! `dmg config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use daos_control::generate::Options;

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
    #[command(flatten)]
    pub options: Options,
    /// Write one file for each host into this directory instead; nothing is overwritten
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}
