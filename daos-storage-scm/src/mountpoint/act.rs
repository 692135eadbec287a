//! What is done to a mount point: make its directory, mount on it, give it to its owner, unmount it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use daos_blockdev::{holders_of_mount, past_own_children};
use rustix::fs::{CWD, Gid, Mode, Uid};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::look::{denied_or_system, open, resolve_parent};
use crate::ScmError;
use crate::error::SystemCause;
use crate::model::{FoundAt, MountPointState, Owner, Unmounted};

/// Mode of the root of an engine's storage (R129).
const ROOT_MODE: u32 = 0o700;

/// Makes the directory with mode 0700, and missing ones above it with 0755 (E1); durable where the file
/// system is.
pub(crate) fn create_directory(path: &Path) -> Result<(), ScmError> {
    let cannot = |errno: Errno| denied_or_system(path, "create", errno);
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)
        .map_err(|error| cannot(SystemCause::from(error).0))?;
    rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(ROOT_MODE)).map_err(cannot)?;
    sync_directory(parent)
}

/// Mounts on the directory that is at `path` now, held by a descriptor so that no link put there meanwhile is
/// followed; `expected` is the directory that was planned for, where there was one.
pub(crate) fn mount_on(
    path: &Path,
    expected: Option<FoundAt>,
    mount: impl FnOnce(&Path) -> rustix::io::Result<()>,
) -> Result<rustix::io::Result<()>, ScmError> {
    let directory = open(path)?;
    if let Some(expected) = expected
        && directory.found != expected
    {
        return Err(ScmError::PlanChanged {
            mount_point: path.to_owned(),
            why: "another directory is at the mount point".to_owned(),
        });
    }
    let held = format!("/proc/self/fd/{}", directory.fd.as_fd().as_raw_fd());
    Ok(mount(Path::new(&held)))
}

/// Mount flags of every SCM (R125): no access times, no set-user-id, no devices, no programs.
pub(crate) const MOUNT_FLAGS: MountFlags = MountFlags::NOATIME
    .union(MountFlags::NOSUID)
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Gives the directory to its owner with mode 0700 and reads both back (R129).
pub(crate) fn set_owner(path: &Path, owner: Owner) -> Result<(), ScmError> {
    let directory = open(path)?;
    let stat = rustix::fs::fstat(&directory.fd)
        .map_err(|errno| ScmError::system("look at", path, errno))?;
    if (stat.st_uid, stat.st_gid) != (owner.uid, owner.gid) {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::fchown(&directory.fd, Some(uid), Some(gid)).map_err(|errno| {
            ScmError::PathDenied {
                path: path.to_owned(),
                action: format!("set owner {}:{} of", owner.uid, owner.gid),
                source: errno,
            }
        })?;
    }
    rustix::fs::fchmod(&directory.fd, Mode::from_raw_mode(ROOT_MODE))
        .map_err(|errno| denied_or_system(path, "set mode 0700 of", errno))?;
    rustix::fs::fsync(&directory.fd)
        .map_err(|errno| ScmError::system("make durable", path, errno))?;
    check_owner(&directory.fd, path, owner)
}

/// Reads owner and mode back.
pub(super) fn check_owner(fd: impl AsFd, path: &Path, owner: Owner) -> Result<(), ScmError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| ScmError::system("look at", path, errno))?;
    let mode = stat.st_mode & 0o7777;
    if (stat.st_uid, stat.st_gid, mode) == (owner.uid, owner.gid, ROOT_MODE) {
        return Ok(());
    }
    Err(ScmError::ReadBack {
        subject: path.display().to_string(),
        why: format!(
            "owner and mode are {}:{} {mode:04o}, expected {}:{} {ROOT_MODE:04o}",
            stat.st_uid, stat.st_gid, owner.uid, owner.gid
        ),
    })
}

/// Unmounts plainly (never lazily or by force); what is not mounted counts as done (E2).
///
/// `expected` is the mount that was planned for.
pub(crate) fn unmount(path: &Path, expected: FoundAt) -> Result<Unmounted, ScmError> {
    let Some(resolved) = resolve_parent(path) else { return Ok(Unmounted::WasNotMounted) };
    let now = open(path)?.found;
    if now != expected {
        return Err(ScmError::PlanChanged {
            mount_point: path.to_owned(),
            why: "something else is mounted there by now".to_owned(),
        });
    }
    let unmounted = past_own_children(
        || rustix::mount::unmount(&resolved, UnmountFlags::NOFOLLOW),
        |errno| *errno == Errno::BUSY,
        || holders_of_mount(path),
    );
    match unmounted {
        Ok(()) => still_mounted(path, expected),
        Err(Errno::BUSY) => {
            Err(ScmError::Busy { mount_point: path.to_owned(), holders: holders_of_mount(path)? })
        }
        Err(Errno::PERM | Errno::ACCESS) => Err(ScmError::MayNotMount {
            mount_point: path.to_owned(),
            why: "unmounting it was not permitted".to_owned(),
        }),
        Err(errno) => Err(ScmError::system("unmount", path, errno)),
    }
}

/// Refuses a mount that a plain unmount would find busy; what is not mounted is free.
pub(crate) fn require_free(path: &Path) -> Result<(), ScmError> {
    match holders_of_mount(path)? {
        holders if holders.is_empty() => Ok(()),
        holders => Err(ScmError::Busy { mount_point: path.to_owned(), holders }),
    }
}

fn still_mounted(path: &Path, was: FoundAt) -> Result<Unmounted, ScmError> {
    match super::look(path)? {
        MountPointState::MountPoint(mount) if mount.found.mount_id == was.mount_id => {
            Err(ScmError::ReadBack {
                subject: path.display().to_string(),
                why: "it is still mounted after an unmount that succeeded".to_owned(),
            })
        }
        _ => Ok(Unmounted::Done),
    }
}

fn sync_directory(path: &Path) -> Result<(), ScmError> {
    let directory = fs::File::open(path)
        .map_err(|error| denied_or_system(path, "open", SystemCause::from(error).0))?;
    directory.sync_all().map_err(|error| ScmError::system("make durable", path, error))
}
