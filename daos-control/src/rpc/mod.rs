//! The gRPC edge: one listener for `ctl.CtlSvc`, `mgmt.MgmtSvc` and our own `daosx.v1` services.
//!
//! A handler is a few lines: admit the caller, turn the request into domain values (`wire`), call one use-case,
//! turn its answer back. Rules live in the use-cases, forms in `wire`, who may call in `access` and `admission`.

mod absent;
mod accept;
pub mod access;
pub mod admission;
mod attach;
mod connection;
mod ctl;
mod gate;
mod hardware;
pub mod layers;
pub mod listen;
mod log_masks;
mod members;
mod mgmt;
mod node;
mod ours;
mod pmem;
mod preflight;
mod prepare;
mod replicas;
mod routes;
mod serve;

pub use attach::AttachHints;
pub use log_masks::LogSettings;
pub use node::Node;
pub use routes::routes;
pub use serve::Listening;
