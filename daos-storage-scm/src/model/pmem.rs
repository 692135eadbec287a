//! What provisioning is decided on: modules, goals, regions and namespaces of a host, as values (R133).
//!
//! Made by `pmem::assemble` of what the two tools tell; read by `plan::provision` and by scans. No I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AppDirectRegion, MemoryGoal, ScmModule};

/// Persistent memory of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PmemFacts {
    /// Who can change how the modules are used.
    pub goals: GoalSupport,
    /// Modules, by physical id.
    pub modules: Vec<ScmModule>,
    /// Goals that wait for a reboot, or that the last one did not grant.
    pub pending: Vec<PendingGoal>,
    /// Regions, by id.
    pub regions: Vec<RegionFacts>,
}

/// Whether, and through what, goals can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalSupport {
    /// The vendor's library manages the modules.
    Vendor {
        /// Version of the library.
        version: String,
    },
    /// The modules take no goals: virtual ones, whose regions are what they are.
    Fixed,
    /// The modules would take goals, and the library that sets them cannot be used.
    Unavailable {
        /// Fault number of the reason: 1, 2, 1460 or 1500.
        code: i32,
        /// In words.
        why: String,
        /// What to do about it.
        resolution: String,
    },
}

/// A goal of one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingGoal {
    /// Socket of the module.
    pub socket: u32,
    /// Unique id of the module.
    pub module: String,
    /// What the next reboot makes of it; `None` for a mixture, or nothing at all, that we never ask for.
    pub goal: Option<MemoryGoal>,
    /// The platform refused it at the last reboot, for this reason.
    pub refused: Option<String>,
}

impl fmt::Display for PendingGoal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.goal {
            Some(MemoryGoal::AppDirectInterleaved) => "interleaved AppDirect",
            Some(MemoryGoal::MemoryMode) => "Memory Mode",
            None => "what is not made here",
        };
        write!(f, "socket {} module {}: {what}", self.socket, self.module)?;
        match &self.refused {
            Some(why) => write!(f, ", refused at the last reboot: {why}"),
            None => f.write_str(" at the next reboot"),
        }
    }
}

/// A region with all that a decision needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionFacts {
    /// What a scan shows of it.
    pub region: AppDirectRegion,
    /// The kernel's name, e.g. `region0`; `None` while the kernel does not show the region.
    pub name: Option<String>,
    /// Sizes of namespaces are multiples of this many bytes.
    pub align: u64,
    /// Nothing in it can be seen or used until it is enabled.
    pub disabled: bool,
    /// Whether namespaces can be made in it.
    pub labels: Labels,
    /// Kernel names of its modules, e.g. `nmem0`.
    pub dimms: Vec<String>,
    /// Unique ids of its modules: which region it is, whatever it is called and before it has labels.
    pub modules: Vec<String>,
    /// Namespaces in it, by name.
    pub namespaces: Vec<NamespaceFacts>,
}

impl RegionFacts {
    /// Its name for people.
    #[must_use]
    pub fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("region {:#x}", self.region.iset_id))
    }

    /// Memory of the platform's tables that belongs to no module (`memmap=`, NVDIMM-N without a driver): it has no place
    /// for labels, so its one namespace is as large as itself.
    #[must_use]
    pub fn has_no_modules(&self) -> bool {
        self.name.is_some() && self.dimms.is_empty()
    }

    /// Whether nothing of it is taken by a namespace. An unlabelled region is taken whole by the one the kernel shows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }
}

/// State of the label areas of a region's modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// Namespaces are described by labels.
    Ready,
    /// No valid labels: the kernel shows the whole region as one raw namespace.
    Missing,
}

/// How a namespace is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceMode {
    /// Block device with direct access; what a format needs.
    Fsdax,
    /// Character device.
    Devdax,
    /// Block device with atomic sectors, without direct access.
    Sector,
    /// Block device without metadata.
    Raw,
    /// Cannot be told.
    #[default]
    Unknown,
}

impl NamespaceMode {
    /// The mode of a word that ndctl and the kernel use.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "fsdax" | "memory" => Self::Fsdax,
            "devdax" | "dax" => Self::Devdax,
            "sector" | "safe" => Self::Sector,
            "raw" => Self::Raw,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for NamespaceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fsdax => "fsdax",
            Self::Devdax => "devdax",
            Self::Sector => "sector",
            Self::Raw => "raw",
            Self::Unknown => "unknown",
        })
    }
}

/// One namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NamespaceFacts {
    /// Its name, e.g. `namespace1.0`; given anew by the kernel at each boot.
    pub name: String,
    /// Its uuid, which stays; empty without labels. A disabled one shows the uuid of its label instead.
    pub uuid: String,
    /// How it is used; unknown while it is disabled, when every one looks like a raw one.
    pub mode: NamespaceMode,
    /// No driver has it: neither who used it nor what is on it can be seen.
    pub disabled: bool,
    /// Bytes.
    pub size: u64,
    /// Its block device, e.g. `pmem1`; none when it is disabled or in mode devdax.
    pub blockdev: Option<String>,
    /// NUMA node.
    pub numa_node: u32,
    /// Who uses it and what is on it; looked at only to decide.
    pub used: NamespaceUse,
}

impl NamespaceFacts {
    /// Its device file, or its name without one.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.blockdev {
            Some(device) => format!("{} (/dev/{device})", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether a format can take it: block access with dax, now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.mode == NamespaceMode::Fsdax && self.blockdev.is_some()
    }

    /// What is lost when it goes, for people.
    #[must_use]
    pub fn loss(&self) -> String {
        let what = match (&self.used.unread, self.used.content.as_deref()) {
            (Some(why), _) => format!("contents that cannot be read ({why})"),
            (None, Some(content)) => content.to_owned(),
            (None, None) => "nothing but zeros at both ends".to_owned(),
        };
        format!("{}, mode {}, {} bytes with {what}", self.shown(), self.mode, self.size)
    }
}

/// Who uses a namespace's block device, and what is on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NamespaceUse {
    /// Where it is mounted, also in other mount namespaces.
    pub mounted: Vec<String>,
    /// Every other use, in words.
    pub held: Vec<String>,
    /// What is on it, in words; `None` when it is blank, or could not be read.
    pub content: Option<String>,
    /// Why its contents could not be read: a failing medium, say.
    pub unread: Option<String>,
    /// Why it could not even be told who uses it.
    pub unseen: Option<String>,
}

/// What a socket's persistent memory can be used for (R133, with the states of 2.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketState {
    /// A region is disabled: what is in it cannot be seen.
    Disabled(String),
    /// Modules and no region: all of it is ordinary memory, or nothing yet.
    NoRegions,
    /// A goal waits for a reboot.
    GoalPending,
    /// Regions that are not interleaved over the modules of the socket.
    NotInterleaved,
    /// A region is broken or locked.
    NotHealthy(String),
    /// A region is used in a way that is not known here.
    UnknownMode(String),
    /// Some region has no labels yet, so that it has no capacity to give.
    LabelsMissing,
    /// There is capacity for namespaces.
    FreeCapacity,
    /// Namespaces of the wanted number are there, and there still is capacity.
    PartialFreeCapacity(String),
    /// Namespaces take all of it.
    NoCapacity,
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled(region) => write!(f, "{region} is disabled"),
            Self::NoRegions => f.write_str("no regions"),
            Self::GoalPending => f.write_str("a goal waits for a reboot"),
            Self::NotInterleaved => f.write_str("regions are not interleaved"),
            Self::NotHealthy(why) => write!(f, "not healthy: {why}"),
            Self::UnknownMode(why) => write!(f, "unknown mode: {why}"),
            Self::LabelsMissing => f.write_str("labels are not initialised"),
            Self::FreeCapacity => f.write_str("free capacity"),
            Self::PartialFreeCapacity(why) => write!(f, "partly free: {why}"),
            Self::NoCapacity => f.write_str("no free capacity"),
        }
    }
}
