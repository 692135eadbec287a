//! `BdevTarget`: all block devices of one engine, as configured. Checked once here, trusted by everything else.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BdevError, PciAddress, Roles};

/// Kinds of block device (R55).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BdevClass {
    /// NVMe controllers, by PCI address.
    Nvme,
    /// Files of a fixed size.
    File,
    /// Block devices of the kernel.
    Kdev,
    /// Memory of the engine.
    Malloc,
}

impl BdevClass {
    /// The name in a configuration file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nvme => "nvme",
            Self::File => "file",
            Self::Kdev => "kdev",
            Self::Malloc => "malloc",
        }
    }

    /// `VOS_BDEV_CLASS` in the engine's environment (contract 5.3, R57).
    #[must_use]
    pub fn vos_name(self) -> &'static str {
        match self {
            Self::Nvme => "NVME",
            Self::File | Self::Kdev => "AIO",
            Self::Malloc => "MALLOC",
        }
    }
}

impl fmt::Display for BdevClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BdevClass {
    type Err = BdevError;

    /// The empty name means nvme everywhere (R55, W18).
    fn from_str(name: &str) -> Result<Self, BdevError> {
        match name {
            "" | "nvme" => Ok(Self::Nvme),
            "file" => Ok(Self::File),
            "kdev" => Ok(Self::Kdev),
            "malloc" => Ok(Self::Malloc),
            _ => Err(BdevError::UnknownClass { class: name.to_owned() }),
        }
    }
}

/// The devices of one tier, all of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierDevices {
    /// NVMe controllers.
    Nvme {
        /// Their addresses; those behind a VMD already replaced by the backing devices.
        addresses: Vec<PciAddress>,
    },
    /// Files, made when absent.
    File {
        /// Absolute paths.
        paths: Vec<PathBuf>,
        /// Size of each in GiB, at least 1.
        size_gib: u64,
    },
    /// Block devices of the kernel.
    Kdev {
        /// Absolute paths, e.g. `/dev/sdc` or a link below `/dev/disk/by-id`.
        paths: Vec<PathBuf>,
    },
    /// Memory of the engine.
    Malloc {
        /// How many devices, at least 1.
        count: u32,
        /// Size of each in GiB, at least 1.
        size_gib: u64,
    },
}

impl TierDevices {
    /// The class.
    #[must_use]
    pub fn class(&self) -> BdevClass {
        match self {
            Self::Nvme { .. } => BdevClass::Nvme,
            Self::File { .. } => BdevClass::File,
            Self::Kdev { .. } => BdevClass::Kdev,
            Self::Malloc { .. } => BdevClass::Malloc,
        }
    }

    /// What each device is called in plans, outcomes and replies: PCI address, path, or `malloc <n>`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Nvme { addresses } => addresses.iter().map(ToString::to_string).collect(),
            Self::File { paths, .. } | Self::Kdev { paths } => {
                paths.iter().map(|path| path.display().to_string()).collect()
            }
            Self::Malloc { count, .. } => (0..*count).map(|n| format!("malloc {n}")).collect(),
        }
    }
}

/// One tier of block devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BdevTier {
    /// Tier number as the engine counts: SCM is 0, the first block device tier 1.
    pub tier: u32,
    /// What it holds; none without metadata on disk.
    pub roles: Roles,
    /// What it is made of.
    pub devices: TierDevices,
}

/// One device of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceRef {
    /// Tier number.
    pub tier: u32,
    /// Position in the tier, from 0.
    pub index: u32,
    /// Class.
    pub class: BdevClass,
    /// PCI address, path, or `malloc <n>`.
    pub name: String,
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Who owns the files made for an engine: the user it runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOwner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl FileOwner {
    /// The user this process runs as.
    #[must_use]
    pub fn current() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

/// All block devices of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BdevTarget {
    /// Position of the engine in the configuration, from 0.
    pub engine: u32,
    /// Host name, part of the devices' names inside the engine.
    pub host: String,
    /// Owner of files that are made.
    pub owner: FileOwner,
    /// Tiers in ascending order; empty for an engine without block devices (R61).
    pub tiers: Vec<BdevTier>,
}

impl BdevTarget {
    /// Every device, in the order of the configuration.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceRef> {
        let of_tier = |tier: &BdevTier| {
            let class = tier.devices.class();
            let number = tier.tier;
            tier.devices.names().into_iter().zip(0u32..).map(move |(name, index)| DeviceRef {
                tier: number,
                index,
                class,
                name,
            })
        };
        self.tiers.iter().flat_map(of_tier).collect()
    }

    /// The tier of a device.
    #[must_use]
    pub fn tier_of(&self, device: &DeviceRef) -> Option<&BdevTier> {
        self.tiers.iter().find(|tier| tier.tier == device.tier)
    }

    /// The part of the target that is made of one class.
    #[must_use]
    pub fn only(&self, class: BdevClass) -> Self {
        let tiers = self.tiers.iter().filter(|tier| tier.devices.class() == class);
        Self { tiers: tiers.cloned().collect(), ..self.clone() }
    }

    /// Checks what no configuration may ask for: a device twice (305), real and emulated devices together
    /// (309), a size or count of 0, or a tier number twice (1236).
    ///
    /// # Errors
    /// The first of these.
    pub fn check(&self) -> Result<(), BdevError> {
        let mut numbers = BTreeSet::new();
        for tier in &self.tiers {
            let zero = match &tier.devices {
                TierDevices::File { size_gib, .. } => *size_gib == 0,
                TierDevices::Malloc { count, size_gib } => *count == 0 || *size_gib == 0,
                TierDevices::Nvme { .. } | TierDevices::Kdev { .. } => false,
            };
            if zero {
                return Err(BdevError::BadTarget {
                    detail: format!("tier {}: size or count is 0", tier.tier),
                });
            }
            if tier.tier == 0 || !numbers.insert(tier.tier) {
                return Err(BdevError::BadTarget {
                    detail: format!("tier {} is the SCM tier or occurs twice", tier.tier),
                });
            }
        }
        let classes: BTreeSet<BdevClass> = self.tiers.iter().map(|t| t.devices.class()).collect();
        if classes.contains(&BdevClass::Nvme) && classes.len() > 1 {
            return Err(BdevError::MixedClasses);
        }
        let mut names = BTreeSet::new();
        let devices = self.devices().into_iter().filter(|d| d.class != BdevClass::Malloc);
        for device in devices {
            if !names.insert(device.name.clone()) {
                return Err(BdevError::DuplicateDevice { device: device.name });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(tiers: Vec<BdevTier>) -> BdevTarget {
        BdevTarget { engine: 0, host: "n1".to_owned(), owner: FileOwner { uid: 0, gid: 0 }, tiers }
    }

    fn tier(number: u32, devices: TierDevices) -> BdevTier {
        BdevTier { tier: number, roles: Roles::NONE, devices }
    }

    fn files(paths: &[&str], size_gib: u64) -> TierDevices {
        TierDevices::File { paths: paths.iter().map(PathBuf::from).collect(), size_gib }
    }

    #[test]
    fn class_names_follow_r55() {
        for (name, class) in
            [("", "nvme"), ("nvme", "nvme"), ("file", "file"), ("malloc", "malloc")]
        {
            assert_eq!(name.parse::<BdevClass>().expect(name).to_string(), class);
        }
        assert_eq!("NVME".parse::<BdevClass>().expect_err("case matters").code(), 301);
        assert_eq!(BdevClass::Kdev.vos_name(), "AIO");
    }

    #[test]
    fn devices_are_numbered_within_their_tier() {
        let target = target(vec![
            tier(1, files(&["/a", "/b"], 1)),
            tier(2, TierDevices::Malloc { count: 2, size_gib: 1 }),
        ]);
        target.check().expect("valid");
        let names: Vec<String> =
            target.devices().iter().map(|d| format!("{}/{} {}", d.tier, d.index, d.name)).collect();
        assert_eq!(names, ["1/0 /a", "1/1 /b", "2/0 malloc 0", "2/1 malloc 1"]);
        assert_eq!(target.only(BdevClass::File).devices().len(), 2);
    }

    #[test]
    fn impossible_targets_are_named() {
        let code = |tiers| target(tiers).check().expect_err("refused").code();
        let nvme = TierDevices::Nvme { addresses: vec!["0000:81:00.0".parse().expect("address")] };
        assert_eq!(code(vec![tier(1, nvme), tier(2, files(&["/a"], 1))]), 309);
        assert_eq!(code(vec![tier(1, files(&["/a"], 1)), tier(2, files(&["/a"], 1))]), 305);
        assert_eq!(code(vec![tier(1, files(&["/a"], 0))]), 1236);
        assert_eq!(code(vec![tier(0, files(&["/a"], 1))]), 1236);
        assert_eq!(code(vec![tier(1, files(&["/a"], 1)), tier(1, files(&["/b"], 1))]), 1236);
        target(Vec::new()).check().expect("an engine without block devices is valid (R61)");
    }
}
