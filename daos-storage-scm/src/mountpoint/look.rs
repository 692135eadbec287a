//! What is at the path of a mount point: nothing, a directory, a mount, or something unusable.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use daos_blockdev::{DeviceNumber, MountEntry, mounts};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::ScmError;
use crate::error::SystemCause;
use crate::model::{
    DirectoryFacts, Entries, FoundAt, MountFacts, MountPointState, MountUsage, ParentFacts,
};
use crate::plan::ERASE_MARK;

/// A directory held open without following a link at its own name, and which object it is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) fd: OwnedFd,
    pub(crate) found: FoundAt,
}

/// Looks at `path`. Nothing there, a link and the like are observations; only a broken mount table is an error.
pub(crate) fn look(path: &Path) -> Result<MountPointState, ScmError> {
    let Some(resolved) = resolve_parent(path) else {
        return Ok(MountPointState::Missing { parent: nearest_parent(path)? });
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(CWD, &resolved, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => {
            return Ok(MountPointState::Missing { parent: nearest_parent(path)? });
        }
        Err(errno) => return Ok(unreadable("open", errno)),
    };
    let kind = match rustix::fs::fstat(&fd) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(errno) => return Ok(unreadable("stat", errno)),
    };
    match kind {
        FileType::Directory => directory(&resolved),
        FileType::Symlink => Ok(MountPointState::Symlink {
            to: fs::read_link(&resolved)
                .map_or_else(|_| "somewhere".to_owned(), |to| to.display().to_string()),
        }),
        other => Ok(MountPointState::NotADirectory { kind: describe(other).to_owned() }),
    }
}

/// Opens the directory at `path`, which must not be a link.
pub(crate) fn open(path: &Path) -> Result<Opened, ScmError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolved = resolve_parent(path).unwrap_or_else(|| path.to_owned());
    let fd = rustix::fs::openat(CWD, &resolved, flags, Mode::empty())
        .map_err(|errno| denied_or_system(path, "open", errno))?;
    let found = identify(&fd).map_err(|errno| ScmError::system("look at", path, errno))?;
    Ok(Opened { fd, found })
}

/// Size and free bytes of the file system that `path` lies on.
pub(crate) fn usage(path: &Path) -> Result<MountUsage, ScmError> {
    let facts = rustix::fs::statvfs(path)
        .map_err(|errno| ScmError::system("ask for the size of", path, errno))?;
    Ok(MountUsage {
        path: path.to_owned(),
        total_bytes: facts.f_blocks.saturating_mul(facts.f_frsize),
        avail_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
    })
}

/// 105 for a missing right, 1214 for anything else.
pub(crate) fn denied_or_system(path: &Path, action: &'static str, errno: Errno) -> ScmError {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            ScmError::PathDenied { path: path.to_owned(), action: action.to_owned(), source: errno }
        }
        _ => ScmError::system(action, path, errno),
    }
}

/// Which object a descriptor is, and through which mount it was reached.
pub(crate) fn identify(fd: impl AsFd) -> rustix::io::Result<FoundAt> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let facts = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted)?;
    Ok(FoundAt {
        device: DeviceNumber { major: facts.stx_dev_major, minor: facts.stx_dev_minor },
        inode: facts.stx_ino,
        mount_id: facts.stx_mnt_id,
    })
}

/// The path with links in its parents resolved; `None` when its parent does not exist.
pub(super) fn resolve_parent(path: &Path) -> Option<PathBuf> {
    let parent = fs::canonicalize(path.parent()?).ok()?;
    Some(parent.join(path.file_name()?))
}

fn nearest_parent(path: &Path) -> Result<ParentFacts, ScmError> {
    let table = mounts()?;
    for (distance, above) in path.ancestors().skip(1).enumerate() {
        let Ok(resolved) = fs::canonicalize(above) else { continue };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &resolved, flags, Mode::empty())
            .map_err(|errno| denied_or_system(&resolved, "open", errno))?;
        let found = identify(&fd).map_err(|errno| ScmError::system("look at", above, errno))?;
        let mount = entry_of(&table, found.mount_id, &resolved)?;
        return Ok(ParentFacts {
            direct: distance == 0,
            fs_type: mount.fs_type.clone(),
            is_mount_point: mount.mount_point == resolved,
            path: resolved.display().to_string(),
        });
    }
    Err(ScmError::system("find a directory above", path, Errno::NOENT))
}

fn directory(resolved: &Path) -> Result<MountPointState, ScmError> {
    let opened = match open(resolved) {
        Ok(opened) => opened,
        Err(ScmError::PathDenied { source, .. }) => return Ok(unreadable("open", source)),
        Err(error) => return Err(error),
    };
    let table = mounts()?;
    let mount = entry_of(&table, opened.found.mount_id, resolved)?;
    let (entries, erasing) = match list(&opened, &mount.fs_type) {
        Ok(listed) => listed,
        Err(errno) => return Ok(unreadable("list", errno)),
    };
    let mounts_below = below(&table, mount.id, resolved);
    let path = resolved.display().to_string();
    let found = opened.found;
    if mount.mount_point != resolved {
        let fs_type = mount.fs_type.clone();
        let facts = DirectoryFacts { found, path, fs_type, entries, erasing, mounts_below };
        return Ok(MountPointState::Directory(facts));
    }
    let size = rustix::fs::fstatvfs(&opened.fd)
        .map_err(|errno| ScmError::system("ask for the size of", resolved, errno))?;
    let mut options = mount.options.clone();
    options.extend(mount.super_options.iter().cloned());
    Ok(MountPointState::MountPoint(MountFacts {
        found,
        path,
        fs_type: mount.fs_type.clone(),
        source: mount.source.to_string_lossy().into_owned(),
        device: mount.device,
        whole: mount.root == Path::new("/"),
        options: options.join(","),
        size_bytes: size.f_blocks.saturating_mul(size.f_frsize),
        stacked: stacked(&table, mount),
        entries,
        erasing,
        mounts_below,
    }))
}

/// The mount with this id. A kernel that tells no id (before 5.8) is answered by path.
fn entry_of<'a>(table: &'a [MountEntry], id: u64, path: &Path) -> Result<&'a MountEntry, ScmError> {
    table
        .iter()
        .find(|entry| id != 0 && entry.id == id)
        .or_else(|| {
            let covers = |entry: &&MountEntry| path.starts_with(&entry.mount_point);
            table
                .iter()
                .rev()
                .filter(covers)
                .max_by_key(|entry| entry.mount_point.as_os_str().len())
        })
        .ok_or_else(|| ScmError::system("find in the mount table", path, Errno::NOENT))
}

/// How many mounts are at this mount's path, it and those it covers.
fn stacked(table: &[MountEntry], top: &MountEntry) -> usize {
    let mut count = 1;
    let mut current = top;
    while let Some(covered) = table.iter().find(|entry| {
        entry.id == current.parent && entry.id != current.id && entry.mount_point == top.mount_point
    }) {
        count += 1;
        current = covered;
    }
    count
}

/// Mount points below `path` in the tree of the mount `id`; mounts hidden under another one do not count.
fn below(table: &[MountEntry], id: u64, path: &Path) -> Vec<String> {
    let descends = |entry: &MountEntry| {
        let mut current = entry;
        loop {
            if current.parent == id {
                return true;
            }
            match table.iter().find(|above| above.id == current.parent && above.id != current.id) {
                Some(above) => current = above,
                None => return false,
            }
        }
    };
    table
        .iter()
        .filter(|entry| entry.mount_point != path && entry.mount_point.starts_with(path))
        .filter(|entry| descends(entry))
        .map(|entry| entry.mount_point.display().to_string())
        .collect()
}

/// Names in the directory, and whether the mark of an erase is among them.
fn list(opened: &Opened, fs_type: &str) -> rustix::io::Result<(Entries, bool)> {
    let mut names = Vec::new();
    let mut erasing = false;
    for entry in Dir::read_from(&opened.fd)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            "." | ".." => {}
            ERASE_MARK => erasing = true,
            "lost+found" if fs_type.starts_with("ext") => {}
            _ => names.push(name),
        }
    }
    Ok((Entries::new(names), erasing))
}

fn unreadable(action: &str, source: impl Into<SystemCause>) -> MountPointState {
    let errno = source.into().0;
    MountPointState::Unreadable { why: format!("{action}: {errno}"), errno: errno.raw_os_error() }
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::BlockDevice => "a block device",
        FileType::CharacterDevice => "a character device",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        _ => "no directory",
    }
}
