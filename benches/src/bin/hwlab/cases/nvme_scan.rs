//! Discovery: what the programs see is what QEMU was given, whatever the kernel calls it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;

/// The controllers of a scan, by serial.
pub fn controllers(guest: &mut Guest) -> Result<Vec<Value>> {
    let text = guest.shell.run("daos_server -j storage scan")?;
    let scan: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let mut found = scan["NVMe"].as_array().cloned().context("a list of controllers")?;
    found.sort_by_key(|controller| controller["serial"].to_string());
    Ok(found)
}

pub fn controller(guest: &mut Guest, serial: &str) -> Result<Value> {
    let found = controllers(guest)?;
    found
        .into_iter()
        .find(|each| each["serial"] == serial)
        .with_context(|| format!("no controller {serial}"))
}

/// PCI address of a controller: as the kernel's driver tells it, or a scan where another driver has it.
pub fn address(guest: &mut Guest, serial: &str) -> Result<String> {
    let told = guest
        .shell
        .try_run(&format!("cat $(dirname $(grep -l {serial} /sys/class/nvme/*/serial))/address"))?;
    if told.status == 0 {
        return Ok(told.output.trim().to_owned());
    }
    Ok(controller(guest, serial)?["pciaddr"].as_str().context("an address")?.to_owned())
}

/// Serials, nodes, namespaces and sizes (the kernel believes no identifiers of QEMU's namespaces), also after all names were shuffled; a SMART warning shows; a drive that is pulled is
/// gone.
pub fn equals_the_machine(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    let found = controllers(&mut guest)?;
    is_the_machine(&found, &hardware)?;
    // The kernel gives names in the order in which drives come up; all others than the name stays.
    let names = "for c in /sys/class/nvme/nvme*; do echo $(cat $c/serial)=${c##*/}; done";
    let before = guest.shell.run(names)?;
    guest.shell.run(
        "cd /sys/bus/pci/drivers/nvme; all=$(for c in /sys/class/nvme/nvme*; do cat $c/address; done)
         back=; for a in $all; do back=\"$a $back\"; echo $a > unbind || exit 1; done
         # A name is free again only when nobody holds the device any more.
         for a in $back; do echo $a > bind || exit 1; for i in $(seq 100); do ls /sys/bus/pci/devices/$a/nvme/*/nvme*n* >/dev/null 2>&1 && break; sleep 0.1; done; done",
    )?;
    let after = guest.shell.run(names)?;
    ensure!(before != after, "the names are as they were: {before}");
    let shuffled = controllers(&mut guest)?;
    is_the_machine(&shuffled, &hardware)?;
    for (one, other) in found.iter().zip(&shuffled) {
        for fact in ["serial", "pciaddr", "socket", "iommu_group", "namespace", "model", "fwrev"] {
            ensure!(one[fact] == other[fact], "{fact}: {one:#} {other:#}");
        }
    }
    faults(&mut guest, hardware.controllers.len())?;
    guest.power_off()
}

/// Every controller that QEMU was given is there with all of its facts, and no other.
fn is_the_machine(found: &[Value], hardware: &Hardware) -> Result<()> {
    ensure!(found.len() == hardware.controllers.len(), "{found:#?}");
    for given in &hardware.controllers {
        let seen = found
            .iter()
            .find(|each| each["serial"] == given.serial)
            .with_context(|| given.serial)?;
        ensure!(seen["socket"] == given.node, "{seen:#}");
        ensure!(seen["driver"] == "nvme" && seen["usable"] == true, "{seen:#}");
        ensure!(seen["iommu_group"].is_u64(), "{seen:#}");
        let sizes: Vec<_> = given.namespaces.iter().map(|mib| json!(mib << 20)).collect();
        let spaces = seen["namespace"].as_array().context("namespaces")?;
        ensure!(
            spaces.iter().map(|space| space["bytes"].clone()).collect::<Vec<_>>() == sizes,
            "{seen:#}"
        );
        ensure!(
            spaces.iter().map(|space| space["id"].as_u64()).eq((1..).map(Some).take(sizes.len())),
            "{seen:#}"
        );
        ensure!(spaces.iter().all(|space| space["block_bytes"] == 512), "{seen:#}");
        ensure!(seen["model"] == "QEMU NVMe Ctrl", "{seen:#}");
        ensure!(
            seen["health"]["temperature_k"].as_u64().is_some_and(|kelvin| kelvin > 250),
            "{seen:#}"
        );
    }
    Ok(())
}

/// A warning of one drive is its own; a drive that is pulled is gone.
fn faults(guest: &mut Guest, number: usize) -> Result<()> {
    guest.qmp.run("qom-set", json!({"path": "/machine/peripheral/nvme0", "property": "smart_critical_warning", "value": 4}))?;
    let warned = controller(guest, "LAB-C")?;
    ensure!(warned["health"]["warnings"]["reliability"] == true, "{warned:#}");
    let text = guest.shell.run("daos_server storage scan")?;
    ensure!(text.contains("K, WARNING: reliability"), "{text}");
    let others = controller(guest, "LAB-A")?;
    ensure!(others["health"]["warnings"]["reliability"] == false, "{others:#}");

    guest.qmp.run("device_del", json!({"id": "nvme2"}))?;
    guest.qmp.wait_for("DEVICE_DELETED", "nvme2")?;
    ensure!(controllers(guest)?.len() == number - 1);
    Ok(())
}
