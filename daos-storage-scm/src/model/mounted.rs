//! What came of a format, a mount or an unmount.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// In which form the SCM is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScmForm {
    /// A tmpfs mounted at the mount point.
    Tmpfs,
    /// A directory on a tmpfs that is mounted further up.
    Directory,
    /// ext4 with direct access.
    Ext4Dax,
    /// ext4 on a loop device, which stands in for persistent memory and has no direct access.
    Ext4NoDax,
}

impl fmt::Display for ScmForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tmpfs => "tmpfs",
            Self::Directory => "directory on a tmpfs",
            Self::Ext4Dax => "ext4 with dax",
            Self::Ext4NoDax => "ext4 without dax on a loop device",
        })
    }
}

/// SCM that an engine can use now; everything in here was read back from the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScmMounted {
    /// Engine index on this host.
    pub engine_index: u32,
    /// As configured.
    pub mount_point: PathBuf,
    /// Its form.
    pub form: ScmForm,
    /// Source of the mount: the device, or `tmpfs`.
    pub source: String,
    /// Options in force, of mount and file system, comma separated.
    pub options: String,
    /// Bytes of the file system; of the whole tmpfs for the directory form.
    pub total_bytes: u64,
    /// Bytes still free for its owner.
    pub avail_bytes: u64,
    /// What an administrator should know, such as options that this kernel lacks.
    pub notices: Vec<String>,
}

/// What an unmount did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmounted {
    /// It was mounted and is no more.
    Done,
    /// There was nothing to unmount: missing path, no mount point, or the directory form (E2).
    WasNotMounted,
}
