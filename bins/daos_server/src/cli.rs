//! The command line of `daos_server`: words and their help, nothing else (R8, R66-R71, contract 5.5).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use daos_control::generate::Options;
use daos_control::tls::authority::DEFAULT_DAYS;

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
    /// Number of huge pages over all NUMA nodes [default: 1024]
    #[arg(short = 'p', long, value_name = "PAGES", allow_negative_numbers = true)]
    pub hugepages: Option<i64>,
    /// User that will run the engines [default: who called sudo, else root]
    #[arg(short = 'u', long = "target-user", value_name = "USER")]
    pub user: Option<String>,
    /// Bind to uio although VFIO would work
    #[arg(long = "disable-vfio")]
    pub disable_vfio: bool,
}

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

/// Certificate commands.
#[derive(Debug, Subcommand)]
pub enum Cert {
    /// Make the private authority that signs all certificates of a system
    Init {
        /// Directory for its certificate and its key
        #[arg(long, value_name = "DIR", default_value = CERTIFICATES)]
        dir: PathBuf,
        /// Days it is good for
        #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// Use this key (PEM, PKCS #8) instead of making an ECDSA key
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Overwrite an authority; certificates of the old one are no longer trusted
        #[arg(long)]
        replace: bool,
    },
    /// Issue the certificate of a role
    Issue {
        /// Whose certificate
        #[arg(value_enum)]
        role: Role,
        /// Directory of the authority; the certificate and its key are written there
        #[arg(long, value_name = "DIR", default_value = CERTIFICATES)]
        dir: PathBuf,
        /// Host name or address to put in; may be repeated
        #[arg(long = "san", value_name = "NAME")]
        names: Vec<String>,
        /// Days it is good for, at most as long as the authority
        #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
        /// Use this key (PEM, PKCS #8) instead of making an ECDSA key; stock DAOS 2.8 peers need RSA
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// The authority's key, when it is not in the directory
        #[arg(long = "ca-key", value_name = "FILE")]
        authority_key: Option<PathBuf>,
        /// Overwrite a certificate and its key
        #[arg(long)]
        replace: bool,
    },
    /// Show certificates: to whom they are made out, and for how long
    Show {
        /// Certificate files, or directories of them
        #[arg(value_name = "PATH", default_value = CERTIFICATES)]
        paths: Vec<PathBuf>,
    },
}

/// Where certificates are by default (contract 5.1).
const CERTIFICATES: &str = "/etc/daos/certs";

/// Those who need certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Administrators: dmg
    Admin,
    /// Storage nodes: daos_server
    Server,
    /// Client nodes: daos_agent
    Agent,
}

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
