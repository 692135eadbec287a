//! Modules, regions and namespaces of a simulated host as values, and what changes them: labels, namespaces, and being disabled.
//!
//! It keeps the rules of the real tools that provisioning depends on: no namespace in an unlabelled or disabled region, new
//! kernel names after a reboot, and what was on a namespace is found in the next one at its place. Goals are in `goals`.
//! Owned by the world of `SimScm`; called by `pmem` and, for tests, `arrange`.

use std::path::{Path, PathBuf};

use crate::error::ScmError;
use crate::model::{
    DeviceContent, Labels, NamespaceFacts, NamespaceMode, NamespaceUse, PendingGoal, RegionHealth,
    ScmModule,
};
use crate::pmem::{BusRegion, BusView, Dimm};

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
    pub(super) disabled: bool,
    pub(super) labels: Labels,
    pub(super) namespaces: Vec<SimNamespace>,
    /// What was on namespaces that are gone: place, size, content. The next one there shows it again.
    pub(super) remains: Vec<(usize, u64, DeviceContent)>,
}

#[derive(Debug, Clone)]
pub(super) struct SimNamespace {
    pub(super) uuid: String,
    pub(super) size: u64,
    pub(super) mode: NamespaceMode,
    pub(super) disabled: bool,
    /// What it held when it last showed, to be found again when it shows again.
    pub(super) content: DeviceContent,
    pub(super) place: usize,
}

/// A block device of a namespace.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    name: String,
    region: u64,
    place: usize,
    pub(super) size: u64,
    pub(super) content: DeviceContent,
}

impl Disk {
    pub(super) fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Whether it shows as it did: the same place under the same name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let key = |disk: &Self| (disk.name.clone(), disk.region, disk.place, disk.size);
        key(self) == key(other)
    }
}

impl SimNamespace {
    fn is_disk(&self) -> bool {
        !self.disabled && self.mode != NamespaceMode::Devdax
    }
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
    pub(super) fn free(&self) -> u64 {
        match self.labels {
            Labels::Missing => 0,
            Labels::Ready => {
                let taken = self.namespaces.iter().fold(0, |sum, space| sum + space.size);
                self.capacity.saturating_sub(taken)
            }
        }
    }

    /// Takes namespaces away; what was on them stays where it was.
    fn forget(&mut self, which: impl Fn(&SimNamespace) -> bool) {
        let (gone, left) = std::mem::take(&mut self.namespaces).into_iter().partition(which);
        self.namespaces = left;
        let remains = Vec::into_iter(gone)
            .map(|space: SimNamespace| (space.place, space.size, space.content));
        self.remains.extend(remains);
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

    /// The namespace of this name.
    pub(super) fn namespace(&mut self, name: &str) -> Option<&mut SimNamespace> {
        let (region, space) = name.strip_prefix("namespace")?.split_once('.')?;
        let place: usize = space.parse().ok()?;
        let region = self.region(&format!("region{region}")).ok()?;
        region.namespaces.iter_mut().find(|space| space.place == place)
    }

    /// The block devices that show: nothing of a disabled region, and no disabled namespace or one of mode devdax.
    pub(super) fn disks(&self) -> Vec<Disk> {
        let regions = self.regions.iter().enumerate().filter(|(_, region)| !region.disabled);
        let each = regions.flat_map(|(place, region)| {
            region.namespaces.iter().filter(|space| space.is_disk()).map(move |space| Disk {
                name: self.names(place, space).1,
                region: region.iset_id,
                place: space.place,
                size: space.size,
                content: space.content.clone(),
            })
        });
        each.collect()
    }

    /// Keeps what was on a disk that no longer shows.
    pub(super) fn keep(&mut self, disk: &Disk, content: DeviceContent) {
        let Some(region) = self.regions.iter_mut().find(|each| each.iset_id == disk.region) else {
            return;
        };
        match region.namespaces.iter_mut().find(|space| space.place == disk.place) {
            Some(space) => space.content = content,
            None => region.remains.push((disk.place, disk.size, content)),
        }
    }

    pub(super) fn enable_all(&mut self) {
        for region in &mut self.regions {
            region.disabled = false;
            region.namespaces.iter_mut().for_each(|space| space.disabled = false);
        }
    }

    /// Takes even a character device from under its user, as `ndctl disable-region` does.
    pub(super) fn disable(&mut self, region: &str) -> Result<(), ScmError> {
        self.region(region)?.disabled = true;
        Ok(())
    }

    pub(super) fn enable(&mut self, region: &str) -> Result<(), ScmError> {
        self.region(region)?.disabled = false;
        Ok(())
    }

    fn facts(&self, region: usize, found: &SimRegion, space: &SimNamespace) -> NamespaceFacts {
        let (name, disk) = self.names(region, space);
        NamespaceFacts {
            name,
            uuid: space.uuid.clone(),
            mode: if space.disabled { NamespaceMode::Unknown } else { space.mode },
            disabled: space.disabled,
            size: space.size,
            blockdev: space.is_disk().then_some(disk),
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
                    disabled: found.disabled,
                    labels: found.labels,
                    mappings: found.modules.iter().map(|id| mapping(id, share)).collect(),
                    namespaces: (found.namespaces.iter())
                        .filter(|_| !found.disabled)
                        .map(|space| self.facts(place, found, space))
                        .collect(),
                }
            })
            .collect();
        regions.sort_by_key(|region| region.id);
        BusView { dimms: self.modules.iter().enumerate().map(dimm).collect(), regions }
    }

    pub(super) fn create(&mut self, region: &str, size: u64) -> Result<(), ScmError> {
        let uuid = self.last_uuid + 1;
        let found = self.region(region)?;
        let room = !found.disabled && found.labels == Labels::Ready && found.free() >= size;
        if !room || !size.is_multiple_of(ALIGN) {
            return Err(failed("create-namespace", region, "no space left, or a misaligned size"));
        }
        let used: Vec<usize> = found.namespaces.iter().map(|space| space.place).collect();
        let place = (0..).find(|place| !used.contains(place)).unwrap_or(0);
        let mut content = DeviceContent::Blank;
        found.remains.retain(|(at, bytes, left)| {
            let same = (*at, *bytes) == (place, size);
            if same {
                content = left.clone();
            }
            !same
        });
        found.namespaces.push(SimNamespace {
            uuid: format!("00000000-0000-4000-9000-{uuid:012x}"),
            size,
            mode: NamespaceMode::Fsdax,
            disabled: false,
            content,
            place,
        });
        self.last_uuid = uuid;
        Ok(())
    }

    pub(super) fn destroy(&mut self, name: &str) -> Result<(), ScmError> {
        let gone = self.namespace(name).map(|space| space.place);
        let region = name.trim_start_matches("namespace").split('.').next().unwrap_or_default();
        let found = self.region(&format!("region{region}"))?;
        match gone {
            Some(place) if !found.disabled && found.labels == Labels::Ready => {
                found.forget(|space| space.place == place);
                Ok(())
            }
            _ => Err(failed("destroy-namespace", name, "no such namespace")),
        }
    }

    pub(super) fn initialise(&mut self, region: &str) -> Result<(), ScmError> {
        let found = self.region(region)?;
        if !found.disabled || found.modules.is_empty() {
            return Err(failed("init-labels", region, "regions active, abort label write"));
        }
        found.labels = Labels::Ready;
        found.forget(|_| true);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.modules.is_empty() && self.regions.is_empty()
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
