//! What a storage scan finds on this host: persistent memory, NVMe and memory (R88-R93, R143, contract 7.5).
//!
//! [`Scanner`] asks both storage crates side by side; a part that fails hides no other (R92). Used by the gRPC edge
//! and by `daos_server storage scan`. Devices that only stand in for NVMe (files, kernel block devices) are no
//! controllers: stock clients are not told of them, the local report lists them by themselves. Knows no wire.

mod host;
pub mod memory;
mod structured;
#[cfg(test)]
mod tests;
mod text;

pub use host::{
    HostStorage, ScanOptions, ScanTarget, Scanner, ScmMountFacts, class_faults, modules_fault,
    nvme_faults,
};
pub use memory::{NodeMemory, SystemMemory};
pub use structured::{StructuredNvme, StructuredScan, scm_data};
pub use text::{errors_text, health_unreadable, nvme_text, scan_text, scm_text};
