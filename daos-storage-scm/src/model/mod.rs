//! The values this crate speaks in: what is wanted, what was seen, what came of it.
//!
//! Plain data without I/O, shared by the planner, every provider body and their callers.

mod entries;
mod inventory;
mod mounted;
mod observed;
mod pmem;
mod provision;
mod target;

pub use daos_blockdev::{DeviceIdentity, DeviceKind, DeviceNumber, ProcessRef};
pub use entries::{ENTRIES_SHOWN, Entries};
pub use inventory::{
    AppDirectRegion, Discovered, MountUsage, RegionHealth, RegionKind, ScanRequest, ScmInventory,
    ScmModule, ScmNamespace,
};
pub use mounted::{ScmForm, ScmMounted, Unmounted};
pub(crate) use observed::READ_ONLY;
pub use observed::{
    Dax, DeviceContent, DeviceFacts, DeviceState, DirectoryFacts, FoundAt, Medium, MountFacts,
    MountPointState, MountRight, ParentFacts, RamFacts, ScmObserved, ScmReadiness,
};
pub use pmem::{
    GoalSupport, Labels, NamespaceFacts, NamespaceMode, NamespaceUse, PendingGoal, PmemFacts,
    RegionFacts, SocketState,
};
pub use provision::{
    MemoryGoal, NamespacesPerSocket, ProvisionOutcome, ProvisionRequest, ProvisionStep,
    ProvisionVerdict,
};
pub use target::{DcpmSpec, Owner, RamForm, RamSpec, ScmClass, ScmParams, ScmTarget};
