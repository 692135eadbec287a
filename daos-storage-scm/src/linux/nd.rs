//! Persistent memory as the kernel's nvdimm bus shows it in sysfs: modules, regions and namespaces, read only.
//!
//! Enough to look at without any program; `ndctl` tells the same and changes it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ScmError;
use crate::error::SystemCause;
use crate::model::{Labels, NamespaceFacts, NamespaceMode, NamespaceUse};
use crate::pmem::{BusRegion, BusView, Dimm};

/// Identity of the vendor whose library manages modules, as firmware writes it into a module's id.
const INTEL: &str = "8089-";

/// What the bus shows; nothing where there is no bus.
pub(super) fn bus_view(sysfs: &Path) -> Result<BusView, ScmError> {
    let bus = sysfs.join("bus/nd/devices");
    let names = match fs::read_dir(&bus) {
        Ok(entries) => {
            let mut names: Vec<String> = entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let SystemCause(source) = error.into();
            return Err(ScmError::DiscoveryFailed { what: bus.display().to_string(), source });
        }
    };
    let numbered = |kind: &str| {
        let mut found: Vec<(u32, PathBuf)> = names
            .iter()
            .filter_map(|name| Some((name.strip_prefix(kind)?.parse().ok()?, bus.join(name))))
            .collect();
        found.sort();
        found
    };
    let mut regions: Vec<BusRegion> =
        numbered("region").into_iter().filter_map(|(id, dir)| region(id, &dir)).collect();
    for name in names.iter().filter(|name| name.starts_with("namespace")) {
        let own = parent_region(name);
        let region = regions.iter_mut().find(|region| Some(region.id) == own);
        if let (Some(region), Some(found)) = (region, namespace(name, &bus)) {
            region.namespaces.push(found);
        }
    }
    let dimms = numbered("nmem").into_iter().map(|(id, dir)| dimm(id, &dir)).collect();
    Ok(BusView { dimms, regions })
}

/// `namespace1.0` is of region 1.
fn parent_region(name: &str) -> Option<u32> {
    name.strip_prefix("namespace")?.split('.').next()?.parse().ok()
}

fn dimm(number_of: u32, dir: &Path) -> Dimm {
    let nfit = dir.join("nfit");
    let small = |file: &str| {
        number(&nfit.join(file)).and_then(|each| u32::try_from(each).ok()).unwrap_or(0)
    };
    let id = text(&nfit.join("id")).unwrap_or_default();
    Dimm {
        name: format!("nmem{number_of}"),
        managed: is_managed(&id),
        id,
        physical_id: small("phys_id"),
        handle: small("handle"),
    }
}

/// Whether a module with this id is one that Intel's library manages.
pub(super) fn is_managed(id: &str) -> bool {
    id.starts_with(INTEL)
}

/// Whether the labels of a region's modules are valid: the kernel then makes namespaces of the labelled type (5).
pub(super) fn labels(sysfs: &Path, region: &str) -> Labels {
    labels_at(&sysfs.join("bus/nd/devices").join(region))
}

fn labels_at(dir: &Path) -> Labels {
    match number(&dir.join("nstype")) {
        Some(4) => Labels::Missing,
        _ => Labels::Ready,
    }
}

fn region(id: u32, dir: &Path) -> Option<BusRegion> {
    let mappings = number(&dir.join("mappings")).unwrap_or(0);
    let mapped = (0..mappings).filter_map(|index| {
        // `nmem0,<start>,<length>,<position>`
        let mapping = text(&dir.join(format!("mapping{index}")))?;
        let mut words = mapping.split(',');
        Some((words.next()?.to_owned(), words.nth(1)?.parse().ok()?))
    });
    let labels = labels_at(dir);
    Some(BusRegion {
        id,
        name: format!("region{id}"),
        size: number(&dir.join("size"))?,
        // Without labels the kernel counts as free what its one namespace takes.
        available: match labels {
            Labels::Missing => 0,
            Labels::Ready => number(&dir.join("available_size")).unwrap_or(0),
        },
        align: number(&dir.join("align")).unwrap_or(0),
        persistent: text(&dir.join("devtype")).as_deref() != Some("nd_volatile"),
        iset_id: number(&dir.join("set_cookie")).unwrap_or(0),
        numa_node: node(dir),
        disabled: !has_driver(dir),
        labels,
        mappings: mapped.collect(),
        namespaces: Vec::new(),
    })
}

/// A namespace that has a size; the kernel's seeds for new ones have none.
fn namespace(name: &str, bus: &Path) -> Option<NamespaceFacts> {
    let dir = bus.join(name);
    let whole = number(&dir.join("size")).filter(|size| *size > 0)?;
    // In fsdax and sector mode the block device hangs below the pfn or btt device that holds the namespace.
    let holder = text(&dir.join("holder")).map(|holder| bus.join(holder));
    let held_size = holder.as_ref().and_then(|holder| number(&holder.join("size")));
    let disabled = !has_driver(&dir) && !holder.as_deref().is_some_and(has_driver);
    // ndctl tells the holder's uuid as that of the namespace, so we do.
    let held_uuid = holder.as_ref().and_then(|holder| text(&holder.join("uuid")));
    let blockdev = [holder, Some(dir.clone())].into_iter().flatten().find_map(|dir| {
        let mut entries = fs::read_dir(dir.join("block")).ok()?;
        Some(entries.next()?.ok()?.file_name().to_string_lossy().into_owned())
    });
    Some(NamespaceFacts {
        name: name.to_owned(),
        uuid: held_uuid.or_else(|| text(&dir.join("uuid"))).unwrap_or_default(),
        mode: match disabled {
            // The kernel calls every disabled one raw.
            true => NamespaceMode::Unknown,
            false => NamespaceMode::of(text(&dir.join("mode")).as_deref().unwrap_or_default()),
        },
        disabled,
        size: held_size.filter(|size| *size > 0).unwrap_or(whole),
        blockdev,
        numa_node: node(&dir),
        used: NamespaceUse::default(),
    })
}

/// Whether the kernel works with a device of the bus; else it is disabled.
fn has_driver(dir: &Path) -> bool {
    dir.join("driver").exists()
}

/// NUMA node of a device of the bus.
pub(super) fn node_of(sysfs: &Path, name: &str) -> u32 {
    node(&sysfs.join("bus/nd/devices").join(name))
}

fn node(dir: &Path) -> u32 {
    // The kernel says -1 where it does not know.
    text(&dir.join("numa_node")).and_then(|node| node.parse().ok()).unwrap_or(0)
}

/// A decimal or, with `0x`, a hexadecimal number.
fn number(file: &Path) -> Option<u64> {
    let text = text(file)?;
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn text(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RegionKind;
    use crate::pmem::{VendorView, assemble, inventory};

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("directory");
        for (path, content) in files {
            let path = dir.path().join("bus/nd/devices").join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("directories");
            fs::write(path, content).expect("file");
        }
        dir
    }

    #[test]
    fn a_host_without_the_bus_has_no_memory_and_no_error_r113() {
        let dir = tempfile::tempdir().expect("directory");
        assert_eq!(bus_view(dir.path()).expect("view"), BusView::default());
    }

    #[test]
    fn regions_and_namespaces_are_read_from_the_bus_r114() {
        let dir = tree(&[
            ("nmem0/nfit/phys_id", "0x1c\n"),
            ("nmem0/nfit/id", "8680-57341200\n"),
            ("nmem1/nfit/phys_id", "0x1d\n"),
            ("region0/driver/module", ""),
            ("region0/size", "1079322345472\n"),
            ("region0/available_size", "0\n"),
            ("region0/align", "0x1000000\n"),
            ("region0/devtype", "nd_pmem\n"),
            ("region0/nstype", "5\n"),
            ("region0/mappings", "2\n"),
            ("region0/mapping0", "nmem0,0,539661172736,0\n"),
            ("region0/mapping1", "nmem1,0,539661172736,1\n"),
            ("region0/set_cookie", "0x2aba7f4828ef2ccc\n"),
            ("region0/numa_node", "1\n"),
            ("region1/driver/module", ""),
            ("region1/size", "1024\n"),
            ("region1/available_size", "1024\n"),
            ("region1/devtype", "nd_pmem\n"),
            ("region1/nstype", "4\n"),
            ("region1/mappings", "1\n"),
            ("namespace0.0/size", "1062521372672\n"),
            ("namespace0.0/uuid", "842fc847-28e0-4bb6-8dfc-d24afdba1528\n"),
            ("namespace0.0/mode", "memory\n"),
            ("namespace0.0/numa_node", "1\n"),
            ("namespace0.0/holder", "pfn0.1\n"),
            ("pfn0.1/driver/module", ""),
            ("pfn0.1/block/pmem0/size", "0\n"),
            ("pfn0.1/size", "1045898100736\n"),
            ("pfn0.1/uuid", "38b42339-b16a-4372-8dcc-693fa4fd8c0d\n"),
            ("namespace1.0/size", "512\n"),
            ("namespace1.0/mode", "raw\n"),
            ("namespace1.0/driver/module", ""),
            ("namespace1.0/block/pmem1/size", "0\n"),
            ("namespace0.1/size", "0\n"),
            ("namespace0.1/holder", "\n"),
        ]);
        let view = bus_view(dir.path()).expect("view");
        let [first, second] = view.regions.as_slice() else { panic!("{view:?}") };
        assert_eq!((first.labels, second.labels), (Labels::Ready, Labels::Missing));
        assert_eq!(second.available, 0, "its one namespace takes all of it");
        assert_eq!((first.align, first.iset_id), (16 << 20, 0x2aba_7f48_28ef_2ccc));
        assert_eq!(first.namespaces[0].mode, NamespaceMode::Fsdax);
        assert_eq!(first.namespaces[0].uuid, "38b42339-b16a-4372-8dcc-693fa4fd8c0d");
        assert_eq!(first.namespaces[0].size, 1_045_898_100_736, "what is left for data");
        let found = inventory(&assemble(Ok(VendorView::default()), view));
        let modules: Vec<_> = found
            .modules
            .known()
            .iter()
            .map(|module| (module.physical_id, module.capacity))
            .collect();
        assert_eq!(modules, [(28, 539_661_172_736), (29, 539_661_172_736)]);
        let [first, second] = found.regions.known() else { panic!("{:?}", found.regions) };
        assert_eq!(first.kind, RegionKind::AppDirect);
        assert_eq!(
            (first.id, first.socket, first.capacity, first.free_capacity, first.iset_id),
            (0, 1, 1_079_322_345_472, 0, 0x2aba_7f48_28ef_2ccc)
        );
        assert_eq!(first.module_ids, [28, 29]);
        assert_eq!(second.kind, RegionKind::AppDirectNotInterleaved);
        let names: Vec<_> = found
            .namespaces
            .known()
            .iter()
            .map(|each| (each.dev.as_str(), each.blockdev.as_str(), each.numa_node))
            .collect();
        assert_eq!(names, [("namespace0.0", "pmem0", 1), ("namespace1.0", "pmem1", 0)]);
    }

    /// As a guest shows them: a region without a driver has no namespaces, and every disabled namespace is called raw.
    #[test]
    fn what_is_disabled_is_told_and_has_no_known_mode() {
        let dir = tree(&[
            ("region0/driver/module", ""),
            ("region0/size", "268435456\n"),
            ("region0/nstype", "5\n"),
            ("namespace0.0/size", "268435456\n"),
            ("namespace0.0/uuid", "b69bdb66-30ab-4851-99a9-b700428bdc96\n"),
            ("namespace0.0/mode", "raw\n"),
            ("namespace0.0/holder_class", "dax\n"),
            ("region1/size", "268435456\n"),
            ("region1/nstype", "5\n"),
            ("region1/available_size", "0\n"),
        ]);
        let view = bus_view(dir.path()).expect("view");
        let [first, second] = view.regions.as_slice() else { panic!("{view:?}") };
        assert_eq!((first.disabled, second.disabled), (false, true));
        let [space] = first.namespaces.as_slice() else { panic!("{first:?}") };
        assert_eq!((space.disabled, space.mode), (true, NamespaceMode::Unknown));
        assert_eq!(space.blockdev, None);
    }
}
