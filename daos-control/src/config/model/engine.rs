//! The validated configuration of one engine.

use std::fmt;
use std::path::PathBuf;

use super::{BdevTier, ScmTier};

/// One variable of an engine's environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvVar {
    /// Name, never empty, without `=`.
    pub name: String,
    /// Value, never empty, taken as it is: no quotes, no expansion (R30).
    pub value: String,
}

impl fmt::Display for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// The network of one engine, after inheritance from the top level (R28).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fabric {
    /// Provider, e.g. `ofi+tcp`; never empty, never a list.
    pub provider: String,
    /// Network interface, never empty.
    pub interface: String,
    /// First port, never 0.
    pub port: u16,
    /// `crt_timeout` in seconds, when the key is written.
    pub crt_timeout_s: Option<u32>,
    /// Do not use shared receive contexts.
    pub disable_srx: bool,
    /// Authentication key of the provider.
    pub auth_key: Option<String>,
}

/// Offload of checksums and moves (`acceleration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acceleration {
    /// Which library does it.
    pub engine: AccelerationEngine,
    /// Data moves are offloaded.
    pub moves: bool,
    /// Checksums are offloaded.
    pub crc: bool,
}

/// Library that an engine offloads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccelerationEngine {
    /// No offload.
    #[default]
    None,
    /// SPDK's software framework.
    Spdk,
    /// Intel data mover library.
    Dml,
}

/// SPDK's own RPC server inside an engine (`spdk_rpc_server`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpdkRpcServer {
    /// Whether it runs.
    pub enable: bool,
    /// UNIX socket it listens on.
    pub sock_addr: String,
}

/// When an engine gives up an NVMe device by itself (`bdev_auto_faulty`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoFaulty {
    /// Whether it does.
    pub enable: bool,
    /// I/O errors tolerated.
    pub max_io_errs: u32,
    /// Checksum errors tolerated.
    pub max_csum_errs: u32,
}

/// SPDK's buffer pools (`spdk_iobuf`); 0 keeps SPDK's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoBuffers {
    /// Small buffers.
    pub small_pool_count: u32,
    /// Large buffers.
    pub large_pool_count: u32,
}

/// The whole validated configuration of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Position in the file, from 0.
    pub index: u32,
    /// Rank wished for, granted unless taken; has no effect once formatted.
    pub rank: Option<u32>,
    /// Number of targets; 0 (seed form only) means one per core.
    pub targets: u32,
    /// Offload streams.
    pub helper_streams: u32,
    /// First core used; excludes a pinned NUMA node unless 0.
    pub first_core: Option<u32>,
    /// NUMA node the engine is bound to.
    pub pinned_numa_node: Option<u32>,
    /// Network.
    pub fabric: Fabric,
    /// Do not look at NVMe health at start.
    pub bypass_health_check: bool,
    /// Checked log mask with `DD_SUBSYS` folded in; none means that the engine's own default applies.
    pub log_mask: Option<String>,
    /// Log file; none means that the engine's output lands in the server's log.
    pub log_file: Option<PathBuf>,
    /// Variables given to the engine, first duplicate kept, malformed entries dropped (R33).
    pub env_vars: Vec<EnvVar>,
    /// If given, only these variables of the launching environment are passed on.
    pub env_pass_through: Option<Vec<String>>,
    /// The SCM tier.
    pub scm: ScmTier,
    /// Block device tiers, in order; tier numbers start at 1.
    pub bdevs: Vec<BdevTier>,
    /// Offload.
    pub acceleration: Acceleration,
    /// SPDK's RPC server, when configured.
    pub spdk_rpc_server: Option<SpdkRpcServer>,
    /// Automatic eviction of devices, when configured.
    pub auto_faulty: Option<AutoFaulty>,
    /// SPDK's buffer pools, when configured.
    pub io_buffers: Option<IoBuffers>,
}

impl EngineConfig {
    /// Whether any tier names a device, file or LUN.
    #[must_use]
    pub fn has_bdevs(&self) -> bool {
        !self.bdevs.is_empty()
    }

    /// Whether any tier is made of real NVMe controllers.
    #[must_use]
    pub fn has_nvme(&self) -> bool {
        self.bdevs.iter().any(|tier| tier.media.is_nvme())
    }

    /// Whether bdev tiers carry roles, so that metadata lives on disk.
    #[must_use]
    pub fn has_roles(&self) -> bool {
        self.bdevs.iter().any(|tier| !tier.roles.is_empty())
    }
}
