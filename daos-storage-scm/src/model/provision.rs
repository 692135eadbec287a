//! What can be asked of persistent memory hardware, and how far it came (R133-R137, seed-behaviour 2.2).
//!
//! Only the shapes: no body of this crate has the hardware yet.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ScmNamespace;

/// How many namespaces to make of each socket's region: 1 to 4, equal in size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamespacesPerSocket(u8);

impl NamespacesPerSocket {
    /// `None` outside 1 to 4.
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        (1..=4).contains(&count).then_some(Self(count))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for NamespacesPerSocket {
    fn default() -> Self {
        Self(1)
    }
}

/// What shall become of the modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionRequest {
    /// Make them usable as block devices: goals, a reboot, namespaces (R133).
    Prepare {
        /// Only this socket; all when `None`.
        socket: Option<u32>,
        /// Namespaces per region.
        namespaces: NamespacesPerSocket,
    },
    /// Undo that: namespaces and regions go, with all that is on them (R137).
    Reset {
        /// Only this socket; all when `None`.
        socket: Option<u32>,
    },
}

/// What a goal makes of a socket's memory at the next reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryGoal {
    /// Persistent, interleaved over the modules of the socket.
    AppDirectInterleaved,
    /// Ordinary memory.
    MemoryMode,
}

/// One step of provisioning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionStep {
    /// Take a namespace's file system off; plain.
    Unmount {
        /// Where it is mounted.
        mount_point: PathBuf,
    },
    /// Disable and destroy a namespace.
    DestroyNamespace {
        /// Its name, e.g. `namespace1.0`.
        name: String,
    },
    /// Drop goals that wait for a reboot.
    DeleteGoals {
        /// Only of this socket; all when `None`.
        socket: Option<u32>,
    },
    /// Set a goal; it takes effect at the next reboot.
    CreateGoal {
        /// Only for this socket; all when `None`.
        socket: Option<u32>,
        /// What for.
        goal: MemoryGoal,
    },
    /// Make a namespace of a region's free capacity.
    CreateNamespace {
        /// Id of the region.
        region: u32,
        /// Size in bytes, a multiple of 2 MiB.
        size_bytes: u64,
    },
}

impl ProvisionStep {
    /// Whether data that was there before is gone, or will be after the next reboot.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::DestroyNamespace { .. } | Self::CreateGoal { .. } => true,
            Self::Unmount { .. } | Self::DeleteGoals { .. } | Self::CreateNamespace { .. } => false,
        }
    }
}

impl fmt::Display for ProvisionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |socket: &Option<u32>| match socket {
            Some(socket) => format!("socket {socket}"),
            None => "all sockets".to_owned(),
        };
        match self {
            Self::Unmount { mount_point } => write!(f, "unmount {}", mount_point.display()),
            Self::DestroyNamespace { name } => write!(f, "destroy {name}"),
            Self::DeleteGoals { socket } => write!(f, "delete goals of {}", on(socket)),
            Self::CreateGoal { socket, goal: MemoryGoal::AppDirectInterleaved } => {
                write!(f, "set {} to interleaved AppDirect at the next reboot", on(socket))
            }
            Self::CreateGoal { socket, goal: MemoryGoal::MemoryMode } => {
                write!(f, "set {} to Memory Mode at the next reboot", on(socket))
            }
            Self::CreateNamespace { region, size_bytes } => {
                write!(f, "make a namespace of {size_bytes} bytes in region {region}")
            }
        }
    }
}

/// How far provisioning came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionOutcome {
    /// The host has no modules; nothing was run (E16).
    NoModules,
    /// A reset found no regions (E19).
    AlreadyReset,
    /// Goals are set; they take effect at the next reboot. To prepare, ask again after it.
    RebootRequired,
    /// Namespaces exist, all of them, whoever made them (R135).
    Ready(Vec<ScmNamespace>),
}
