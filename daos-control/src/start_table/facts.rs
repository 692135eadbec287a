//! What must be known about one engine's storage before it is decided whether the engine starts.

use std::path::PathBuf;

use crate::format::{MarkState, MetadataState};
use crate::superblock::SuperblockState;

/// Everything the start table looks at, for one engine.
#[derive(Debug)]
pub struct StartFacts {
    /// Index of the engine on this host.
    pub index: u32,
    /// `scm_mount` of its configuration.
    pub scm_mount: PathBuf,
    /// Whether this process may mount. This is the "root" of the seed's table: it is found out by trying, never
    /// from the uid, so a container's root without the right counts as a plain user and a plain user with it
    /// does not.
    pub may_mount: bool,
    /// What is at `scm_mount`.
    pub scm: ScmAtStart,
    /// Where the superblock belongs.
    pub superblock_path: PathBuf,
    /// What is there, seen without mounting anything.
    pub superblock: SuperblockState,
    /// A superblock was there and was set aside by a reset of the format.
    pub was_reset: bool,
    /// What the journal says about this engine.
    pub mark: MarkState,
    /// State of `control_metadata`; `None` when the configuration has none.
    pub metadata: Option<MetadataState>,
    /// `--recreate-superblocks`.
    pub recreate_superblocks: bool,
    /// What the superblock would say about the management service; for the log line only.
    pub roles: ReplicaRoles,
}

/// What is at an engine's `scm_mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScmAtStart {
    /// What is configured is mounted there, by whomever (R124).
    Mounted(Contents),
    /// Something of an engine is mounted there, and it is not the class or device of the configuration.
    OtherMounted {
        /// Mount point, what is mounted and from where, and what is configured, in words.
        found: String,
    },
    /// Class ram, nothing mounted, no directory.
    RamAbsent {
        /// The parent is itself a tmpfs mount point, so a directory there can stand for a tmpfs.
        parent_is_tmpfs: bool,
    },
    /// Class ram, nothing mounted, a directory.
    RamDirectory {
        /// It lies on a tmpfs, so it can stand for one.
        on_tmpfs: bool,
        /// What it holds.
        contents: Contents,
    },
    /// Class dcpm, not mounted, the device carries our file system.
    DeviceOurs,
    /// Class dcpm, not mounted, nothing on the device.
    DeviceBlank,
    /// Class dcpm, not mounted, something else on the device.
    DeviceForeign {
        /// Type, label, uuid of what is there, in words.
        found: String,
    },
    /// Class dcpm, the device does not exist.
    DeviceMissing,
    /// It could not be found out; counts as "needs format" and is logged.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// What a directory or mount holds, not counting what every file system has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Nothing.
    Empty,
    /// Something: the names, at most a few of them.
    Holds(Vec<String>),
}

/// Roles of the management service, as the seed prints them when it makes a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaRoles {
    /// This engine holds a replica: engine 0 of a host in the replica list.
    pub create: bool,
    /// It is the replica that bootstraps the system.
    pub bootstrap: bool,
}
