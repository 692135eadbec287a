//! Modules and namespaces of a simulated host: both tools over one world, goals that take effect at a reboot.
//!
//! It keeps the rules of the real tools that provisioning depends on: no goal over namespaces, no namespace in an
//! unlabelled region, new kernel names after a reboot.

use async_trait::async_trait;

use super::SimScm;
use crate::error::{LIBIPMCTL, ScmError};
use crate::model::{
    DeviceContent, Labels, MemoryGoal, NamespaceFacts, NamespaceMode, NamespaceUse, PendingGoal,
    RegionHealth, ScmModule,
};
use crate::pmem::{
    BusRegion, BusView, Dimm, ModuleTool, NamespaceTool, PmemTools, ToolVersion, VendorRegion,
    VendorView,
};

/// Alignment of namespaces, as the kernel has it.
const ALIGN: u64 = 16 << 20;

#[derive(Debug, Clone)]
pub(super) struct Hardware {
    pub(super) ipmctl: Option<String>,
    pub(super) ndctl: bool,
    managed: bool,
    modules: Vec<ScmModule>,
    regions: Vec<SimRegion>,
    pending: Vec<PendingGoal>,
    boots: u32,
    last_uuid: u32,
}

#[derive(Debug, Clone)]
struct SimRegion {
    iset_id: u64,
    socket: u32,
    capacity: u64,
    modules: Vec<u32>,
    health: RegionHealth,
    labels: Labels,
    namespaces: Vec<SimNamespace>,
}

#[derive(Debug, Clone)]
struct SimNamespace {
    uuid: String,
    size: u64,
    mode: NamespaceMode,
    /// What it held at a reboot, to be found again after it.
    content: DeviceContent,
    place: usize,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            ipmctl: Some("03.00.00.0468".to_owned()),
            ndctl: true,
            managed: false,
            modules: Vec::new(),
            regions: Vec::new(),
            pending: Vec::new(),
            boots: 0,
            last_uuid: 0,
        }
    }
}

impl SimRegion {
    fn free(&self) -> u64 {
        match self.labels {
            Labels::Missing => 0,
            Labels::Ready => {
                let taken = self.namespaces.iter().fold(0, |sum, space| sum + space.size);
                self.capacity.saturating_sub(taken)
            }
        }
    }
}

impl Hardware {
    /// Kernel numbers of regions are given anew at each boot, and not in the order of sockets.
    fn number(&self, place: usize) -> usize {
        match self.boots % 2 {
            0 => place,
            _ => self.regions.len() - 1 - place,
        }
    }

    fn region(&mut self, name: &str) -> Result<&mut SimRegion, ScmError> {
        let wanted: Option<usize> = name.strip_prefix("region").and_then(|text| text.parse().ok());
        let place = (0..self.regions.len()).find(|place| Some(self.number(*place)) == wanted);
        let found = place.and_then(|place| self.regions.get_mut(place));
        found.ok_or_else(|| failed("find", name, "no such region"))
    }

    fn names(&self, region: usize, space: &SimNamespace) -> (String, String) {
        let (number, place) = (self.number(region), space.place);
        let disk =
            if place == 0 { format!("pmem{number}") } else { format!("pmem{number}.{place}") };
        (format!("namespace{number}.{place}"), disk)
    }

    /// Every namespace with its names.
    fn disks(&self) -> Vec<(String, String, SimNamespace)> {
        let each = self.regions.iter().enumerate().flat_map(|(place, region)| {
            region.namespaces.iter().map(move |space| {
                let (name, disk) = self.names(place, space);
                (name, disk, space.clone())
            })
        });
        each.collect()
    }

    fn facts(&self, region: usize, found: &SimRegion, space: &SimNamespace) -> NamespaceFacts {
        let (name, disk) = self.names(region, space);
        NamespaceFacts {
            name,
            uuid: space.uuid.clone(),
            mode: space.mode,
            size: space.size,
            blockdev: Some(disk),
            numa_node: found.socket,
            used: NamespaceUse::default(),
        }
    }

    fn bus(&self) -> BusView {
        let dimm = |(place, module): (usize, &ScmModule)| Dimm {
            name: format!("nmem{place}"),
            id: module.uid.clone(),
            physical_id: module.physical_id,
            handle: module.socket << 12,
            managed: self.managed,
        };
        let mapping = |id: &u32, bytes: u64| {
            let place = self.modules.iter().position(|module| module.physical_id == *id);
            (format!("nmem{}", place.unwrap_or(0)), bytes)
        };
        let mut regions: Vec<BusRegion> = (self.regions.iter().enumerate())
            .map(|(place, found)| {
                let share = found.capacity / u64::try_from(found.modules.len().max(1)).unwrap_or(1);
                BusRegion {
                    id: u32::try_from(self.number(place)).unwrap_or(0),
                    name: format!("region{}", self.number(place)),
                    size: found.capacity,
                    available: found.free(),
                    align: ALIGN,
                    persistent: true,
                    // As the kernel has it: labels carry the id of the set.
                    iset_id: if found.labels == Labels::Ready { found.iset_id } else { 0 },
                    numa_node: found.socket,
                    labels: found.labels,
                    mappings: found.modules.iter().map(|id| mapping(id, share)).collect(),
                    namespaces: (found.namespaces.iter())
                        .map(|space| self.facts(place, found, space))
                        .collect(),
                }
            })
            .collect();
        regions.sort_by_key(|region| region.id);
        BusView { dimms: self.modules.iter().enumerate().map(dimm).collect(), regions }
    }

    fn vendor(&self) -> Result<VendorView, ScmError> {
        let version = self.usable()?;
        if !self.managed {
            return Ok(VendorView { version, ..VendorView::default() });
        }
        let region = |found: &SimRegion| VendorRegion {
            iset_id: found.iset_id,
            socket: found.socket,
            volatile: false,
            capacity: found.capacity,
            free_capacity: found.free(),
            health: found.health,
            module_ids: found.modules.clone(),
        };
        Ok(VendorView {
            version,
            modules: self.modules.clone(),
            regions: self.regions.iter().map(region).collect(),
            pending: self.pending.clone(),
        })
    }

    fn usable(&self) -> Result<String, ScmError> {
        match self.ipmctl.as_deref() {
            None => Err(missing(LIBIPMCTL)),
            Some(bad @ "02.00.00.3809") => Err(ScmError::BadToolVersion {
                tool: LIBIPMCTL.to_owned(),
                version: bad.to_owned(),
            }),
            Some(good) => Ok(good.to_owned()),
        }
    }

    fn set_goal(&mut self, modules: &[String], goal: MemoryGoal) -> Result<(), ScmError> {
        self.usable()?;
        let own = |id: &u32| {
            self.modules.iter().any(|each| each.physical_id == *id && modules.contains(&each.uid))
        };
        let blocked = self
            .regions
            .iter()
            .any(|region| !region.namespaces.is_empty() && region.modules.iter().any(own));
        if blocked {
            return Err(ScmError::ToolFailed {
                tool: LIBIPMCTL.to_owned(),
                call: "nvm_create_config_goal",
                code: 124,
                meaning: "namespaces exist on the modules",
            });
        }
        self.pending.retain(|pending| !modules.contains(&pending.module));
        let chosen = self.modules.iter().filter(|module| modules.contains(&module.uid));
        self.pending.extend(chosen.map(|module| PendingGoal {
            socket: module.socket,
            module: module.uid.clone(),
            goal: Some(goal),
            refused: None,
        }));
        Ok(())
    }

    /// What the platform does with goals at a boot: regions anew, all in them gone.
    fn apply_goals(&mut self) {
        let (refused, granted): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|each| each.refused.is_some());
        self.pending = refused;
        for pending in granted {
            let Some(module) = self.modules.iter().find(|each| each.uid == pending.module) else {
                continue;
            };
            let (id, socket, capacity) = (module.physical_id, module.socket, module.capacity);
            // A region with this module in it ends, unless it is one of this very boot.
            self.regions.retain(|region| !region.modules.contains(&id));
            if pending.goal != Some(MemoryGoal::AppDirectInterleaved) {
                continue;
            }
            let iset_id = (u64::from(self.boots) << 32) | u64::from(socket + 1);
            match self.regions.iter_mut().find(|region| region.iset_id == iset_id) {
                Some(region) => {
                    region.modules.push(id);
                    region.capacity += capacity;
                }
                None => self.regions.push(SimRegion {
                    iset_id,
                    socket,
                    capacity,
                    modules: vec![id],
                    health: RegionHealth::Normal,
                    labels: Labels::Ready,
                    namespaces: Vec::new(),
                }),
            }
        }
    }

    fn create(&mut self, region: &str, size: u64) -> Result<(), ScmError> {
        let uuid = self.last_uuid + 1;
        let found = self.region(region)?;
        if found.labels == Labels::Missing || found.free() < size || !size.is_multiple_of(ALIGN) {
            return Err(failed("create-namespace", region, "no space left, or a misaligned size"));
        }
        let used: Vec<usize> = found.namespaces.iter().map(|space| space.place).collect();
        let place = (0..).find(|place| !used.contains(place)).unwrap_or(0);
        found.namespaces.push(SimNamespace {
            uuid: format!("00000000-0000-4000-9000-{uuid:012x}"),
            size,
            mode: NamespaceMode::Fsdax,
            content: DeviceContent::Blank,
            place,
        });
        self.last_uuid = uuid;
        Ok(())
    }

    fn destroy(&mut self, name: &str) -> Result<(), ScmError> {
        let uuid = self.disks().into_iter().find(|(each, _, _)| each == name);
        let Some((_, _, gone)) = uuid else {
            return Err(failed("destroy-namespace", name, "no such namespace"));
        };
        for region in &mut self.regions {
            region.namespaces.retain(|space| space.uuid != gone.uuid);
        }
        Ok(())
    }

    fn initialise(&mut self, region: &str) -> Result<(), ScmError> {
        let found = self.region(region)?;
        found.labels = Labels::Ready;
        found.namespaces.clear();
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

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

fn missing(tool: &str) -> ScmError {
    ScmError::MissingTool {
        tool: tool.to_owned(),
        device: "persistent memory".into(),
        searched: "the simulation".to_owned(),
    }
}

fn failed(command: &str, what: &str, why: &str) -> ScmError {
    ScmError::CommandFailed {
        command: format!("ndctl {command}"),
        device: what.into(),
        status: "exit status: 1".to_owned(),
        output: why.to_owned(),
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
