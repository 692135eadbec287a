//! Persistent memory as the kernel's nvdimm bus shows it: regions and namespaces, read only.
//!
//! Details of modules need the vendor's library, which this body does not use yet; it says so where there are
//! modules, and that there are none where there are none (R113).

use std::fs;
use std::path::{Path, PathBuf};

use crate::ScmError;
use crate::error::SystemCause;
use crate::model::{
    AppDirectRegion, Discovered, MountPointState, RegionHealth, RegionKind, ScmInventory,
    ScmNamespace, ScmTarget,
};
use crate::mountpoint;

pub(super) fn inventory(sysfs: &Path, targets: &[ScmTarget]) -> Result<ScmInventory, ScmError> {
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
    let modules = numbered("nmem");
    let regions =
        numbered("region").into_iter().filter_map(|(id, dir)| region(id, &dir, &bus)).collect();
    let mut namespaces: Vec<ScmNamespace> = names
        .iter()
        .filter(|name| name.starts_with("namespace"))
        .filter_map(|name| namespace(name, &bus))
        .collect();
    namespaces.sort_by(|a, b| a.blockdev.cmp(&b.blockdev));
    for target in targets {
        add_usage(&mut namespaces, target)?;
    }
    Ok(ScmInventory {
        modules: modules_of(modules.len()),
        regions: Discovered::Known(regions),
        namespaces: Discovered::Known(namespaces),
    })
}

fn modules_of<T>(count: usize) -> Discovered<T> {
    match count {
        0 => Discovered::Known(Vec::new()),
        count => Discovered::Unknown {
            why: format!("the kernel sees {count} modules, their details are not read yet"),
            resolution: "use ipmctl show -dimm for details".to_owned(),
        },
    }
}

fn region(id: u32, dir: &Path, bus: &Path) -> Option<AppDirectRegion> {
    let capacity = number(&dir.join("size"))?;
    let mappings = number(&dir.join("mappings")).unwrap_or(0);
    let kind = match text(&dir.join("devtype")).as_deref() {
        Some("nd_volatile") => RegionKind::Volatile,
        Some("nd_pmem") if mappings > 1 => RegionKind::AppDirect,
        Some("nd_pmem") => RegionKind::AppDirectNotInterleaved,
        _ => RegionKind::Unknown,
    };
    let module_ids = (0..mappings)
        .filter_map(|index| {
            // `nmem0,<start>,<length>,<position>`
            let mapping = text(&dir.join(format!("mapping{index}")))?;
            let module = mapping.split(',').next()?.to_owned();
            u32::try_from(number(&bus.join(module).join("nfit/phys_id"))?).ok()
        })
        .collect();
    Some(AppDirectRegion {
        id,
        iset_id: number(&dir.join("set_cookie")).unwrap_or(0),
        socket: node(dir),
        kind,
        capacity,
        free_capacity: number(&dir.join("available_size")).unwrap_or(0),
        health: RegionHealth::Unknown,
        module_ids,
    })
}

/// A namespace that is usable as a block device; seeds and disabled ones have none.
fn namespace(name: &str, bus: &Path) -> Option<ScmNamespace> {
    let dir = bus.join(name);
    let size = number(&dir.join("size")).filter(|size| *size > 0)?;
    // In fsdax and sector mode the block device hangs below the pfn or btt device that holds the namespace.
    let holder = text(&dir.join("holder")).map(|holder| bus.join(holder));
    let blockdev = [holder, Some(dir.clone())].into_iter().flatten().find_map(|dir| {
        let mut entries = fs::read_dir(dir.join("block")).ok()?;
        Some(entries.next()?.ok()?.file_name().to_string_lossy().into_owned())
    })?;
    Some(ScmNamespace {
        uuid: text(&dir.join("uuid")).unwrap_or_default(),
        blockdev,
        dev: name.to_owned(),
        numa_node: node(&dir),
        size,
        mount: None,
    })
}

/// Usage of the mounts of configured devices; a device that is no namespace (a loop device) is listed too.
fn add_usage(namespaces: &mut Vec<ScmNamespace>, target: &ScmTarget) -> Result<(), ScmError> {
    let Some(device) = target.device() else { return Ok(()) };
    let MountPointState::MountPoint(mount) = mountpoint::look(target.mount_point())? else {
        return Ok(());
    };
    let Ok(identity) = daos_blockdev::identify(device) else { return Ok(()) };
    if mount.device != identity.number {
        return Ok(());
    }
    let usage = Some(mountpoint::usage(target.mount_point())?);
    match namespaces.iter_mut().find(|namespace| namespace.blockdev == identity.name) {
        Some(namespace) => namespace.mount = usage,
        None => namespaces.push(ScmNamespace {
            blockdev: identity.name,
            size: identity.size_bytes,
            mount: usage,
            ..ScmNamespace::default()
        }),
    }
    Ok(())
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
        let found = inventory(dir.path(), &[]).expect("inventory");
        assert_eq!(found, ScmInventory::default());
    }

    #[test]
    fn regions_and_namespaces_are_read_from_the_bus_r114() {
        let dir = tree(&[
            ("nmem0/nfit/phys_id", "0x1c\n"),
            ("nmem1/nfit/phys_id", "0x1d\n"),
            ("region0/size", "1079322345472\n"),
            ("region0/available_size", "0\n"),
            ("region0/devtype", "nd_pmem\n"),
            ("region0/mappings", "2\n"),
            ("region0/mapping0", "nmem0,0,539661172736,0\n"),
            ("region0/mapping1", "nmem1,0,539661172736,1\n"),
            ("region0/set_cookie", "0x2aba7f4828ef2ccc\n"),
            ("region0/numa_node", "1\n"),
            ("region1/size", "1024\n"),
            ("region1/devtype", "nd_pmem\n"),
            ("region1/mappings", "1\n"),
            ("namespace0.0/size", "1062521372672\n"),
            ("namespace0.0/uuid", "842fc847-28e0-4bb6-8dfc-d24afdba1528\n"),
            ("namespace0.0/numa_node", "1\n"),
            ("namespace0.0/holder", "pfn0.1\n"),
            ("pfn0.1/block/pmem0/size", "0\n"),
            ("namespace1.0/size", "512\n"),
            ("namespace1.0/block/pmem1/size", "0\n"),
            ("namespace0.1/size", "0\n"),
            ("namespace0.1/holder", "\n"),
        ]);
        let found = inventory(dir.path(), &[]).expect("inventory");
        assert!(matches!(&found.modules, Discovered::Unknown { why, .. } if why.contains('2')));
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
}
