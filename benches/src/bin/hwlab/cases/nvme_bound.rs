//! Formats of controllers that a driver for user space has: taken, formatted, given back, also when it is cut off.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::nvme_format::{plug, pull};
use super::nvme_scan::{address, controller};
use super::site::{self, Metadata, dry_run, flat, format, format_all, serve};
use crate::guest::{Disks, Guest, Lab};
use crate::hardware::Hardware;
use crate::medium;

const SECRET: &str = "data of somebody";
const RECORD: &str = "/var/lib/daos_server/nvme_prepared.json";
/// Bytes a second that slow drives take: the format of a second namespace waits for four seconds then.
const SLOW: u64 = 16 << 20;

fn filled(lab: &Lab, hardware: &Hardware) -> Result<(Disks, Vec<PathBuf>)> {
    let disks = lab.disks(hardware)?;
    let mut images = Vec::new();
    for namespace in [1, 2] {
        let image = disks.path().join(hardware.image("LAB-A", namespace)?);
        medium::fill(&image, SECRET)?;
        images.push(image);
    }
    Ok((disks, images))
}

fn prepare(guest: &mut Guest) -> Result<()> {
    let taken = address(guest, "LAB-A")?;
    guest.shell.run(&format!("daos_server nvme prepare {taken} -p 2 -u bob")).map(drop)
}

/// The controller is bob's: the driver has it, the scan says so, bob and nobody else reads its registers, and no loan is left.
fn require_bobs(guest: &mut Guest) -> Result<()> {
    let bound = controller(guest, "LAB-A")?;
    ensure!(bound["driver"] == "vfio-pci" && bound["source"] == "recorded at prepare", "{bound:#}");
    reads_registers(guest, &bound)?;
    let record = guest.shell.run(&format!("cat {RECORD}"))?;
    ensure!(record.contains("\"lent\": null"), "{record}");
    Ok(())
}

/// Bob uses a controller as his engine would, and another user does not.
pub fn reads_registers(guest: &mut Guest, bound: &serde_json::Value) -> Result<()> {
    let address = bound["pciaddr"].as_str().context("an address")?;
    let probe = |user: u32| {
        let group = &bound["iommu_group"];
        format!("setpriv --reuid {user} --regid {user} --clear-groups vfio_probe {group} {address}")
    };
    let read = guest.shell.run(&probe(1000))?;
    ensure!(read.contains("NVMe 1."), "{read}");
    guest.shell.refused(&probe(1001), "ermission denied")?;
    Ok(())
}

/// The plan shows the way there and back; a plain format stops at data and gives back; a program that has it open keeps it; a reformat
/// takes the data and gives back. Without the right to move it, it is refused; another card in its place is found out and given back.
pub fn is_lent_and_given_back(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let (disks, images) = filled(lab, &hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    prepare(&mut guest)?;
    lab.keep("bound-scan", &guest.shell.run("daos_server storage scan")?)?;
    require_bobs(&mut guest)?;
    let bound = controller(&mut guest, "LAB-A")?;
    ensure!(bound["health"].is_null(), "{bound:#}");
    serve(&mut guest, &["LAB-A"], Metadata::InRam)?;

    let plan = dry_run(&mut guest)?;
    for step in [
        "take it from vfio-pci",
        "format namespace 2",
        "give it to vfio-pci again, owner 1000:1000",
    ] {
        ensure!(flat(&plan).contains(step), "no '{step}' in {plan}");
    }
    lab.keep("bound-plan", &plan)?;
    let before = fingerprints(&images)?;
    let refused = guest.shell.refused(&format("--yes --verbose"), "")?;
    ensure!(flat(&refused).contains("not blank"), "{refused}");
    lab.keep("bound-refused", &refused)?;
    require_bobs(&mut guest)?;
    ensure!(fingerprints(&images)? == before, "a plain format wrote over data");

    let group = bound["iommu_group"].to_string();
    guest
        .shell
        .run(&format!("sleep 1000 < /dev/vfio/{group} > /dev/null 2>&1 & echo $! > /tmp/holder"))?;
    let held = dry_run(&mut guest)?;
    ensure!(flat(&held).contains("open in sleep"), "{held}");
    let told = guest.shell.refused("daos_server nvme reset", "open in sleep")?;
    ensure!(told.contains("1225"), "{told}");
    guest.shell.run("kill $(cat /tmp/holder)")?;

    let done = format_all(&mut guest)?;
    lab.keep("bound-done", &done)?;
    lab.keep("bound-log", &guest.shell.run("grep 'LAB-A\\|0000:' /tmp/server.log")?)?;
    require_bobs(&mut guest)?;
    for image in &images {
        ensure!(!medium::holds(image, SECRET)?, "the data is still on {}", image.display());
        medium::fill(image, SECRET)?;
    }

    site::kill(&mut guest)?;
    needs_the_right_to_rebind(lab, &mut guest)?;
    ensure!(fingerprints(&images)? == before, "something was written without the right to");
    site::kill(&mut guest)?;
    another_card(lab, &hardware, &disks, guest)
}

/// The card was exchanged while `vfio-pci` had it: only the format itself can see that, and goes no further.
fn another_card(lab: &Lab, hardware: &Hardware, disks: &Disks, mut guest: Guest) -> Result<()> {
    let new = disks.path().join("new.img");
    std::fs::File::create(&new)?.set_len(64 << 20)?;
    medium::fill(&new, SECRET)?;
    let before = medium::fingerprint(&new, 0)?;
    let place = hardware.place("LAB-A")?;
    let address = address(&mut guest, "LAB-A")?;
    pull(&mut guest, &format!("nvme{place}"))?;
    plug(&mut guest, place, "new", "LAB-X", &new)?;
    guest.shell.run(&format!(
        "cd /sys/bus/pci/devices/{address} && echo vfio-pci > driver_override &&
         echo {address} > driver/unbind && echo {address} > /sys/bus/pci/drivers_probe &&
         [ -e /sys/bus/pci/drivers/vfio-pci/{address} ] && chown -R root /var/lib/daos_server && rm -rf /run/daos"
    ))?;
    serve(&mut guest, &["LAB-A"], Metadata::InRam)?;
    let told = guest.shell.refused(&format("--reformat --yes --verbose"), "")?;
    ensure!(flat(&told).contains("serial was LAB-A, is LAB-X"), "{told}");
    lab.keep("bound-another-card", &told)?;
    ensure!(controller(&mut guest, "LAB-A")?["driver"] == "vfio-pci");
    guest.power_off()?;
    ensure!(medium::fingerprint(&new, 0)? == before, "another card was written");
    Ok(())
}

fn fingerprints(images: &[PathBuf]) -> Result<Vec<u64>> {
    images.iter().map(|image| medium::fingerprint(image, 0)).collect()
}

/// A server that is not root: refused with both remedies, nothing is moved.
fn needs_the_right_to_rebind(lab: &Lab, guest: &mut Guest) -> Result<()> {
    site::configure(guest, &["LAB-A"], Metadata::InRam)?;
    guest.shell.run(
        "sed -i 's,scm_mount: /mnt,scm_mount: /dev/shm/scm,' /etc/server.yml
         mkdir -p /run/lock; chmod 1777 /dev/shm /run/lock /tmp
         rm -rf /run/daos; mkdir /run/daos; chown bob /run/daos; chown -R bob /var/lib/daos_server
         setpriv --reuid 1000 --regid 1000 --clear-groups daos_server start -o /etc/server.yml > /tmp/server.log 2>&1 &
         echo $! > /tmp/server.pid",
    )?;
    guest
        .shell
        .wait("grep -q listening /tmp/server.log || { cat /tmp/server.log; false; }", site::UP)?;
    let plan = dry_run(guest)?;
    for words in ["may not give it to the kernel's driver", "run the server as root", "nvme reset"]
    {
        ensure!(flat(&plan).contains(words), "no '{words}' in {plan}");
    }
    lab.keep("bound-no-right", &plan)?;
    guest.shell.refused(&format("--reformat --yes"), "")?;
    require_bobs(guest)
}

/// The server is killed in the middle of a format: the next start gives the controller back, and so does a reset, to the kernel.
pub fn survives_a_kill(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let (disks, images) = filled(lab, &hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    prepare(&mut guest)?;
    serve(&mut guest, &["LAB-A"], Metadata::OnDisk)?;
    let place = hardware.place("LAB-A")?;
    cut_off(&mut guest, place)?;
    let lent = controller(&mut guest, "LAB-A")?;
    ensure!(lent["driver"] == "nvme", "{lent:#}");
    let record = guest.shell.run(&format!("cat {RECORD}"))?;
    ensure!(record.contains("\"lent\": {"), "{record}");

    site::start(&mut guest)?;
    let log = guest.shell.run("cat /tmp/server.log")?;
    ensure!(log.contains("given to vfio-pci again"), "{log}");
    require_bobs(&mut guest)?;
    guest.shell.run(&format!("[ ! -e {}/superblock ]", site::METADATA))?;

    for image in &images {
        medium::fill(image, SECRET)?;
    }
    cut_off(&mut guest, place)?;
    guest.shell.run("daos_server nvme reset")?;
    let back = controller(&mut guest, "LAB-A")?;
    ensure!(back["driver"] == "nvme", "{back:#}");
    guest.shell.run(&format!("[ ! -e {RECORD} ]"))?;

    site::start(&mut guest)?;
    format_all(&mut guest)?;
    for image in &images {
        ensure!(!medium::holds(image, SECRET)?, "the data is still on {}", image.display());
    }
    guest.power_off()
}

/// Kills the server between the format of the first and of the second namespace.
fn cut_off(guest: &mut Guest, place: usize) -> Result<()> {
    throttle(guest, place, SLOW)?;
    guest.shell.run(&format!("{} > /tmp/format.out 2>&1 &", format("--reformat --yes")))?;
    guest.shell.wait("grep -q 'format namespace 2' /tmp/server.log", site::UP)?;
    site::kill(guest)?;
    throttle(guest, place, 0)
}

/// Slows the drives of a controller down, together.
pub fn throttle(guest: &mut Guest, place: usize, bytes: u64) -> Result<()> {
    for namespace in [1, 2] {
        let limit = json!({
            "device": format!("d{place}n{namespace}"), "group": "slow",
            "bps": 0, "bps_rd": 0, "bps_wr": bytes, "iops": 0, "iops_rd": 0, "iops_wr": 0
        });
        guest.qmp.run("block_set_io_throttle", limit).context("slowing a drive down")?;
    }
    Ok(())
}
