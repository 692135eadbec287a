//! `BlockdevError`: what can go wrong while looking at or claiming a device (fault codes 1215-1224).
//!
//! Called by the storage crates, which wrap it in their own error. Must not know what the device is for.

use std::io;
use std::path::PathBuf;

/// Why a device could not be looked at, claimed or erased. Each carries the path it is about.
#[derive(Debug, thiserror::Error)]
pub enum BlockdevError {
    /// Nothing is at the path.
    #[error("{}: no such device", path.display())]
    NotFound {
        /// The path as configured.
        path: PathBuf,
    },
    /// Something is at the path, but it is not a block device.
    #[error("{}: not a block device, but a {found}", path.display())]
    NotABlockDevice {
        /// The path as configured.
        path: PathBuf,
        /// What it is instead, e.g. `directory`.
        found: &'static str,
    },
    /// This process may not open the device or read the system's file about it.
    #[error("{}: {action}: permission denied", path.display())]
    AccessDenied {
        /// The device or file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// A program that recognises signatures is not installed. The device is then *not* known to be blank.
    #[error("{tool}: program not found, so what is on {} cannot be told", path.display())]
    ToolMissing {
        /// Name of the program.
        tool: &'static str,
        /// The device in question.
        path: PathBuf,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// A program ran and failed. The device is then *not* known to be blank.
    #[error("{tool} {}: {detail}", path.display())]
    ToolFailed {
        /// Name of the program.
        tool: &'static str,
        /// The device in question.
        path: PathBuf,
        /// Exit status and what the program said.
        detail: String,
    },
    /// Somebody else holds the device exclusively: a mount, md, dm, swap, or another program.
    #[error("{}: in use, the exclusive claim was refused", path.display())]
    Busy {
        /// The device.
        path: PathBuf,
    },
    /// The device at the path is not the one that was planned for.
    #[error("{}: the device changed: {what} was {expected}, is {found}", path.display())]
    IdentityChanged {
        /// The device.
        path: PathBuf,
        /// Which part of the identity differs.
        what: &'static str,
        /// The value in the plan.
        expected: String,
        /// The value now.
        found: String,
    },
    /// Reading or writing failed.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The device or file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// Zeros were written, but something else was read back.
    #[error("{}: erased, but {found}", path.display())]
    EraseNotProven {
        /// The device.
        path: PathBuf,
        /// What was found afterwards.
        found: String,
    },
    /// A file of the system has contents this program does not understand.
    #[error("{}: cannot be understood: {detail}", path.display())]
    Unreadable {
        /// The file, e.g. `/proc/self/mountinfo`.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

impl BlockdevError {
    /// The stable fault number of `docs/faults.md`.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => 1215,
            Self::NotABlockDevice { .. } => 1216,
            Self::AccessDenied { .. } => 1217,
            Self::ToolMissing { .. } => 1218,
            Self::ToolFailed { .. } => 1219,
            Self::Busy { .. } => 1220,
            Self::IdentityChanged { .. } => 1221,
            Self::Io { .. } => 1222,
            Self::EraseNotProven { .. } => 1223,
            Self::Unreadable { .. } => 1224,
        }
    }

    /// What an administrator can do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => {
                "check the device path in the server configuration file and that the device is attached"
            }
            Self::NotABlockDevice { .. } => {
                "name a block device in the server configuration file, e.g. /dev/sdb"
            }
            Self::AccessDenied { .. } => {
                "run the server as root, or give its user access to the device"
            }
            Self::ToolMissing { .. } => "install the package util-linux and try again",
            Self::ToolFailed { .. } => {
                "run the program by hand to see why it fails, and check the device for I/O errors"
            }
            Self::Busy { .. } => {
                "unmount the device, switch its swap off or remove it from its volume group or array, then try again"
            }
            Self::IdentityChanged { .. } => {
                "check that the devices were not exchanged, then ask for a new plan"
            }
            Self::Io { .. } | Self::EraseNotProven { .. } => {
                "check the kernel log for errors of the device and replace it if it is failing"
            }
            Self::Unreadable { .. } => {
                "report the contents of the file, this kernel writes it in a form not known here"
            }
        }
    }

    /// Sorts a system error into `NotFound`, `AccessDenied`, `Busy` or `Io`.
    pub(crate) fn from_io(
        path: impl Into<PathBuf>,
        action: &'static str,
        source: impl Into<io::Error>,
    ) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::PermissionDenied => Self::AccessDenied { path, action, source },
            io::ErrorKind::ResourceBusy => Self::Busy { path },
            _ => Self::Io { path, action, source },
        }
    }
}
