//! Making NVMe controllers ready for engines, and giving them back, as an administrator asks for it (R72-R87, R175).
//!
//! `ask` turns the words of a command into a request, `text` says what came of it. Used by `daos_server storage prepare`,
//! `daos_server nvme prepare` and the gRPC edge, which are the same code under three names. Knows no sysfs.

mod ask;
mod run;
mod text;

pub use ask::{NvmePrepareAsk, ParsedAddresses, spread_pages};
pub use run::{prepare_nvme, reset_nvme};
pub use text::NvmePrepared;
