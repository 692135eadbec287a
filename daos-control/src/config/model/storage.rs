//! Storage tiers of an engine: one SCM tier, then block device tiers.

use std::path::{Path, PathBuf};

/// The first tier: where an engine keeps its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScmTier {
    /// Memory of the host: a tmpfs.
    Ram {
        /// Mount point.
        mount: PathBuf,
        /// Size in GiB; 0 means computed from the memory of the host (contract 5.7).
        size_gib: u32,
        /// Mount without huge pages.
        hugepages_disabled: bool,
    },
    /// A persistent memory block device with ext4.
    Dcpm {
        /// Mount point.
        mount: PathBuf,
        /// Block device, e.g. `/dev/pmem0`.
        device: PathBuf,
    },
}

impl ScmTier {
    /// Where the tier is mounted.
    #[must_use]
    pub fn mount(&self) -> &Path {
        match self {
            Self::Ram { mount, .. } | Self::Dcpm { mount, .. } => mount,
        }
    }

    /// The class as it is written in a file.
    #[must_use]
    pub fn class_name(&self) -> &'static str {
        match self {
            Self::Ram { .. } => "ram",
            Self::Dcpm { .. } => "dcpm",
        }
    }
}

/// What a block device tier is for when metadata lives on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BdevRole {
    /// Data; bit 1.
    Data,
    /// Metadata; bit 2.
    Meta,
    /// Write-ahead log; bit 4.
    Wal,
}

impl BdevRole {
    /// The bit of this role in a device's name (contract 5.3).
    #[must_use]
    pub fn bit(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Meta => 2,
            Self::Wal => 4,
        }
    }
}

/// One block device tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BdevTier {
    /// Tier number; SCM is 0, the first block device tier 1.
    pub tier: u32,
    /// Roles in the order of their bits; empty without metadata on disk.
    pub roles: Vec<BdevRole>,
    /// What it is made of.
    pub media: BdevMedia,
}

impl BdevTier {
    /// Sum of the role bits, 0 to 7.
    #[must_use]
    pub fn role_bits(&self) -> u8 {
        self.roles.iter().fold(0, |bits, role| bits | role.bit())
    }
}

/// Hot-plug filter of an NVMe tier: PCI bus numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusIdRange {
    /// First bus.
    pub first: u8,
    /// Last bus, not below `first`.
    pub last: u8,
}

/// What a block device tier is made of. No list is empty and no entry occurs twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BdevMedia {
    /// NVMe controllers.
    Nvme {
        /// PCI addresses in lower case, e.g. `0000:81:00.0`, or VMD-backed `5d0505:01:00.0`.
        addresses: Vec<String>,
        /// Hot-plug filter.
        bus_ids: Option<BusIdRange>,
    },
    /// Files, made when absent.
    File {
        /// Absolute paths.
        paths: Vec<PathBuf>,
        /// Size of each, GiB, at least 1.
        size_gib: u32,
    },
    /// Kernel block devices.
    Kdev {
        /// Device nodes, e.g. `/dev/sdc`.
        devices: Vec<PathBuf>,
    },
    /// Memory of the engine. Never with a real 2.8 engine.
    Malloc {
        /// Number of devices, at least 1.
        count: u32,
        /// Size of each, GiB, at least 1.
        size_gib: u32,
    },
}

impl BdevMedia {
    /// Whether these are real NVMe controllers.
    #[must_use]
    pub fn is_nvme(&self) -> bool {
        matches!(self, Self::Nvme { .. })
    }

    /// The class as it is written in a file.
    #[must_use]
    pub fn class_name(&self) -> &'static str {
        match self {
            Self::Nvme { .. } => "nvme",
            Self::File { .. } => "file",
            Self::Kdev { .. } => "kdev",
            Self::Malloc { .. } => "malloc",
        }
    }

    /// How many devices the tier has.
    #[must_use]
    pub fn device_count(&self) -> usize {
        match self {
            Self::Nvme { addresses, .. } => addresses.len(),
            Self::File { paths, .. } => paths.len(),
            Self::Kdev { devices } => devices.len(),
            Self::Malloc { count, .. } => *count as usize,
        }
    }
}
