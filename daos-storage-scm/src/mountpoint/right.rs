//! Whether this process may mount: found by trying, since neither uid nor capabilities tell (R117).

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, UnmountFlags};

use super::act::MOUNT_FLAGS;
use crate::model::MountRight;

/// Mounts one page of tmpfs on a private directory, and takes it off again.
pub(crate) fn may_mount_tmpfs() -> MountRight {
    let scratch = match Scratch::new() {
        Ok(scratch) => scratch,
        Err(why) => return MountRight::Refused { why },
    };
    let data = Some(c"size=4k,mode=0700");
    match rustix::mount::mount("tmpfs", &scratch.0, "tmpfs", MOUNT_FLAGS, data) {
        Ok(()) => {
            if rustix::mount::unmount(&scratch.0, UnmountFlags::NOFOLLOW).is_err() {
                // Nobody but this function knows the place, so nobody's data can be in it.
                let _ = rustix::mount::unmount(
                    &scratch.0,
                    UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
                );
            }
            MountRight::Allowed
        }
        Err(errno) => MountRight::Refused { why: format!("mounting a tmpfs: {errno}") },
    }
}

/// Asks the kernel for an ext4 without naming a device: it says whether this process may before it says what
/// is missing, and nothing is mounted in either case.
pub(crate) fn may_mount_ext4() -> MountRight {
    let refused = |errno: Errno| MountRight::Refused { why: format!("mounting ext4: {errno}") };
    let context = match rustix::mount::fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(context) => context,
        // An old kernel has no such call; a tmpfs answers nearly the same question.
        Err(Errno::NOSYS) => return may_mount_tmpfs(),
        Err(errno) => return refused(errno),
    };
    match rustix::mount::fsconfig_create(&context) {
        Err(errno @ (Errno::PERM | Errno::ACCESS)) => refused(errno),
        _ => MountRight::Allowed,
    }
}

/// A private directory, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let name = format!("daos-scm-{}", uuid::Uuid::new_v4().simple());
        let mut why = String::new();
        for parent in [std::env::temp_dir().as_path(), Path::new("/run"), Path::new("/dev/shm")] {
            let path = parent.join(&name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => why = format!("no directory to try a mount in: {error}"),
            }
        }
        Err(why)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
