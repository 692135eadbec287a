//! The two tools that see and change persistent memory, as traits, and what they tell.
//!
//! A body looks and takes single steps; it decides nothing. Both traits are driven by the conformance suite of
//! provisioning through a provider.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::ScmError;
use crate::model::{
    Labels, MemoryGoal, NamespaceFacts, NamespaceUse, PendingGoal, RegionHealth, ScmModule,
};

/// The modules' own management: Intel's library.
#[async_trait]
pub trait ModuleTool: Send + Sync + Debug {
    /// What is there. Changes nothing.
    ///
    /// # Errors
    /// [`ScmError::MissingTool`] when it is not installed, [`ScmError::BadToolVersion`] when it is one that is known
    /// to be wrong, [`ScmError::ToolFailed`] when it says so.
    async fn look(&self) -> Result<VendorView, ScmError>;

    /// Sets a goal for these modules, by unique id; they are all of one socket.
    ///
    /// # Errors
    /// As [`ModuleTool::look`].
    async fn create_goal(&self, modules: &[String], goal: MemoryGoal) -> Result<(), ScmError>;

    /// Drops the goals of these modules.
    ///
    /// # Errors
    /// As [`ModuleTool::look`].
    async fn delete_goals(&self, modules: &[String]) -> Result<(), ScmError>;

    /// Which tool, and which version of it, if it is installed.
    async fn version(&self) -> ToolVersion;
}

/// The kernel's regions and namespaces: ndctl, and the nvdimm bus to look at without it.
#[async_trait]
pub trait NamespaceTool: Send + Sync + Debug {
    /// What is there. Changes nothing, and needs no program to be installed.
    ///
    /// # Errors
    /// [`ScmError::DiscoveryFailed`], [`ScmError::CommandFailed`], [`ScmError::ToolOutput`].
    async fn look(&self) -> Result<BusView, ScmError>;

    /// Who uses a block device of a namespace, and what is on it. A medium that cannot be read is no error: it is
    /// told in [`NamespaceUse::unread`].
    ///
    /// # Errors
    /// When it cannot even be told who uses it.
    async fn uses(&self, blockdev: &str) -> Result<NamespaceUse, ScmError>;

    /// Whether the program that changes things is there; asked before the first step is taken.
    ///
    /// # Errors
    /// [`ScmError::MissingTool`].
    async fn require(&self) -> Result<(), ScmError>;

    /// Enables a region with what is in it.
    ///
    /// # Errors
    /// [`ScmError::CommandFailed`].
    async fn enable_region(&self, region: &str) -> Result<(), ScmError>;

    /// Makes a namespace in mode fsdax. `size_bytes` of the region's capacity are used.
    ///
    /// # Errors
    /// [`ScmError::CommandFailed`] with the program's words.
    async fn create(&self, region: &str, size_bytes: u64) -> Result<(), ScmError>;

    /// Wipes the signatures on a block device of a namespace under an exclusive claim.
    ///
    /// # Errors
    /// [`ScmError::Device`] when somebody has it, or it cannot be written.
    async fn wipe(&self, blockdev: &str) -> Result<(), ScmError>;

    /// Wipes the signatures on its block device under an exclusive claim, then disables and destroys it. There is no
    /// way to destroy a namespace without one: what is on it would be found again in the next at the same place.
    ///
    /// # Errors
    /// [`ScmError::Device`] when somebody has it; [`ScmError::CommandFailed`].
    async fn destroy(&self, name: &str, blockdev: &str) -> Result<(), ScmError>;

    /// Writes new, empty labels to all modules of a region.
    ///
    /// # Errors
    /// [`ScmError::CommandFailed`].
    async fn initialise_labels(&self, region: &str, dimms: &[String]) -> Result<(), ScmError>;

    /// Which tool, and which version of it, if it is installed.
    async fn version(&self) -> ToolVersion;
}

/// Both tools of a host.
#[derive(Debug, Clone)]
pub struct PmemTools {
    /// For modules and goals.
    pub modules: Arc<dyn ModuleTool>,
    /// For regions and namespaces.
    pub namespaces: Arc<dyn NamespaceTool>,
}

/// A tool and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolVersion {
    /// Name of the program or library.
    pub tool: &'static str,
    /// Its version; `None` when it is not installed, or does not tell.
    pub version: Option<String>,
    /// Why it must not be used, when that is so.
    pub problem: Option<String>,
}

impl fmt::Display for ToolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_deref().unwrap_or("not installed");
        write!(f, "{} {version}", self.tool)?;
        self.problem.as_ref().map_or(Ok(()), |problem| write!(f, " ({problem})"))
    }
}

/// What the vendor's library tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorView {
    /// Version of the library.
    pub version: String,
    /// The modules it manages; none on a host with other or no persistent memory.
    pub modules: Vec<ScmModule>,
    /// Regions, persistent or not.
    pub regions: Vec<VendorRegion>,
    /// Goals of single modules.
    pub pending: Vec<PendingGoal>,
}

/// A region as the library tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorRegion {
    /// Interleave set.
    pub iset_id: u64,
    /// Socket.
    pub socket: u32,
    /// What it is for.
    pub memory: VendorMemory,
    /// Bytes.
    pub capacity: u64,
    /// Bytes not in a namespace.
    pub free_capacity: u64,
    /// Health.
    pub health: RegionHealth,
    /// Physical ids of its modules.
    pub module_ids: Vec<u32>,
}

/// What the library says that a region is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VendorMemory {
    /// Keeps its contents.
    Persistent,
    /// Ordinary memory.
    Volatile,
    /// Something that the library does not know, or we do not.
    Unknown,
}

/// What the kernel's nvdimm bus tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusView {
    /// Modules, by name.
    pub dimms: Vec<Dimm>,
    /// Regions, by number.
    pub regions: Vec<BusRegion>,
}

/// A module as the kernel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dimm {
    /// Kernel name, e.g. `nmem0`.
    pub name: String,
    /// Unique id that the firmware gives it.
    pub id: String,
    /// Physical id in the platform's tables.
    pub physical_id: u32,
    /// Where it sits: the device handle of ACPI's NFIT (6.5, table 5.143).
    pub handle: u32,
    /// Made by Intel, so that the library manages it.
    pub managed: bool,
}

/// A region as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusRegion {
    /// Kernel number.
    pub id: u32,
    /// Kernel name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Bytes not in a namespace.
    pub available: u64,
    /// Alignment of namespaces in bytes.
    pub align: u64,
    /// Persistent; else ordinary memory.
    pub persistent: bool,
    /// Interleave set; 0 where it has none.
    pub iset_id: u64,
    /// NUMA node.
    pub numa_node: u32,
    /// No driver has it, so that its namespaces do not show.
    pub disabled: bool,
    /// Whether its modules have valid labels.
    pub labels: Labels,
    /// Kernel name of each of its modules, and how many bytes of it the region has.
    pub mappings: Vec<(String, u64)>,
    /// Namespaces by name, also disabled ones, without their uses.
    pub namespaces: Vec<NamespaceFacts>,
}
