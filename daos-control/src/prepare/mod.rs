//! Making NVMe controllers and persistent memory ready for engines, and giving them back, as an administrator asks for it
//! (R72-R87, R133-R137, R175).
//!
//! `ask` turns the words of a command into a request, `text` says what came of it. Used by `daos_server storage prepare`,
//! `daos_server nvme prepare` and the gRPC edge, which are the same code under three names. `needs` says what a start depends on,
//! `automatic` acts on it; `pages` and `memlock` hold the numbers for it, which preflight asks too. Knows no sysfs.

mod ask;
mod automatic;
mod from_afar;
pub mod memlock;
mod needs;
mod pages;
mod pmem;
mod run;
mod text;

pub use automatic::{AutomaticPrepare, LookAtMemory};
pub use from_afar::{FromAfar, kept_of, with_host_rules};
pub use needs::{HostNow, NeededController, StartNeeds, engines_of, engines_with_hugepages};
pub use pages::{needed_pages, node_of, pages_of_nodes};

pub use ask::{NvmePrepareAsk, PagesAsk, ParsedAddresses, never_fewer, spread_pages};
pub use pmem::{PmemAsk, PmemPlan, PmemPrepared, plan_pmem, provision_pmem};
pub use run::{NvmePlanned, prepare_nvme, reset_nvme};
pub use text::NvmePrepared;
