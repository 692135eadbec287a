//! What a scan finds: modules, AppDirect regions, namespaces and their mounts.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{NamespaceMode, PendingGoal, ScmTarget};

/// What to look at besides the hardware.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// Configured SCM whose mounts are reported with their usage; class ram appears as a namespace of its own.
    pub targets: Vec<ScmTarget>,
}

/// Result of looking for one kind of thing: none is an answer, 'could not look' is another one (R113).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovered<T> {
    /// Looked; these are all there are.
    Known(Vec<T>),
    /// There may be some, but they cannot be described here.
    Unknown {
        /// Fault number of the reason.
        code: i32,
        /// Why, e.g. a library or program that is not installed.
        why: String,
        /// What to do about it.
        resolution: String,
    },
}

impl<T> Default for Discovered<T> {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

impl<T> Discovered<T> {
    /// What is known; nothing when it could not be found out.
    #[must_use]
    pub fn known(&self) -> &[T] {
        match self {
            Self::Known(all) => all,
            Self::Unknown { .. } => &[],
        }
    }
}

/// All storage class memory of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScmInventory {
    /// Memory modules, by physical id (R90).
    pub modules: Discovered<ScmModule>,
    /// AppDirect regions, by id (R114).
    pub regions: Discovered<AppDirectRegion>,
    /// Namespaces, by block device name (R91); RAM that serves as SCM is listed as one.
    pub namespaces: Discovered<ScmNamespace>,
    /// Goals that wait for a reboot (R136).
    pub goals: Vec<PendingGoal>,
}

/// One persistent memory module (R90, contract 2 `ScmModule`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScmModule {
    /// Physical id in the platform's tables.
    pub physical_id: u32,
    /// Memory channel.
    pub channel: u32,
    /// Position in the channel.
    pub channel_position: u32,
    /// Memory controller.
    pub controller: u32,
    /// Processor socket.
    pub socket: u32,
    /// Capacity in bytes.
    pub capacity: u64,
    /// Unique id of the module.
    pub uid: String,
    /// Part number.
    pub part_number: String,
    /// Active firmware revision.
    pub firmware_revision: String,
    /// Health in the module's words, e.g. `Healthy`.
    pub health: String,
}

/// One region of interleaved (or single) modules (T4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDirectRegion {
    /// Region id.
    pub id: u32,
    /// Interleave set id.
    pub iset_id: u64,
    /// Processor socket.
    pub socket: u32,
    /// How the memory is used.
    pub kind: RegionKind,
    /// Capacity in bytes.
    pub capacity: u64,
    /// Bytes not yet given to a namespace.
    pub free_capacity: u64,
    /// Health of the region.
    pub health: RegionHealth,
    /// Physical ids of its modules, where known.
    pub module_ids: Vec<u32>,
}

/// Kind of a region (T4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionKind {
    /// Persistent, interleaved over its modules.
    AppDirect,
    /// Persistent, one module.
    AppDirectNotInterleaved,
    /// Memory mode.
    Volatile,
    /// Cannot be told.
    Unknown,
}

impl fmt::Display for RegionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppDirect => "AppDirect",
            Self::AppDirectNotInterleaved => "AppDirectNotInterleaved",
            Self::Volatile => "Volatile",
            Self::Unknown => "Unknown",
        })
    }
}

/// Health of a region (T4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionHealth {
    /// Usable.
    Normal,
    /// Broken.
    Error,
    /// A goal waits for a reboot.
    Pending,
    /// Locked by a passphrase.
    Locked,
    /// Cannot be told.
    Unknown,
}

impl fmt::Display for RegionHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "Normal",
            Self::Error => "Error",
            Self::Pending => "Pending",
            Self::Locked => "Locked",
            Self::Unknown => "Unknown",
        })
    }
}

/// One namespace, usable as a block device (contract 2 `ScmNamespace`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScmNamespace {
    /// Uuid of the namespace; empty when it has none.
    pub uuid: String,
    /// Name of the block device without directory, e.g. `pmem0`; `ramdisk` for RAM.
    pub blockdev: String,
    /// Name of the namespace, e.g. `namespace0.0`; the mount source for RAM.
    pub dev: String,
    /// NUMA node.
    pub numa_node: u32,
    /// Size in bytes.
    pub size: u64,
    /// How it is used; unknown for what only stands in for a namespace.
    pub mode: NamespaceMode,
    /// Who uses its block device, in words; empty when nobody does. That it cannot be looked at is said here, too.
    #[serde(default)]
    pub uses: Vec<String>,
    /// Its mount, when it is mounted and the scan was asked to look.
    pub mount: Option<MountUsage>,
}

/// A mounted file system and how full it is (contract 2 `ScmNamespace.Mount`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountUsage {
    /// Mount point.
    pub path: PathBuf,
    /// Bytes of the file system.
    pub total_bytes: u64,
    /// Bytes that its owner can still write.
    pub avail_bytes: u64,
}
