//! What a scan finds: NVMe controllers with namespaces, health and owners, and the emulated devices (R141, R142).

use std::fmt;
use std::path::PathBuf;

use daos_blockdev::DeviceUse;
use serde::{Deserialize, Serialize};

use crate::{BdevClass, DeviceRef, PciAddress};

/// Everything a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BdevInventory {
    /// NVMe controllers by ascending address.
    pub controllers: Vec<NvmeController>,
    /// Devices of the targets in the request that only stand in for NVMe.
    pub emulated: Vec<EmulatedDevice>,
    /// Classes that could not be scanned; the others are complete all the same (R92).
    pub problems: Vec<ScanProblem>,
}

/// Why the devices of one class could not be scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanProblem {
    /// The class.
    pub class: BdevClass,
    /// Fault number.
    pub code: i32,
    /// What is the matter.
    pub text: String,
    /// What to do about it.
    pub resolution: String,
}

/// One NVMe controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvmeController {
    /// Address.
    pub address: PciAddress,
    /// Model, without trailing blanks.
    pub model: String,
    /// Serial number, without trailing blanks.
    pub serial: String,
    /// Firmware revision.
    pub firmware: String,
    /// PCI vendor id, e.g. `0x8086`, where known.
    pub vendor_id: Option<String>,
    /// NUMA socket; -1 when the host does not tell.
    pub socket: i32,
    /// Driver it is bound to, e.g. `nvme` or `vfio-pci`; `None` when unbound.
    pub driver: Option<String>,
    /// IOMMU group, where the host has an IOMMU that is on.
    #[serde(default)]
    pub iommu_group: Option<u32>,
    /// Where the facts about it come from.
    #[serde(default)]
    pub source: FactSource,
    /// Everything that keeps it from being used as it is now; empty when nothing does.
    #[serde(default)]
    pub obstacles: Vec<Obstacle>,
    /// The files through which programs have it while a driver for user space does, as far as they are there; first the one whose
    /// owner may use it. Empty with any other driver.
    #[serde(default)]
    pub device_files: Vec<PathBuf>,
    /// Who has the controller itself open, through one of those files.
    #[serde(default)]
    pub openers: Vec<DeviceUse>,
    /// Active namespaces by ascending id.
    pub namespaces: Vec<NvmeNamespace>,
    /// Health, when asked for and readable.
    pub health: Option<NvmeHealth>,
}

impl NvmeController {
    /// Sum of the namespaces in bytes.
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.size_bytes).sum()
    }

    /// Who uses it or any of its namespaces; empty when nobody does, as far as that can be told: see [`Self::untold`].
    #[must_use]
    pub fn uses(&self) -> Vec<&DeviceUse> {
        let namespaces = self.namespaces.iter().flat_map(|namespace| &namespace.uses);
        self.openers.iter().chain(namespaces).collect()
    }

    /// What could not be told that has to be known before anybody takes it: who has it open.
    #[must_use]
    pub fn untold(&self) -> Option<&Obstacle> {
        self.obstacles.iter().find(|each| matches!(each, Obstacle::UseUnknown { .. }))
    }
}

/// Where the facts about a controller come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactSource {
    /// The controller itself, through the kernel's driver.
    #[default]
    Controller,
    /// The record that prepare made before it took the controller from the kernel: model, serial and namespaces are as they
    /// were then, health cannot be read.
    RecordedAtPrepare,
    /// The controller itself, through SPDK.
    UserSpace,
    /// The PCI bus alone: nobody knows what it holds.
    BusOnly,
}

impl fmt::Display for FactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Controller => "read from the controller",
            Self::RecordedAtPrepare => "recorded at prepare",
            Self::UserSpace => "read through SPDK",
            Self::BusOnly => "known from the bus only",
        })
    }
}

/// Why a controller cannot be used as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Somebody uses a namespace. No option overrides this.
    InUse {
        /// Id of the namespace.
        namespace: u32,
        /// Who.
        by: DeviceUse,
    },
    /// Somebody has the controller itself open. No option overrides this either.
    Open {
        /// Who.
        by: DeviceUse,
    },
    /// Who has it open could not be told.
    UseUnknown {
        /// Why.
        detail: String,
    },
    /// The kernel's driver does not have it, and no prepare left a record of what it is.
    NotRecorded,
    /// There is something on a namespace that is not known to be ours.
    Holds {
        /// Id of the namespace.
        namespace: u32,
        /// What, in words.
        content: String,
    },
    /// What is on a namespace could not be looked at.
    Unreadable {
        /// Id of the namespace.
        namespace: u32,
        /// Why.
        detail: String,
    },
    /// It has no active namespace.
    NoNamespace,
    /// It is bound to a driver for user space, and no engine of the configuration lists it.
    BoundTo {
        /// The driver.
        driver: String,
    },
    /// No driver has it.
    Unbound,
    /// The controller itself does not answer.
    Silent {
        /// Why.
        detail: String,
    },
    /// Engines are configured, and none of them lists it.
    NotListed,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { namespace, by } => write!(f, "namespace {namespace} is {by}"),
            Self::Open { by } => by.fmt(f),
            Self::UseUnknown { detail } => write!(f, "who has it open cannot be told: {detail}"),
            Self::NotRecorded => f.write_str("no record of a prepare says what it is"),
            Self::Holds { namespace, content } => {
                write!(f, "namespace {namespace} holds {content}")
            }
            Self::Unreadable { namespace, detail } => {
                write!(f, "namespace {namespace} cannot be looked at: {detail}")
            }
            Self::NoNamespace => f.write_str("no active namespace"),
            Self::BoundTo { driver } => write!(f, "bound to {driver}"),
            Self::Unbound => f.write_str("bound to no driver"),
            Self::Silent { detail } => write!(f, "does not answer: {detail}"),
            Self::NotListed => f.write_str("not in the bdev_list of any engine"),
        }
    }
}

/// How a namespace divides itself into blocks, and names that stay with it (NVMe base specification, Identify Namespace).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceFormat {
    /// Bytes of one block, mostly 512 or 4096; 0 when not known.
    pub block_bytes: u32,
    /// Bytes of metadata with each block.
    pub metadata_bytes: u16,
    /// Index of the LBA format in use.
    pub lba_format: Option<u8>,
    /// IEEE EUI-64, 16 hexadecimal digits.
    pub eui64: Option<String>,
    /// Namespace globally unique id, 32 hexadecimal digits.
    pub nguid: Option<String>,
    /// Namespace UUID.
    pub uuid: Option<String>,
}

/// One namespace of a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvmeNamespace {
    /// Id, from 1.
    pub id: u32,
    /// Size in bytes; shown in GB of 10^9 (R142).
    pub size_bytes: u64,
    /// The kernel's node, while the kernel's driver has it.
    pub node: Option<PathBuf>,
    /// Who uses it.
    pub uses: Vec<DeviceUse>,
    /// Its blocks and names.
    #[serde(default)]
    pub format: NamespaceFormat,
}

/// Health of a controller, in the units of R141.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvmeHealth {
    /// Temperature in kelvin.
    pub temperature_k: u32,
    /// Minutes above the warning temperature.
    pub warning_minutes: u32,
    /// Minutes above the critical temperature.
    pub critical_minutes: u32,
    /// Minutes the controller was busy.
    pub busy_minutes: u64,
    /// Power cycles.
    pub power_cycles: u64,
    /// Hours switched on.
    pub power_on_hours: u64,
    /// Times power went away without warning.
    pub unsafe_shutdowns: u64,
    /// Media and data integrity errors.
    pub media_errors: u64,
    /// Entries in the error log over the controller's life.
    pub error_log_entries: u64,
    /// What the controller warns of.
    pub warnings: NvmeWarnings,
}

/// The five critical warnings (NVMe base specification, SMART log page).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvmeWarnings {
    /// Temperature out of its range.
    pub temperature: bool,
    /// Spare space nearly gone.
    pub spare: bool,
    /// Reliability reduced by media errors.
    pub reliability: bool,
    /// Media went read-only.
    pub read_only: bool,
    /// Volatile memory backup failed.
    pub volatile_memory: bool,
}

/// A configured device that stands in for NVMe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmulatedDevice {
    /// Which one.
    pub device: DeviceRef,
    /// Its size now; `None` when it does not exist (yet) or cannot be looked at.
    pub size_bytes: Option<u64>,
}
