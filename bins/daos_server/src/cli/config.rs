//! `daos_server config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use daos_control::generate::Options;

/// Configuration commands.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Read a file and report everything that is wrong with it
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print a file in the form of DAOS 2.8
    Convert {
        /// The file
        file: PathBuf,
    },
    /// Print the JSON schema of the file, for editors
    Schema,
    /// Propose a configuration for the hardware of this host
    #[command(visible_alias = "gen")]
    Generate(Generate),
}

/// Options of `config generate` (contract 8.2); the file goes to standard output, explanations to standard error.
#[derive(Debug, Args)]
#[command(mut_arg("fabric_ports", |ports| ports.short('f')))]
pub struct Generate {
    #[command(flatten)]
    pub options: Options,
    /// Name of the system
    #[arg(long, value_name = "NAME", default_value = "daos_server")]
    pub system: String,
    /// Work without certificates
    #[arg(short = 'i', long)]
    pub insecure: bool,
}
