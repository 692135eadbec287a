//! The command line of `daos_server`: words and their help, nothing else (R8, R66-R71, contract 5.5). One file per subject.
//!
//! Declares only; what commands do is in `commands`.

mod cert;
mod config;
mod ms;
mod network;
mod scm;
mod start;
mod storage;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use cert::{Cert, Role};
pub use config::{Config, Generate};
pub use ms::Ms;
pub use network::Network;
pub use scm::Scm;
pub use start::{Preflight, Start};
pub use storage::{Nvme, NvmeLists, NvmeOptions, NvmePrepare, Prepare, Storage};

/// Control plane of a DAOS storage node.
#[derive(Debug, Parser)]
#[command(name = "daos_server", disable_version_flag = true, subcommand_required = true)]
#[command(infer_long_args = false, arg_required_else_help = false)]
pub struct Cli {
    /// Settings that may stand before or after the command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Server configuration file [default: ../etc/daos_server.yml beside this program, then /etc/daos/daos_server.yml]
    #[arg(short = 'o', long = "config", alias = "config-path", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log at level DEBUG, whatever the configuration says
    #[arg(short = 'b', long, global = true)]
    pub debug: bool,
    /// Print results as JSON
    #[arg(short = 'j', long, global = true)]
    pub json: bool,
    /// Write log lines as JSON objects
    #[arg(short = 'J', long = "json-logging", global = true)]
    pub json_logging: bool,
    /// Keep proxy variables in the environment of engines
    #[arg(long = "allow-proxy", global = true)]
    pub allow_proxy: bool,
}

/// What `daos_server` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server, its management service and its engines
    Start(Start),
    /// Look at the storage of this host, and make it ready
    #[command(visible_alias = "sto", subcommand)]
    Storage(Storage),
    /// The NVMe part of 'storage', in the words of 2.8
    #[command(subcommand)]
    Nvme(Nvme),
    /// Check whether this host is ready for what is configured; exit 2 when something cannot work
    Preflight(Preflight),
    /// The persistent memory part of 'storage', in the words of 2.8
    #[command(subcommand)]
    Scm(Scm),
    /// Look at the fabric interfaces of this host
    #[command(visible_alias = "net", subcommand)]
    Network(Network),
    /// Check, convert and describe configuration files
    #[command(visible_alias = "cfg", subcommand)]
    Config(Config),
    /// Make and show certificates
    #[command(subcommand)]
    Cert(Cert),
    /// Work on the system database of this host while its server is stopped
    #[command(subcommand)]
    Ms(Ms),
    /// Print the version
    Version,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory, Parser};

    use super::{Cli, Command, Start};

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    fn start(line: &str) -> (Cli, Start) {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|told| panic!("{told}"));
        let again = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|told| panic!("{told}"));
        let Command::Start(options) = again.command else { panic!("{line}") };
        (cli, options)
    }

    #[test]
    fn r8_options_stand_before_or_after_the_command_and_c_is_t() {
        for line in [
            "daos_server start -t 3 -o a.yml",
            "daos_server -o a.yml start -t 3",
            "daos_server --config a.yml start --targets 3",
            "daos_server start -c 3 -o a.yml",
        ] {
            let (cli, options) = start(line);
            assert_eq!(cli.global.config.as_deref(), Some(Path::new("a.yml")), "{line}");
            assert_eq!(options.targets.or(options.cores), Some(3), "{line}");
        }
        assert!(Cli::try_parse_from(["daos_server", "start", "-c", "3", "-t", "3"]).is_err());
        let help = Cli::try_parse_from(["daos_server", "start", "--help"]);
        assert!(!help.expect_err("help").to_string().contains("cores"), "-c is hidden");
    }
}
