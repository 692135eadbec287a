//! One entry of `engines:` or `servers:` as it is written.

use super::{RawBdevClass, RawScmClass, RawTier, optional_keys};

optional_keys! {
    /// Offload of data moves and checksums.
    pub struct RawAcceleration {
        /// Library used: `none`, `spdk` or `dml`. Default: `none`.
        #[schemars(extend("enum" = ["none", "spdk", "dml"]))]
        engine: String,
        /// What is offloaded: `move`, `crc`. Default: both.
        options: Vec<String>,
    }
}

optional_keys! {
    /// SPDK's own RPC server inside the engine.
    pub struct RawSpdkRpcServer {
        /// Whether it runs. Default: false.
        enable: bool,
        /// UNIX socket it listens on. Default: SPDK's.
        sock_addr: String,
    }
}

optional_keys! {
    /// When the engine gives up an NVMe device by itself.
    pub struct RawAutoFaulty {
        /// Whether it does. Default: false.
        enable: bool,
        /// I/O errors tolerated. Default: 0.
        #[schemars(range(min = 0))]
        max_io_errs: i64,
        /// Checksum errors tolerated. Default: 0.
        #[schemars(range(min = 0))]
        max_csum_errs: i64,
    }
}

optional_keys! {
    /// Buffer pools of SPDK.
    pub struct RawIoBuffers {
        /// Small buffers; 0 keeps SPDK's number. Default: 0.
        #[schemars(range(min = 0))]
        small_pool_count: i64,
        /// Large buffers; 0 keeps SPDK's number. Default: 0.
        #[schemars(range(min = 0))]
        large_pool_count: i64,
    }
}

optional_keys! {
    /// One engine: its cores, its network and its storage. Storage is given either as `storage` tiers or as
    /// `scm_*` and `bdev_*` keys.
    pub struct RawEngine {
        /// Rank wished for, granted unless taken; no effect once formatted. 0 to 4294967294. Default: none.
        #[schemars(range(min = 0, max = 4_294_967_294_u32))]
        rank: i64,
        /// Targets, service threads that own a share of the storage. At least 1 and required under `engines`;
        /// under `servers` 0 or absent means one per core. Default: none.
        #[schemars(range(min = 0))]
        targets: i64,
        /// Offload threads. Default: 0.
        #[schemars(range(min = 0))]
        nr_xs_helpers: i64,
        /// First core used. Excludes `pinned_numa_node` unless 0. Default: none.
        #[schemars(range(min = 0))]
        first_core: i64,
        /// NUMA node the engine is bound to. Default: that of the network interface.
        #[schemars(range(min = 0))]
        pinned_numa_node: i64,
        /// Taken from the top level; a value here has no effect. Default: none.
        name: String,
        /// Taken from the top level; a value here has no effect. Default: none.
        socket_dir: String,
        /// Taken from the top level; a value here has no effect. Default: none.
        modules: String,
        /// Log mask, e.g. `ERR,mgmt=DEBUG`. Default: none, the engine's own.
        log_mask: String,
        /// Log file. Default: none, the engine's output lands in the server's log.
        log_file: String,
        /// Variables of the engine, `NAME=value`, taken as they are. Default: empty.
        env_vars: Vec<String>,
        /// Names of the variables of the launching environment that are passed on. Default: all but proxies.
        env_pass_through: Vec<String>,
        /// Fabric provider. Default: that of the top level.
        provider: String,
        /// Network interface; required. Default: that of the top level.
        fabric_iface: String,
        /// First fabric port, 1 to 65535; required. Default: that of the top level.
        #[schemars(range(min = 1, max = 65535))]
        fabric_iface_port: i64,
        /// Do not look at NVMe health at start. Default: false.
        bypass_health_chk: bool,
        /// Seconds until a fabric request is given up; 0 leaves it to the engine. Default: that of the top
        /// level, else `CRT_TIMEOUT` of the environment, else 0.
        #[schemars(range(min = 0))]
        crt_timeout: i64,
        /// Endpoints of further providers. Engines cannot use them; must be empty. Default: empty.
        secondary_provider_endpoints: Vec<i64>,
        /// Do not use shared receive contexts. Default: that of the top level.
        disable_srx: bool,
        /// Authentication key of the fabric provider. Default: that of the top level.
        fabric_auth_key: String,
        /// Storage tiers: one of class `ram` or `dcpm`, then up to three of block devices. Default: none.
        storage: Vec<RawTier>,
        /// Mount point of the SCM tier; required without `storage`. Default: none.
        scm_mount: String,
        /// Class of the SCM tier: `ram` or `dcpm`; required without `storage`. Default: none.
        scm_class: RawScmClass,
        /// The persistent memory device; exactly one, class `dcpm` only. Default: none.
        scm_list: Vec<String>,
        /// Size of the RAM tier, GiB, at least 1; class `ram` only. Default: none.
        #[schemars(range(min = 1))]
        scm_size: i64,
        /// Class of the block devices: `nvme`, `file`, `kdev` or `malloc`. Default: `nvme`.
        bdev_class: RawBdevClass,
        /// PCI addresses, absolute file paths or device nodes. Default: empty, SCM only.
        bdev_list: Vec<String>,
        /// Number of devices of class `malloc`. Default: 0, none.
        #[schemars(range(min = 0))]
        bdev_number: i64,
        /// Size of each file or malloc device, GiB, at least 1. Default: none.
        #[schemars(range(min = 1))]
        bdev_size: i64,
        /// Offload of data moves and checksums. Default: none.
        acceleration: RawAcceleration,
        /// SPDK's own RPC server inside the engine. Default: none.
        spdk_rpc_server: RawSpdkRpcServer,
        /// When the engine gives up an NVMe device by itself. Default: the engine's own rule.
        bdev_auto_faulty: RawAutoFaulty,
        /// Buffer pools of SPDK. Default: SPDK's.
        spdk_iobuf: RawIoBuffers,
    }
}

impl RawEngine {
    /// The seed's storage keys that are written, in the order of the file format.
    pub(in crate::config) fn flat_storage_keys(&self) -> Vec<&'static str> {
        [
            ("scm_mount", self.scm_mount.is_some()),
            ("scm_class", self.scm_class.is_some()),
            ("scm_list", self.scm_list.is_some()),
            ("scm_size", self.scm_size.is_some()),
            ("bdev_class", self.bdev_class.is_some()),
            ("bdev_list", self.bdev_list.is_some()),
            ("bdev_number", self.bdev_number.is_some()),
            ("bdev_size", self.bdev_size.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, written)| written.then_some(key))
        .collect()
    }
}
