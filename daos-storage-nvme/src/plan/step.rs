//! `DeviceStep`: what is done to a device, as a value that can be shown, hashed and executed.

use std::fmt;

use serde::Serialize;

use crate::FileOwner;

/// One step of a format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStep {
    /// Make a file that does not exist, at once in its full size and with its owner.
    CreateFile {
        /// Size in bytes.
        size_bytes: u64,
        /// Owner.
        owner: FileOwner,
        /// Permission bits.
        mode: u32,
    },
    /// Discard everything that is in the file.
    DiscardContents,
    /// Give the file its size and reserve all of it on the medium.
    ReserveSpace {
        /// Size in bytes.
        size_bytes: u64,
    },
    /// Set owner and permissions of the file.
    SetOwner {
        /// Owner.
        owner: FileOwner,
        /// Permission bits.
        mode: u32,
    },
    /// Zero both ends of a block device, where all signatures are.
    EraseSignatures,
    /// Have the controller format one namespace (Format NVM), and erase what it leaves at both ends.
    FormatNamespace {
        /// Its id.
        id: u32,
    },
    /// Have the controller format all its namespaces at once, since it can do no less.
    FormatAllNamespaces,
    /// Zero both ends of one namespace, since the controller offers no format.
    EraseNamespace {
        /// Its id.
        id: u32,
    },
    /// Take a controller from its driver for user space and give it to the kernel's, which formats it.
    LendToKernel {
        /// The driver it has.
        driver: String,
        /// Go no further if it then holds something that is not ours: until then nobody can tell.
        only_ours: bool,
    },
    /// Give a controller to its driver for user space again, and its device file the owner it had.
    ReturnToUserSpace {
        /// The driver it had.
        driver: String,
        /// Owner.
        owner: FileOwner,
        /// Permission bits.
        mode: u32,
    },
}

impl DeviceStep {
    /// Whether it writes over what is there.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::DiscardContents
            | Self::EraseSignatures
            | Self::FormatNamespace { .. }
            | Self::FormatAllNamespaces
            | Self::EraseNamespace { .. } => true,
            Self::CreateFile { .. }
            | Self::ReserveSpace { .. }
            | Self::SetOwner { .. }
            | Self::LendToKernel { .. }
            | Self::ReturnToUserSpace { .. } => false,
        }
    }
}

impl fmt::Display for DeviceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateFile { size_bytes, owner, mode } => {
                write!(f, "create file of {size_bytes} bytes, ")?;
                write!(f, "owner {}:{}, mode {mode:04o}", owner.uid, owner.gid)
            }
            Self::DiscardContents => f.write_str("discard its contents"),
            Self::ReserveSpace { size_bytes } => write!(f, "reserve {size_bytes} bytes"),
            Self::SetOwner { owner, mode } => {
                write!(f, "set owner {}:{}, mode {mode:04o}", owner.uid, owner.gid)
            }
            Self::EraseSignatures => f.write_str("erase its first and last 4 MiB"),
            Self::FormatNamespace { id } => write!(f, "format namespace {id} (Format NVM)"),
            Self::FormatAllNamespaces => f.write_str(
                "format all namespaces at once (Format NVM; the controller can do no less)",
            ),
            Self::EraseNamespace { id } => {
                write!(f, "erase the first and last 4 MiB of namespace {id}")
            }
            Self::LendToKernel { driver, only_ours } => {
                write!(f, "take it from {driver} and give it to the kernel's driver")?;
                if *only_ours {
                    f.write_str("; stop if it is neither blank nor ours")
                } else {
                    Ok(())
                }
            }
            Self::ReturnToUserSpace { driver, owner, mode } => {
                write!(f, "give it to {driver} again, ")?;
                write!(f, "owner {}:{}, mode {mode:04o}", owner.uid, owner.gid)
            }
        }
    }
}
