//! The steps a format is made of.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::model::Owner;

/// One step, in the words of R125 and R126. Its text is what plan, log and observer show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScmStep {
    /// Take the file system off the mount point; plain, never lazy.
    Unmount {
        /// The mount point.
        mount_point: PathBuf,
        /// Whether its content is gone with that (tmpfs).
        loses_content: bool,
    },
    /// Make the directory with mode 0700, and what is missing above it with 0755 (E1).
    CreateDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Leave a mark that the content of the directory is being erased.
    MarkErase {
        /// The directory.
        path: PathBuf,
    },
    /// Remove everything inside the directory, superblock first, mark last; follows no link, crosses no mount.
    EraseContent {
        /// The directory.
        path: PathBuf,
    },
    /// Overwrite every file system signature of the device.
    WipeSignatures {
        /// The device.
        device: PathBuf,
    },
    /// `mkfs.ext4` with the options of contract 7.3.
    MakeFilesystem {
        /// The device.
        device: PathBuf,
    },
    /// Mount a tmpfs.
    MountTmpfs {
        /// The mount point.
        mount_point: PathBuf,
        /// Data options.
        options: String,
    },
    /// Mount the device's ext4.
    MountExt4 {
        /// The device.
        device: PathBuf,
        /// The mount point.
        mount_point: PathBuf,
        /// Data options.
        options: String,
    },
    /// Give the root to its owner, with mode 0700 (R129).
    SetOwner {
        /// The root of the mount.
        path: PathBuf,
        /// Its owner.
        owner: Owner,
    },
    /// Read everything back.
    Verify {
        /// The mount point.
        mount_point: PathBuf,
    },
}

impl ScmStep {
    /// Whether data that was there before is gone, or may be, once this step has begun.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Unmount { loses_content, .. } => *loses_content,
            Self::MarkErase { .. }
            | Self::EraseContent { .. }
            | Self::WipeSignatures { .. }
            | Self::MakeFilesystem { .. } => true,
            Self::CreateDirectory { .. }
            | Self::MountTmpfs { .. }
            | Self::MountExt4 { .. }
            | Self::SetOwner { .. }
            | Self::Verify { .. } => false,
        }
    }

    /// A short constant name, for logs and scripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unmount { .. } => "unmount",
            Self::CreateDirectory { .. } => "create-directory",
            Self::MarkErase { .. } => "mark-erase",
            Self::EraseContent { .. } => "erase-content",
            Self::WipeSignatures { .. } => "wipe-signatures",
            Self::MakeFilesystem { .. } => "make-filesystem",
            Self::MountTmpfs { .. } => "mount-tmpfs",
            Self::MountExt4 { .. } => "mount-ext4",
            Self::SetOwner { .. } => "set-owner",
            Self::Verify { .. } => "verify",
        }
    }
}

impl fmt::Display for ScmStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmount { mount_point, loses_content: true } => {
                write!(f, "unmount {}, its content is lost", mount_point.display())
            }
            Self::Unmount { mount_point, loses_content: false } => {
                write!(f, "unmount {}", mount_point.display())
            }
            Self::CreateDirectory { path } => write!(f, "create directory {}", path.display()),
            Self::MarkErase { path } => write!(f, "mark {} as being erased", path.display()),
            Self::EraseContent { path } => write!(f, "erase the content of {}", path.display()),
            Self::WipeSignatures { device } => {
                write!(f, "wipe all signatures of {}", device.display())
            }
            Self::MakeFilesystem { device } => write!(f, "make ext4 on {}", device.display()),
            Self::MountTmpfs { mount_point, options } => {
                write!(f, "mount tmpfs at {} ({options})", mount_point.display())
            }
            Self::MountExt4 { device, mount_point, options } => {
                write!(f, "mount {} at {} ({options})", device.display(), mount_point.display())
            }
            Self::SetOwner { path, owner } => {
                write!(f, "give {} to {}:{} with mode 0700", path.display(), owner.uid, owner.gid)
            }
            Self::Verify { mount_point } => write!(f, "verify {}", mount_point.display()),
        }
    }
}
