//! Storage tiers and classes as they are written.

use serde::{Deserialize, Serialize};

use super::optional_keys;

/// Class of the seed's SCM keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawScmClass {
    /// Memory of the host.
    Ram,
    /// A persistent memory device.
    Dcpm,
}

/// Class of the seed's block device keys; the empty word means `nvme` (R55).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawBdevClass {
    /// NVMe controllers.
    #[serde(alias = "")]
    Nvme,
    /// Memory of the engine.
    Malloc,
    /// Kernel block devices.
    Kdev,
    /// Files.
    File,
}

/// Class of a storage tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawTierClass {
    /// Memory of the host.
    Ram,
    /// A persistent memory device.
    Dcpm,
    /// NVMe controllers.
    Nvme,
    /// Files.
    File,
    /// Kernel block devices.
    Kdev,
    /// Memory of the engine; only with `data_plane: emulated`.
    Malloc,
}

impl RawTierClass {
    /// Whether a tier of this class is the SCM tier.
    #[must_use]
    pub fn is_scm(self) -> bool {
        matches!(self, Self::Ram | Self::Dcpm)
    }

    /// The class as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Dcpm => "dcpm",
            Self::Nvme => "nvme",
            Self::File => "file",
            Self::Kdev => "kdev",
            Self::Malloc => "malloc",
        }
    }
}

impl From<RawScmClass> for RawTierClass {
    fn from(class: RawScmClass) -> Self {
        match class {
            RawScmClass::Ram => Self::Ram,
            RawScmClass::Dcpm => Self::Dcpm,
        }
    }
}

impl From<RawBdevClass> for RawTierClass {
    fn from(class: RawBdevClass) -> Self {
        match class {
            RawBdevClass::Nvme => Self::Nvme,
            RawBdevClass::Malloc => Self::Malloc,
            RawBdevClass::Kdev => Self::Kdev,
            RawBdevClass::File => Self::File,
        }
    }
}

optional_keys! {
    /// One storage tier of an engine. The first one is the SCM tier.
    pub struct RawTier {
        /// `ram` or `dcpm` for the first tier; `nvme`, `file`, `kdev` or `malloc` for the others; required. Default: none.
        class: RawTierClass,
        /// Mount point; required for `ram` and `dcpm`. Default: none.
        scm_mount: String,
        /// Size of a `ram` tier, GiB; 0 is computed from the memory of the host. Default: 0.
        #[schemars(range(min = 0))]
        scm_size: i64,
        /// Mount a `ram` tier without huge pages; the same for all engines. Default: true.
        scm_hugepages_disabled: bool,
        /// The persistent memory device of a `dcpm` tier; exactly one. Default: none.
        scm_list: Vec<String>,
        /// PCI addresses, absolute file paths or device nodes; a tier without any is left out. Default: none.
        bdev_list: Vec<String>,
        /// Number of devices of a `malloc` tier. Default: 0.
        #[schemars(range(min = 0))]
        bdev_number: i64,
        /// Size of each file or malloc device, GiB, at least 1. Default: none.
        #[schemars(range(min = 1))]
        bdev_size: i64,
        /// PCI buses watched for hot-plug, e.g. `0x80-0x8f`; class `nvme` only. Default: all.
        bdev_busid_range: String,
        /// What the tier is for when metadata lies on disk: `wal`, `meta`, `data`. Default: none.
        bdev_roles: Vec<String>,
    }
}
