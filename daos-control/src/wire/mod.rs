//! The wire: everything that gives protobuf and gRPC forms to domain values, and back.
//!
//! The edges (`rpc`, `client`, `system_ops::peer`) call it; use-cases never see a generated type. Must not decide.

mod connection;
#[cfg(feature = "server")]
pub mod from_proto;
mod identity;
mod status;
#[cfg(feature = "server")]
pub mod to_proto;

pub use connection::connection_fault;
pub use identity::{
    COMPONENT_HEADER, Component, VERSION_HEADER, Version, WIRE_VERSION, address_system, sign,
    split_system,
};
pub use status::{CallError, NotReady};
