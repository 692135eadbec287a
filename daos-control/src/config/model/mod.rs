//! The validated configuration: no key names, no generations, no `Option` where a default exists.
//!
//! Made only by `validate`; read by everything else in the server. Knows no file format.

mod engine;
mod storage;

use std::fmt;
use std::path::PathBuf;

pub use engine::{
    Acceleration, AccelerationEngine, AutoFaulty, EngineConfig, EnvVar, Fabric, IoBuffers,
    SpdkRpcServer,
};
pub use storage::{BdevMedia, BdevRole, BdevTier, BusIdRange, ScmTier};

/// What runs as an engine (`data_plane`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataPlane {
    /// `daos_engine` 2.8.
    #[default]
    Engine,
    /// `daos_io_server`, the stand-in without hardware. Rules that protect a real engine are notices.
    Emulated,
}

/// The form of the engine's device configuration file (`nvme_conf_format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceConfigFormat {
    /// What DAOS 2.8 engines read (contract 5.3).
    #[default]
    Json,
    /// The legacy text of the older design's SPDK. Never with a real 2.8 engine.
    Ini,
}

/// Level of the control plane's log (R49), ascending severity; `Disabled` prints nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ControlLogMask {
    /// Everything, including each dRPC and gRPC message.
    Trace,
    /// For developers.
    Debug,
    /// Normal operation.
    #[default]
    Info,
    /// What an administrator should see.
    Notice,
    /// What failed.
    Error,
    /// Nothing at all.
    Disabled,
}

impl ControlLogMask {
    /// Reads a level in any case (R49).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "TRACE" => Self::Trace,
            "DEBUG" => Self::Debug,
            "INFO" => Self::Info,
            "NOTICE" => Self::Notice,
            "ERROR" => Self::Error,
            "DISABLED" => Self::Disabled,
            _ => return None,
        })
    }
}

/// Where and how the control plane logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlLog {
    /// Lowest level printed.
    pub mask: ControlLogMask,
    /// File appended to; the console otherwise.
    pub file: Option<PathBuf>,
    /// One JSON object a line (R52).
    pub json: bool,
}

/// One host of the management service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// Name or IPv4 address, as written.
    pub host: String,
    /// Control port, never 0.
    pub port: u16,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How peers are authenticated (`transport_config`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// No certificates at all.
    pub allow_insecure: bool,
    /// Certificate of the authority that signed every peer.
    pub ca_cert: PathBuf,
    /// This server's certificate.
    pub cert: PathBuf,
    /// This server's private key.
    pub key: PathBuf,
    /// Directory of agent certificates.
    pub client_cert_dir: PathBuf,
    /// Name expected in a peer server's certificate.
    pub server_name: String,
}

/// Where this host stands in the tree of things that fail together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FaultDomainSource {
    /// `/<host name>`.
    #[default]
    Hostname,
    /// `fault_path`: one or two layers, e.g. `/rack1/host2`.
    Path(String),
    /// `fault_cb`: an executable that prints the path.
    Callback(PathBuf),
}

/// Huge pages of the host. Never touched with the emulated data plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hugepages {
    /// Pages for all engines together; 0 means computed from the targets (contract 5.7).
    pub count: u32,
    /// No huge pages at all; then no NVMe.
    pub disabled: bool,
    /// Seed's `set_hugepages`: an engine's share follows what is free (R170).
    pub share_free: bool,
}

/// How NVMe controllers of the host are handled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NvmeHost {
    /// Only these are prepared at start; empty means those of every `bdev_list`.
    pub include: Vec<String>,
    /// Never touched.
    pub exclude: Vec<String>,
    /// Bind without VFIO.
    pub disable_vfio: bool,
    /// Leave volume management devices alone.
    pub disable_vmd: bool,
    /// Watch for devices that come and go.
    pub hotplug: bool,
}

/// Metadata on a disk (`control_metadata`, contract 5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlMetadata {
    /// Directory that holds `daos_control`.
    pub path: PathBuf,
    /// Block device mounted at `path`; none means that `path` is a plain directory.
    pub device: Option<PathBuf>,
    /// Leave a hand-edited device configuration as it is at start.
    pub allow_spdk_conf_override: bool,
}

/// When an engine that ended itself is started again (contract 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineRestart {
    /// Whether it is at all.
    pub enabled: bool,
    /// Shortest time between two automatic starts of a rank, in seconds.
    pub min_delay_s: u32,
}

/// The whole validated configuration of one storage node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// System name, 1 to 15 characters.
    pub name: String,
    /// What runs as an engine.
    pub data_plane: DataPlane,
    /// Control port, never 0.
    pub port: u16,
    /// Bind and advertise this interface's lowest IPv4 address only.
    pub control_iface: Option<String>,
    /// Hosts of the management service, odd in number when there are engines.
    pub replicas: Vec<Replica>,
    /// Certificates.
    pub transport: Transport,
    /// Directory of the dRPC sockets; short enough for every socket's name.
    pub socket_dir: PathBuf,
    /// Format journal and record of what prepare changed.
    pub state_dir: PathBuf,
    /// Log of the control plane.
    pub control_log: ControlLog,
    /// Debug log of the privileged helper; accepted, not used yet.
    pub helper_log_file: Option<PathBuf>,
    /// Debug log of the firmware helper; accepted, not used yet.
    pub firmware_helper_log_file: Option<PathBuf>,
    /// Fault domain of the host.
    pub fault_domain: FaultDomainSource,
    /// Huge pages.
    pub hugepages: Hugepages,
    /// NVMe controllers.
    pub nvme: NvmeHost,
    /// Engines may be spread unevenly over NUMA nodes.
    pub allow_numa_imbalance: bool,
    /// Transparent huge pages may stay on.
    pub allow_thp: bool,
    /// Memory left to the system when the size of a RAM tier is computed, GiB, at least 1.
    pub system_ram_reserved_gib: u32,
    /// Metadata on a disk, so that a RAM tier survives a reboot.
    pub control_metadata: Option<ControlMetadata>,
    /// Form of the engines' device configuration.
    pub device_config_format: DeviceConfigFormat,
    /// Engine module list (`-m`); empty means the engine's own.
    pub modules: String,
    /// Override of the start table for lost superblocks.
    pub recreate_superblocks: bool,
    /// Port of the metrics exporter; none means off.
    pub telemetry_port: Option<u16>,
    /// Written to `/proc/self/coredump_filter`; 0 leaves it alone.
    pub core_dump_filter: u8,
    /// Passed to clients by GetAttachInfo.
    pub client_env_vars: Vec<EnvVar>,
    /// Automatic restart of engines.
    pub engine_restart: EngineRestart,
    /// Program that `support collect-log` copies files with.
    pub file_transfer_exec: Option<PathBuf>,
    /// Accepted, unused by the data plane.
    pub hyperthreads: bool,
    /// Engines in the order of their index; empty means that the server only scans.
    pub engines: Vec<EngineConfig>,
}

impl ServerConfig {
    /// Gives RAM tiers whose size is to be computed the size that was (contract 5.7).
    pub fn size_ram_tiers(&mut self, gib: u32) {
        for engine in &mut self.engines {
            if let ScmTier::Ram { size_gib: size @ 0, .. } = &mut engine.scm {
                *size = gib;
            }
        }
    }
}
