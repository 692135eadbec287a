//! Power that fails in the middle: QEMU is killed at chosen steps, and the next boot tells what is left.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::nvme_bound::throttle;
use super::nvme_prepare::NODE_PAGES;
use super::nvme_scan::{address, controller};
use super::site::{self, METADATA, Metadata, format, format_all};
use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;
use crate::medium;

const SECRET: &str = "data of somebody";
const STATE: &str = "/var/lib/daos_server";

/// Three steps of a format: the mark is there and nothing is gone; one of two namespaces is gone; both are, but there is no superblock.
/// After each boot: not formatted and the next format begins from the start, or wholly formatted; the last one brings the engine up.
pub fn cut_during_format(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let images: Vec<PathBuf> = [1, 2]
        .into_iter()
        .map(|namespace| Ok(disks.path().join(hardware.image("LAB-A", namespace)?)))
        .collect::<Result<_>>()?;
    let steps = [
        format!("[ -e {STATE}/format/engine0.json ]"),
        "grep -q 'format namespace 2' /tmp/server.log".to_owned(),
        format!("[ -e {METADATA}/daos_nvme.conf ]"),
    ];
    for (number, reached) in steps.iter().enumerate() {
        let left = gone(&images)?;
        for image in &images {
            medium::fill(image, SECRET)?;
        }
        let mut guest = lab.boot(&hardware, &disks)?;
        site::serve(&mut guest, &["LAB-A"], Metadata::OnDisk)?;
        if number > 0 {
            ensure!(!is_formatted(&mut guest, left.contains(&true))?, "there was no superblock");
        }
        throttle(&mut guest, hardware.place("LAB-A")?, 32 << 20)?;
        guest.shell.run(&format!(
            "{} > /tmp/format.out 2>&1 &
             server=$(cat /tmp/server.pid); while ! {reached}; do :; done; kill -STOP $server",
            format("--reformat --yes")
        ))?;
        if number < 2 {
            guest.shell.run(&format!("[ ! -e {METADATA}/superblock ]"))?;
        }
        guest.cut_power();
        let gone = gone(&images)?;
        ensure!(number != 0 || gone == [false, false], "{gone:?} after the mark alone");
        ensure!(number == 0 || gone[0], "namespace 1 was formatted, but its data is there");
        ensure!(number != 2 || gone == [true, true], "{gone:?} before the superblock");
    }
    let mut guest = lab.boot(&hardware, &disks)?;
    site::serve(&mut guest, &["LAB-A"], Metadata::OnDisk)?;
    if !is_formatted(&mut guest, true)? {
        format_all(&mut guest)?;
    }
    guest.power_off()
}

/// Whether the data of each namespace is gone.
fn gone(images: &[PathBuf]) -> Result<Vec<bool>> {
    images.iter().map(|image| Ok(!medium::holds(image, SECRET)?)).collect()
}

/// After a cut: wholly formatted, and then the engine is started; or not, and then the server waits, and a mark tells when
/// `something_is_gone`. Before the mark is durable nothing is destroyed.
fn is_formatted(guest: &mut Guest, something_is_gone: bool) -> Result<bool> {
    let there = |guest: &mut Guest, file: &str| -> Result<bool> {
        Ok(guest.shell.try_run(&format!("[ -e {file} ]"))?.status == 0)
    };
    if there(guest, &format!("{METADATA}/superblock"))? {
        site::started(guest)?;
        return Ok(true);
    }
    guest.shell.wait("grep -q 'waiting for storage format' /tmp/server.log", site::UP)?;
    let log = guest.shell.run("cat /tmp/server.log")?;
    ensure!(!log.contains("Starting I/O server"), "falsely formatted: {log}");
    let marked = there(guest, &format!("{STATE}/format/engine0.json"))?;
    ensure!(marked || !something_is_gone, "something is gone, and no mark says so");
    ensure!(!marked || log.contains("state of the storage is unknown"), "{log}");
    Ok(false)
}

/// Two steps of a prepare: what will change is recorded; the driver is bound and has no owner yet. After the next boot the kernel has
/// everything, a reset finds nothing wrong, and a prepare can be repeated.
pub fn cut_during_prepare(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    let taken = address(&mut guest, "LAB-A")?;
    let steps =
        [format!("{STATE}/nvme_prepared.json"), format!("/sys/bus/pci/drivers/vfio-pci/{taken}")];
    for reached in &steps {
        guest.shell.run(&format!(
            "modprobe -C /dev/null vfio-pci
             daos_server nvme prepare {taken} -p 8 -u bob > /tmp/prepare.out 2>&1 & p=$!
             while [ ! -e {reached} ]; do :; done; kill -STOP $p"
        ))?;
        guest.cut_power();
        guest = lab.boot(&hardware, &disks)?;
        // The record is there before the first change, or nothing was changed yet.
        let recorded = guest.shell.try_run(&format!("[ -e {STATE}/nvme_prepared.json ]"))?;
        ensure!(recorded.status == 0 || *reached == steps[0], "bound, and no record says so");
        let back = controller(&mut guest, "LAB-A")?;
        ensure!(back["driver"] == "nvme" && back["usable"] == true, "{back:#}");
        // What this boot set is not replaced by what was before a prepare of the last one.
        guest.shell.run(
            "echo 9 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages",
        )?;
        guest.shell.run("daos_server nvme reset")?;
        ensure!(guest.shell.run(NODE_PAGES)?.trim() == "0 9", "another boot's pages");
        guest.shell.run(&format!("[ ! -e {STATE}/nvme_prepared.json ]"))?;
    }
    guest.shell.run(&format!("daos_server nvme prepare {taken} -p 8 -u bob"))?;
    ensure!(controller(&mut guest, "LAB-A")?["driver"] == "vfio-pci");
    guest.power_off()
}
