//! The file as it is written: every key of both generations, each optional, nothing checked but its type.
//!
//! Owns the names of keys and their documentation, from which the JSON schema is made. Read by `load`, checked
//! by `validate`, printed by `active` and `convert`. Must hold no rule and no default.

mod engine;
mod storage;

use serde::{Deserialize, Serialize};

pub use engine::{RawAcceleration, RawAutoFaulty, RawEngine, RawIoBuffers, RawSpdkRpcServer};
pub use storage::{RawBdevClass, RawScmClass, RawTier, RawTierClass};

use super::yaml::Hints;

/// A struct whose fields are all optional keys; unknown keys are refused.
macro_rules! optional_keys {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$key_meta:meta])* $key:ident: $type:ty, )* }
    ) => {
        #[derive(
            Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name {
            $( $(#[$key_meta])* #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$type>, )*
        }
    };
}
pub(super) use optional_keys;

/// What runs as an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawDataPlane {
    /// The real `daos_engine` of DAOS 2.8.
    Engine,
    /// `daos_io_server`, for machines without hardware.
    Emulated,
}

/// Form of the engine's device configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawDeviceConfigFormat {
    /// What DAOS 2.8 engines read.
    Json,
    /// The sections that SPDK read before it had JSON; only with `data_plane: emulated`.
    Ini,
}

optional_keys! {
    /// Certificates of this server and how peers are authenticated.
    pub struct RawTransport {
        /// No certificates: anyone who reaches the port may do anything. Default: false.
        allow_insecure: bool,
        /// Certificate of the authority that signed all others. Default: `/etc/daos/certs/daosCA.crt`.
        ca_cert: String,
        /// This server's certificate. Default: `/etc/daos/certs/server.crt`.
        cert: String,
        /// This server's private key. Default: `/etc/daos/certs/server.key`.
        key: String,
        /// Directory of the agents' certificates. Default: `/etc/daos/certs/clients`.
        client_cert_dir: String,
        /// Name expected in another server's certificate. Default: `server`.
        server_name: String,
    }
}

optional_keys! {
    /// Metadata on a disk, so that a system on RAM survives a reboot.
    pub struct RawControlMetadata {
        /// Directory that holds the metadata. Required when `device` is given; needs a bdev tier with role
        /// `meta`. Default: none, metadata lies on the SCM mount.
        path: String,
        /// Block device formatted with ext4 and mounted at `path`. Default: none, `path` is a directory.
        device: String,
        /// Keep a hand-edited `daos_nvme.conf` at start instead of writing it again. Default: false.
        allow_spdk_conf_override: bool,
    }
}

optional_keys! {
    /// Collecting logs for support.
    pub struct RawSupport {
        /// Program that copies a collected archive elsewhere. Default: none.
        file_transfer_exec: String,
    }
}

optional_keys! {
    /// Configuration of `daos_server`, the control plane of a storage node.
    #[schemars(title = "daos_server.yml")]
    pub struct RawConfig {
        /// System this server belongs to: 1 to 15 characters. Default: `daos_server`.
        name: String,
        /// What runs as an engine: `engine` or `emulated`. Default: `engine`.
        data_plane: RawDataPlane,
        /// Hosts of the management service, `host` or `host:port`; an odd number, the same list on all hosts.
        /// Default: `localhost` with `port`.
        mgmt_svc_replicas: Vec<String>,
        /// Older name of `mgmt_svc_replicas`; give one of the two. Default: none.
        access_points: Vec<String>,
        /// TCP port of the control plane, 1 to 65535. Default: 10001.
        #[schemars(range(min = 1, max = 65535))]
        port: i64,
        /// Listen on this network interface only, at its lowest IPv4 address. Default: all interfaces.
        control_iface: String,
        /// Certificates of this server and how peers are authenticated.
        transport_config: RawTransport,
        /// Existing directory of the sockets between server and engines; at most 82 bytes.
        /// Default: `/var/run/daos_server`.
        socket_dir: String,
        /// Directory of the format journal and of the record of what prepare changed.
        /// Default: `/var/lib/daos_server`, for a plain user the XDG state directory.
        state_dir: String,
        /// Fabric provider, one, e.g. `ofi+tcp`; required with engines. Default: none.
        provider: String,
        /// Network interface of engines that name none. Default: none.
        fabric_iface: String,
        /// First fabric port of engines that name none, 1 to 65535. Default: none.
        #[schemars(range(min = 1, max = 65535))]
        fabric_iface_port: i64,
        /// NUMA node of engines that name neither a node nor a core. Default: none.
        #[schemars(range(min = 0))]
        pinned_numa_node: i64,
        /// Seconds until a fabric request is given up, for engines that say nothing; 0 leaves it to the
        /// engine. Default: none.
        #[schemars(range(min = 0))]
        crt_timeout: i64,
        /// Do not use shared receive contexts, for engines that say nothing. Default: false.
        disable_srx: bool,
        /// Authentication key of the fabric provider, for engines that name none. Default: none.
        fabric_auth_key: String,
        /// Endpoints of further providers. Engines cannot use them; must be empty. Default: empty.
        secondary_provider_endpoints: Vec<i64>,
        /// Has an effect in an engine's section only. Default: false.
        bypass_health_chk: bool,
        /// Modules loaded by every engine, separated by commas. Default: the engine's own list.
        modules: String,
        /// Place of this host in the tree of things that fail together, one or two layers such as
        /// `/rack1/host2`. Excludes `fault_cb`. Default: the host name.
        fault_path: String,
        /// Executable that prints the fault path. Excludes `fault_path`. Default: none.
        fault_cb: String,
        /// Metadata on a disk, so that a system on RAM survives a reboot.
        control_metadata: RawControlMetadata,
        /// Form of the engines' device configuration: `json` or `ini`. Default: `json`.
        nvme_conf_format: RawDeviceConfigFormat,
        /// NVMe controllers that a start may prepare, as PCI addresses. Default: empty, which means every `bdev_list`.
        bdev_include: Vec<String>,
        /// NVMe controllers never touched, as PCI addresses. Default: empty.
        bdev_exclude: Vec<String>,
        /// Bind NVMe controllers without VFIO; needs root. Default: false.
        disable_vfio: bool,
        /// Leave volume management devices alone. Default: false, with `nvme_conf_format: ini` true.
        disable_vmd: bool,
        /// Do not watch for NVMe devices that come and go. Default: false, with `nvme_conf_format: ini` true.
        disable_hotplug: bool,
        /// Deprecated opposite of `disable_hotplug`; give one of the two. Default: none.
        enable_hotplug: bool,
        /// Huge pages for all engines together, a count, 0 to 2147483647; 0 is computed from the targets.
        /// Default: 0.
        #[schemars(range(min = 0, max = 2_147_483_647))]
        nr_hugepages: i64,
        /// Give each engine a share of the free huge pages instead of a fixed amount. Default: false.
        set_hugepages: bool,
        /// Use no huge pages; then no NVMe either. Default: false.
        disable_hugepages: bool,
        /// Allow engines to be spread unevenly over NUMA nodes. Default: false.
        allow_numa_imbalance: bool,
        /// Allow transparent huge pages to stay enabled. Default: false.
        allow_thp: bool,
        /// Memory left to the system when the size of RAM tiers is computed, GiB, at least 1. Default: 64.
        #[schemars(range(min = 1))]
        system_ram_reserved: i64,
        /// Lowest level the control plane logs, in any case. Default: `INFO`.
        #[schemars(extend("enum" = [
            "TRACE", "DEBUG", "INFO", "NOTICE", "ERROR", "DISABLED",
            "trace", "debug", "info", "notice", "error", "disabled",
        ]))]
        control_log_mask: String,
        /// File the control plane logs to, appended. Default: none, the console.
        control_log_file: String,
        /// Log JSON objects, one a line. Default: false.
        control_log_json: bool,
        /// Debug log of the privileged helper; accepted, without effect for now. Default: none.
        helper_log_file: String,
        /// Debug log of the firmware helper; accepted, without effect for now. Default: none.
        firmware_helper_log_file: String,
        /// Port of the metrics exporter, 0 to 65535; 0 is off. Default: 0.
        #[schemars(range(min = 0, max = 65535))]
        telemetry_port: i64,
        /// What a core dump holds, bits of `/proc/self/coredump_filter`, 0 to 255; 0 leaves it alone.
        /// Default: 19.
        #[schemars(range(min = 0, max = 255))]
        core_dump_filter: i64,
        /// Variables handed to clients, `NAME=value`. Default: empty.
        client_env_vars: Vec<String>,
        /// Collecting logs for support.
        support_config: RawSupport,
        /// Accepted, without effect. Default: false.
        hyperthreads: bool,
        /// Let `start` make superblocks again that are lost; never replaces one that cannot be read.
        /// Default: false.
        recreate_superblocks: bool,
        /// Do not restart an engine that ended itself. Default: false.
        disable_engine_auto_restart: bool,
        /// Shortest time between two automatic restarts of a rank, seconds; 0 means 300. Default: 0.
        #[schemars(range(min = 0))]
        engine_auto_restart_min_delay: i64,
        /// Engines of this host. An empty list is legal: the server then only scans. Default: none.
        engines: Vec<RawEngine>,
        /// Older name of `engines`, where `targets` may be left out; give one of the two. Default: none.
        servers: Vec<RawEngine>,
    }
}

/// Keys that are no keys of this file, and what to write instead (R54, W20).
pub const KEY_HINTS: Hints = &[
    ("nvme_class", "use `bdev_class`"),
    ("nvme_list", "use `bdev_list`"),
    ("nvme_number", "use `bdev_number`"),
    ("nvme_size", "use `bdev_size`"),
    ("fabric_ifaces", "it never had an effect; use `fabric_iface` of each engine"),
    ("scm_mount_path", "it never had an effect; use `scm_mount` of each engine"),
    ("user_name", "it was removed; the server runs as the user that starts it"),
    ("group_name", "it was removed; the server runs as the user that starts it"),
    ("format_override", "it was removed; the server waits for format when there is no superblock"),
    ("path", "it was written into saved configurations by other versions; remove it"),
    ("cores", "use `targets`"),
    ("hugepages", "use `nr_hugepages`"),
    ("system_name", "use `name`"),
    ("enable_vmd", "use `disable_vmd`, which means the opposite"),
    ("allow_insecure", "it stands under `transport_config`"),
];
