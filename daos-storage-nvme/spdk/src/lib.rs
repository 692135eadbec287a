//! NVMe controllers through an installed SPDK: the one thing the kernel cannot do, which is to look at a controller that has been
//! taken from it.
//!
//! Empty without the feature `installed`. `look` attaches a controller, copies what it says of itself, and lets it go. All calls are
//! made on one thread, as SPDK demands, which lives as long as the process. Must not know what a provider is; used by
//! `daos-storage-nvme` with its feature `spdk`.
//!
//! This crate has been compiled against bindings of its own shim and has never been linked or run: see `docs/devices/prepare.md`.

#[cfg(feature = "installed")]
mod controller;
#[cfg(feature = "installed")]
mod ffi;
#[cfg(feature = "installed")]
mod thread;

#[cfg(feature = "installed")]
pub use controller::{Controller, Health, Namespace, SpdkError, look};
