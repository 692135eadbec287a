//! Who uses a device or a file, from every place the kernel tells it. Called by `facts` and by the body for
//! file-backed devices. Must not judge: whether a use forbids something is the planner's business.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::sysfs::{self, SysBlock};
use crate::{
    BlockdevError, DeviceIdentity, DeviceNumber, MountEntry, ProcessRef, claim, facts, holders,
    mounts, sys,
};

/// What kind of device stands on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderKind {
    /// Software RAID.
    Md,
    /// Device mapper: LVM, LUKS, multipath.
    Dm,
    /// Loop device.
    Loop,
    /// Anything else, e.g. bcache.
    Other,
}

/// One way in which a device or file is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceUse {
    /// Mounted where this process can see it.
    MountedHere {
        /// Where.
        mount_point: PathBuf,
    },
    /// Mounted in a container or another private view of the file system. When it is mounted here as well and
    /// mounts are shared, as systemd sets them up, an unmount here ends this one too.
    MountedInOtherNamespace {
        /// A process that sees the mount.
        pid: u32,
        /// Where, as that process sees it.
        mount_point: PathBuf,
    },
    /// Swap space that is switched on.
    Swap,
    /// Another device stands on it.
    HeldBy {
        /// What sort of device.
        kind: HolderKind,
        /// Its name: of a device-mapper device the friendly one.
        name: String,
    },
    /// The kernel knows partitions on it.
    Partitions {
        /// Their kernel names.
        names: Vec<String>,
    },
    /// A process has it open.
    OpenBy(ProcessRef),
    /// The kernel refused an exclusive claim and nothing above explains why.
    BusyExclusive,
}

impl fmt::Display for DeviceUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MountedHere { mount_point } => write!(f, "mounted on {}", mount_point.display()),
            Self::MountedInOtherNamespace { pid, mount_point } => {
                write!(
                    f,
                    "mounted on {} in the mount namespace of pid {pid}",
                    mount_point.display()
                )
            }
            Self::Swap => f.write_str("active swap space"),
            Self::HeldBy { kind, name } => {
                let kind = match kind {
                    HolderKind::Md => "RAID array",
                    HolderKind::Dm => "device-mapper device",
                    HolderKind::Loop => "loop device",
                    HolderKind::Other => "device",
                };
                write!(f, "held by {kind} {name}")
            }
            Self::Partitions { names } => write!(f, "has partitions {}", names.join(", ")),
            Self::OpenBy(process) => write!(f, "open in {process}"),
            Self::BusyExclusive => {
                f.write_str("claimed exclusively by the kernel or another program")
            }
        }
    }
}

pub(crate) fn device_uses(
    identity: &DeviceIdentity,
    sys: &SysBlock,
) -> Result<Vec<DeviceUse>, BlockdevError> {
    let number = identity.number;
    let mut uses = mounted(|entry| entry.is_of(number))?;
    if is_swap(|metadata, path| facts::number_from(metadata, path).ok() == Some(number))? {
        uses.push(DeviceUse::Swap);
    }
    uses.extend(sys.holders().into_iter().map(held_by));
    for (name, backing) in sysfs::attached_loops() {
        let held = match loop_backing(&name) {
            Some(found) => found.device == number,
            None => facts::number_of(&backing).ok() == Some(number),
        };
        if held {
            uses.push(DeviceUse::HeldBy { kind: HolderKind::Loop, name });
        }
    }
    let partitions = sys.partitions();
    if !partitions.is_empty() {
        uses.push(DeviceUse::Partitions { names: partitions });
    }
    uses.extend(holders::openers_of_device(number)?.into_iter().map(DeviceUse::OpenBy));
    if uses.is_empty() && exclusive_claim_refused(&identity.path)? {
        uses.push(DeviceUse::BusyExclusive);
    }
    Ok(uses)
}

/// Who uses an existing regular file: a loop device, swap, a mount on top of it, or a process that has it open.
///
/// # Errors
/// The file, `/proc` or the mount table cannot be read.
pub fn file_uses(path: &Path) -> Result<Vec<DeviceUse>, BlockdevError> {
    let look = |source| BlockdevError::from_io(path, "look at the file", source);
    let metadata = fs::symlink_metadata(path).map_err(look)?;
    let resolved = fs::canonicalize(path).map_err(look)?;
    let same =
        |other: &fs::Metadata| other.dev() == metadata.dev() && other.ino() == metadata.ino();

    let mut uses = mounted(|entry| entry.mount_point == resolved)?;
    if is_swap(|other, _| same(other))? {
        uses.push(DeviceUse::Swap);
    }
    let file_system = DeviceNumber::from_dev(metadata.dev());
    for (name, backing) in sysfs::attached_loops() {
        let held = match loop_backing(&name) {
            Some(found) => found.file_system == file_system && found.inode == metadata.ino(),
            None => fs::metadata(&backing).is_ok_and(|other| same(&other)),
        };
        if held {
            uses.push(DeviceUse::HeldBy { kind: HolderKind::Loop, name });
        }
    }
    uses.extend(holders::openers_of_file(path)?.into_iter().map(DeviceUse::OpenBy));
    Ok(uses)
}

fn mounted(wanted: impl Fn(&MountEntry) -> bool) -> Result<Vec<DeviceUse>, BlockdevError> {
    let here = mounts::mounts()?
        .into_iter()
        .filter(|entry| wanted(entry))
        .map(|entry| DeviceUse::MountedHere { mount_point: entry.mount_point });
    let mut uses: Vec<DeviceUse> = here.collect();
    for (pid, entries) in other_namespaces()? {
        uses.extend(entries.into_iter().filter(|entry| wanted(entry)).map(|entry| {
            DeviceUse::MountedInOtherNamespace { pid, mount_point: entry.mount_point }
        }));
    }
    Ok(uses)
}

/// One mount table per mount namespace other than ours, with a process that lives in it. Processes that vanish
/// or that we may not look at are passed over; a mount there is still caught by the exclusive claim.
fn other_namespaces() -> Result<Vec<(u32, Vec<MountEntry>)>, BlockdevError> {
    let mut seen: Vec<PathBuf> = fs::read_link("/proc/self/ns/mnt").into_iter().collect();
    let mut tables = Vec::new();
    for dir in holders::process_dirs()? {
        let Ok(namespace) = fs::read_link(dir.join("ns/mnt")) else { continue };
        if seen.contains(&namespace) {
            continue;
        }
        let Ok(entries) = mounts::read_mountinfo(&dir.join("mountinfo")) else { continue };
        let pid = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let Some(pid) = pid {
            seen.push(namespace);
            tables.push((pid, entries));
        }
    }
    Ok(tables)
}

fn is_swap(wanted: impl Fn(&fs::Metadata, &Path) -> bool) -> Result<bool, BlockdevError> {
    let list = Path::new("/proc/swaps");
    let bytes = match fs::read(list) {
        Ok(bytes) => bytes,
        // A kernel without swap has no such file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(BlockdevError::from_io(list, "list the swap space", error)),
    };
    Ok(swap_paths(&bytes)
        .iter()
        .any(|path| fs::metadata(path).is_ok_and(|metadata| wanted(&metadata, path))))
}

/// The first column below the heading, octal-escaped like mountinfo.
fn swap_paths(bytes: &[u8]) -> Vec<PathBuf> {
    bytes
        .split(|byte| *byte == b'\n')
        .skip(1)
        .filter_map(|line| line.split(|byte| byte.is_ascii_whitespace()).next())
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(&mounts::unescape_octal(name))))
        .collect()
}

fn held_by(kernel_name: String) -> DeviceUse {
    let kind = match kernel_name.as_str() {
        name if name.starts_with("dm-") => HolderKind::Dm,
        name if name.starts_with("md") => HolderKind::Md,
        name if name.starts_with("loop") => HolderKind::Loop,
        _ => HolderKind::Other,
    };
    let name = sysfs::mapper_name(&kernel_name).unwrap_or(kernel_name);
    DeviceUse::HeldBy { kind, name }
}

fn loop_backing(name: &str) -> Option<sys::LoopBacking> {
    let device = fs::File::open(Path::new("/dev").join(name)).ok()?;
    sys::loop_backing(&device).ok()
}

fn exclusive_claim_refused(path: &Path) -> Result<bool, BlockdevError> {
    // Two observers in this process must not take each other for a user of the device.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    match claim::open_exclusively(path, false) {
        Ok(_) => Ok(false),
        Err(BlockdevError::Busy { .. }) => Ok(true),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_list_is_read_with_escapes() {
        let list = b"Filename\t\tType\t\tSize\n/dev/sda2   partition 1000 0 -2\n/var/swap\\040file file 5 0 -3\n";
        assert_eq!(swap_paths(list), [PathBuf::from("/dev/sda2"), PathBuf::from("/var/swap file")]);
        assert!(swap_paths(b"Filename Type\n").is_empty());
        assert!(swap_paths(b"").is_empty());
    }

    #[test]
    fn uses_read_as_an_administrator_would_say_them() {
        let other = DeviceUse::MountedInOtherNamespace { pid: 7, mount_point: "/m".into() };
        assert_eq!(other.to_string(), "mounted on /m in the mount namespace of pid 7");
        let held = DeviceUse::HeldBy { kind: HolderKind::Dm, name: "vg-lv".to_owned() };
        assert_eq!(held.to_string(), "held by device-mapper device vg-lv");
    }
}
