//! The device files through which programs have a controller that a driver for user space has, and who has them open.
//!
//! Called by `discover`, `loan`, `bind` and `prepare`: the one place that knows how these drivers name their files. Changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daos_blockdev::{DeviceUse, wait_until};

use super::pci::{PciFunction, Roots, link_name, text};
use crate::BdevError;

/// Driver for an IOMMU that is on.
pub(super) const VFIO: &str = "vfio-pci";
/// Driver without one, for root alone.
pub(super) const UIO: &str = "uio_pci_generic";
/// The driver of DPDK for the same, which administrators build themselves.
const IGB_UIO: &str = "igb_uio";
/// What the kernel puts before the names of VFIO's files where no IOMMU protects the memory.
const NO_IOMMU: &str = "noiommu-";
/// What it calls such a group.
const NO_IOMMU_GROUP: &str = "vfio-noiommu";
/// How long udev may take to make a file after the driver has the function.
const APPEARS: Duration = Duration::from_secs(5);

/// Whether a driver hands a controller to programs.
pub(super) fn is_user_space(driver: &str) -> bool {
    matches!(driver, VFIO | UIO | IGB_UIO)
}

/// The device files of a controller that this driver has, as far as they are there; first the one whose owner may use it.
pub(super) fn files(roots: &Roots, function: &PciFunction, driver: &str) -> Vec<PathBuf> {
    let mut files = owned(roots, function, driver);
    if driver == VFIO {
        let directory = roots.dev.join("vfio/devices");
        files.extend(marked(&directory, entry(function, "vfio-dev")));
    }
    // One that cannot be looked at is there, and whoever looks for its users is told why that does not work.
    let gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    files.retain(|file| !fs::symlink_metadata(file).is_err_and(gone));
    files
}

/// The device file that the user of the engines has to own, once it is there.
pub(super) fn handed_over(
    roots: &Roots,
    function: &PciFunction,
    driver: &str,
) -> Result<PathBuf, BdevError> {
    let candidates = owned(roots, function, driver);
    // sysfs names it at once, udev makes it a moment later.
    let limit = if candidates.is_empty() { Duration::ZERO } else { APPEARS };
    let there = || candidates.iter().find(|file| file.exists()).cloned();
    wait_until(limit, there).ok_or_else(|| BdevError::NotFound {
        device: format!("device file of {} at {driver}", function.address),
    })
}

/// Names that the one file may have with whose owner a program comes in: the group's with VFIO, the device's with UIO.
fn owned(roots: &Roots, function: &PciFunction, driver: &str) -> Vec<PathBuf> {
    match driver {
        // Read anew: without an IOMMU there is a group only while the driver has the function.
        VFIO => marked(&roots.dev.join("vfio"), link_name(&function.directory.join("iommu_group"))),
        driver if is_user_space(driver) => {
            entry(function, "uio").map(|name| roots.dev.join(name)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn marked(directory: &Path, name: Option<String>) -> Vec<PathBuf> {
    let both = |name: String| [name.clone(), format!("{NO_IOMMU}{name}")];
    name.into_iter().flat_map(both).map(|name| directory.join(name)).collect()
}

fn entry(function: &PciFunction, directory: &str) -> Option<String> {
    let mut entries = fs::read_dir(function.directory.join(directory)).ok()?;
    entries.next()?.ok()?.file_name().into_string().ok()
}

/// Whether an IOMMU protects the memory from this function. Without one the kernel makes a group of its own while VFIO has it.
pub(super) fn has_iommu(function: &PciFunction) -> bool {
    let group = function.directory.join("iommu_group");
    link_name(&group).is_some()
        && text(&group.join("name")).is_none_or(|name| name != NO_IOMMU_GROUP)
}

/// Who has a controller open through its driver for user space. A plain user sees nobody but himself.
pub(super) fn openers(roots: &Roots, function: &PciFunction) -> Result<Vec<DeviceUse>, BdevError> {
    let mut found = Vec::new();
    for file in function.driver.iter().flat_map(|driver| files(roots, function, driver)) {
        found.extend(daos_blockdev::openers_of_file(&file)?);
    }
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(DeviceUse::OpenBy).collect())
}

/// Nobody has it open: its driver would wait for that without end, and the program would lose it.
pub(super) fn require_closed(roots: &Roots, function: &PciFunction) -> Result<(), BdevError> {
    let uses = openers(roots, function)?;
    if uses.is_empty() {
        Ok(())
    } else {
        Err(BdevError::InUse { device: function.address.to_string(), uses })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    pub(in crate::linux) const ADDRESS: &str = "0000:81:00.0";

    /// A host with one function of IOMMU group 7, in a directory of its own. The device file of the group has this name.
    pub(in crate::linux) fn host(
        driver: Option<&str>,
        group_file: &str,
    ) -> (tempfile::TempDir, Roots, PciFunction) {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let place = at.join("sys/function");
        for made in ["sys/function/driver", "sys/groups/7", "sys/bus/pci", "dev/vfio/devices"] {
            fs::create_dir_all(at.join(made)).unwrap();
        }
        fs::create_dir_all(at.join("proc/sys/kernel/random")).unwrap();
        fs::write(at.join("proc/sys/kernel/random/boot_id"), "this\n").unwrap();
        fs::write(at.join("dev/vfio").join(group_file), "").unwrap();
        symlink(at.join("sys/groups/7"), place.join("iommu_group")).unwrap();
        fs::write(place.join("driver_override"), "").unwrap();
        fs::write(at.join("sys/bus/pci/drivers_probe"), "").unwrap();
        let roots = Roots { sys: at.join("sys"), dev: at.join("dev"), proc: at.join("proc") };
        let function = PciFunction {
            address: ADDRESS.parse().unwrap(),
            name: ADDRESS.to_owned(),
            directory: place,
            driver: driver.map(str::to_owned),
            vendor: None,
            numa_node: 0,
            iommu_group: Some(7),
        };
        (directory, roots, function)
    }

    /// A process that has the file open until it is dropped.
    pub(in crate::linux) struct Holder(std::process::Child);

    impl Holder {
        pub(in crate::linux) fn of(file: &Path) -> Self {
            let opened = fs::File::open(file).unwrap();
            let mut sleep = std::process::Command::new("sleep");
            Self(sleep.arg("60").stdin(opened).spawn().unwrap())
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_group_is_found_with_and_without_an_iommu() {
        for name in ["7", "noiommu-7"] {
            let (_directory, roots, function) = host(Some(VFIO), name);
            let file = roots.dev.join("vfio").join(name);
            assert_eq!(handed_over(&roots, &function, VFIO).unwrap(), file);
            assert_eq!(files(&roots, &function, VFIO), std::slice::from_ref(&file));
            require_closed(&roots, &function).unwrap();
            let _holder = Holder::of(&file);
            let refused = require_closed(&roots, &function).unwrap_err();
            assert!(matches!(refused, BdevError::InUse { .. }), "{name}: {refused}");
        }
    }

    #[test]
    fn a_group_that_vfio_made_for_lack_of_an_iommu_is_none() {
        let (_directory, roots, function) = host(Some(VFIO), "noiommu-7");
        assert!(has_iommu(&function));
        fs::write(roots.sys.join("groups/7/name"), "vfio-noiommu\n").unwrap();
        assert!(!has_iommu(&function));
        fs::remove_file(function.directory.join("iommu_group")).unwrap();
        assert!(!has_iommu(&function));
    }

    #[test]
    fn the_file_of_a_single_device_is_looked_at_too_and_handed_to_nobody() {
        let (_directory, roots, function) = host(Some(VFIO), "7");
        fs::create_dir_all(function.directory.join("vfio-dev/vfio3")).unwrap();
        let single = roots.dev.join("vfio/devices/vfio3");
        fs::write(&single, "").unwrap();
        let group = roots.dev.join("vfio/7");
        assert_eq!(files(&roots, &function, VFIO), [group.clone(), single.clone()]);
        assert_eq!(handed_over(&roots, &function, VFIO).unwrap(), group);
        let _holder = Holder::of(&single);
        assert!(require_closed(&roots, &function).is_err());
    }

    #[test]
    fn every_uio_driver_has_its_device() {
        for driver in [UIO, IGB_UIO] {
            let (_directory, roots, function) = host(Some(driver), "7");
            fs::create_dir_all(function.directory.join("uio/uio4")).unwrap();
            let file = roots.dev.join("uio4");
            fs::write(&file, "").unwrap();
            assert_eq!(files(&roots, &function, driver), [file]);
        }
        let (_directory, roots, function) = host(Some("nvme"), "7");
        assert!(files(&roots, &function, "nvme").is_empty(), "the kernel's driver has other ways");
    }
}
