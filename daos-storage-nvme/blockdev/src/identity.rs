//! `DeviceIdentity`: which device a path means, in a form that can be shown, hashed and checked again later.
//!
//! Plain values; filled by `facts`, compared by `claim`. Must not touch the system.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::BlockdevError;

/// Major and minor number in full width (W8: never `rdev / 256`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// Driver.
    pub major: u32,
    /// Device of that driver.
    pub minor: u32,
}

impl DeviceNumber {
    /// Splits a `dev_t` as the C library encodes it in `st_dev` and `st_rdev`.
    #[must_use]
    pub fn from_dev(dev: u64) -> Self {
        Self { major: rustix::fs::major(dev), minor: rustix::fs::minor(dev) }
    }

    /// Splits the 32-bit form that the kernel uses inside ioctl structures: 12 bits major, 20 bits minor.
    pub(crate) fn from_kernel(dev: u64) -> Self {
        Self {
            major: ((dev & 0xf_ff00) >> 8) as u32,
            minor: ((dev & 0xff) | ((dev >> 12) & 0xf_ff00)) as u32,
        }
    }

    /// Parses `major:minor` in decimal, as sysfs and mountinfo print it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// What sort of block device it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A whole device with a driver of its own.
    Disk,
    /// A partition.
    Partition {
        /// Kernel name of the whole device.
        parent: String,
    },
    /// A file made to look like a device.
    Loop {
        /// The file, when one is attached.
        backing_file: Option<PathBuf>,
    },
    /// A device-mapper target: LVM volume, LUKS, multipath.
    DeviceMapper {
        /// Its name below `/dev/mapper`.
        name: String,
    },
    /// A software RAID array.
    Raid,
}

/// Which device this is. Two observations of the same device give equal values; a device that was exchanged,
/// resized or attached anew does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceIdentity {
    /// The path it was asked for by, e.g. `/dev/sdb` or a link below `/dev/disk/by-id`.
    pub path: PathBuf,
    /// The kernel's name, e.g. `sdb`.
    pub name: String,
    /// Device number.
    pub number: DeviceNumber,
    /// Size in bytes; 0 for a loop device without a file.
    pub size_bytes: u64,
    /// Logical sector size in bytes, mostly 512 or 4096.
    pub sector_bytes: u32,
    /// Serial number, where the driver tells it.
    pub serial: Option<String>,
    /// Model name, where the driver tells it.
    pub model: Option<String>,
    /// World-wide name, where the driver tells it.
    pub wwn: Option<String>,
    /// The kernel's count of attached disks, which is never used twice between two boots.
    pub disk_sequence: Option<u64>,
    /// What sort of device.
    pub kind: DeviceKind,
}

impl DeviceIdentity {
    /// Whether a file stands in for the device, as tests do.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        matches!(self.kind, DeviceKind::Loop { .. })
    }

    /// Compares what cannot change while it is the same device.
    ///
    /// # Errors
    /// [`BlockdevError::IdentityChanged`] naming the first part that differs.
    pub fn require_same(&self, found: &Self) -> Result<(), BlockdevError> {
        let changed = |what, expected: String, found: String| BlockdevError::IdentityChanged {
            path: self.path.clone(),
            what,
            expected,
            found,
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let pairs = [
            ("device number", self.number.to_string(), found.number.to_string()),
            ("size in bytes", self.size_bytes.to_string(), found.size_bytes.to_string()),
            ("sector size", self.sector_bytes.to_string(), found.sector_bytes.to_string()),
            ("serial number", text(&self.serial), text(&found.serial)),
            ("model", text(&self.model), text(&found.model)),
            ("world-wide name", text(&self.wwn), text(&found.wwn)),
            (
                "disk sequence number",
                format!("{:?}", self.disk_sequence),
                format!("{:?}", found.disk_sequence),
            ),
        ];
        for (what, expected, now) in pairs {
            if expected != now {
                return Err(changed(what, expected, now));
            }
        }
        if self.kind == found.kind {
            return Ok(());
        }
        Err(changed("kind", format!("{:?}", self.kind), format!("{:?}", found.kind)))
    }
}

impl fmt::Display for DeviceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} bytes", self.path.display(), self.number, self.size_bytes)?;
        if let Some(model) = &self.model {
            write!(f, ", model {model}")?;
        }
        if let Some(serial) = &self.serial {
            write!(f, ", serial {serial}")?;
        }
        match &self.kind {
            DeviceKind::Disk | DeviceKind::Raid => {}
            DeviceKind::Partition { parent } => write!(f, ", partition of {parent}")?,
            DeviceKind::Loop { backing_file: Some(file) } => {
                write!(f, ", loop over {}", file.display())?;
            }
            DeviceKind::Loop { backing_file: None } => f.write_str(", loop without a file")?,
            DeviceKind::DeviceMapper { name } => write!(f, ", device mapper {name}")?,
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity() -> DeviceIdentity {
        DeviceIdentity {
            path: "/dev/sdb".into(),
            name: "sdb".to_owned(),
            number: DeviceNumber { major: 8, minor: 16 },
            size_bytes: 1 << 30,
            sector_bytes: 512,
            serial: Some("S1".to_owned()),
            model: None,
            wwn: None,
            disk_sequence: Some(7),
            kind: DeviceKind::Disk,
        }
    }

    proptest! {
        /// W8: numbers wider than eight bits survive both encodings.
        #[test]
        fn device_numbers_keep_their_full_width(major in 0u32..4096, minor in 0u32..(1 << 20)) {
            let number = DeviceNumber { major, minor };
            prop_assert_eq!(DeviceNumber::from_dev(rustix::fs::makedev(major, minor)), number);
            let kernel = u64::from((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12));
            prop_assert_eq!(DeviceNumber::from_kernel(kernel), number);
            prop_assert_eq!(DeviceNumber::parse(&number.to_string()), Some(number));
        }
    }

    #[test]
    fn an_exchanged_device_is_named_with_what_differs() {
        let planned = identity();
        planned.require_same(&identity()).expect("same device");
        let other = DeviceIdentity { serial: Some("S2".to_owned()), ..identity() };
        let error = planned.require_same(&other).expect_err("other serial");
        assert_eq!(error.code(), 1221);
        assert_eq!(error.to_string(), "/dev/sdb: the device changed: serial number was S1, is S2");
        let resized = DeviceIdentity { size_bytes: 5, ..identity() };
        planned.require_same(&resized).expect_err("other size");
        let again = DeviceIdentity { disk_sequence: Some(8), ..identity() };
        planned.require_same(&again).expect_err("attached anew");
    }
}
