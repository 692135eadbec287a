//! Rules of class dcpm: one block device with ext4 on it.

use std::path::Path;

use rustix::io::Errno;

use super::{DAX_OPTIONS, Draft, Intent, NO_DAX_OPTIONS, ScmStep, Wish, place};
use crate::ScmError;
use crate::model::{
    Dax, DeviceContent, DeviceFacts, DeviceState, MountFacts, MountPointState, MountRight, ScmForm,
    ScmTarget,
};

pub(super) fn decide(
    wish: Wish<'_>,
    device: &Path,
    at: &MountPointState,
    state: &DeviceState,
) -> Result<Draft, ScmError> {
    if wish.intent == Intent::Plain
        && wish.facts.superblock_seen
        && matches!(at, MountPointState::MountPoint(_))
    {
        return Err(wish.already_formatted("superblock present"));
    }
    let facts = present(device, state)?;
    let own = own_mount(wish, at, facts)?;
    refuse_used(device, facts)?;
    if own.is_none() && wish.intent == Intent::Plain {
        refuse_content(wish, device, facts)?;
    }
    wish.refuse_running()?;
    refuse_unmountable(wish.target, device, facts)?;
    match (own, wish.intent) {
        (Some(mount), Intent::Plain) => adopt(wish, device, mount, facts),
        (own, _) => Ok(make(wish, device, at, own, facts)),
    }
}

/// Data options and form for a device with these facts.
pub(crate) fn ext4_form(dax: Dax) -> (&'static str, ScmForm) {
    match dax {
        Dax::LoopStandIn => (NO_DAX_OPTIONS, ScmForm::Ext4NoDax),
        Dax::Offered | Dax::Missing => (DAX_OPTIONS, ScmForm::Ext4Dax),
    }
}

/// Whether options in force include direct access.
pub(crate) fn has_dax(options: &str) -> bool {
    options.split(',').any(|option| option == "dax" || option == "dax=always")
}

pub(super) fn present<'a>(
    device: &Path,
    state: &'a DeviceState,
) -> Result<&'a DeviceFacts, ScmError> {
    let device = device.to_owned();
    match state {
        DeviceState::Missing => Err(ScmError::DeviceMissing { device }),
        DeviceState::NotABlockDevice { kind } => {
            Err(ScmError::NotABlockDevice { device, kind: kind.clone() })
        }
        DeviceState::Unreadable { errno, .. } => Err(ScmError::PathDenied {
            path: device,
            action: "read".to_owned(),
            source: Errno::from_raw_os_error(*errno),
        }),
        DeviceState::Present(facts) => Ok(facts),
    }
}

/// The mount of this very device at this very mount point, if that is how it is; refuses every other
/// occupant of the path.
fn own_mount<'a>(
    wish: Wish<'_>,
    at: &'a MountPointState,
    facts: &DeviceFacts,
) -> Result<Option<&'a MountFacts>, ScmError> {
    match at {
        MountPointState::MountPoint(mount) if is_own(mount, facts) => Ok(Some(mount)),
        MountPointState::MountPoint(mount) => Err(ScmError::TargetMounted {
            mount_point: wish.target.mount_point().to_owned(),
            what: format!(
                "{} from {}, not the configured device {}",
                mount.fs_type,
                mount.source,
                facts.identity.path.display()
            ),
        }),
        // A mount over these files would hide them, and they are not ours to remove (W1).
        MountPointState::Directory(directory) if !directory.entries.is_empty() => {
            Err(ScmError::HoldsContent {
                path: wish.target.mount_point().to_owned(),
                entries: directory.entries.clone(),
            })
        }
        MountPointState::Directory(_) | MountPointState::Missing { .. } => Ok(None),
        MountPointState::Symlink { .. }
        | MountPointState::NotADirectory { .. }
        | MountPointState::Unreadable { .. } => Err(ScmError::UnsuitablePath {
            path: wish.target.mount_point().to_owned(),
            why: place::describe(at),
        }),
    }
}

pub(super) fn is_own(mount: &MountFacts, facts: &DeviceFacts) -> bool {
    mount.device == facts.identity.number && mount.whole
}

/// In use is refused whatever is intended (E3, R128).
pub(super) fn refuse_used(device: &Path, facts: &DeviceFacts) -> Result<(), ScmError> {
    if !facts.mounted_elsewhere.is_empty() {
        return Err(ScmError::DeviceMounted {
            device: device.to_owned(),
            at: facts.mounted_elsewhere.join(", "),
        });
    }
    if !facts.used_by.is_empty() {
        return Err(ScmError::InUse { device: device.to_owned(), users: facts.used_by.clone() });
    }
    Ok(())
}

fn refuse_content(wish: Wish<'_>, device: &Path, facts: &DeviceFacts) -> Result<(), ScmError> {
    match &facts.content {
        DeviceContent::Blank => Ok(()),
        DeviceContent::Ours { uuid } => {
            Err(wish
                .already_formatted(format!("{} holds ext4 of DAOS, uuid {uuid}", device.display())))
        }
        DeviceContent::Foreign { signature } => Err(ScmError::ForeignSignature {
            device: device.to_owned(),
            signature: signature.clone(),
        }),
    }
}

pub(super) fn refuse_unmountable(
    target: &ScmTarget,
    device: &Path,
    facts: &DeviceFacts,
) -> Result<(), ScmError> {
    if facts.dax == Dax::Missing {
        return Err(ScmError::NoDax { device: device.to_owned() });
    }
    match &facts.may_mount {
        MountRight::Allowed => Ok(()),
        MountRight::Refused { why } => Err(ScmError::MayNotMount {
            mount_point: target.mount_point().to_owned(),
            why: why.clone(),
        }),
    }
}

/// Takes over our own file system, mounted and empty: what an interrupted format left (W5, W46).
fn adopt(
    wish: Wish<'_>,
    device: &Path,
    mount: &MountFacts,
    facts: &DeviceFacts,
) -> Result<Draft, ScmError> {
    if let DeviceContent::Foreign { .. } | DeviceContent::Blank = facts.content {
        return Err(ScmError::ForeignSignature {
            device: device.to_owned(),
            signature: format!("a mounted {}", place::describe_content(&facts.content)),
        });
    }
    if !mount.entries.only(&wish.facts.leftovers) {
        let path = wish.target.mount_point().to_owned();
        return Err(ScmError::HoldsContent { path, entries: mount.entries.clone() });
    }
    let (_, form) = ext4_form(facts.dax);
    if form == ScmForm::Ext4Dax && !has_dax(&mount.options) {
        return Err(ScmError::NoDax { device: device.to_owned() });
    }
    Ok(Draft {
        form,
        identity: facts.identity.to_string(),
        content: format!(
            "{}, mounted with {}",
            place::describe_content(&facts.content),
            mount.entries
        ),
        steps: wish.own_and_verify().into(),
        destroys: Vec::new(),
        notices: notices(form),
    })
}

fn make(
    wish: Wish<'_>,
    device: &Path,
    at: &MountPointState,
    own: Option<&MountFacts>,
    facts: &DeviceFacts,
) -> Draft {
    let (options, form) = ext4_form(facts.dax);
    let mount_point = wish.target.mount_point().to_owned();
    let mut steps = Vec::new();
    if own.is_some() {
        let mount_point = mount_point.clone();
        steps.push(ScmStep::Unmount { mount_point, loses_content: false });
    }
    if matches!(at, MountPointState::Missing { .. }) {
        steps.push(wish.create_directory());
    }
    steps.push(ScmStep::WipeSignatures { device: device.to_owned() });
    steps.push(ScmStep::MakeFilesystem { device: device.to_owned() });
    let options = options.to_owned();
    steps.push(ScmStep::MountExt4 { device: device.to_owned(), mount_point, options });
    steps.extend(wish.own_and_verify());
    let content = match own {
        Some(mount) => {
            format!("{}, mounted with {}", place::describe_content(&facts.content), mount.entries)
        }
        None => place::describe_content(&facts.content),
    };
    let destroys = match (&facts.content, own) {
        (DeviceContent::Blank, None) => Vec::new(),
        _ => vec![format!("{content} on {}", device.display())],
    };
    let identity = facts.identity.to_string();
    Draft { form, identity, content, steps, destroys, notices: notices(form) }
}

fn notices(form: ScmForm) -> Vec<String> {
    match form {
        ScmForm::Ext4NoDax => {
            vec!["loop device: mounted without direct access, for tests only".to_owned()]
        }
        _ => Vec::new(),
    }
}
