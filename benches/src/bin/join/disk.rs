//! Where the system database lies: a directory of a file system that survives, or the figures would mean nothing.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// File systems that keep nothing: an fsync there costs nothing.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The file system that a directory lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The directory.
    pub directory: PathBuf,
    /// Type of its file system.
    pub kind: String,
}

impl Disk {
    /// Looks at a directory.
    ///
    /// # Errors
    /// When it lies in memory.
    pub fn at(directory: &Path) -> Result<Self> {
        let directory =
            directory.canonicalize().with_context(|| directory.display().to_string())?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let kind = kind(&mounts, &directory)
            .ok_or_else(|| io::Error::other("no file system in /proc/self/mountinfo"))?;
        ensure!(
            !IN_MEMORY.contains(&kind.as_str()),
            "{} is a {kind}; choose a directory on a disk with --disk",
            directory.display()
        );
        Ok(Self { directory, kind })
    }
}

/// Type of the file system whose mount point is the longest part of the path; of several there, the last one hides the others.
fn kind(mounts: &str, path: &Path) -> Option<String> {
    let fields = |line: &str| -> Option<(PathBuf, String)> {
        let (mount, about) = line.split_once(" - ")?;
        Some((mount.split(' ').nth(4)?.into(), about.split(' ').next()?.to_owned()))
    };
    let above = mounts.lines().filter_map(fields).filter(|(point, _)| path.starts_with(point));
    above.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::kind;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /dev/shm rw shared:1 - tmpfs tmpfs rw\n\
                      3 1 8:2 / /data rw - ext4 /dev/b rw\n4 3 8:3 / /data rw - xfs /dev/c rw\n";
        let of = |path| kind(mounts, Path::new(path));
        assert_eq!(of("/tmp/x").as_deref(), Some("ext4"));
        assert_eq!(of("/dev/shm/x").as_deref(), Some("tmpfs"));
        assert_eq!(of("/data/x").as_deref(), Some("xfs"));
        assert_eq!(kind("", Path::new("/")), None);
    }
}
