//! The simulated host: paths, mounts and devices, and how each step changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::ScmError;
use crate::model::{
    DeviceContent, DeviceNumber, NamespaceUse, ProcessRef, ScmInventory, ScmMounted, ScmTarget,
    Unmounted,
};
use crate::plan::ScmStep;

pub(super) const DEFAULT_RAM: u64 = 8 << 30;

pub(super) const TMPFS: DeviceNumber = DeviceNumber { major: 0, minor: 40 };

pub(super) type Files = BTreeSet<String>;

#[derive(Debug)]
pub(super) struct World {
    pub(super) may_mount: bool,
    pub(super) inventory: ScmInventory,
    /// Mount points of tmpfs file systems that were there before.
    pub(super) shared: BTreeSet<PathBuf>,
    pub(super) directories: BTreeMap<PathBuf, Directory>,
    pub(super) mounts: BTreeMap<PathBuf, Mount>,
    pub(super) devices: BTreeMap<PathBuf, Device>,
    /// Devices whose contents cannot be read.
    pub(super) unreadable: BTreeSet<PathBuf>,
    /// Devices of which nobody can see who uses them.
    pub(super) hidden: BTreeSet<PathBuf>,
    last_id: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) id: u64,
    pub(super) fs_type: String,
    pub(super) files: Files,
    pub(super) erasing: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) what: Mounted,
    pub(super) holders: Vec<ProcessRef>,
}

#[derive(Debug, Clone)]
pub(super) enum Mounted {
    Tmpfs { size: u64, options: String, files: Files, erasing: bool },
    Device { path: PathBuf, options: String },
}

#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) id: u64,
    pub(super) size: u64,
    pub(super) content: DeviceContent,
    pub(super) files: Files,
    pub(super) used_by: Vec<String>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            may_mount: true,
            inventory: ScmInventory::default(),
            shared: BTreeSet::from([PathBuf::from("/dev/shm")]),
            directories: BTreeMap::new(),
            mounts: BTreeMap::new(),
            devices: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            hidden: BTreeSet::new(),
            last_id: 0,
        }
    }
}

// What a test arranges.
impl World {
    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn add_device(&mut self, path: &Path, size: u64) {
        let id = self.fresh_id();
        let content = DeviceContent::Blank;
        let device = Device { id, size, content, files: Files::new(), used_by: Vec::new() };
        self.devices.insert(path.to_owned(), device);
    }

    /// A namespace's block device, if it is not there yet.
    pub(super) fn show_disk(&mut self, path: &Path, size: u64, content: &DeviceContent) {
        if !self.devices.contains_key(path) {
            self.add_device(path, size);
            if let Some(device) = self.devices.get_mut(path) {
                device.content = content.clone();
            }
        }
    }

    /// Takes a namespace's block device away, and tells what was on it.
    pub(super) fn take_disk(&mut self, path: &Path) -> DeviceContent {
        self.devices.remove(path).map_or(DeviceContent::Blank, |device| device.content)
    }

    /// Erases what is on a namespace's block device, which also makes it readable again.
    pub(super) fn wipe_disk(&mut self, path: &Path) -> Result<(), ScmError> {
        self.unreadable.remove(path);
        self.rewrite(path, DeviceContent::Blank)
    }

    /// Who uses a block device, and what is on it.
    pub(super) fn disk_use(&self, path: &Path) -> Result<NamespaceUse, ScmError> {
        if self.hidden.contains(path) {
            let (action, path) = ("look at", path.to_owned());
            return Err(ScmError::System { action, path, source: Errno::ACCESS });
        }
        let here = self.mounts.iter().filter(
            |(_, mount)| matches!(&mount.what, Mounted::Device { path: source, .. } if source == path),
        );
        let device = self.devices.get(path);
        let unreadable = self.unreadable.contains(path);
        Ok(NamespaceUse {
            mounted: here.map(|(at, _)| at.display().to_string()).collect(),
            held: device.map(|device| device.used_by.clone()).unwrap_or_default(),
            content: device.filter(|_| !unreadable).and_then(|device| match &device.content {
                DeviceContent::Blank => None,
                DeviceContent::Ours { uuid } => Some(format!("ext4 of DAOS, uuid {uuid}")),
                DeviceContent::Foreign { signature } => Some(signature.clone()),
            }),
            unread: unreadable.then(|| "I/O error".to_owned()),
            unseen: None,
        })
    }

    pub(super) fn put_signature(&mut self, path: &Path, signature: &str) {
        if let Some(device) = self.devices.get_mut(path) {
            device.content = DeviceContent::Foreign { signature: signature.to_owned() };
        }
    }

    pub(super) fn set_users(&mut self, path: &Path, users: Vec<String>) {
        if let Some(device) = self.devices.get_mut(path) {
            device.used_by = users;
        }
    }

    pub(super) fn put_directory(&mut self, path: &Path, fs_type: &str, files: &[&str]) {
        let id = self.fresh_id();
        let files = files.iter().map(|name| (*name).to_owned()).collect();
        let fs_type = fs_type.to_owned();
        let directory = Directory { id, fs_type, files, erasing: false };
        self.directories.insert(path.to_owned(), directory);
    }

    pub(super) fn hold(&mut self, path: &Path, holders: Vec<ProcessRef>) {
        if let Some(mount) = self.mounts.get_mut(path) {
            mount.holders = holders;
        }
    }

    pub(super) fn reboot(&mut self) {
        self.mounts.clear();
        self.directories.retain(|_, directory| directory.fs_type != "tmpfs");
    }

    pub(super) fn put_file(&mut self, path: &Path, name: &str) -> Result<(), ScmError> {
        match self.files_mut(path) {
            Some(files) => {
                files.insert(name.to_owned());
                Ok(())
            }
            None => Err(ScmError::System {
                action: "write below",
                path: path.to_owned(),
                source: Errno::NOENT,
            }),
        }
    }

    pub(super) fn files(&self, path: &Path) -> Vec<String> {
        let files = match self.mounts.get(path).map(|mount| &mount.what) {
            Some(Mounted::Tmpfs { files, .. }) => Some(files),
            Some(Mounted::Device { path, .. }) => self.devices.get(path).map(|d| &d.files),
            None => self.directories.get(path).map(|directory| &directory.files),
        };
        files.map(|files| files.iter().cloned().collect()).unwrap_or_default()
    }

    fn files_mut(&mut self, path: &Path) -> Option<&mut Files> {
        match self.mounts.get_mut(path).map(|mount| &mut mount.what) {
            Some(Mounted::Tmpfs { files, .. }) => Some(files),
            Some(Mounted::Device { path, .. }) => {
                self.devices.get_mut(path.as_path()).map(|device| &mut device.files)
            }
            None => self.directories.get_mut(path).map(|directory| &mut directory.files),
        }
    }
}

// What a provider does.
impl World {
    pub(super) fn apply(&mut self, target: &ScmTarget, step: &ScmStep) -> Result<(), ScmError> {
        match step {
            ScmStep::Unmount { mount_point, .. } => self.take_off(mount_point).map(drop),
            ScmStep::CreateDirectory { path } => {
                let shared = path.parent().is_some_and(|parent| self.shared.contains(parent));
                self.put_directory(path, if shared { "tmpfs" } else { "ext4" }, &[]);
                Ok(())
            }
            ScmStep::MarkErase { path } => {
                self.set_erasing(path, true);
                Ok(())
            }
            ScmStep::EraseContent { path } => {
                if let Some(files) = self.files_mut(path) {
                    files.clear();
                }
                self.set_erasing(path, false);
                Ok(())
            }
            ScmStep::WipeSignatures { device } => self.rewrite(device, DeviceContent::Blank),
            ScmStep::MakeFilesystem { device } => {
                let uuid = format!("00000000-0000-4000-8000-{:012x}", self.fresh_id());
                self.rewrite(device, DeviceContent::Ours { uuid })
            }
            ScmStep::MountTmpfs { mount_point, options } => {
                let size = target.ram().and_then(|ram| ram.size_bytes).unwrap_or(DEFAULT_RAM);
                let options = options.clone();
                let files = Files::new();
                self.put_on(mount_point, Mounted::Tmpfs { size, options, files, erasing: false });
                Ok(())
            }
            ScmStep::MountExt4 { device, mount_point, options } => {
                let what = Mounted::Device { path: device.clone(), options: options.clone() };
                self.put_on(mount_point, what);
                Ok(())
            }
            ScmStep::SetOwner { .. } | ScmStep::Verify { .. } => Ok(()),
        }
    }

    fn set_erasing(&mut self, path: &Path, value: bool) {
        match self.mounts.get_mut(path).map(|mount| &mut mount.what) {
            Some(Mounted::Tmpfs { erasing, .. }) => *erasing = value,
            Some(Mounted::Device { .. }) => {}
            None => {
                if let Some(directory) = self.directories.get_mut(path) {
                    directory.erasing = value;
                }
            }
        }
    }

    fn rewrite(&mut self, path: &Path, content: DeviceContent) -> Result<(), ScmError> {
        let device = self
            .devices
            .get_mut(path)
            .ok_or_else(|| ScmError::DeviceMissing { device: path.to_owned() })?;
        if !device.used_by.is_empty() {
            let users = device.used_by.clone();
            return Err(ScmError::InUse { device: path.to_owned(), users });
        }
        device.content = content;
        device.files.clear();
        Ok(())
    }

    fn put_on(&mut self, path: &Path, what: Mounted) {
        let id = self.fresh_id();
        self.mounts.insert(path.to_owned(), Mount { id, what, holders: Vec::new() });
    }

    pub(super) fn check_unmount(&self, target: &ScmTarget) -> Result<(), ScmError> {
        let path = target.mount_point();
        match self.mounts.get(path) {
            Some(Mount { holders, .. }) if !holders.is_empty() => {
                Err(ScmError::Busy { mount_point: path.to_owned(), holders: holders.clone() })
            }
            _ => Ok(()),
        }
    }

    fn take_off(&mut self, path: &Path) -> Result<Unmounted, ScmError> {
        let Some(mount) = self.mounts.get(path) else { return Ok(Unmounted::WasNotMounted) };
        if !mount.holders.is_empty() {
            return Err(ScmError::Busy {
                mount_point: path.to_owned(),
                holders: mount.holders.clone(),
            });
        }
        self.mounts.remove(path);
        if !self.directories.contains_key(path) {
            self.put_directory(path, "ext4", &[]);
        }
        Ok(Unmounted::Done)
    }

    pub(super) fn mount(&mut self, target: &ScmTarget) -> Result<ScmMounted, ScmError> {
        let observed = self.observe(target);
        if let Some(step) = crate::plan::remount(target, &observed)? {
            self.apply(target, &step)?;
        }
        self.mounted(target, &[])
    }

    pub(super) fn unmount(&mut self, target: &ScmTarget) -> Result<Unmounted, ScmError> {
        match crate::plan::unmountable(target, &self.observe(target))? {
            true => self.take_off(target.mount_point()),
            false => Ok(Unmounted::WasNotMounted),
        }
    }
}

impl Device {
    pub(super) fn number(&self) -> DeviceNumber {
        DeviceNumber { major: 259, minor: u32::try_from(self.id).unwrap_or(u32::MAX) }
    }
}
