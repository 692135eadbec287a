//! `identify` and `inspect`: everything that is known about one block device.
//!
//! Called by the storage crates when they observe. Must not judge what it finds.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::sysfs::SysBlock;
use crate::{BlockdevError, Content, DeviceIdentity, DeviceNumber, DeviceUse, content, uses};

/// What was observed about a block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Which device it is.
    pub identity: DeviceIdentity,
    /// The device refuses writes.
    pub read_only: bool,
    /// The device can be mapped into memory directly, which class dcpm needs.
    pub dax: bool,
    /// Who uses it; empty when nobody does.
    pub uses: Vec<DeviceUse>,
    /// What is on it.
    pub content: Content,
}

/// Tells which device a path means, from sysfs alone: no right to open the device is needed.
///
/// # Errors
/// `NotFound`, `NotABlockDevice`, or a sysfs that does not know the device.
pub fn identify(path: &Path) -> Result<DeviceIdentity, BlockdevError> {
    let number = number_of(path)?;
    identity_of(path, number)
}

/// Looks at a device completely: identity, every use, and what is on it.
///
/// # Errors
/// As [`identify`]; `AccessDenied` without the right to read the device; `ToolMissing` or `ToolFailed` when
/// its contents cannot be told. None of these may be taken for 'blank'.
pub fn inspect(path: &Path) -> Result<DeviceFacts, BlockdevError> {
    let identity = identify(path)?;
    let sys = SysBlock::of(identity.number)?;
    let uses = uses::device_uses(&identity, &sys)?;
    let device = content::open_for_reading(path, identity.number)?;
    let content = content::probe(&device, path)?;
    Ok(DeviceFacts { read_only: sys.read_only(), dax: sys.dax(), uses, content, identity })
}

/// Which device it is and who uses it, without what is on it: for a device that cannot be read.
///
/// # Errors
/// As [`identify`]; `AccessDenied` without the right to open the device.
pub fn inspect_uses(path: &Path) -> Result<(DeviceIdentity, Vec<DeviceUse>), BlockdevError> {
    let identity = identify(path)?;
    let uses = uses::device_uses(&identity, &SysBlock::of(identity.number)?)?;
    Ok((identity, uses))
}

pub(crate) fn number_of(path: &Path) -> Result<DeviceNumber, BlockdevError> {
    let metadata = fs::metadata(path)
        .map_err(|source| BlockdevError::from_io(path, "look at the device", source))?;
    number_from(&metadata, path)
}

/// The device number behind metadata of a path or an open descriptor.
pub(crate) fn number_from(
    metadata: &fs::Metadata,
    path: &Path,
) -> Result<DeviceNumber, BlockdevError> {
    let kind = metadata.file_type();
    if kind.is_block_device() {
        return Ok(DeviceNumber::from_dev(metadata.rdev()));
    }
    let found = if kind.is_dir() {
        "directory"
    } else if kind.is_file() {
        "regular file"
    } else if kind.is_char_device() {
        "character device"
    } else {
        "special file"
    };
    Err(BlockdevError::NotABlockDevice { path: path.to_owned(), found })
}

pub(crate) fn identity_of(
    path: &Path,
    number: DeviceNumber,
) -> Result<DeviceIdentity, BlockdevError> {
    let sys = SysBlock::of(number)?;
    let missing = |what: &str| BlockdevError::Unreadable {
        path: format!("/sys/dev/block/{number}").into(),
        detail: format!("no {what}"),
    };
    Ok(DeviceIdentity {
        path: path.to_owned(),
        name: sys.name(),
        number,
        size_bytes: sys.size_bytes().ok_or_else(|| missing("size"))?,
        sector_bytes: sys.sector_bytes().ok_or_else(|| missing("sector size"))?,
        serial: sys.serial(),
        model: sys.model(),
        wwn: sys.wwn(),
        disk_sequence: sys.disk_sequence(),
        kind: sys.kind(),
    })
}
