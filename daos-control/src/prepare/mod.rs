//! Making NVMe controllers and persistent memory ready for engines, and giving them back, as an administrator asks for it
//! (R72-R87, R133-R137, R175).
//!
//! `ask` turns the words of a command into a request, `text` says what came of it. Used by `daos_server storage prepare`,
//! `daos_server nvme prepare` and the gRPC edge, which are the same code under three names. `needs` says what a start depends on,
//! `automatic` acts on it; the numbers come from the room `needs`, which preflight asks too. `from_afar` has the rules of the network. Knows no sysfs.

mod ask;
mod automatic;
mod from_afar;
mod needs;
mod pmem;
mod run;
mod text;

pub use automatic::{AutomaticPrepare, LookAtMemory};
pub use from_afar::{FromAfar, kept_of, with_host_rules};
pub use needs::{HostNow, NeededController, StartNeeds, engines_of, engines_with_hugepages};

pub use crate::needs::PagesAsk;
pub use ask::{NvmePrepareAsk, ParsedAddresses};
pub use pmem::{PmemAsk, PmemPlan, PmemPrepared, plan_pmem, provision_pmem};
pub use run::{NvmePlanned, prepare_nvme, reset_nvme};
pub use text::NvmePrepared;
