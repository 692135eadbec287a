//! The steps that touch the device: wipe it under an exclusive claim, check what mkfs made, mount it.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use daos_blockdev::{DeviceIdentity, DeviceNumber, ExclusiveClaim, past_own_children, probe};
use rustix::io::Errno;

use super::observe::content_of;
use crate::ScmError;
use crate::model::{DeviceContent, DeviceFacts, DeviceState, FoundAt, Medium, ScmObserved};
use crate::mountpoint;
use crate::plan::{ScmPlan, has_dax};

/// A device held open for reading: whatever is renamed or plugged meanwhile, this stays the one that was
/// claimed and wiped.
#[derive(Debug)]
pub(super) struct PinnedDevice {
    device: File,
    identity: DeviceIdentity,
}

impl PinnedDevice {
    /// Opens anew the very device that `claim` holds. A copy of its descriptor would keep the claim alive.
    fn of(claim: &ExclusiveClaim) -> Result<Self, ScmError> {
        let held = format!("/proc/self/fd/{}", claim.as_fd().as_raw_fd());
        let identity = claim.identity().clone();
        let device =
            File::open(held).map_err(|error| ScmError::system("hold", &identity.path, error))?;
        Ok(Self { device, identity })
    }

    /// A path that leads a program to this open device, not to whatever has its name by then.
    pub(super) fn path_for_programs(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.device.as_raw_fd()).into()
    }
}

/// The device as the plan saw it.
pub(super) fn planned(plan: &ScmPlan) -> Result<&DeviceFacts, ScmError> {
    match &plan.observed().medium {
        Medium::Dcpm(DeviceState::Present(facts)) => Ok(facts),
        _ => Err(ScmError::Internal { what: "a plan without a device".to_owned() }),
    }
}

/// Number of the device that was observed, if there was one.
pub(super) fn number(observed: &ScmObserved) -> Option<DeviceNumber> {
    match &observed.medium {
        Medium::Dcpm(DeviceState::Present(facts)) => Some(facts.identity.number),
        _ => None,
    }
}

/// Claims the planned device, makes sure that it and what is on it are as planned, and erases every signature.
///
/// The claim ends with this call, since `mkfs.ext4` takes it for itself; the device stays pinned.
pub(super) fn wipe(plan: &ScmPlan) -> Result<PinnedDevice, ScmError> {
    let facts = planned(plan)?;
    let claim = ExclusiveClaim::take(&facts.identity)?;
    let pinned = PinnedDevice::of(&claim)?;
    let now = content_of(&probe(&pinned.device, &facts.identity.path)?);
    if now != facts.content {
        return Err(ScmError::PlanChanged {
            mount_point: plan.target().mount_point().to_owned(),
            why: format!(
                "{} held {:?}, holds {now:?}",
                facts.identity.path.display(),
                facts.content
            ),
        });
    }
    claim.erase()?;
    Ok(pinned)
}

/// Whether the planned device can be claimed by us, so that nobody else has it.
pub(super) fn is_free(plan: &ScmPlan) -> Result<(), ScmError> {
    ExclusiveClaim::take(&planned(plan)?.identity)?;
    Ok(())
}

/// Claims the device again and reads back what mkfs made: on the planned device, ours, and a new one.
pub(super) fn check_made(plan: &ScmPlan, pinned: &PinnedDevice) -> Result<(), ScmError> {
    let facts = planned(plan)?;
    let subject = facts.identity.path.display().to_string();
    let claim = ExclusiveClaim::take(&facts.identity)?;
    claim.recheck_identity(&facts.identity)?;
    let same = pinned
        .device
        .metadata()
        .map(|held| DeviceNumber::from_dev(held.rdev()) == pinned.identity.number)
        .map_err(|error| ScmError::system("look at", &facts.identity.path, error))?;
    let made = content_of(&probe(&pinned.device, &facts.identity.path)?);
    match (&made, &facts.content) {
        _ if !same => Err(ScmError::ReadBack {
            subject,
            why: "the device was exchanged while mkfs.ext4 ran".to_owned(),
        }),
        (DeviceContent::Ours { uuid: new }, DeviceContent::Ours { uuid: old }) if new == old => {
            Err(ScmError::ReadBack {
                subject,
                why: format!("it still holds the file system of before, uuid {old}"),
            })
        }
        (DeviceContent::Ours { .. }, _) => Ok(()),
        _ => Err(ScmError::ReadBack {
            subject,
            why: format!("it should hold ext4 labelled daos and holds {made:?}"),
        }),
    }
}

/// Mounts the device's ext4 with the flags of R125.
pub(super) fn mount(
    device: &Path,
    mount_point: &Path,
    options: &str,
    expected: Option<FoundAt>,
) -> Result<(), ScmError> {
    let data = CString::new(options)
        .map_err(|_| ScmError::system("mount ext4 on", mount_point, Errno::INVAL))?;
    mountpoint::mount_on(mount_point, expected, |held| {
        // A mount claims the device as we did.
        past_own_children(
            || rustix::mount::mount(device, held, "ext4", mountpoint::MOUNT_FLAGS, Some(&*data)),
            |errno| *errno == Errno::BUSY,
            || daos_blockdev::openers_of_device(daos_blockdev::identify(device)?.number),
        )
    })?
    .map_err(|errno| match errno {
        Errno::PERM | Errno::ACCESS => ScmError::MayNotMount {
            mount_point: mount_point.to_owned(),
            why: format!("mounting ext4: {errno}"),
        },
        Errno::BUSY => ScmError::InUse {
            device: device.to_owned(),
            users: vec!["it cannot be mounted, somebody has claimed it".to_owned()],
        },
        // The kernel's word for options that the device cannot fulfil.
        Errno::INVAL | Errno::OPNOTSUPP if has_dax(options) => {
            ScmError::NoDax { device: device.to_owned() }
        }
        _ => ScmError::system("mount ext4 on", mount_point, errno),
    })
}

/// A file system without a directory to mount it on is a condition of its own (106).
pub(super) fn no_directory(device: &Path, mount_point: &Path, error: ScmError) -> ScmError {
    let source = match error {
        ScmError::PathDenied { source, .. } | ScmError::System { source, .. } => source,
        other => return other,
    };
    let (device, mount_point) = (device.to_owned(), mount_point.to_owned());
    ScmError::NoMountDirectory { device, mount_point, source }
}
