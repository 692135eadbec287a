//! What was seen of one engine's SCM, without changing it: the mount point and what stands behind it.
//!
//! Made by a provider's `observe`, judged by the planner. Holds no numbers that change by themselves (free
//! bytes, times), so that two looks at the same state are equal.

use daos_blockdev::{DeviceIdentity, DeviceNumber};
use serde::Serialize;

use super::{Entries, ScmForm, ScmTarget};
use crate::ScmError;

/// Among the uses of a device: that it cannot be written.
pub(crate) const READ_ONLY: &str = "it is read-only";

/// Everything seen of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScmObserved {
    /// The state of the mount point's path.
    pub at: MountPointState,
    /// What stands behind it, by class.
    pub medium: Medium,
}

/// The path of the mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountPointState {
    /// Nothing there (E1: not an error).
    Missing {
        /// The nearest directory that exists.
        parent: ParentFacts,
    },
    /// A directory on which nothing is mounted.
    Directory(DirectoryFacts),
    /// Something is mounted exactly there.
    MountPoint(MountFacts),
    /// A symbolic link: never followed.
    Symlink {
        /// Where it points.
        to: String,
    },
    /// Neither directory nor link.
    NotADirectory {
        /// What it is, e.g. `a regular file`.
        kind: String,
    },
    /// Cannot be looked at.
    Unreadable {
        /// What was tried and the kernel's answer.
        why: String,
        /// The answer's number.
        errno: i32,
    },
}

/// The nearest existing directory above a missing mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParentFacts {
    /// Its path, with symbolic links resolved.
    pub path: String,
    /// Whether it is the direct parent, so that only one directory is missing.
    pub direct: bool,
    /// Type of the file system it lies on.
    pub fs_type: String,
    /// Whether a file system is mounted exactly there.
    pub is_mount_point: bool,
}

/// Which file system object a path was, so that a later look can tell whether it still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FoundAt {
    /// Device number of the file system.
    pub device: DeviceNumber,
    /// Inode number.
    pub inode: u64,
    /// Mount id of the mount it was reached through; not reused while it is mounted.
    pub mount_id: u64,
}

/// A directory that is no mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectoryFacts {
    /// Which one.
    pub found: FoundAt,
    /// Path with symbolic links of its parents resolved.
    pub path: String,
    /// Type of the file system it lies on.
    pub fs_type: String,
    /// What it holds, without the mark of an erase.
    pub entries: Entries,
    /// Whether the mark of an unfinished erase is in it.
    pub erasing: bool,
    /// Mount points below it.
    pub mounts_below: Vec<String>,
}

/// A file system mounted exactly at the mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountFacts {
    /// Its root directory.
    pub found: FoundAt,
    /// Path with symbolic links of its parents resolved.
    pub path: String,
    /// Type, e.g. `tmpfs`.
    pub fs_type: String,
    /// Source as mounted, e.g. `/dev/pmem0`.
    pub source: String,
    /// Major and minor number of its device.
    pub device: DeviceNumber,
    /// Whether the root of the file system is mounted, not a subdirectory (bind mount).
    pub whole: bool,
    /// Options of mount and file system, comma separated.
    pub options: String,
    /// Size of the file system in bytes.
    pub size_bytes: u64,
    /// How many file systems are mounted at this path, one over the other; normally 1.
    pub stacked: usize,
    /// What its root holds, without the mark of an erase and without ext4's `lost+found`.
    pub entries: Entries,
    /// Whether the mark of an unfinished erase is in it.
    pub erasing: bool,
    /// Mount points below it.
    pub mounts_below: Vec<String>,
}

/// What stands behind the mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    /// Memory of the host.
    Ram(RamFacts),
    /// The configured block device.
    Dcpm(DeviceState),
}

/// What this host and process can do for class ram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RamFacts {
    /// Whether this process may mount a tmpfs: tried, not inferred from the user.
    pub may_mount: MountRight,
    /// NUMA nodes that have memory.
    pub numa_nodes: Vec<u32>,
    /// Whether the kernel knows huge pages in tmpfs.
    pub huge_supported: bool,
}

/// Answer to 'may this process mount', found by trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountRight {
    /// It may.
    Allowed,
    /// It may not.
    Refused {
        /// What was tried and what the kernel said.
        why: String,
    },
}

/// The configured block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// The path does not exist (R110).
    Missing,
    /// The path is something else (E4).
    NotABlockDevice {
        /// What, e.g. `a regular file`.
        kind: String,
    },
    /// It is there and cannot be looked at.
    Unreadable {
        /// What was tried and the kernel's answer.
        why: String,
        /// The answer's number.
        errno: i32,
    },
    /// It is there.
    Present(Box<DeviceFacts>),
}

/// A block device that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceFacts {
    /// Which device it is.
    pub identity: DeviceIdentity,
    /// What is on it.
    pub content: DeviceContent,
    /// Mounts of it at places other than the engine's mount point, also in other mount namespaces.
    pub mounted_elsewhere: Vec<String>,
    /// Every other use, in words: swap, held by md or dm or loop, partitions.
    pub used_by: Vec<String>,
    /// Whether it can be mounted with direct access.
    pub dax: Dax,
    /// Whether this process may mount ext4 at all: tried.
    pub may_mount: MountRight,
}

/// What is on a device (E7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceContent {
    /// No known signature.
    Blank,
    /// ext4 with the label `daos`, made by a format.
    Ours {
        /// Uuid of the file system.
        uuid: String,
    },
    /// Anything else that has a signature, also ext4 with another label (W10).
    Foreign {
        /// Type, label, uuid in words.
        signature: String,
    },
}

/// Direct access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dax {
    /// Offered.
    Offered,
    /// Not offered by a device that should.
    Missing,
    /// A loop device: it stands in for persistent memory and is mounted without.
    LoopStandIn,
}

/// What a start can do with the SCM as it is (the caller then looks for its superblock).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScmReadiness {
    /// Nothing there yet: wait for a format.
    NotFormatted,
    /// A device with our file system that is not mounted: call `mount`, then look again (rows C6, C7).
    Mountable,
    /// The mount point can be looked into.
    Reachable {
        /// In which form.
        form: ScmForm,
        /// What it holds.
        entries: Entries,
    },
    /// Neither usable nor blank; planning says exactly why.
    Unusable {
        /// In words.
        why: String,
    },
}

impl ScmObserved {
    /// Condenses the observation for the start table.
    ///
    /// `Reachable` means that the path holds what is configured: a tmpfs, a directory on a tmpfs, or the
    /// configured device.
    #[must_use]
    pub fn readiness(&self, target: &ScmTarget) -> ScmReadiness {
        crate::plan::readiness(target, self)
    }

    /// What is mounted at the mount point in the place of the configured class or device, as the error of a format (104); `None`
    /// when nothing is, or when it is not known to be anything else.
    #[must_use]
    pub fn mounted_instead(&self, target: &ScmTarget) -> Option<ScmError> {
        crate::plan::mounted_instead(target, self)
    }
}
