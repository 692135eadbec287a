//! The control plane of a storage node, as a library.

pub mod fault;

pub use fault::Fault;
