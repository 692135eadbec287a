//! Provisioning of persistent memory: look through two tools, decide, act, read back (R133-R137).
//!
//! `tools` has the two traits (the modules' vendor library; the kernel's namespaces), `assemble` makes one set of
//! facts of what both tell, `act` carries out an accepted plan, one `step` after the other. What is decided is in `plan::provision`.
//! The bodies on real hosts are in `linux`, one for both in memory in `sim`. Knows no file system.

mod act;
mod assemble;
mod step;
mod tools;

pub use assemble::{assemble, inventory};
pub use tools::{
    BusRegion, BusView, Dimm, ModuleTool, NamespaceTool, PmemTools, ToolVersion, VendorMemory,
    VendorRegion, VendorView,
};
