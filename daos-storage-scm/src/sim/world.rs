//! The simulated host: paths, mounts and devices, and how each step changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::ScmError;
use crate::model::{
    Dax, DeviceContent, DeviceFacts, DeviceIdentity, DeviceKind, DeviceNumber, DeviceState,
    DirectoryFacts, Discovered, Entries, FoundAt, Medium, MountFacts, MountPointState, MountRight,
    MountUsage, ParentFacts, ProcessRef, RamFacts, ScanRequest, ScmInventory, ScmMounted,
    ScmNamespace, ScmObserved, ScmReadiness, ScmTarget, Unmounted,
};
use crate::plan::ScmStep;

const DEFAULT_RAM: u64 = 8 << 30;

const TMPFS: DeviceNumber = DeviceNumber { major: 0, minor: 40 };

type Files = BTreeSet<String>;

#[derive(Debug)]
pub(super) struct World {
    pub(super) may_mount: bool,
    pub(super) inventory: ScmInventory,
    /// Mount points of tmpfs file systems that were there before.
    shared: BTreeSet<PathBuf>,
    directories: BTreeMap<PathBuf, Directory>,
    mounts: BTreeMap<PathBuf, Mount>,
    devices: BTreeMap<PathBuf, Device>,
    last_id: u64,
}

#[derive(Debug, Clone)]
struct Directory {
    id: u64,
    fs_type: String,
    files: Files,
    erasing: bool,
}

#[derive(Debug, Clone)]
struct Mount {
    id: u64,
    what: Mounted,
    holders: Vec<ProcessRef>,
}

#[derive(Debug, Clone)]
enum Mounted {
    Tmpfs { size: u64, options: String, files: Files, erasing: bool },
    Device { path: PathBuf, options: String },
}

#[derive(Debug, Clone)]
struct Device {
    id: u64,
    size: u64,
    content: DeviceContent,
    files: Files,
    used_by: Vec<String>,
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

// What a provider sees.
impl World {
    pub(super) fn observe(&self, target: &ScmTarget) -> ScmObserved {
        let medium = match target.device() {
            None => Medium::Ram(RamFacts {
                may_mount: self.right(),
                numa_nodes: vec![0],
                huge_supported: true,
            }),
            Some(device) => Medium::Dcpm(self.device(device, target.mount_point())),
        };
        ScmObserved { at: self.at(target.mount_point()), medium }
    }

    fn right(&self) -> MountRight {
        match self.may_mount {
            true => MountRight::Allowed,
            false => MountRight::Refused { why: "the simulation says so".to_owned() },
        }
    }

    fn at(&self, path: &Path) -> MountPointState {
        let shown = path.display().to_string();
        if let Some(mount) = self.mounts.get(path) {
            return MountPointState::MountPoint(self.mount_facts(shown, mount));
        }
        if let Some(directory) = self.directories.get(path) {
            return MountPointState::Directory(DirectoryFacts {
                found: FoundAt { device: TMPFS, inode: directory.id, mount_id: 1 },
                path: shown,
                fs_type: directory.fs_type.clone(),
                entries: Entries::new(directory.files.iter().cloned()),
                erasing: directory.erasing,
                mounts_below: Vec::new(),
            });
        }
        let parent = path.parent().unwrap_or(Path::new("/"));
        let shared = self.shared.contains(parent);
        MountPointState::Missing {
            parent: ParentFacts {
                path: parent.display().to_string(),
                direct: true,
                fs_type: if shared { "tmpfs" } else { "ext4" }.to_owned(),
                is_mount_point: shared,
            },
        }
    }

    fn mount_facts(&self, path: String, mount: &Mount) -> MountFacts {
        let none = Files::new();
        let (fs_type, source, device, options, size_bytes, files, erasing) = match &mount.what {
            Mounted::Tmpfs { size, options, files, erasing } => {
                ("tmpfs", "tmpfs".to_owned(), TMPFS, options, *size, files, *erasing)
            }
            Mounted::Device { path, options } => {
                let device = self.devices.get(path);
                let files = device.map_or(&none, |device| &device.files);
                let number = device.map_or(TMPFS, Device::number);
                let size = device.map_or(0, |device| device.size);
                ("ext4", path.display().to_string(), number, options, size, files, false)
            }
        };
        MountFacts {
            found: FoundAt { device, inode: 1, mount_id: mount.id },
            path,
            fs_type: fs_type.to_owned(),
            source,
            device,
            whole: true,
            options: options.clone(),
            size_bytes,
            stacked: 1,
            entries: Entries::new(files.iter().cloned()),
            erasing,
            mounts_below: Vec::new(),
        }
    }

    fn device(&self, path: &Path, mount_point: &Path) -> DeviceState {
        let Some(device) = self.devices.get(path) else { return DeviceState::Missing };
        let elsewhere = self.mounts.iter().filter(|(at, mount)| {
            at.as_path() != mount_point
                && matches!(&mount.what, Mounted::Device { path: source, .. } if source == path)
        });
        DeviceState::Present(Box::new(DeviceFacts {
            identity: DeviceIdentity {
                path: path.to_owned(),
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                number: device.number(),
                size_bytes: device.size,
                sector_bytes: 4096,
                serial: Some(format!("SIM{:04}", device.id)),
                model: Some("simulated".to_owned()),
                wwn: None,
                disk_sequence: Some(device.id),
                kind: DeviceKind::Disk,
            },
            content: device.content.clone(),
            mounted_elsewhere: elsewhere.map(|(at, _)| at.display().to_string()).collect(),
            used_by: device.used_by.clone(),
            dax: Dax::Offered,
            may_mount: self.right(),
        }))
    }

    pub(super) fn scan(&self, request: &ScanRequest) -> ScmInventory {
        let mut inventory = self.inventory.clone();
        let Discovered::Known(namespaces) = &mut inventory.namespaces else { return inventory };
        for target in &request.targets {
            let Ok(mounted) = self.mounted(target, &[]) else { continue };
            let usage = MountUsage {
                path: mounted.mount_point,
                total_bytes: mounted.total_bytes,
                avail_bytes: mounted.avail_bytes,
            };
            namespaces.push(ScmNamespace {
                blockdev: match target.device().and_then(Path::file_name) {
                    Some(name) => name.to_string_lossy().into_owned(),
                    None => "ramdisk".to_owned(),
                },
                dev: mounted.source,
                size: usage.total_bytes,
                mount: Some(usage),
                ..ScmNamespace::default()
            });
        }
        inventory
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

    pub(super) fn mounted(
        &self,
        target: &ScmTarget,
        notices: &[String],
    ) -> Result<ScmMounted, ScmError> {
        let observed = self.observe(target);
        let ScmReadiness::Reachable { form, .. } = observed.readiness(target) else {
            return Err(ScmError::ReadBack {
                subject: target.mount_point().display().to_string(),
                why: "nothing is reachable there".to_owned(),
            });
        };
        let (source, options, size) = match &observed.at {
            MountPointState::MountPoint(mount) => {
                (mount.source.clone(), mount.options.clone(), mount.size_bytes)
            }
            _ => ("tmpfs".to_owned(), String::new(), DEFAULT_RAM),
        };
        Ok(ScmMounted {
            engine_index: target.engine_index(),
            mount_point: target.mount_point().to_owned(),
            form,
            source,
            options,
            total_bytes: size,
            avail_bytes: size,
            notices: notices.to_vec(),
        })
    }
}

impl Device {
    fn number(&self) -> DeviceNumber {
        DeviceNumber { major: 259, minor: u32::try_from(self.id).unwrap_or(u32::MAX) }
    }
}
