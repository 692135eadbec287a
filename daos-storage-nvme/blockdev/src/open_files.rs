//! Which processes have any of many files open or mapped: one walk over `/proc`, however many files there are. Called where files are
//! removed that programs left behind. Must not signal anybody.
//!
//! As everywhere, processes come and go meanwhile, and a plain user does not see into those of others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::holders::{self, ProcessRef};
use crate::{BlockdevError, DeviceNumber};

/// Which file it is, as long as it exists: a name may be given to another one at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    /// File system.
    pub file_system: DeviceNumber,
    /// Inode.
    pub inode: u64,
}

impl FileId {
    /// The file at a path itself: a link is not followed.
    ///
    /// # Errors
    /// [`BlockdevError::NotFound`] when there is nothing; others as the system tells them.
    pub fn at(path: &Path) -> Result<Self, BlockdevError> {
        Self::look(path, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| BlockdevError::from_io(path, "look at the file", error))
    }

    fn look(path: &Path, flags: AtFlags) -> rustix::io::Result<Self> {
        // Without the sync a dead network file system elsewhere does not make this hang.
        let facts = statx(CWD, path, flags | AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
        let file_system = DeviceNumber { major: facts.stx_dev_major, minor: facts.stx_dev_minor };
        Ok(Self { file_system, inode: facts.stx_ino })
    }
}

/// Processes that have any of the files open or mapped, and which; this one among them.
///
/// # Errors
/// `/proc` cannot be read.
pub fn users_of_files(
    files: &BTreeSet<FileId>,
) -> Result<Vec<(ProcessRef, BTreeSet<FileId>)>, BlockdevError> {
    let mut found = Vec::new();
    if files.is_empty() {
        return Ok(found);
    }
    for directory in holders::process_dirs()? {
        // In this order: who maps a file and then closes it is seen by the one or by the other.
        let mut used: BTreeSet<FileId> = open(&directory).filter(|id| files.contains(id)).collect();
        used.extend(mapped(&directory).into_iter().filter(|id| files.contains(id)));
        if !used.is_empty()
            && let Some(process) = holders::process(&directory)
        {
            found.push((process, used));
        }
    }
    Ok(found)
}

fn open(process: &Path) -> impl Iterator<Item = FileId> + use<> {
    let entries = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter_map(|path: PathBuf| FileId::look(&path, AtFlags::empty()).ok())
}

fn mapped(process: &Path) -> Vec<FileId> {
    let maps = fs::read(process.join("maps")).unwrap_or_default();
    String::from_utf8_lossy(&maps).lines().filter_map(holders::mapped_file).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn every_user_of_any_file_is_found_in_one_walk_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["open", "held by this process", "unused"] {
            fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(at("open"), at("link")).unwrap();
        let id = |name: &str| FileId::at(&at(name)).unwrap();
        assert_ne!(id("link"), id("open"));
        let input = File::open(at("open")).unwrap();
        let mut child =
            std::process::Command::new("sleep").arg("600").stdin(input).spawn().unwrap();
        let held = File::open(at("held by this process")).unwrap();
        let names = ["open", "held by this process", "unused", "link"];
        let users = users_of_files(&names.iter().map(|name| id(name)).collect());
        child.kill().unwrap();
        child.wait().unwrap();
        drop(held);
        let users = users.unwrap();
        let of = |pid: u32| users.iter().find(|(process, _)| process.pid == pid).unwrap().1.clone();
        assert_eq!(of(child.id()), BTreeSet::from([id("open")]));
        assert_eq!(of(std::process::id()), BTreeSet::from([id("held by this process")]));
        assert!(users_of_files(&BTreeSet::new()).unwrap().is_empty());
    }

    #[test]
    fn what_is_mapped_and_closed_is_found_by_its_line() {
        let line = "7f00-7f01 rw-s 00000000 00:2b 4711      /dev/hugepages/spdk_pid5map_0";
        let file_system = DeviceNumber { major: 0, minor: 0x2b };
        assert_eq!(holders::mapped_file(line), Some(FileId { file_system, inode: 4711 }));
        assert_eq!(
            holders::mapped_file("7f00-7f01 rw-p 00000000 00:00 0 [heap]").unwrap().inode,
            0
        );
        assert_eq!(holders::mapped_file("nonsense"), None);
    }
}
