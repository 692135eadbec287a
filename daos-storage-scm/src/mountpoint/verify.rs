//! Reads back what a format or a mount set up, before anybody is told that it is there.

use super::act::check_owner;
use super::look::{look, open, usage};
use crate::ScmError;
use crate::model::{DeviceNumber, MountFacts, MountPointState, ScmForm, ScmMounted, ScmTarget};
use crate::plan::has_dax;

/// What must be found.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) form: ScmForm,
    /// Device number for the forms that have a device.
    pub(crate) device: Option<DeviceNumber>,
    /// Exact size in bytes, for a tmpfs that was just mounted with one.
    pub(crate) size_bytes: Option<u64>,
    /// Whether this format mounted it, so that all flags must be in force.
    pub(crate) fresh: bool,
    /// Names that may be there; `None` does not look (a remount).
    pub(crate) leftovers: Option<&'a [String]>,
    pub(crate) notices: &'a [String],
}

impl Expected<'_> {
    /// What was there before and is only described: only what makes it this target's is checked.
    pub(crate) fn standing(form: ScmForm, device: Option<DeviceNumber>) -> Self {
        let (size_bytes, leftovers) = (None, None);
        Self { form, device, size_bytes, fresh: false, leftovers, notices: &[] }
    }
}

/// Looks again and describes what is there, if it is what was expected.
pub(crate) fn verify(target: &ScmTarget, expected: &Expected<'_>) -> Result<ScmMounted, ScmError> {
    let path = target.mount_point();
    let wrong = |why: String| ScmError::ReadBack { subject: path.display().to_string(), why };
    let at = look(path)?;
    let (source, options, entries) = match (&at, expected.form) {
        (
            MountPointState::MountPoint(mount),
            ScmForm::Tmpfs | ScmForm::Ext4Dax | ScmForm::Ext4NoDax,
        ) => {
            check_mount(mount, expected).map_err(wrong)?;
            (mount.source.clone(), mount.options.clone(), &mount.entries)
        }
        (MountPointState::Directory(directory), ScmForm::Directory) => {
            if directory.fs_type != "tmpfs" {
                return Err(wrong(format!("it lies on {}", directory.fs_type)));
            }
            ("tmpfs".to_owned(), String::new(), &directory.entries)
        }
        (other, form) => return Err(wrong(format!("expected a {form}, found {other:?}"))),
    };
    if let Some(leftovers) = expected.leftovers {
        if !entries.only(leftovers) {
            return Err(wrong(format!("it should be empty and holds {entries}")));
        }
        check_owner(&open(path)?.fd, path, target.owner())?;
    }
    let usage = usage(path)?;
    Ok(ScmMounted {
        engine_index: target.engine_index(),
        mount_point: path.to_owned(),
        form: expected.form,
        source,
        options,
        total_bytes: usage.total_bytes,
        avail_bytes: usage.avail_bytes,
        notices: expected.notices.to_vec(),
    })
}

fn check_mount(mount: &MountFacts, expected: &Expected<'_>) -> Result<(), String> {
    let fs_type = if expected.form == ScmForm::Tmpfs { "tmpfs" } else { "ext4" };
    if mount.fs_type != fs_type {
        return Err(format!("{} is mounted there, expected {fs_type}", mount.fs_type));
    }
    if mount.stacked != 1 {
        return Err(format!("{} file systems are mounted over each other", mount.stacked));
    }
    if let Some(device) = expected.device
        && mount.device != device
    {
        return Err(format!("device {} is mounted there, expected {device}", mount.device));
    }
    if let Some(bytes) = expected.size_bytes
        && mount.size_bytes != bytes
    {
        return Err(format!("it has {} bytes, expected {bytes}", mount.size_bytes));
    }
    if expected.form == ScmForm::Ext4Dax && !has_dax(&mount.options) {
        return Err(format!("it is mounted without dax: {}", mount.options));
    }
    let has = |wanted: &str| mount.options.split(',').any(|option| option == wanted);
    if has("ro") {
        return Err("it is mounted read-only".to_owned());
    }
    let flags = ["noatime", "nosuid", "nodev", "noexec"];
    match flags.into_iter().find(|flag| expected.fresh && !has(flag)) {
        Some(flag) => Err(format!("it is mounted without {flag}: {}", mount.options)),
        None => Ok(()),
    }
}
