//! What the devices of a target are right now: the input of the planner.

use std::fmt;
use std::sync::Arc;

use daos_blockdev::{Content, DeviceFacts, DeviceIdentity, DeviceNumber, DeviceUse};
use serde::{Deserialize, Serialize};

use crate::{BdevError, DeviceRef, FileOwner, NvmeController};

/// One device, looked at. One that cannot be looked at hides no other (R147).
#[derive(Debug, Clone)]
pub struct ObservedDevice {
    /// Which device.
    pub device: DeviceRef,
    /// What it is, or why that cannot be told. Never taken for 'blank'.
    pub state: Result<DeviceState, Arc<BdevError>>,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Class file.
    File(FileState),
    /// Class kdev.
    Kernel(DeviceFacts),
    /// Class nvme.
    Nvme(NvmeState),
    /// Class malloc: made by the engine when it starts.
    Memory,
}

/// What is at the path of a file-backed device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Nothing.
    Absent {
        /// What is at the path of its directory.
        parent: ParentState,
    },
    /// Something.
    Present(FileFacts),
}

/// The directory a file would be made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentState {
    /// It is there, and as far as is known a file can be made in it.
    Directory,
    /// It is there, on a file system that cannot be written.
    ReadOnly,
    /// It is there, without room for the files of the engine that are still to be made.
    Full,
    /// It is not there.
    Missing,
    /// Something else is there.
    NotADirectory,
}

/// What sort of thing is at a path, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A block device.
    BlockDevice,
    /// A character device, FIFO or socket.
    Special,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular file",
            Self::Directory => "directory",
            Self::SymbolicLink => "symbolic link",
            Self::BlockDevice => "block device",
            Self::Special => "special file",
        })
    }
}

/// An existing file. Two observations are equal while nobody changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// What sort.
    pub kind: FileKind,
    /// File system it lies on.
    pub file_system: DeviceNumber,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Bytes that are reserved for it on the medium.
    pub allocated_bytes: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// When the contents changed last, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Who uses it.
    pub uses: Vec<DeviceUse>,
    /// What is in it.
    pub content: FileContent,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileContent {
    /// Nothing: no bytes, holes, or zeros throughout.
    Blank,
    /// Something.
    Data(Content),
    /// More written zeros than were looked at. Counts as data.
    Unproven {
        /// How many bytes were looked at.
        looked_at: u64,
    },
    /// Not looked at, since it is no regular file.
    NotLookedAt,
}

impl fmt::Display for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Data(content) => content.fmt(f),
            Self::Unproven { looked_at } => {
                write!(f, "zeros in the first {looked_at} written bytes, the rest not looked at")
            }
            Self::NotLookedAt => f.write_str("not looked at"),
        }
    }
}

/// An NVMe controller and what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NvmeState {
    /// The controller, with its namespaces and who uses them.
    pub controller: NvmeController,
    /// What is on each namespace.
    pub contents: Vec<NamespaceState>,
    /// What the controller can format by itself; as prepare recorded it while a driver for user space has the controller.
    pub ability: FormatAbility,
    /// The driver for user space that has it, or had it before a format that did not come to its end.
    pub user_space: Option<UserSpace>,
}

/// A controller that belongs to a program outside the kernel: what a format has to give back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserSpace {
    /// The driver, e.g. `vfio-pci`.
    pub driver: String,
    /// Owner of the device file through which programs have it.
    pub owner: FileOwner,
    /// Its permission bits.
    pub mode: u32,
    /// This process may move it between drivers.
    pub may_rebind: bool,
}

/// What of Format NVM a controller offers (NVMe base specification, Identify Controller: OACS, FNA).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatAbility {
    /// Nothing, or it would reach namespaces that are not part of any plan.
    #[default]
    None,
    /// Each namespace by itself.
    EachNamespace,
    /// Only all of them at once; all that exist are attached here.
    AllTogether,
}

/// What is on one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamespaceState {
    /// Its id.
    pub id: u32,
    /// The kernel's device for it; `None` while the kernel's driver does not have it.
    pub identity: Option<DeviceIdentity>,
    /// What is on it; `None` when it cannot be read, e.g. while bound to vfio. Counts as data.
    pub content: Option<Content>,
}
