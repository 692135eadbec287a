//! One set of facts from what two tools tell; what a scan shows of it. Pure but for asking.
//!
//! The library knows modules, sockets, health and goals; the kernel knows what can be used now. A region that both
//! tell of is one region, matched by its interleave set.

use super::tools::{BusRegion, BusView, Dimm, PmemTools, VendorMemory, VendorRegion, VendorView};
use crate::error::ScmError;
use crate::model::{
    AppDirectRegion, Discovered, GoalSupport, Labels, NamespaceUse, PmemFacts, RegionFacts,
    RegionHealth, RegionKind, ScmInventory, ScmModule, ScmNamespace,
};

/// Least alignment of a namespace that 2.8 uses, and that dax pages need.
const TWO_MIB: u64 = 2 << 20;

impl PmemTools {
    /// Looks through both tools. The library is not even loaded where the kernel sees no module.
    pub(crate) async fn look(&self) -> Result<PmemFacts, ScmError> {
        let bus = self.namespaces.look().await?;
        let vendor = if bus.dimms.is_empty() && bus.regions.is_empty() {
            Ok(VendorView::default())
        } else {
            self.modules.look().await
        };
        Ok(assemble(vendor, bus))
    }

    /// The same with the uses of every namespace, to decide on. One that cannot be looked at keeps no other from being.
    pub(crate) async fn look_closely(&self) -> Result<PmemFacts, ScmError> {
        let mut facts = self.look().await?;
        let spaces = facts.regions.iter_mut().flat_map(|region| &mut region.namespaces);
        for space in spaces {
            if let Some(device) = &space.blockdev {
                space.used = self.namespaces.uses(device).await.unwrap_or_else(|error| {
                    let unseen = Some(crate::error::with_cause(&error));
                    NamespaceUse { unseen, ..NamespaceUse::default() }
                });
            }
        }
        Ok(facts)
    }
}

/// Facts from what the library told, or why it did not, and what the kernel shows.
#[must_use]
pub fn assemble(vendor: Result<VendorView, ScmError>, bus: BusView) -> PmemFacts {
    let managed = bus.dimms.iter().any(|dimm| dimm.managed);
    let (goals, view) = match vendor {
        Ok(view) if !view.modules.is_empty() => {
            (GoalSupport::Vendor { version: view.version.clone() }, view)
        }
        Ok(view) => (GoalSupport::Fixed, view),
        Err(error) if managed => {
            let (code, resolution) = (error.code(), error.resolution().to_owned());
            let why = crate::error::with_cause(&error);
            (GoalSupport::Unavailable { code, why, resolution }, VendorView::default())
        }
        // Nothing here would be managed by it.
        Err(_) => (GoalSupport::Fixed, VendorView::default()),
    };
    let mut modules = match &goals {
        GoalSupport::Vendor { .. } => view.modules.clone(),
        _ => bus.dimms.iter().map(|dimm| module(dimm, &bus.regions)).collect(),
    };
    modules.sort_by_key(|module| module.physical_id);
    let mut regions: Vec<RegionFacts> =
        bus.regions.into_iter().map(|region| of_bus(region, &bus.dimms)).collect();
    let told = view.regions.iter().filter(|region| region.memory != VendorMemory::Volatile);
    for (place, seen) in told.enumerate() {
        let kind = kind(seen, &modules);
        match regions.iter_mut().find(|region| region.region.iset_id == seen.iset_id) {
            Some(both) => {
                both.region.socket = seen.socket;
                both.region.health = seen.health;
                both.region.kind = kind;
                both.region.module_ids.clone_from(&seen.module_ids);
            }
            None => regions.push(of_vendor(seen, kind, u32::try_from(place).unwrap_or(u32::MAX))),
        }
    }
    PmemFacts { goals, modules, pending: view.pending, regions }
}

/// Interleaved over one module is interleaved only where the socket has no other. Only what is known to be persistent
/// is AppDirect.
fn kind(region: &VendorRegion, modules: &[ScmModule]) -> RegionKind {
    let there = modules.iter().filter(|module| module.socket == region.socket).count();
    match (region.memory, region.module_ids.len()) {
        (VendorMemory::Persistent, 1) if there > 1 => RegionKind::AppDirectNotInterleaved,
        (VendorMemory::Persistent, _) => RegionKind::AppDirect,
        (VendorMemory::Volatile, _) => RegionKind::Volatile,
        (VendorMemory::Unknown, _) => RegionKind::Unknown,
    }
}

/// A module of which only the kernel tells.
fn module(dimm: &Dimm, regions: &[BusRegion]) -> ScmModule {
    let field = |shift: u32, bits: u32| (dimm.handle >> shift) & ((1 << bits) - 1);
    let parts = regions.iter().flat_map(|region| {
        let own = region.mappings.iter().filter(|(name, _)| *name == dimm.name);
        own.map(move |(_, bytes)| (region.numa_node, *bytes))
    });
    let parts: Vec<(u32, u64)> = parts.collect();
    ScmModule {
        physical_id: dimm.physical_id,
        channel_position: field(0, 4),
        channel: field(4, 4),
        controller: field(8, 4),
        socket: parts.first().map_or_else(|| field(12, 4), |(node, _)| *node),
        capacity: parts.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes)),
        uid: dimm.id.clone(),
        health: "Unknown".to_owned(),
        ..ScmModule::default()
    }
}

fn of_bus(found: BusRegion, dimms: &[Dimm]) -> RegionFacts {
    let ids = found.mappings.iter().filter_map(|(name, _)| {
        dimms.iter().find(|dimm| dimm.name == *name).map(|dimm| dimm.physical_id)
    });
    let uids = found.mappings.iter().map(|(name, _)| {
        let own = dimms.iter().find(|dimm| dimm.name == *name);
        own.map(|dimm| dimm.id.clone()).unwrap_or_default()
    });
    let (ids, uids): (Vec<u32>, Vec<String>) = (ids.collect(), uids.collect());
    RegionFacts {
        region: AppDirectRegion {
            id: found.id,
            iset_id: found.iset_id,
            socket: found.numa_node,
            kind: match (found.persistent, found.mappings.len()) {
                (false, _) => RegionKind::Volatile,
                (true, 0 | 1) => RegionKind::AppDirectNotInterleaved,
                (true, _) => RegionKind::AppDirect,
            },
            capacity: found.size,
            free_capacity: found.available,
            health: RegionHealth::Unknown,
            module_ids: ids,
        },
        name: Some(found.name),
        align: found.align.max(TWO_MIB),
        disabled: found.disabled,
        labels: found.labels,
        modules: uids,
        dimms: found.mappings.into_iter().map(|(name, _)| name).collect(),
        namespaces: found.namespaces,
    }
}

fn of_vendor(seen: &VendorRegion, kind: RegionKind, place: u32) -> RegionFacts {
    RegionFacts {
        region: AppDirectRegion {
            id: place,
            iset_id: seen.iset_id,
            socket: seen.socket,
            kind,
            capacity: seen.capacity,
            free_capacity: seen.free_capacity,
            health: seen.health,
            module_ids: seen.module_ids.clone(),
        },
        name: None,
        align: TWO_MIB,
        disabled: false,
        labels: Labels::Ready,
        dimms: Vec::new(),
        modules: Vec::new(),
        namespaces: Vec::new(),
    }
}

/// What a scan shows. Modules that only the missing library could describe are unknown, which is not none (R113).
#[must_use]
pub fn inventory(facts: &PmemFacts) -> ScmInventory {
    let modules = match &facts.goals {
        GoalSupport::Unavailable { code, why, resolution } => Discovered::Unknown {
            code: *code,
            why: format!("the kernel sees {} modules; {why}", facts.modules.len()),
            resolution: resolution.clone(),
        },
        _ => Discovered::Known(facts.modules.clone()),
    };
    let mut namespaces = block_namespaces(facts, None);
    namespaces.sort_by(|a, b| a.blockdev.cmp(&b.blockdev));
    ScmInventory {
        modules,
        regions: Discovered::Known(
            facts.regions.iter().map(|region| region.region.clone()).collect(),
        ),
        namespaces: Discovered::Known(namespaces),
        goals: facts.pending.clone(),
    }
}

/// Namespaces with a block device, of one socket or all.
pub(super) fn block_namespaces(facts: &PmemFacts, socket: Option<u32>) -> Vec<ScmNamespace> {
    let regions = facts
        .regions
        .iter()
        .filter(|each| socket.is_none_or(|wanted| each.region.socket == wanted));
    let spaces = regions.flat_map(|region| &region.namespaces).filter_map(|space| {
        Some(ScmNamespace {
            uuid: space.uuid.clone(),
            blockdev: space.blockdev.clone()?,
            dev: space.name.clone(),
            numa_node: space.numa_node,
            size: space.size,
            mode: space.mode,
            uses: Vec::new(),
            mount: None,
        })
    });
    spaces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamespaceFacts, NamespaceMode};

    fn dimm(number: u32, managed: bool) -> Dimm {
        Dimm {
            name: format!("nmem{number}"),
            id: format!("8089-a2-1748-0000000{number}"),
            physical_id: 0x1c + number,
            handle: 0x1010 + number,
            managed,
        }
    }

    fn region(dimms: &[u32]) -> BusRegion {
        BusRegion {
            id: 0,
            name: "region0".to_owned(),
            size: 2 << 30,
            available: 1 << 30,
            align: 16 << 20,
            persistent: true,
            iset_id: 77,
            numa_node: 1,
            disabled: false,
            labels: Labels::Ready,
            mappings: dimms.iter().map(|dimm| (format!("nmem{dimm}"), 1 << 30)).collect(),
            namespaces: vec![NamespaceFacts {
                name: "namespace0.0".to_owned(),
                uuid: "u".to_owned(),
                mode: NamespaceMode::Fsdax,
                size: 1 << 30,
                blockdev: Some("pmem0".to_owned()),
                numa_node: 1,
                ..NamespaceFacts::default()
            }],
        }
    }

    fn view() -> VendorView {
        let module = |number: u32| ScmModule {
            physical_id: 0x1c + number,
            socket: 1,
            ..ScmModule::default()
        };
        VendorView {
            version: "03.00.00.0468".to_owned(),
            modules: vec![module(1), module(0)],
            regions: vec![VendorRegion {
                iset_id: 77,
                socket: 1,
                memory: VendorMemory::Persistent,
                capacity: 2 << 30,
                free_capacity: 1 << 30,
                health: RegionHealth::Normal,
                module_ids: vec![0x1c, 0x1d],
            }],
            pending: Vec::new(),
        }
    }

    fn missing() -> ScmError {
        ScmError::MissingTool {
            tool: crate::error::LIBIPMCTL.to_owned(),
            device: "persistent memory".into(),
            searched: "the loader's path".to_owned(),
        }
    }

    #[test]
    fn a_region_that_both_tell_of_is_one_region_r114() {
        let bus =
            BusView { dimms: vec![dimm(0, true), dimm(1, true)], regions: vec![region(&[0, 1])] };
        let facts = assemble(Ok(view()), bus);
        assert_eq!(facts.goals, GoalSupport::Vendor { version: "03.00.00.0468".to_owned() });
        let [one] = facts.regions.as_slice() else { panic!("{:?}", facts.regions) };
        assert_eq!(
            (one.region.kind, one.region.health),
            (RegionKind::AppDirect, RegionHealth::Normal)
        );
        assert_eq!((one.region.free_capacity, one.align), (1 << 30, 16 << 20));
        assert_eq!(
            facts.modules.iter().map(|module| module.physical_id).collect::<Vec<_>>(),
            [28, 29]
        );
        let shown = inventory(&facts);
        assert_eq!(shown.namespaces.known().len(), 1);
        assert_eq!(shown.regions.known()[0].module_ids, [28, 29]);
    }

    #[test]
    fn one_module_of_two_is_not_interleaved_t7() {
        let mut seen = view();
        seen.regions[0].module_ids = vec![0x1c];
        let facts = assemble(Ok(seen), BusView::default());
        assert_eq!(facts.regions[0].region.kind, RegionKind::AppDirectNotInterleaved);
        assert_eq!(facts.regions[0].name, None, "the kernel does not show it yet");
    }

    /// What the library does not know to be persistent is never taken for it.
    #[test]
    fn a_region_of_unknown_type_is_unknown() {
        for (memory, kind) in [
            (VendorMemory::Unknown, Some(RegionKind::Unknown)),
            (VendorMemory::Persistent, Some(RegionKind::AppDirect)),
            (VendorMemory::Volatile, None),
        ] {
            let mut seen = view();
            seen.regions[0].memory = memory;
            let facts = assemble(Ok(seen), BusView::default());
            assert_eq!(facts.regions.first().map(|each| each.region.kind), kind, "{memory:?}");
        }
    }

    #[test]
    fn none_and_tool_missing_are_different_answers_r113() {
        let none = inventory(&assemble(Err(missing()), BusView::default()));
        assert_eq!(none.modules, Discovered::Known(Vec::new()));
        let bus = BusView { dimms: vec![dimm(0, true)], regions: Vec::new() };
        let Discovered::Unknown { code: 1, why, resolution } =
            inventory(&assemble(Err(missing()), bus)).modules
        else {
            panic!("known")
        };
        assert!(why.contains("1 modules") && why.contains("libipmctl.so.5"), "{why}");
        assert!(resolution.contains("libipmctl"), "{resolution}");
    }

    #[test]
    fn virtual_modules_are_described_by_the_kernel() {
        let bus = BusView { dimms: vec![dimm(0, false)], regions: vec![region(&[0])] };
        let facts = assemble(Err(missing()), bus);
        assert_eq!(facts.goals, GoalSupport::Fixed);
        let [module] = facts.modules.as_slice() else { panic!("{:?}", facts.modules) };
        assert_eq!((module.physical_id, module.socket, module.capacity), (28, 1, 1 << 30));
        assert_eq!((module.channel, module.controller, module.channel_position), (1, 0, 0));
    }
}
