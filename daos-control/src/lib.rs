//! The control plane of a storage node, as a library.

#[cfg(feature = "server")]
pub mod durable_file;
pub mod fault;
#[cfg(feature = "server")]
pub mod superblock;

pub use fault::Fault;
