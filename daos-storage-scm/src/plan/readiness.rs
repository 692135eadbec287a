//! Condenses an observation for the start table: reachable, mountable, blank or unusable.

use super::dcpm::{is_own, present, refuse_used};
use super::{dcpm, place};
use crate::model::{
    DeviceContent, DeviceState, Medium, MountPointState, ScmForm, ScmObserved, ScmReadiness,
    ScmTarget,
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

fn dcpm(device: &std::path::Path, at: &MountPointState, state: &DeviceState) -> ScmReadiness {
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
