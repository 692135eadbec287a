//! How the simulated host looks to a provider: observations, scans and what is mounted.

use std::path::Path;

use super::world::{DEFAULT_RAM, Device, Files, Mount, Mounted, TMPFS, World};
use crate::ScmError;
use crate::model::{
    Dax, DeviceFacts, DeviceIdentity, DeviceKind, DeviceState, DirectoryFacts, Discovered, Entries,
    FoundAt, Medium, MountFacts, MountPointState, MountRight, MountUsage, ParentFacts, RamFacts,
    ScanRequest, ScmInventory, ScmMounted, ScmNamespace, ScmObserved, ScmReadiness, ScmTarget,
};

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

    pub(super) fn scan(&self, request: &ScanRequest, found: Option<ScmInventory>) -> ScmInventory {
        let mut inventory = found.unwrap_or_else(|| self.inventory.clone());
        let Discovered::Known(namespaces) = &mut inventory.namespaces else { return inventory };
        for space in namespaces.iter_mut() {
            space.uses = match self.disk_use(&Path::new("/dev").join(&space.blockdev)) {
                Ok(used) => {
                    let mounted = used.mounted.iter().map(|place| format!("mounted on {place}"));
                    mounted.chain(used.held).collect()
                }
                Err(error) => vec![format!("cannot be looked at: {error}")],
            };
        }
        for target in &request.targets {
            let Ok(mounted) = self.mounted(target, &[]) else { continue };
            let usage = MountUsage {
                path: mounted.mount_point,
                total_bytes: mounted.total_bytes,
                avail_bytes: mounted.avail_bytes,
            };
            let disk = target.device().and_then(Path::file_name).map(|name| name.to_string_lossy());
            let known = namespaces
                .iter_mut()
                .find(|space| disk.as_ref().is_some_and(|disk| *disk == space.blockdev));
            if let Some(space) = known {
                space.mount = Some(usage);
                continue;
            }
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
