//! Persistent memory that cannot be looked at: disabled, a character device, in a disabled region, of no module. None of it is lost unseen.

use anyhow::{Result, ensure};

use super::pmem::{hardware, json};
use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;

/// The namespace with labels of a region, when it has one.
const NAMESPACE: &str = "namespace0.0";

fn label(guest: &mut Guest) -> Result<String> {
    let text = guest.shell.try_run("blkid -p -s LABEL -o value /dev/pmem0")?.output;
    Ok(text.trim().to_owned())
}

/// Raw modules, a character device, namespaces and regions that are disabled: refused, or made visible first; and nothing of before
/// comes back after a reset.
pub fn gives_up_nothing_unseen(lab: &Lab) -> Result<()> {
    let hardware = hardware();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    unlabelled(&mut guest)?;
    character_device(&mut guest)?;
    goes_on_between_labels(&mut guest)?;
    disabled_namespace(&mut guest)?;
    disabled_region(&mut guest)?;
    guest.power_off()
}

/// What a module without labels shows may be disabled by somebody who has plans for it.
fn unlabelled(guest: &mut Guest) -> Result<()> {
    guest.shell.run(&format!("ndctl disable-namespace {NAMESPACE}"))?;
    let refused = "daos_server scm prepare --force";
    let told = guest.shell.refused(refused, &format!("{NAMESPACE} is disabled"))?;
    ensure!(told.contains("code = 213"), "{told}");
    guest.shell.run("[ $(cat /sys/bus/nd/devices/region0/nstype) = 4 ]")?;
    guest.shell.run(&format!("ndctl enable-namespace {NAMESPACE}")).map(drop)
}

/// Nobody can see who uses a character device; `ndctl disable-region` would take it away from under its user.
fn character_device(guest: &mut Guest) -> Result<()> {
    guest.shell.run(&format!(
        "ndctl create-namespace -f -e {NAMESPACE} -m devdax && sleep 600 3</dev/dax0.0 & sleep 1
         for i in 1 2 3 4 5 6 7 8 9; do [ -e /dev/dax0.0 ] && break; sleep 1; done"
    ))?;
    guest.shell.refused("daos_server scm prepare --force", &format!("{NAMESPACE} is devdax"))?;
    let told = guest.shell.refused("daos_server scm reset --force", "mode devdax")?;
    ensure!(told.contains("code = 1501") && told.contains("ndctl destroy-namespace"), "{told}");
    guest
        .shell
        .run(&format!("[ -c /dev/dax0.0 ] && ndctl destroy-namespace -f {NAMESPACE}"))
        .map(drop)
}

/// A prepare that ends between two commands of ndctl leaves a region disabled; the same command goes on. (A module that had labels once
/// is taken for one until the next boot, so this is the other one.)
fn goes_on_between_labels(guest: &mut Guest) -> Result<()> {
    let module = "$(cut -d, -f1 /sys/bus/nd/devices/region1/mapping0)";
    guest.shell.run(&format!("ndctl disable-region region1 && ndctl zero-labels {module}"))?;
    let told = guest.shell.refused("daos_server scm prepare --socket 0", "consent not given")?;
    ensure!(told.contains("enable region1") && told.contains("LOST: namespace1.0"), "{told}");
    guest.shell.run(&format!("ndctl disable-region region1 && ndctl init-labels -f {module}"))?;
    let told = guest.shell.run("daos_server scm prepare --socket 0")?;
    ensure!(told.contains("enable region1") && told.contains("/dev/pmem1"), "{told}");
    Ok(())
}

/// What is on a disabled namespace would come back in the next one at its place.
fn disabled_namespace(guest: &mut Guest) -> Result<()> {
    guest.shell.run("daos_server scm prepare --socket 1")?;
    guest.shell.run(&format!(
        "mkfs.ext4 -q -b 4096 -L daos /dev/pmem0 && ndctl disable-namespace {NAMESPACE}"
    ))?;
    let told = guest.shell.refused("daos_server scm reset --force", "it is disabled")?;
    ensure!(told.contains(&format!("ndctl enable-namespace {NAMESPACE}")), "{told}");
    guest.shell.run(&format!("ndctl enable-namespace {NAMESPACE}"))?;
    ensure!(label(guest)? == "daos");
    guest.shell.run("daos_server scm reset --force && daos_server scm prepare --socket 1")?;
    ensure!(label(guest)?.is_empty(), "the file system of before is back");
    Ok(())
}

/// Its namespaces show once it is enabled, and are looked at then.
fn disabled_region(guest: &mut Guest) -> Result<()> {
    guest.shell.run("mkfs.ext4 -q -b 4096 -L keep /dev/pmem0 && ndctl disable-region region0")?;
    let told = guest.shell.refused("daos_server scm reset", "consent not given")?;
    ensure!(told.contains("enable region0") && told.contains("keep"), "{told}");
    ensure!(label(guest)? == "keep");
    guest.shell.run("ndctl disable-region region0")?;
    let done = json(guest, "daos_server -j scm prepare --socket 1")?;
    ensure!(done["verdict"] == "already_prepared", "{done:#}");
    ensure!(label(guest)? == "keep");
    Ok(())
}

/// Memory of the platform's tables is of no module and has no place for labels; the kernel shows it ready for use.
pub fn memory_of_no_module(lab: &Lab) -> Result<()> {
    let hardware = Hardware { dimm_mib: 0, kernel: "memmap=96M!512M".to_owned(), ..hardware() };
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run("mkfs.ext4 -q -b 4096 -L daos /dev/pmem0")?;
    let done = json(&mut guest, "daos_server -j scm prepare --force")?;
    ensure!(done["verdict"] == "already_prepared", "{done:#}");
    ensure!(done["namespaces"][0]["blockdev"] == "pmem0", "{done:#}");
    let done = json(&mut guest, "daos_server -j scm reset --force")?;
    ensure!(done["verdict"] == "already_reset", "{done:#}");
    ensure!(label(&mut guest)? == "daos", "what is on it was lost");
    guest.power_off()
}
