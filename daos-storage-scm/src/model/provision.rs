//! What can be asked of persistent memory hardware, and how far it came (R133-R137).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PendingGoal, ScmNamespace};

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
    /// Only the first step of that: set the interleaved goal (R136, T7).
    SetInterleaved {
        /// Only this socket; all when `None`.
        socket: Option<u32>,
    },
    /// Undo it: namespaces go, with all that is on them, and a goal is set (R137).
    Reset {
        /// Only this socket; all when `None`.
        socket: Option<u32>,
        /// What the modules become: empty regions, as in 2.8, or ordinary memory.
        goal: MemoryGoal,
    },
}

impl ProvisionRequest {
    /// The socket it is about; all when `None`.
    #[must_use]
    pub fn socket(&self) -> Option<u32> {
        match self {
            Self::Prepare { socket, .. }
            | Self::SetInterleaved { socket }
            | Self::Reset { socket, .. } => *socket,
        }
    }
}

/// What a goal makes of a socket's memory at the next reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Enable a region, so that it can be seen what is in it. Then all is decided anew.
    EnableRegion {
        /// Name of the region, e.g. `region0`.
        region: String,
        /// Unique ids of its modules, which tell whether it still is the same region.
        modules: Vec<String>,
    },
    /// Write new, empty labels to the modules of a region.
    InitialiseLabels {
        /// Name of the region, e.g. `region0`.
        region: String,
        /// Names of its modules, e.g. `nmem0`.
        dimms: Vec<String>,
        /// Unique ids of its modules, which tell whether it still is the same region.
        modules: Vec<String>,
    },
    /// Make a namespace of a region's free capacity, for block access with dax.
    CreateNamespace {
        /// Name of the region.
        region: String,
        /// Unique ids of its modules, which tell whether it still is the same region.
        modules: Vec<String>,
        /// Size in bytes, a multiple of 2 MiB and of the region's alignment.
        size_bytes: u64,
        /// What is found on it is given up already, by the labels that were initialised, and is wiped.
        wipe: bool,
    },
    /// Wipe, disable and destroy a namespace.
    DestroyNamespace {
        /// Its name, e.g. `namespace1.0`.
        name: String,
        /// Its uuid, which tells whether it still is the same.
        uuid: String,
        /// Its block device, which is wiped first.
        blockdev: String,
    },
    /// Drop goals that wait for a reboot.
    DeleteGoals {
        /// Of this socket.
        socket: u32,
    },
    /// Set a goal; it takes effect at the next reboot.
    CreateGoal {
        /// For this socket.
        socket: u32,
        /// What for.
        goal: MemoryGoal,
    },
}

impl ProvisionStep {
    /// Whether data that was there before is gone, or will be after the next reboot.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::InitialiseLabels { .. }
            | Self::DestroyNamespace { .. }
            | Self::CreateGoal { .. } => true,
            Self::EnableRegion { .. } | Self::DeleteGoals { .. } | Self::CreateNamespace { .. } => {
                false
            }
        }
    }

    /// A short constant name, for logs and scripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::EnableRegion { .. } => "enable-region",
            Self::InitialiseLabels { .. } => "initialise-labels",
            Self::CreateNamespace { .. } => "create-namespace",
            Self::DestroyNamespace { .. } => "destroy-namespace",
            Self::DeleteGoals { .. } => "delete-goals",
            Self::CreateGoal { .. } => "create-goal",
        }
    }
}

impl fmt::Display for ProvisionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnableRegion { region, .. } => {
                write!(f, "enable {region}, which is disabled")
            }
            Self::InitialiseLabels { region, dimms, .. } => {
                write!(f, "initialise the labels of {} ({region})", dimms.join(", "))
            }
            Self::CreateNamespace { region, size_bytes, .. } => {
                write!(f, "make a namespace of {size_bytes} bytes in {region}")
            }
            Self::DestroyNamespace { name, blockdev, .. } => {
                write!(f, "wipe and destroy {name} (/dev/{blockdev})")
            }
            Self::DeleteGoals { socket } => write!(f, "delete the goals of socket {socket}"),
            Self::CreateGoal { socket, goal: MemoryGoal::AppDirectInterleaved } => {
                write!(f, "set socket {socket} to interleaved AppDirect at the next reboot")
            }
            Self::CreateGoal { socket, goal: MemoryGoal::MemoryMode } => {
                write!(f, "set socket {socket} to Memory Mode at the next reboot")
            }
        }
    }
}

/// What a plan leads to, besides its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionVerdict {
    /// The host has no modules; nothing is run (E16).
    NoModules,
    /// A reset finds nothing to undo (E19).
    AlreadyReset,
    /// A prepare finds all as it is wanted.
    AlreadyPrepared,
    /// Steps are taken, or were taken before and wait for a reboot.
    Changes,
}

/// How far provisioning came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisionOutcome {
    /// What it came to.
    pub verdict: ProvisionVerdict,
    /// Regions were enabled and nothing else was done: what is in them has to be looked at before more is decided.
    /// Ask again, at once.
    pub again: bool,
    /// Goals take effect at the next reboot. To prepare, ask again after it.
    pub reboot_required: bool,
    /// Goals that wait for it.
    pub goals: Vec<PendingGoal>,
    /// Namespaces for block access with dax on the sockets that were asked for, whoever made them (R135).
    pub namespaces: Vec<ScmNamespace>,
    /// Names of the namespaces that were destroyed.
    pub destroyed: Vec<String>,
    /// What an administrator should know besides.
    pub notices: Vec<String>,
}
