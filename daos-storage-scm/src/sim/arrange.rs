//! What a test arranges of the modules, regions and namespaces of a simulated host, besides what a provider does.

use std::path::Path;

use super::SimScm;
use super::hardware::{SimNamespace, SimRegion};
use crate::model::{DeviceContent, Labels, NamespaceMode, RegionHealth, ScmModule};
use crate::pmem::PmemTools;

impl SimScm {
    /// Adds modules of Intel's kind to a socket: in Memory Mode, without regions, `bytes` each.
    pub fn add_modules(&self, socket: u32, count: u32, bytes: u64) {
        let mut inner = self.lock();
        let hardware = &mut inner.hardware;
        hardware.managed = true;
        for _ in 0..count {
            let number = u32::try_from(hardware.modules.len()).unwrap_or(0);
            hardware.modules.push(module(number, socket, bytes));
        }
    }

    /// Adds a module that takes no goals, with a region of its own and without labels, as a virtual machine has it.
    pub fn add_virtual_module(&self, node: u32, bytes: u64) {
        self.change_hardware(|hardware| {
            let number = u32::try_from(hardware.modules.len()).unwrap_or(0);
            hardware.modules.push(module(number, node, bytes));
            let id = u64::from(number) + 1;
            hardware.regions.push(unlabelled(
                id,
                node,
                bytes,
                NamespaceMode::Raw,
                vec![0x1c + number],
            ));
        });
    }

    /// Adds memory that the platform's tables tell of and that is of no module, as `memmap=` makes it.
    pub fn add_platform_memory(&self, node: u32, bytes: u64, mode: NamespaceMode) {
        self.change_hardware(|hardware| {
            let id = 1000 + u64::try_from(hardware.regions.len()).unwrap_or(0);
            hardware.regions.push(unlabelled(id, node, bytes, mode, Vec::new()));
        });
    }

    /// Disables the regions of a socket, or enables them, as `ndctl disable-region` does: their namespaces do not show.
    pub fn disable_regions(&self, socket: u32, disabled: bool) {
        self.change_hardware(|hardware| {
            for region in hardware.regions.iter_mut().filter(|region| region.socket == socket) {
                region.disabled = disabled;
            }
        });
    }

    /// Disables a namespace, or enables it. Nothing happens where there is none of this name.
    pub fn disable_namespace(&self, name: &str, disabled: bool) {
        self.change_hardware(|hardware| {
            if let Some(space) = hardware.namespace(name) {
                space.disabled = disabled;
            }
        });
    }

    /// Gives a namespace another mode, with nothing on it.
    pub fn set_namespace_mode(&self, name: &str, mode: NamespaceMode) {
        self.change_hardware(|hardware| {
            if let Some(space) = hardware.namespace(name) {
                space.mode = mode;
                space.content = DeviceContent::Blank;
            }
        });
    }

    /// Destroys a namespace by other means than ours: what is on it stays where it was, for the next one there.
    pub fn destroy_by_hand(&self, name: &str) {
        // There is nothing to destroy where there is none of this name.
        let _missing = self.change_hardware(|hardware| hardware.destroy(name));
    }

    /// Lets the contents of a namespace's block device be unreadable.
    pub fn break_medium(&self, device: impl AsRef<Path>) {
        self.lock().world.unreadable.insert(device.as_ref().to_owned());
    }

    /// Lets nobody see who uses a namespace's block device.
    pub fn hide_uses(&self, device: impl AsRef<Path>) {
        self.lock().world.hidden.insert(device.as_ref().to_owned());
    }

    /// Splits the region of a socket into one for each module, as a goal that is not interleaved does.
    pub fn split_region(&self, socket: u32) {
        let mut inner = self.lock();
        let regions = std::mem::take(&mut inner.hardware.regions);
        for region in regions {
            if region.socket != socket {
                inner.hardware.regions.push(region);
                continue;
            }
            let share = region.capacity / u64::try_from(region.modules.len()).unwrap_or(1);
            for id in &region.modules {
                inner.hardware.regions.push(SimRegion {
                    iset_id: region.iset_id + 100 * u64::from(*id),
                    modules: vec![*id],
                    capacity: share,
                    ..region.clone()
                });
            }
        }
    }

    /// Makes the regions of a socket as healthy as this.
    pub fn set_region_health(&self, socket: u32, health: RegionHealth) {
        for region in &mut self.lock().hardware.regions {
            if region.socket == socket {
                region.health = health;
            }
        }
    }

    /// Lets the platform refuse the goals of a socket at the reboot: they stay, with this reason.
    pub fn refuse_goals(&self, socket: u32, why: &str) {
        for pending in &mut self.lock().hardware.pending {
            if pending.socket == socket {
                pending.refused = Some(why.to_owned());
            }
        }
    }

    /// Version of the library that manages modules; `None` uninstalls it.
    pub fn set_ipmctl(&self, version: Option<&str>) {
        self.lock().hardware.ipmctl = version.map(str::to_owned);
    }

    /// Installs ndctl, or takes it away.
    pub fn set_ndctl(&self, installed: bool) {
        self.lock().hardware.ndctl = installed;
    }

    /// Both tools, for a provider of another kind.
    #[must_use]
    pub fn pmem_tools(&self) -> PmemTools {
        let here = std::sync::Arc::new(self.clone());
        PmemTools { modules: here.clone(), namespaces: here }
    }
}

/// A region without labels, and the one namespace that the kernel makes of it.
fn unlabelled(
    iset_id: u64,
    socket: u32,
    capacity: u64,
    mode: NamespaceMode,
    modules: Vec<u32>,
) -> SimRegion {
    let whole = SimNamespace {
        uuid: String::new(),
        size: capacity,
        mode,
        disabled: false,
        content: DeviceContent::Blank,
        place: 0,
    };
    SimRegion {
        iset_id,
        socket,
        capacity,
        modules,
        health: RegionHealth::Normal,
        disabled: false,
        labels: Labels::Missing,
        namespaces: vec![whole],
        remains: Vec::new(),
    }
}

fn module(number: u32, socket: u32, bytes: u64) -> ScmModule {
    ScmModule {
        physical_id: 0x1c + number,
        channel: number % 3,
        controller: number / 3 % 2,
        socket,
        capacity: bytes,
        uid: format!("8089-a2-1748-{number:08x}"),
        part_number: "SIM-128".to_owned(),
        firmware_revision: "01.02.00.5435".to_owned(),
        health: "Healthy".to_owned(),
        ..ScmModule::default()
    }
}
