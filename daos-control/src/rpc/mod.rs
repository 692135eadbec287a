//! The gRPC edge: one listener for `ctl.CtlSvc`, `mgmt.MgmtSvc` and our own `daosx.v1` services.
//!
//! A handler is a few lines: admit the caller, turn the request into domain values (`wire`), call one use-case,
//! turn its answer back. Rules live in the use-cases, forms in `wire`, who may call in `access` and `admission`.

pub mod access;
pub mod admission;
pub mod layers;
pub mod listen;

mod node;
mod serve;

pub use node::Node;
pub use serve::Listening;
