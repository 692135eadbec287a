//! The PCI bus as sysfs shows it: NVMe functions, their drivers, nodes and IOMMU groups.
//!
//! Called by `discover` and `prepare`. Reads names and numbers only; must not open a device.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{BdevError, PciAddress};

/// PCI class of an NVMe controller: mass storage, non-volatile memory, NVMe.
const NVME_CLASS: u32 = 0x01_0802;

/// Where the kernel shows itself. Tests bring directories of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into(), proc: "/proc".into() }
    }
}

/// One NVMe function of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PciFunction {
    pub(super) address: PciAddress,
    /// What sysfs calls it; differs from the address behind a VMD.
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) driver: Option<String>,
    pub(super) vendor: Option<String>,
    pub(super) numa_node: i32,
    pub(super) iommu_group: Option<u32>,
}

/// The NVMe functions of the host by ascending address. None at all where there is no PCI bus.
pub(super) fn nvme_functions(roots: &Roots) -> Result<Vec<PciFunction>, BdevError> {
    let devices = roots.sys.join("bus/pci/devices");
    let entries = match fs::read_dir(&devices) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(BdevError::from_io(&devices.display().to_string(), "list", error));
        }
    };
    let mut found: Vec<_> =
        entries.flatten().filter_map(|entry| nvme_function(&entry.path())).collect();
    found.sort_by_key(|function| function.address);
    Ok(found)
}

/// The function behind an address, as it is now.
pub(super) fn nvme_function_at(
    roots: &Roots,
    address: PciAddress,
) -> Result<PciFunction, BdevError> {
    let found = nvme_functions(roots)?.into_iter().find(|function| function.address == address);
    found.ok_or_else(|| BdevError::NotFound { device: address.to_string() })
}

fn nvme_function(link: &Path) -> Option<PciFunction> {
    let class =
        u32::from_str_radix(text(&link.join("class"))?.trim_start_matches("0x"), 16).ok()?;
    if class != NVME_CLASS {
        return None;
    }
    let directory = fs::canonicalize(link).ok()?;
    let name = link.file_name()?.to_str()?.to_owned();
    Some(PciFunction {
        address: address(&name, &directory)?,
        driver: link_name(&directory.join("driver")),
        vendor: text(&directory.join("vendor")),
        numa_node: text(&directory.join("numa_node")).and_then(|t| t.parse().ok()).unwrap_or(-1),
        iommu_group: link_name(&directory.join("iommu_group")).and_then(|t| t.parse().ok()),
        name,
        directory,
    })
}

/// The address of a function. The kernel numbers the domains behind volume management devices from 0x10000 on; such
/// a function is named after the VMD that is its ancestor.
fn address(name: &str, directory: &Path) -> Option<PciAddress> {
    if let Ok(address) = name.parse() {
        return Some(address);
    }
    let (_domain, rest) = name.split_once(':')?;
    let mut ancestors =
        directory.ancestors().skip(1).filter_map(|above| above.file_name()?.to_str());
    let vmd = ancestors.find(|above| above.parse::<PciAddress>().is_ok())?;
    let (_, place) = vmd.split_once(':')?;
    let digits: String = place.chars().filter(char::is_ascii_hexdigit).collect();
    let (bus_device, function) = digits.split_at_checked(4)?;
    format!("{bus_device}0{function}:{rest}").parse().ok()
}

/// The last part of a link's target.
pub(super) fn link_name(link: &Path) -> Option<String> {
    fs::read_link(link).ok()?.file_name()?.to_str().map(str::to_owned)
}

/// The text of an attribute without blanks around it; `None` when absent or empty.
pub(super) fn text(attribute: &Path) -> Option<String> {
    let bytes = fs::read(attribute).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}
