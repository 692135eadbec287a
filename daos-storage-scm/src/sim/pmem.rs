//! The two tools of persistent memory over a simulated host, and what a test arranges of it.
//!
//! What the hardware does is in `hardware`; here it meets the disks of the world and the script of failures.

use async_trait::async_trait;

use super::SimScm;
use super::hardware::{SimNamespace, SimRegion, missing};
use crate::error::{LIBIPMCTL, ScmError};
use crate::model::{
    DeviceContent, Labels, MemoryGoal, NamespaceMode, NamespaceUse, RegionHealth, ScmModule,
};
use crate::pmem::{BusView, ModuleTool, NamespaceTool, PmemTools, ToolVersion, VendorView};

/// What a test arranges.
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
        let mut inner = self.lock();
        let hardware = &mut inner.hardware;
        let number = u32::try_from(hardware.modules.len()).unwrap_or(0);
        hardware.modules.push(module(number, node, bytes));
        let raw = SimNamespace {
            uuid: String::new(),
            size: bytes,
            mode: NamespaceMode::Raw,
            content: DeviceContent::Blank,
            place: 0,
        };
        hardware.regions.push(SimRegion {
            iset_id: u64::from(number) + 1,
            socket: node,
            capacity: bytes,
            modules: vec![0x1c + number],
            health: RegionHealth::Normal,
            labels: Labels::Missing,
            namespaces: vec![raw],
        });
        drop(inner);
        self.show_disks();
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

    pub(super) fn boot_hardware(&self) {
        let mut inner = self.lock();
        // What is on the disks stays with them, whatever they are called next.
        let disks = inner.hardware.disks();
        for (_, disk, space) in disks {
            let path = std::path::Path::new("/dev").join(disk);
            let content = inner.world.take_disk(&path);
            let spaces = inner.hardware.regions.iter_mut().flat_map(|each| &mut each.namespaces);
            for each in spaces.filter(|each| each.uuid == space.uuid && each.size == space.size) {
                each.content = content.clone();
            }
        }
        inner.hardware.boots += 1;
        inner.hardware.apply_goals();
        drop(inner);
        self.show_disks();
    }

    /// Each namespace is a block device, and nothing else is one of these.
    fn show_disks(&self) {
        let mut inner = self.lock();
        for (_, disk, space) in inner.hardware.disks() {
            let path = std::path::Path::new("/dev").join(disk);
            inner.world.show_disk(&path, space.size, &space.content);
        }
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

#[async_trait]
impl ModuleTool for SimScm {
    async fn look(&self) -> Result<VendorView, ScmError> {
        self.lock().hardware.vendor()
    }

    async fn create_goal(&self, modules: &[String], goal: MemoryGoal) -> Result<(), ScmError> {
        let mut inner = self.lock();
        inner.script.fail("create-goal")?;
        inner.hardware.set_goal(modules, goal)
    }

    async fn delete_goals(&self, modules: &[String]) -> Result<(), ScmError> {
        let mut inner = self.lock();
        inner.script.fail("delete-goals")?;
        inner.hardware.pending.retain(|pending| !modules.contains(&pending.module));
        Ok(())
    }

    async fn version(&self) -> ToolVersion {
        let version = self.lock().hardware.ipmctl.clone();
        ToolVersion { tool: LIBIPMCTL, version, problem: None }
    }
}

#[async_trait]
impl NamespaceTool for SimScm {
    async fn look(&self) -> Result<BusView, ScmError> {
        Ok(self.lock().hardware.bus())
    }

    async fn uses(&self, blockdev: &str) -> Result<NamespaceUse, ScmError> {
        Ok(self.lock().world.disk_use(&std::path::Path::new("/dev").join(blockdev)))
    }

    async fn require(&self) -> Result<(), ScmError> {
        match self.lock().hardware.ndctl {
            true => Ok(()),
            false => Err(missing("ndctl")),
        }
    }

    async fn create(&self, region: &str, size_bytes: u64) -> Result<(), ScmError> {
        {
            let mut inner = self.lock();
            inner.script.fail("create-namespace")?;
            inner.hardware.create(region, size_bytes)?;
        }
        self.show_disks();
        Ok(())
    }

    async fn destroy(&self, name: &str, blockdev: Option<&str>) -> Result<(), ScmError> {
        let mut inner = self.lock();
        inner.script.fail("destroy-namespace")?;
        if let Some(disk) = blockdev {
            let path = std::path::Path::new("/dev").join(disk);
            let used = inner.world.disk_use(&path);
            crate::plan::refuse_used_namespace(disk, &used)?;
            inner.world.take_disk(&path);
        }
        inner.hardware.destroy(name)
    }

    async fn initialise_labels(&self, region: &str, _dimms: &[String]) -> Result<(), ScmError> {
        let mut inner = self.lock();
        inner.script.fail("initialise-labels")?;
        let disks = inner.hardware.disks();
        inner.hardware.initialise(region)?;
        let left = inner.hardware.disks();
        for (_, disk, _) in disks.iter().filter(|gone| left.iter().all(|each| each.1 != gone.1)) {
            inner.world.take_disk(&std::path::Path::new("/dev").join(disk));
        }
        Ok(())
    }

    async fn version(&self) -> ToolVersion {
        let version = self.lock().hardware.ndctl.then(|| "76".to_owned());
        ToolVersion { tool: "ndctl", version, problem: None }
    }
}
