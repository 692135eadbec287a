//! Erases what is inside a directory, for a reformat where nothing can be unmounted.
//!
//! A mark is left first and removed last, so that a directory half erased is known for one. Every name is
//! taken relative to an open directory; links are removed and never followed, and nothing below another mount
//! is touched (W1).

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::ScmError;
use crate::model::FoundAt;
use crate::mountpoint::{self, Opened};
use crate::plan::{ERASE_MARK, SUPERBLOCK_NAME};

/// Deeper trees are refused: no engine makes them, and each level costs an open descriptor.
const MAX_DEPTH: usize = 128;

/// Leaves the mark. Making it again is no error.
pub(super) fn mark(path: &Path, planned: Option<FoundAt>) -> Result<(), ScmError> {
    let root = open_planned(path, planned)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mark = rustix::fs::openat(&root.fd, ERASE_MARK, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| ScmError::system("mark for erasing", path, errno))?;
    rustix::fs::fsync(&mark)
        .and_then(|()| rustix::fs::fsync(&root.fd))
        .map_err(|errno| ScmError::system("mark for erasing", path, errno))
}

/// Removes everything, the superblock first and the mark last.
pub(super) fn content(path: &Path, planned: Option<FoundAt>) -> Result<(), ScmError> {
    let root = open_planned(path, planned)?;
    let eraser = Eraser { path, root: root.found };
    eraser.remove_if_there(&root.fd, SUPERBLOCK_NAME)?;
    eraser.empty(&root.fd, 0, Some(ERASE_MARK))?;
    eraser.remove_if_there(&root.fd, ERASE_MARK)?;
    rustix::fs::fsync(&root.fd).map_err(|errno| ScmError::system("erase", path, errno))
}

fn open_planned(path: &Path, planned: Option<FoundAt>) -> Result<Opened, ScmError> {
    let root = mountpoint::open(path)?;
    if Some(root.found) == planned {
        return Ok(root);
    }
    Err(ScmError::PlanChanged {
        mount_point: path.to_owned(),
        why: "another directory is at the mount point".to_owned(),
    })
}

struct Eraser<'a> {
    /// For errors only.
    path: &'a Path,
    /// Where the erase began: nothing on another file system or mount belongs to it.
    root: FoundAt,
}

impl Eraser<'_> {
    fn remove_if_there(&self, directory: &OwnedFd, name: &str) -> Result<(), ScmError> {
        let name = std::ffi::CString::new(name).map_err(|_| self.failed(Errno::INVAL))?;
        match rustix::fs::statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => self.remove(directory, &name, FileType::from_raw_mode(stat.st_mode), 0),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    /// Removes all entries but `keep`.
    fn empty(&self, directory: &OwnedFd, depth: usize, keep: Option<&str>) -> Result<(), ScmError> {
        // Names are collected first: a directory that shrinks while it is read may skip some.
        let mut entries = Vec::new();
        for entry in Dir::read_from(directory).map_err(|errno| self.failed(errno))? {
            let entry = entry.map_err(|errno| self.failed(errno))?;
            let name = entry.file_name();
            let is = |other: &str| name.to_bytes() == other.as_bytes();
            if !is(".") && !is("..") && !keep.is_some_and(is) {
                entries.push(name.to_owned());
            }
        }
        for name in entries {
            let stat = rustix::fs::statat(directory, &*name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| self.failed(errno))?;
            self.remove(directory, &name, FileType::from_raw_mode(stat.st_mode), depth)?;
        }
        Ok(())
    }

    fn remove(
        &self,
        directory: &OwnedFd,
        name: &CStr,
        kind: FileType,
        depth: usize,
    ) -> Result<(), ScmError> {
        if kind != FileType::Directory {
            return rustix::fs::unlinkat(directory, name, AtFlags::empty())
                .map_err(|errno| self.failed(errno));
        }
        if depth >= MAX_DEPTH {
            return Err(self.unsuitable(format!("it is more than {MAX_DEPTH} directories deep")));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = rustix::fs::openat(directory, name, flags, Mode::empty())
            .map_err(|errno| self.failed(errno))?;
        let found = mountpoint::identify(&inner).map_err(|errno| self.failed(errno))?;
        if (found.device, found.mount_id) != (self.root.device, self.root.mount_id) {
            return Err(self.unsuitable("something is mounted below it".to_owned()));
        }
        self.empty(&inner, depth + 1, None)?;
        drop(inner);
        rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)
            .map_err(|errno| self.failed(errno))
    }

    fn failed(&self, errno: Errno) -> ScmError {
        mountpoint::denied_or_system(self.path, "erase the content of", errno)
    }

    fn unsuitable(&self, why: String) -> ScmError {
        ScmError::UnsuitablePath { path: self.path.to_owned(), why }
    }
}
