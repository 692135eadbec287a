//! The mount point of an engine on a real host: looking at it, and the few things done to it.
//!
//! Shared by the bodies `ram` and `linux`. Everything blocks. Never follows a link at the path itself, and
//! reads the kernel's mount table instead of believing anybody (W7).

mod act;
mod look;
mod right;
mod verify;

pub(crate) use act::{MOUNT_FLAGS, create_directory, mount_on, require_free, set_owner, unmount};
pub(crate) use look::{Opened, denied_or_system, identify, look, open, usage};
pub(crate) use right::{may_mount_ext4, may_mount_tmpfs};
pub(crate) use verify::{Expected, verify};
