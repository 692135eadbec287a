//! Rules about the path of the mount point, the same for every class, and its description in words.

use rustix::io::Errno;

use crate::ScmError;
use crate::model::{DeviceContent, DeviceState, Medium, MountPointState, ScmObserved, ScmTarget};

/// Refuses paths that no class can use, whatever is intended.
pub(super) fn usable(at: &MountPointState, target: &ScmTarget) -> Result<(), ScmError> {
    let path = target.mount_point().to_owned();
    let unsuitable = |why: String| Err(ScmError::UnsuitablePath { path: path.clone(), why });
    match at {
        MountPointState::Symlink { to } => {
            unsuitable(format!("it is a symbolic link to {}", to.escape_debug()))
        }
        MountPointState::NotADirectory { kind } => unsuitable(format!("it is {kind}")),
        MountPointState::Unreadable { why, errno } => {
            let source = Errno::from_raw_os_error(*errno);
            match source {
                Errno::ACCESS | Errno::PERM => {
                    Err(ScmError::PathDenied { path, action: "read".to_owned(), source })
                }
                _ => unsuitable(why.clone()),
            }
        }
        MountPointState::MountPoint(mount) if mount.stacked > 1 => Err(ScmError::TargetMounted {
            mount_point: path,
            what: format!("{} file systems are mounted there over each other", mount.stacked),
        }),
        MountPointState::MountPoint(mount) => none_below(target, &mount.mounts_below),
        MountPointState::Directory(directory) => none_below(target, &directory.mounts_below),
        MountPointState::Missing { .. } => Ok(()),
    }
}

fn none_below(target: &ScmTarget, mounts: &[String]) -> Result<(), ScmError> {
    if mounts.is_empty() {
        return Ok(());
    }
    let path = target.mount_point().to_owned();
    let why = format!("something is mounted below it: {}", mounts.join(", "));
    Err(ScmError::UnsuitablePath { path, why })
}

/// The mount point's state in words.
pub(super) fn describe(at: &MountPointState) -> String {
    match at {
        MountPointState::Missing { parent } => format!("missing below {}", parent.path),
        MountPointState::Directory(directory) => {
            format!("directory on {} with {}", directory.fs_type, directory.entries)
        }
        MountPointState::MountPoint(mount) if mount.fs_type == mount.source => {
            format!("{} with {}", mount.fs_type, mount.entries)
        }
        MountPointState::MountPoint(mount) => {
            format!("{} from {} with {}", mount.fs_type, mount.source, mount.entries)
        }
        MountPointState::Symlink { to } => format!("symbolic link to {}", to.escape_debug()),
        MountPointState::NotADirectory { kind } => kind.clone(),
        MountPointState::Unreadable { why, .. } => format!("unreadable: {why}"),
    }
}

/// What is on the device, in words.
pub(super) fn describe_content(content: &DeviceContent) -> String {
    match content {
        DeviceContent::Blank => "blank".to_owned(),
        DeviceContent::Ours { uuid } => format!("ext4 of DAOS, uuid {uuid}"),
        DeviceContent::Foreign { signature } => signature.clone(),
    }
}

fn describe_medium(medium: &Medium) -> String {
    match medium {
        Medium::Ram(ram) => format!("{ram:?}"),
        Medium::Dcpm(DeviceState::Present(device)) => format!(
            "{}, {}, {}",
            device.identity,
            describe_content(&device.content),
            if device.used_by.is_empty() && device.mounted_elsewhere.is_empty() {
                "not in use elsewhere"
            } else {
                "in use"
            },
        ),
        Medium::Dcpm(other) => format!("{other:?}"),
    }
}

/// Says what differs between two observations of one target.
pub(super) fn difference(planned: &ScmObserved, now: &ScmObserved) -> String {
    let mut parts = Vec::new();
    if planned.at != now.at {
        let (was, is) = (describe(&planned.at), describe(&now.at));
        parts.push(if was == is {
            format!("another file system object is at the mount point ({is})")
        } else {
            format!("the mount point was {was}, is {is}")
        });
    }
    if planned.medium != now.medium {
        let (was, is) = (describe_medium(&planned.medium), describe_medium(&now.medium));
        parts.push(if was == is {
            format!("the device is another one or was set up anew ({is})")
        } else {
            format!("the device was {was}, is {is}")
        });
    }
    parts.join("; ")
}
