//! Condenses an observation for the start table: reachable, mountable, blank or unusable.

use std::path::Path;

use super::dcpm::{is_own, present, refuse_used};
use super::{dcpm, place};
use crate::ScmError;
use crate::model::{
    DeviceContent, DeviceState, Medium, MountFacts, MountPointState, ScmForm, ScmObserved,
    ScmReadiness, ScmTarget,
};

pub(crate) fn readiness(target: &ScmTarget, observed: &ScmObserved) -> ScmReadiness {
    if let Err(error) = place::usable(&observed.at, target) {
        return ScmReadiness::Unusable { why: error.to_string() };
    }
    match (&observed.medium, target.device()) {
        (Medium::Ram(_), None) => ram_readiness(&observed.at),
        (Medium::Dcpm(state), Some(device)) => dcpm(device, &observed.at, state),
        _ => ScmReadiness::Unusable { why: "observation is of another class".to_owned() },
    }
}

/// What can be done with the path of a class ram target.
pub(crate) fn ram_readiness(at: &MountPointState) -> ScmReadiness {
    match at {
        MountPointState::MountPoint(mount) if mount.fs_type != "tmpfs" => ScmReadiness::Unusable {
            why: format!("{} is mounted there, not a tmpfs", mount.fs_type),
        },
        MountPointState::MountPoint(mount) if mount.erasing => ScmReadiness::NotFormatted,
        MountPointState::MountPoint(mount) => {
            ScmReadiness::Reachable { form: ScmForm::Tmpfs, entries: mount.entries.clone() }
        }
        MountPointState::Directory(directory) if directory.fs_type != "tmpfs" => {
            match directory.entries.is_empty() {
                true => ScmReadiness::NotFormatted,
                false => ScmReadiness::Unusable {
                    why: format!("not mounted, and its directory holds {}", directory.entries),
                },
            }
        }
        MountPointState::Directory(directory) if directory.erasing => ScmReadiness::NotFormatted,
        MountPointState::Directory(directory) => {
            ScmReadiness::Reachable { form: ScmForm::Directory, entries: directory.entries.clone() }
        }
        MountPointState::Missing { .. } => ScmReadiness::NotFormatted,
        other => ScmReadiness::Unusable { why: place::describe(other) },
    }
}

/// The error that says what is mounted at the mount point in the place of what is configured. `None` when it is what is configured,
/// when nothing is mounted, and when the configured device may not be looked at, which then tells nothing.
pub(crate) fn mounted_instead(target: &ScmTarget, observed: &ScmObserved) -> Option<ScmError> {
    let MountPointState::MountPoint(mount) = &observed.at else { return None };
    let wanted = match (&observed.medium, target.device()) {
        (Medium::Ram(_), None) if mount.fs_type != "tmpfs" => "not a tmpfs".to_owned(),
        (Medium::Dcpm(state), Some(device)) if is_other(mount, device, state) => {
            format!("not the configured device {}", device.display())
        }
        _ => return None,
    };
    Some(ScmError::TargetMounted {
        mount_point: target.mount_point().to_owned(),
        what: format!("{} from {}, {wanted}", mount.fs_type, mount.source),
    })
}

fn is_other(mount: &MountFacts, device: &Path, state: &DeviceState) -> bool {
    match state {
        DeviceState::Present(facts) => mount.device != facts.identity.number,
        // Its node may be gone while its file system is still mounted.
        DeviceState::Missing | DeviceState::NotABlockDevice { .. } => {
            Path::new(&mount.source) != device
        }
        DeviceState::Unreadable { .. } => mount.fs_type != "ext4",
    }
}

fn dcpm(device: &Path, at: &MountPointState, state: &DeviceState) -> ScmReadiness {
    let facts = match present(device, state) {
        Ok(facts) => facts,
        Err(error) => return ScmReadiness::Unusable { why: error.to_string() },
    };
    match at {
        MountPointState::MountPoint(mount) if is_own(mount, facts) => {
            let (_, form) = dcpm::ext4_form(facts.dax);
            return ScmReadiness::Reachable { form, entries: mount.entries.clone() };
        }
        MountPointState::MountPoint(mount) => {
            let why = format!("{} from {} is mounted there", mount.fs_type, mount.source);
            return ScmReadiness::Unusable { why };
        }
        MountPointState::Directory(directory) if !directory.entries.is_empty() => {
            let why = format!("not mounted, and its directory holds {}", directory.entries);
            return ScmReadiness::Unusable { why };
        }
        _ => {}
    }
    if let Err(error) = refuse_used(device, facts) {
        return ScmReadiness::Unusable { why: error.to_string() };
    }
    match &facts.content {
        DeviceContent::Ours { .. } => ScmReadiness::Mountable,
        DeviceContent::Blank => ScmReadiness::NotFormatted,
        DeviceContent::Foreign { signature } => {
            ScmReadiness::Unusable { why: format!("{} holds {signature}", device.display()) }
        }
    }
}
