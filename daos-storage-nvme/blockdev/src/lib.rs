//! Facts about a Linux block device: which device it is, who uses it, what is on it; and the exclusive claim
//! under which its owner may erase it.
//!
//! Both storage crates must refuse the very same things before they destroy anything, and may not know each
//! other, so the rules of "in use" and "blank" live here once. This crate reports and never judges: whether a
//! foreign signature or somebody's mount forbids an operation is the planner's business. Everything here blocks
//! (sysfs, procfs, `blkid`); call it from a blocking thread.
//!
//! ```no_run
//! use std::path::Path;
//!
//! # fn main() -> Result<(), daos_blockdev::BlockdevError> {
//! let facts = daos_blockdev::inspect(Path::new("/dev/sdb"))?;
//! println!("{}: {}", facts.identity, facts.content);
//! for used in &facts.uses {
//!     println!("in use: {used}");
//! }
//! // Later, when an accepted plan says that this very device is to be erased:
//! let claim = daos_blockdev::ExclusiveClaim::take(&facts.identity)?;
//! claim.erase()?;
//! # Ok(())
//! # }
//! ```

mod claim;
mod content;
mod error;
mod facts;
mod holders;
mod identity;
mod mounts;
mod open_files;
mod run;
mod sys;
mod sysfs;
#[cfg(feature = "testing")]
pub mod testing;
mod uses;
mod wait;

pub use claim::ExclusiveClaim;
pub use content::{Content, EDGE_BYTES, Signature, SignatureKind, probe};
pub use error::BlockdevError;
pub use facts::{DeviceFacts, identify, inspect, inspect_uses};
pub use holders::{
    ProcessRef, holders_of_mount, openers_of_device, openers_of_file, past_own_children,
};
pub use identity::{DeviceIdentity, DeviceKind, DeviceNumber};
pub use mounts::{
    Filesystem, FilesystemKind, MountEntry, filesystem_of, mount_at, mounts, parse_mountinfo,
    submounts_of,
};
pub use open_files::{FileId, users_of_files};
pub use run::{find_program, run_program};
pub use uses::{DeviceUse, HolderKind, file_uses};
pub use wait::wait_until;
