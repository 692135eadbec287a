//! Looks at the configured device and its mount point: in the planner's terms, and in those of a scan.

use std::path::Path;

use daos_blockdev::{BlockdevError, Content, DeviceUse, SignatureKind, inspect};
use rustix::io::Errno;

use crate::ScmError;
use crate::model::READ_ONLY;
use crate::model::{
    Dax, DeviceContent, DeviceFacts, DeviceState, Medium, MountPointState, ScmNamespace,
    ScmObserved, ScmTarget,
};
use crate::mountpoint;
use crate::plan::LABEL;

pub(super) fn observe(target: &ScmTarget) -> Result<ScmObserved, ScmError> {
    let Some(device) = target.device() else {
        return Err(ScmError::Unsupported {
            operation: "observe",
            why: "this provider serves class dcpm only".to_owned(),
        });
    };
    let at = mountpoint::look(target.mount_point())?;
    let state = look_at_device(device, &at)?;
    Ok(ScmObserved { at, medium: Medium::Dcpm(state) })
}

fn look_at_device(device: &Path, at: &MountPointState) -> Result<DeviceState, ScmError> {
    let seen = match inspect(device) {
        Ok(seen) => seen,
        Err(BlockdevError::NotFound { path }) if path == device => return Ok(DeviceState::Missing),
        Err(BlockdevError::NotABlockDevice { found, .. }) => {
            return Ok(DeviceState::NotABlockDevice { kind: format!("a {found}") });
        }
        Err(BlockdevError::AccessDenied { action, source, .. }) => {
            let errno = source.raw_os_error().unwrap_or(Errno::ACCESS.raw_os_error());
            return Ok(DeviceState::Unreadable { why: action.to_owned(), errno });
        }
        Err(error) => return Err(error.into()),
    };
    let own = own_mount_point(at, &seen.identity);
    let (mounted_elsewhere, used_by) = sort_uses(&seen.uses, own.as_deref());
    let mut used_by = used_by;
    if seen.read_only {
        used_by.push(READ_ONLY.to_owned());
    }
    let dax = match (seen.dax, seen.identity.is_loop()) {
        (true, _) => Dax::Offered,
        (false, true) => Dax::LoopStandIn,
        (false, false) => Dax::Missing,
    };
    Ok(DeviceState::Present(Box::new(DeviceFacts {
        content: content_of(&seen.content),
        identity: seen.identity,
        mounted_elsewhere,
        used_by,
        dax,
        may_mount: mountpoint::may_mount_ext4(),
    })))
}

/// The mount point, if this very device is mounted there.
fn own_mount_point(
    at: &MountPointState,
    identity: &daos_blockdev::DeviceIdentity,
) -> Option<String> {
    match at {
        MountPointState::MountPoint(mount) if mount.device == identity.number => {
            Some(mount.path.clone())
        }
        _ => None,
    }
}

/// Mounts elsewhere, and all other uses. The engine's own mount is neither; nor is its copy at the same place
/// in another mount namespace, which ends with it where mounts are shared, and where they are not keeps the
/// exclusive claim from being had.
fn sort_uses(uses: &[DeviceUse], own: Option<&str>) -> (Vec<String>, Vec<String>) {
    let (mut mounts, mut others) = (Vec::new(), Vec::new());
    for each in uses {
        match each {
            DeviceUse::MountedHere { mount_point }
            | DeviceUse::MountedInOtherNamespace { mount_point, .. }
                if own.is_some_and(|own| Path::new(own) == mount_point) => {}
            DeviceUse::MountedHere { mount_point } => {
                mounts.push(mount_point.display().to_string());
            }
            DeviceUse::MountedInOtherNamespace { pid, mount_point } => {
                mounts.push(format!("{} (mount namespace of pid {pid})", mount_point.display()));
            }
            other => others.push(other.to_string()),
        }
    }
    (mounts, others)
}

/// Ours is exactly one signature: ext4 with our label. Everything else that is not blank is foreign (W10).
pub(super) fn content_of(content: &Content) -> DeviceContent {
    match content {
        Content::Blank => DeviceContent::Blank,
        Content::Signatures(signatures) => match signatures.as_slice() {
            [one]
                if one.kind == SignatureKind::FileSystem
                    && one.name == "ext4"
                    && one.label.as_deref() == Some(LABEL) =>
            {
                DeviceContent::Ours { uuid: one.uuid.clone().unwrap_or_default() }
            }
            _ => DeviceContent::Foreign { signature: content.to_string() },
        },
        Content::Unrecognised { .. } => DeviceContent::Foreign { signature: content.to_string() },
    }
}

/// Usage of the mounts of configured devices; a device that is no namespace (a loop device) is listed too.
pub(super) fn add_usage(
    namespaces: &mut Vec<ScmNamespace>,
    target: &ScmTarget,
) -> Result<(), ScmError> {
    let Some(device) = target.device() else { return Ok(()) };
    let MountPointState::MountPoint(mount) = mountpoint::look(target.mount_point())? else {
        return Ok(());
    };
    let Ok(identity) = daos_blockdev::identify(device) else { return Ok(()) };
    if mount.device != identity.number {
        return Ok(());
    }
    let usage = Some(mountpoint::usage(target.mount_point())?);
    match namespaces.iter_mut().find(|namespace| namespace.blockdev == identity.name) {
        Some(namespace) => namespace.mount = usage,
        None => namespaces.push(ScmNamespace {
            blockdev: identity.name,
            size: identity.size_bytes,
            mount: usage,
            ..ScmNamespace::default()
        }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use daos_blockdev::{HolderKind, Signature};

    use super::*;

    fn ext4(label: Option<&str>) -> Signature {
        Signature {
            kind: SignatureKind::FileSystem,
            name: "ext4".to_owned(),
            label: label.map(str::to_owned),
            uuid: Some("u-1".to_owned()),
        }
    }

    #[test]
    fn only_ext4_with_our_label_alone_is_ours_w10() {
        let ours = Content::Signatures(vec![ext4(Some("daos"))]);
        assert_eq!(content_of(&ours), DeviceContent::Ours { uuid: "u-1".to_owned() });
        let gpt = Signature {
            kind: SignatureKind::PartitionTable,
            name: "gpt".to_owned(),
            label: None,
            uuid: None,
        };
        for foreign in [
            Content::Signatures(vec![ext4(None)]),
            Content::Signatures(vec![ext4(Some("home"))]),
            Content::Signatures(vec![ext4(Some("daos")), gpt]),
            Content::Unrecognised { first_data: 4096 },
        ] {
            assert!(
                matches!(content_of(&foreign), DeviceContent::Foreign { .. }),
                "{foreign} must not be ours"
            );
        }
        assert_eq!(content_of(&Content::Blank), DeviceContent::Blank);
    }

    #[test]
    fn only_the_engines_own_mount_is_no_use() {
        let here = |path: &str| DeviceUse::MountedHere { mount_point: path.into() };
        let there =
            |path: &str| DeviceUse::MountedInOtherNamespace { pid: 7, mount_point: path.into() };
        let uses = [here("/mnt/daos0"), there("/mnt/daos0"), there("/other"), DeviceUse::Swap];
        let (mounts, others) = sort_uses(&uses, Some("/mnt/daos0"));
        assert_eq!(mounts, ["/other (mount namespace of pid 7)"]);
        assert_eq!(others, ["active swap space"]);
        let (mounts, _) = sort_uses(&uses, None);
        assert_eq!(mounts.len(), 3, "unmounted here, a copy elsewhere counts");
        let held = DeviceUse::HeldBy { kind: HolderKind::Dm, name: "vg-lv".to_owned() };
        assert_eq!(sort_uses(&[held], None).1, ["held by device-mapper device vg-lv"]);
    }
}
