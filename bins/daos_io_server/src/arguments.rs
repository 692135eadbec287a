//! The command line: `daos_engine`'s short options (contract 4.1).
//!
//! What a stand-in has no use for is read and ignored, so that whoever launches engines need not know the difference.

use std::path::PathBuf;

use clap::Parser;
use daos_control::stand_in;

const AFTER_HELP: &str = concat!(
    "Environment: D_PROVIDER and D_INTERFACE are needed; D_PORT, D_LOG_MASK and D_LOG_FILE are used where set.\n",
    "SWIM_PROTOCOL_PERIOD_LEN (1000), SWIM_PING_TIMEOUT (1900) and SWIM_SUSPECT_TIMEOUT (20000), in milliseconds, say \
     when a silent peer is given up.\n\n",
    "SIGINT and SIGTERM end it gracefully at any time; a real engine ignores them until it is set up.\n\n",
    "For tests, DAOS_IO_SERVER_FAULTS makes it misbehave; items are separated by commas:",
);

/// Parsed arguments. As with getopt, the last of a repeated option counts.
#[derive(Debug, Parser)]
#[command(
    version,
    args_override_self = true,
    about = "A stand-in data plane: takes the place of daos_engine on machines without hardware. \
             It serves management, not I/O.",
    after_help = format!("{AFTER_HELP}\n{}", stand_in::HELP)
)]
pub struct Arguments {
    /// Number of targets.
    #[arg(short = 't', short_alias = 'c', value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub targets: u32,

    /// Number of helper streams.
    #[arg(short = 'x', value_name = "N", default_value_t = 0)]
    pub helpers: u32,

    /// First core.
    #[arg(short = 'f', value_name = "CORE", default_value_t = 0)]
    pub first_core: u32,

    /// Name of the system, at most 15 characters.
    #[arg(short = 'g', value_name = "NAME", default_value = "daos_server")]
    #[arg(value_parser = system_name)]
    pub system: String,

    /// Directory of the dRPC sockets.
    #[arg(short = 'd', value_name = "DIR", default_value = "/var/run/daos_server")]
    pub socket_dir: PathBuf,

    /// Index of this engine on the host.
    #[arg(short = 'I', value_name = "N", default_value_t = 0)]
    pub index: u32,

    /// Path of the SCM mount.
    #[arg(short = 's', value_name = "PATH")]
    pub storage: PathBuf,

    /// Device configuration, JSON or INI.
    #[arg(short = 'n', value_name = "PATH")]
    pub device_config: Option<PathBuf>,

    /// Number of storage tiers, 1 to 4.
    #[arg(short = 'T', value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4))]
    pub tiers: u32,

    /// Run as a checker.
    #[arg(short = 'C')]
    pub check: bool,

    /// Modules to load; ignored.
    #[arg(short = 'm', value_name = "LIST")]
    _modules: Option<String>,

    /// NUMA node to pin to; ignored.
    #[arg(short = 'p', value_name = "NODE")]
    _numa_node: Option<u32>,

    /// Megabytes of memory for DMA; ignored.
    #[arg(short = 'r', value_name = "MIB")]
    _dma: Option<u64>,

    /// Size of a hugepage in megabytes; ignored.
    #[arg(short = 'H', value_name = "MIB")]
    _hugepage: Option<u64>,

    /// Number of the shared memory segment; ignored.
    #[arg(short = 'i', value_name = "N")]
    _shared_memory: Option<i64>,

    /// Do not check the health of NVMe devices; ignored.
    #[arg(short = 'b')]
    _bypass_health_check: bool,
}

fn system_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 15 {
        return Err("a system name has 1 to 15 characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("daos_io_server").chain(line.split_whitespace()))
    }

    #[test]
    fn takes_what_servers_send() {
        let line = "-m vos,rdb -t 4 -x 2 -f 1 -g sys -d /run/d -T 2 -n /m/daos_nvme.conf -b -p 1 \
                    -I 1 -r 4096 -H 2 -C -s /m";
        let arguments = parse(line).unwrap();
        assert_eq!((arguments.targets, arguments.helpers, arguments.first_core), (4, 2, 1));
        assert_eq!((arguments.index, arguments.tiers, arguments.check), (1, 2, true));
        assert_eq!(arguments.device_config.unwrap(), PathBuf::from("/m/daos_nvme.conf"));
    }

    #[test]
    fn follows_getopt_in_its_forms() {
        let arguments = parse("-c3 -t2 -s/mnt/daos").unwrap();
        assert_eq!(arguments.targets, 2, "-c is an alias of -t and the last one counts");
        assert_eq!(arguments.storage, PathBuf::from("/mnt/daos"));
    }

    #[test]
    fn refuses_what_daos_engine_refuses() {
        for line in ["-S x -s /m", "-s /m -T 5", "-s /m -T 0", "-s /m -t x", "-t 1", "-s /m extra"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("-s /m -g sixteen_letters_").is_err());
    }

    #[test]
    fn help_lists_every_fault() {
        let help = parse("-h").unwrap_err().to_string();
        for item in stand_in::HELP.lines() {
            assert!(help.contains(item.split_whitespace().next().unwrap()), "{item}");
        }
    }
}
