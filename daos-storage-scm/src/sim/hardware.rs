//! Modules, regions and namespaces of a simulated host as values, and what changes them: goals at a reboot, labels, namespaces.
//!
//! It keeps the rules of the real tools that provisioning depends on: no goal over namespaces, no namespace in an
//! unlabelled region, new kernel names after a reboot. Owned by the world of `SimScm`; `pmem` is its only caller.

use crate::error::{LIBIPMCTL, ScmError};
use crate::model::{
    DeviceContent, Labels, MemoryGoal, NamespaceFacts, NamespaceMode, NamespaceUse, PendingGoal,
    RegionHealth, ScmModule,
};
use crate::pmem::{BusRegion, BusView, Dimm, VendorRegion, VendorView};

/// Alignment of namespaces, as the kernel has it.
const ALIGN: u64 = 16 << 20;

#[derive(Debug, Clone)]
pub(super) struct Hardware {
    pub(super) ipmctl: Option<String>,
    pub(super) ndctl: bool,
    pub(super) managed: bool,
    pub(super) modules: Vec<ScmModule>,
    pub(super) regions: Vec<SimRegion>,
    pub(super) pending: Vec<PendingGoal>,
    pub(super) boots: u32,
    last_uuid: u32,
}

#[derive(Debug, Clone)]
pub(super) struct SimRegion {
    pub(super) iset_id: u64,
    pub(super) socket: u32,
    pub(super) capacity: u64,
    pub(super) modules: Vec<u32>,
    pub(super) health: RegionHealth,
    pub(super) labels: Labels,
    pub(super) namespaces: Vec<SimNamespace>,
}

#[derive(Debug, Clone)]
pub(super) struct SimNamespace {
    pub(super) uuid: String,
    pub(super) size: u64,
    pub(super) mode: NamespaceMode,
    /// What it held at a reboot, to be found again after it.
    pub(super) content: DeviceContent,
    pub(super) place: usize,
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
    pub(super) fn disks(&self) -> Vec<(String, String, SimNamespace)> {
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

    pub(super) fn bus(&self) -> BusView {
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

    pub(super) fn vendor(&self) -> Result<VendorView, ScmError> {
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

    pub(super) fn set_goal(
        &mut self,
        modules: &[String],
        goal: MemoryGoal,
    ) -> Result<(), ScmError> {
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
    pub(super) fn apply_goals(&mut self) {
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

    pub(super) fn create(&mut self, region: &str, size: u64) -> Result<(), ScmError> {
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

    pub(super) fn destroy(&mut self, name: &str) -> Result<(), ScmError> {
        let uuid = self.disks().into_iter().find(|(each, _, _)| each == name);
        let Some((_, _, gone)) = uuid else {
            return Err(failed("destroy-namespace", name, "no such namespace"));
        };
        for region in &mut self.regions {
            region.namespaces.retain(|space| space.uuid != gone.uuid);
        }
        Ok(())
    }

    pub(super) fn initialise(&mut self, region: &str) -> Result<(), ScmError> {
        let found = self.region(region)?;
        found.labels = Labels::Ready;
        found.namespaces.clear();
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

pub(super) fn missing(tool: &str) -> ScmError {
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
