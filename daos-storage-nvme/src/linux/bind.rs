//! Moves a PCI function from one driver to another, and believes only what it reads back: a write to sysfs may succeed and do nothing.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use daos_blockdev::wait_until;

use super::kernel::Kernel;
use super::pci::{PciFunction, Roots, link_name, text};
use super::{discover, nodes};
use crate::BdevError;

/// How long the kernel may take to show a controller again after it got its driver back.
const APPEARS: Duration = Duration::from_secs(20);
/// How long a module may take to be loaded.
const LOADS: Duration = Duration::from_secs(60);
/// How long a driver may take to let go of a function that nobody has open, or to take one.
const LETS_GO: Duration = Duration::from_secs(60);

/// Binds a function to a driver for user space.
pub(super) fn bind(
    kernel: &dyn Kernel,
    function: &PciFunction,
    driver: &str,
) -> Result<String, BdevError> {
    let roots = kernel.roots();
    load(roots, driver);
    if !roots.sys.join("bus/pci/drivers").join(driver).is_dir() {
        return Err(refused(function, driver, "the kernel has no such driver"));
    }
    write(kernel, function, "driver_override", driver)?;
    unbind(kernel, function)?;
    probe(kernel, function);
    require_driver(function, driver)
}

/// Takes a function from its driver for user space and gives it to the one the kernel chooses, which has to be the expected one. A
/// driver of the kernel is never taken from it: what stands on its devices is not known here.
pub(super) fn release(
    kernel: &dyn Kernel,
    function: &PciFunction,
    driver: &str,
) -> Result<String, BdevError> {
    clear_override(kernel, function)?;
    if current(function).is_none_or(|now| nodes::is_user_space(&now)) {
        unbind(kernel, function)?;
        probe(kernel, function);
    }
    require_driver(function, driver)
}

/// A program could open the group of a function that shares it with a device of the kernel's, and use nothing in it.
pub(super) fn require_viable(
    kernel: &dyn Kernel,
    function: &PciFunction,
    group: &Path,
) -> Result<(), BdevError> {
    match kernel.group_is_viable(group) {
        Ok(true) => Ok(()),
        // Whoever has it open was let in.
        Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(()),
        Ok(false) => {
            let others = neighbours(function).join(", ");
            let detail = format!("its IOMMU group is shared with {others}");
            Err(refused(function, nodes::VFIO, &detail))
        }
        Err(source) => {
            let step = format!("ask for the state of {}", group.display());
            Err(BdevError::from_io(&function.address.to_string(), step, source))
        }
    }
}

/// The other functions of the same group, with their drivers.
fn neighbours(function: &PciFunction) -> Vec<String> {
    let entries = std::fs::read_dir(function.directory.join("iommu_group/devices"));
    let mut found: Vec<_> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name() != function.name.as_str())
        .filter_map(|entry| {
            let driver = link_name(&entry.path().join("driver"))?;
            Some(format!("{} ({driver})", entry.file_name().to_string_lossy()))
        })
        .collect();
    found.sort();
    found
}

/// From now on the kernel chooses the driver.
pub(super) fn clear_override(kernel: &dyn Kernel, function: &PciFunction) -> Result<(), BdevError> {
    // An empty line takes the override away.
    write(kernel, function, "driver_override", "\n")
}

/// The controller that came back is the one that was taken: somebody may have exchanged the card.
pub(super) fn require_serial(
    roots: &Roots,
    function: &PciFunction,
    serial: &str,
) -> Result<(), BdevError> {
    let found = serial_of(roots, function)?;
    if found == serial {
        return Ok(());
    }
    let detail = format!("serial was {serial}, is {found}");
    Err(BdevError::PlanChanged { subject: function.address.to_string(), detail })
}

/// The serial number that the kernel's driver shows, once the controller is up.
pub(super) fn serial_of(roots: &Roots, function: &PciFunction) -> Result<String, BdevError> {
    let shown = wait_until(APPEARS, || {
        let name = discover::kernel_name(function)?;
        let class = function.directory.join("nvme").join(&name);
        let live = text(&class.join("state")).is_none_or(|state| state == "live");
        let ready = live && roots.dev.join(&name).exists();
        ready.then(|| text(&class.join("serial")).unwrap_or_default())
    });
    shown.ok_or_else(|| refused(function, "nvme", "the controller did not come up again"))
}

/// The driver that has a function now.
pub(super) fn current(function: &PciFunction) -> Option<String> {
    link_name(&function.directory.join("driver"))
}

/// The last look before a driver is taken away is here, whoever asks for it: what a program has open stays with it.
fn unbind(kernel: &dyn Kernel, function: &PciFunction) -> Result<(), BdevError> {
    let Some(driver) = current(function) else { return Ok(()) };
    let now = PciFunction { driver: Some(driver.clone()), ..function.clone() };
    nodes::require_closed(kernel.roots(), &now)?;
    match write(kernel, function, "driver/unbind", &function.name) {
        Err(BdevError::StepFailed { source, .. }) if source.kind() == ErrorKind::TimedOut => {
            let device = function.address.to_string();
            Err(BdevError::DriverWaits { device, driver, seconds: LETS_GO.as_secs() })
        }
        done => done,
    }
}

fn probe(kernel: &dyn Kernel, function: &PciFunction) {
    let file = kernel.roots().sys.join("bus/pci/drivers_probe");
    // A driver that refuses the function makes this write fail or succeed, depending on the kernel: the read-back tells.
    let _ = kernel.write_in_time(&file, &function.name, LETS_GO);
}

fn require_driver(function: &PciFunction, wanted: &str) -> Result<String, BdevError> {
    match current(function) {
        Some(driver) if driver == wanted => Ok(driver),
        Some(driver) => Err(refused(function, wanted, &format!("{driver} has it"))),
        None => Err(refused(function, wanted, "no driver has it")),
    }
}

fn refused(function: &PciFunction, driver: &str, detail: &str) -> BdevError {
    BdevError::DriverNotBound {
        device: function.address.to_string(),
        driver: driver.to_owned(),
        detail: detail.to_owned(),
    }
}

fn write(
    kernel: &dyn Kernel,
    function: &PciFunction,
    attribute: &str,
    value: &str,
) -> Result<(), BdevError> {
    let path = function.directory.join(attribute);
    kernel.write_in_time(&path, value, LETS_GO).map_err(|source| {
        BdevError::from_io(
            &function.address.to_string(),
            format!("write {}", path.display()),
            source,
        )
    })
}

/// Loads a module. Whether that helped shows in the list of drivers.
fn load(roots: &Roots, driver: &str) {
    let loaded = |path: &Path| path.is_dir();
    let place = roots.sys.join("bus/pci/drivers").join(driver);
    // The second try passes over configuration that breaks the search for dependencies.
    for arguments in [vec!["-q", driver], vec!["-q", "-C", "/dev/null", driver]] {
        if loaded(&place) {
            return;
        }
        let modprobe = daos_blockdev::find_program("modprobe");
        let _ = modprobe.and_then(|program| {
            daos_blockdev::run_program(&program, &arguments, Stdio::null(), LOADS)
        });
    }
}
