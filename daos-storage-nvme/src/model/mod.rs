//! Plain values of block storage: addresses, controllers, tiers, roles and what was observed. No behaviour
//! beyond parsing and printing; must not touch the system.

mod controller;
mod observed;
mod pci;
mod roles;
mod tier;

pub use controller::{
    BdevInventory, EmulatedDevice, FactSource, NamespaceFormat, NvmeController, NvmeHealth,
    NvmeNamespace, NvmeWarnings, Obstacle, ScanProblem,
};
pub use observed::{
    DeviceState, FileContent, FileFacts, FileKind, FileState, FormatAbility, NamespaceState,
    NvmeState, ObservedDevice, ParentState, UserSpace,
};
pub use pci::{PciAddress, PciAddressSet};
pub use roles::{Role, Roles};
pub use tier::{BdevClass, BdevTarget, BdevTier, DeviceRef, FileOwner, TierDevices};
