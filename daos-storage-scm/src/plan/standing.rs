//! What may be mounted again, and what may be unmounted: the two moves outside a format.

use super::{ScmStep, dcpm, place, readiness};
use crate::ScmError;
use crate::model::{
    DeviceContent, DeviceState, Medium, MountPointState, ScmForm, ScmObserved, ScmReadiness,
    ScmTarget,
};

/// Steps that make what was formatted available again: none when it is, the mount when it must be mounted.
///
/// # Errors
/// [`ScmError::NotFormatted`] for what is blank, half erased or gone, otherwise the refusals of a plan.
pub(crate) fn remount(
    target: &ScmTarget,
    observed: &ScmObserved,
) -> Result<Option<ScmStep>, ScmError> {
    place::usable(&observed.at, target)?;
    match readiness(target, observed) {
        ScmReadiness::Reachable { form, .. } => {
            dax_in_force(target, observed, form)?;
            Ok(None)
        }
        ScmReadiness::NotFormatted => Err(ScmError::NotFormatted {
            engine: target.engine_index(),
            mount_point: target.mount_point().to_owned(),
            what: place::describe(&observed.at),
        }),
        ScmReadiness::Mountable => mount_step(target, observed).map(Some),
        ScmReadiness::Unusable { why } => Err(why_unusable(target, observed, why)),
    }
}

fn mount_step(target: &ScmTarget, observed: &ScmObserved) -> Result<ScmStep, ScmError> {
    let (Some(device), Medium::Dcpm(state)) = (target.device(), &observed.medium) else {
        return Err(ScmError::Internal { what: "only a device can be mounted again".to_owned() });
    };
    let facts = dcpm::present(device, state)?;
    dcpm::refuse_unmountable(target, device, facts)?;
    let (options, _) = dcpm::ext4_form(facts.dax);
    Ok(ScmStep::MountExt4 {
        device: device.to_owned(),
        mount_point: target.mount_point().to_owned(),
        options: options.to_owned(),
    })
}

fn dax_in_force(target: &ScmTarget, observed: &ScmObserved, form: ScmForm) -> Result<(), ScmError> {
    match (&observed.at, target.device()) {
        (MountPointState::MountPoint(mount), Some(device))
            if form == ScmForm::Ext4Dax && !dcpm::has_dax(&mount.options) =>
        {
            Err(ScmError::NoDax { device: device.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The error behind an `Unusable`, with its own number.
fn why_unusable(target: &ScmTarget, observed: &ScmObserved, why: String) -> ScmError {
    let path = target.mount_point().to_owned();
    match &observed.at {
        MountPointState::MountPoint(mount) => {
            let ours = match (&observed.medium, target.device()) {
                (Medium::Dcpm(DeviceState::Present(facts)), Some(_)) => dcpm::is_own(mount, facts),
                _ => false,
            };
            if !ours {
                return ScmError::TargetMounted { mount_point: path, what: why };
            }
        }
        MountPointState::Directory(directory) if !directory.entries.is_empty() => {
            return ScmError::HoldsContent { path, entries: directory.entries.clone() };
        }
        _ => {}
    }
    if let (Medium::Dcpm(state), Some(device)) = (&observed.medium, target.device()) {
        let facts = match dcpm::present(device, state) {
            Ok(facts) => facts,
            Err(error) => return error,
        };
        if let Err(error) = dcpm::refuse_used(device, facts) {
            return error;
        }
        if let DeviceContent::Foreign { signature } = &facts.content {
            let (device, signature) = (device.to_owned(), signature.clone());
            return ScmError::ForeignSignature { device, signature };
        }
    }
    ScmError::UnsuitablePath { path, why }
}

/// Whether something of this target is mounted at its mount point and may be taken off.
///
/// # Errors
/// [`ScmError::TargetMounted`] when what is mounted there is something else, and refusals of the path itself.
pub(crate) fn unmountable(target: &ScmTarget, observed: &ScmObserved) -> Result<bool, ScmError> {
    place::usable(&observed.at, target)?;
    let MountPointState::MountPoint(mount) = &observed.at else { return Ok(false) };
    let ours = match &observed.medium {
        Medium::Ram(_) => mount.fs_type == "tmpfs",
        Medium::Dcpm(DeviceState::Present(facts)) => dcpm::is_own(mount, facts),
        Medium::Dcpm(_) => false,
    };
    if ours {
        return Ok(true);
    }
    Err(ScmError::TargetMounted {
        mount_point: target.mount_point().to_owned(),
        what: format!("{} from {}, not ours to unmount", mount.fs_type, mount.source),
    })
}
