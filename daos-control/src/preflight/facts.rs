//! What was seen of a host, as plain values. Made by `observe`, judged by `check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::device_names::DeviceNames;
use crate::config::{HostMemory, ServerConfig};
use crate::fault::Fault;
use crate::format::Foreseen;
use crate::network::Network;
use crate::scan::NodeMemory;

/// What of a host every start looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    /// Memory and huge pages.
    pub memory: HostMemory,
    /// Processors this process may run on.
    pub cores: u32,
    /// The server runs as root.
    pub is_root: bool,
    /// Name of the user, or its number where no name is known.
    pub user: String,
    /// What the kernel says of transparent huge pages, e.g. `always [madvise] never`; empty when it has none.
    pub transparent_hugepages: String,
    /// Names of the IOMMUs.
    pub iommu: Vec<String>,
    /// The administrator has allowed VFIO without one (`enable_unsafe_noiommu_mode`), which the kernel gives to root alone.
    pub no_iommu_allowed: bool,
    /// Kernel modules.
    pub modules: Modules,
    /// Hard limit on locked memory in bytes, to which a start raises its own; `None` for no limit.
    pub memlock: Option<u64>,
    /// Interfaces and NUMA nodes.
    pub network: Network,
    /// Where the paths of the configuration lead; empty when nobody looked.
    pub devices: DeviceNames,
}

impl HostFacts {
    /// The same host, with a look at where the paths of `config` lead.
    #[must_use]
    pub fn with_devices_of(self, config: &ServerConfig) -> Self {
        Self { devices: DeviceNames::observe(config), ..self }
    }

    /// Whether transparent huge pages are used.
    #[must_use]
    pub fn has_transparent_hugepages(&self) -> bool {
        !self.transparent_hugepages.is_empty() && !self.transparent_hugepages.contains("[never]")
    }

    /// Whether there is an IOMMU.
    #[must_use]
    pub fn has_iommu(&self) -> bool {
        !self.iommu.is_empty()
    }
}

/// What is known of one kernel module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModuleState {
    /// In the kernel.
    Loaded,
    /// Installed, not loaded.
    Loadable,
    /// Neither.
    #[default]
    Missing,
}

/// The modules that were looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modules {
    /// Release of the running kernel.
    pub release: String,
    /// Modules by name, with underscores.
    pub states: BTreeMap<&'static str, ModuleState>,
}

impl Modules {
    /// State of one; what was not looked for is missing.
    #[must_use]
    pub fn state(&self, name: &str) -> ModuleState {
        self.states.get(name).copied().unwrap_or_default()
    }
}

/// Everything that preflight looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What every start looks at.
    pub host: HostFacts,
    /// Memory of each NUMA node.
    pub nodes: Vec<NodeMemory>,
    /// NVMe controllers, or why they could not be listed.
    pub controllers: Result<Vec<ControllerFacts>, Fault>,
    /// Persistent memory block devices.
    pub pmem: Vec<PmemFacts>,
    /// Configured devices of class dcpm, and whether they are there.
    pub scm_devices: Vec<(PathBuf, bool)>,
    /// What a format would refuse of the configured storage, or why that cannot be told; empty when nobody looked.
    pub storage: Result<Vec<Foreseen>, Fault>,
    /// The program of the data plane, or why there is none; `None` where none is wanted.
    pub engine_program: Option<Result<PathBuf, Fault>>,
    /// Programs that the server runs, and the library that it loads.
    pub tools: Vec<ToolFacts>,
    /// Directories it writes to.
    pub places: Vec<PlaceFacts>,
    /// The clock, or why it could not be asked.
    pub clock: Result<ClockFacts, String>,
    /// Ports that are to be free.
    pub ports: Vec<PortFacts>,
}

/// One NVMe controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControllerFacts {
    /// PCI address as configurations write it.
    pub address: String,
    /// NUMA node, where the host tells.
    pub numa_node: Option<u32>,
    /// Driver that has it.
    pub driver: Option<String>,
    /// File through which a program uses it, and whether this user may; `None` while the kernel has it.
    pub device: Option<(PathBuf, bool)>,
    /// Who uses its namespaces, in words.
    pub uses: Vec<String>,
}

/// One persistent memory block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PmemFacts {
    /// Name, e.g. `pmem0`.
    pub name: String,
    /// NUMA node, where the host tells.
    pub numa_node: Option<u32>,
}

/// The library through which modules are looked at and prepared.
pub const LIBIPMCTL: &str = "libipmctl.so.5";

/// A program that the server runs, or a library that it loads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolFacts {
    /// Its name.
    pub name: &'static str,
    /// Where it is, or the name by which it was loaded; `None` when it is in no directory that was looked at.
    pub path: Option<PathBuf>,
    /// Its version, where it was asked and answered.
    pub version: Option<String>,
    /// Why it must not or cannot be used, when that is so.
    pub problem: Option<String>,
}

/// What a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacePurpose {
    /// Format journal and record of what prepare changed. Made by the server.
    State,
    /// Sockets between server and engines.
    Sockets,
    /// A log file.
    Log,
    /// Control metadata. Made by a format.
    Metadata,
}

/// A directory that the server or an engine writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceFacts {
    /// What for.
    pub purpose: PlacePurpose,
    /// Key of the configuration that names it.
    pub key: String,
    /// The directory.
    pub path: PathBuf,
    /// It, or the nearest directory above it that exists.
    pub existing: PathBuf,
    /// Whether this user may write there.
    pub writable: bool,
    /// Whether this user may look for what is below it.
    pub searchable: bool,
    /// Bytes there are for this user; `None` when nobody can tell.
    pub available: Option<u64>,
    /// Whether it is in memory and gone after a reboot.
    pub in_memory: bool,
}

/// The kernel's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockFacts {
    /// Whether something keeps it right.
    pub synchronised: bool,
    /// Largest error that the kernel allows for, in microseconds.
    pub max_error_us: u64,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortPurpose {
    /// The control port.
    Control,
    /// The first fabric port of an engine.
    Fabric(
        /// Its index.
        u32,
    ),
}

/// A TCP port that is to be free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFacts {
    /// The port.
    pub port: u16,
    /// What for.
    pub purpose: PortPurpose,
    /// Who listens on it; `None` when nobody does.
    pub holder: Option<PortHolder>,
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHolder {
    /// `pid 12 (name)`; empty when this user may not see it.
    pub process: String,
    /// It is this very server or one of its engines.
    pub ours: bool,
}
