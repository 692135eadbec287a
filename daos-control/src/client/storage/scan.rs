//! What storage a host has (R88-R92, contract 7.5).
//!
//! Plain values and the request. Equal hosts compare equal when serial numbers were not asked for.

use std::fmt;

use crate::client::devices::HostDevices;
use crate::client::fanout::HostResults;
use crate::client::wire;
use crate::client::{Client, DEFAULT_TIMEOUT};

/// How much a scan tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScanDetail {
    /// Sizes and counts only, so that equal hosts look equal.
    #[default]
    Summary,
    /// Every device.
    Full,
    /// Every device with its health counters.
    Health,
}

/// The storage of one host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostStorage {
    /// NVMe controllers and what stands in for them.
    pub nvme: Vec<NvmeController>,
    /// Persistent memory modules; given when there are no namespaces.
    pub scm_modules: Vec<ScmModule>,
    /// Persistent memory namespaces, or the RAM that stands in for them.
    pub scm_namespaces: Vec<ScmNamespace>,
    /// Regions of persistent memory; told in a full scan, and not by stock servers.
    pub scm_regions: Vec<ScmRegion>,
    /// Goals of persistent memory that wait for a reboot, in words; as the regions.
    pub scm_goals: Vec<String>,
    /// Whether devices can be used, and why not; asked for with every device, and not told by stock servers.
    pub devices: Option<HostDevices>,
    /// Memory of the host, if it told.
    pub memory: Option<MemoryInfo>,
    /// Parts of the scan that failed; the other parts are still told (R92).
    pub problems: Vec<String>,
}

/// One NVMe controller, or a file or kernel device that stands in for one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NvmeController {
    /// Model name.
    pub model: String,
    /// Serial number; empty in a summary.
    pub serial: String,
    /// PCI address, or path of the file or device.
    pub pci_address: String,
    /// Revision of its firmware.
    pub firmware: String,
    /// NUMA node, -1 for none.
    pub socket: i32,
    /// Vendor number, as text.
    pub vendor: String,
    /// Kind of PCI device.
    pub pci_type: String,
    /// State of the device.
    pub state: ControllerState,
    /// State of its light: a number of contract 2.
    pub led_state: i32,
    /// Health counters, if asked for.
    pub health: Option<DeviceHealth>,
    /// Its namespaces.
    pub namespaces: Vec<NvmeNamespace>,
    /// What engines keep on it.
    pub smd_devices: Vec<SmdDevice>,
}

impl NvmeController {
    /// Bytes of all its namespaces.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.namespaces.iter().fold(0, |sum, namespace| sum.saturating_add(namespace.size))
    }

    /// Roles that an engine gave it.
    #[must_use]
    pub fn roles(&self) -> Roles {
        self.smd_devices.first().map(|device| device.roles).unwrap_or_default()
    }

    /// Rank whose engine uses it.
    #[must_use]
    pub fn rank(&self) -> Option<u32> {
        self.smd_devices.first().and_then(|device| device.rank)
    }
}

/// State of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ControllerState {
    /// Not told.
    #[default]
    Unknown,
    /// In use.
    Normal,
    /// Not yet used by an engine.
    New,
    /// Taken out of use.
    Evicted,
    /// Gone.
    Unplugged,
}

/// Namespace of a controller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NvmeNamespace {
    /// Number of the namespace, from 1.
    pub id: u32,
    /// Size in bytes.
    pub size: u64,
}

/// What an engine keeps about a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SmdDevice {
    /// Uuid of the device in the engine's table.
    pub uuid: String,
    /// Targets that use it.
    pub targets: Vec<i32>,
    /// Rank of the engine.
    pub rank: Option<u32>,
    /// Its roles.
    pub roles: Roles,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free.
    pub available_bytes: u64,
    /// Bytes a pool could use.
    pub usable_bytes: u64,
    /// Bytes of one cluster.
    pub cluster_size: u64,
    /// Bytes for metadata per target.
    pub meta_size: u64,
    /// Bytes for the metadata log per target.
    pub meta_wal_size: u64,
    /// Bytes for the service database.
    pub rdb_size: u64,
    /// Bytes for the service database's log.
    pub rdb_wal_size: u64,
    /// Namespace of the controller it lies on.
    pub namespace: u32,
}

/// What a block device is used for (contract 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(
    /// Sum of data 1, meta 2, wal 4.
    pub u32,
);

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = [(1, "data"), (2, "meta"), (4, "wal")]
            .into_iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|(_, name)| name)
            .collect();
        f.write_str(if names.is_empty() { "NA" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// Health counters of a device, by the names of contract 8.3 in the order of contract 2, each as it is printed in JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceHealth {
    /// When it was read, in seconds since 1970; 0 when unknown.
    pub timestamp: u64,
    /// Temperature in kelvin.
    pub temperature: u32,
    /// Counters by name.
    pub counters: Vec<(&'static str, u64)>,
    /// Warnings by name.
    pub warnings: Vec<(&'static str, bool)>,
    /// Speeds of the PCI link by name, in transfers per second.
    pub link_speeds: Vec<(&'static str, f32)>,
}

/// One persistent memory module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScmModule {
    /// Physical number of the module.
    pub physical_id: u32,
    /// Channel it sits on.
    pub channel: u32,
    /// Position on the channel.
    pub channel_position: u32,
    /// Memory controller.
    pub controller: u32,
    /// Processor socket.
    pub socket: u32,
    /// Size in bytes.
    pub capacity: u64,
    /// Unique number, as text.
    pub uid: String,
    /// Part number.
    pub part_number: String,
    /// Revision of its firmware.
    pub firmware: String,
    /// Health in words.
    pub health: String,
}

/// One persistent memory namespace, or RAM that stands in for one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScmNamespace {
    /// Uuid.
    pub uuid: String,
    /// Block device, e.g. `pmem0`.
    pub block_device: String,
    /// Name of the namespace.
    pub name: String,
    /// NUMA node.
    pub numa_node: u32,
    /// Size in bytes.
    pub size: u64,
    /// Where it is mounted.
    pub mount: Option<ScmMount>,
}

/// A mounted SCM file system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScmMount {
    /// Mount point.
    pub path: String,
    /// Class of the storage, `ram` or `dcpm`.
    pub class: String,
    /// Devices under it.
    pub devices: Vec<String>,
    /// Rank of its engine.
    pub rank: Option<u32>,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free.
    pub available_bytes: u64,
    /// Bytes a pool could use.
    pub usable_bytes: u64,
}

/// A region of persistent memory (T4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScmRegion {
    /// Number of the region.
    pub id: u32,
    /// Id of its interleave set.
    pub iset_id: u64,
    /// Processor socket.
    pub socket: u32,
    /// AppDirect, AppDirectNotInterleaved, Volatile or Unknown.
    pub kind: String,
    /// Bytes.
    pub capacity: u64,
    /// Bytes not in a namespace.
    pub free_capacity: u64,
    /// Normal, Error, Pending, Locked or Unknown.
    pub health: String,
    /// Physical ids of its modules.
    pub modules: Vec<u32>,
}

/// Memory of a host, in KiB and pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryInfo {
    /// The whole host.
    pub total: NumaMemory,
    /// Pages reserved but not yet used.
    pub hugepages_reserved: u64,
    /// Size of a hugepage in KiB.
    pub hugepage_size_kib: u32,
    /// Memory that programs could still get, in KiB.
    pub available_kib: u64,
    /// One entry for each NUMA node.
    pub numa_nodes: Vec<NumaMemory>,
}

/// Memory of a host or of one NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumaMemory {
    /// Number of the node.
    pub node: u32,
    /// Hugepages in all.
    pub hugepages_total: u64,
    /// Hugepages free.
    pub hugepages_free: u64,
    /// Hugepages above the configured number.
    pub hugepages_surplus: u64,
    /// Memory in KiB.
    pub total_kib: u64,
    /// Memory free in KiB.
    pub free_kib: u64,
    /// Memory in use in KiB.
    pub used_kib: u64,
}

impl Client {
    /// Asks every host what storage it has.
    pub async fn storage_scan(&self, detail: ScanDetail) -> HostResults<HostStorage> {
        self.ask_hosts(DEFAULT_TIMEOUT, move |connection| wire::storage::scan(connection, detail))
            .await
    }
}
