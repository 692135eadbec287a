//! Controllers and huge pages for an unprivileged user, and everything back again.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::nvme_scan::{address, controller};
use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;

const UP: Duration = Duration::from_secs(20);
pub const NODE_PAGES: &str =
    "cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages | tr '\\n' ' '";

/// One controller and huge pages on both nodes for bob; scan names what the record remembers; reset restores all of it.
pub fn user_and_back(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    let taken = address(&mut guest, "LAB-A")?;
    let prepare =
        format!("daos_server storage prepare --nvme-only -w '{taken} 000:2' -p 64 -u bob");
    let told = guest.shell.run(&prepare)?;
    lab.keep("prepare", &format!("# {prepare}\n{told}"))?;
    ensure!(
        told.contains("vfio-pci") && told.contains("'000:2' is not a full PCI address"),
        "{told}"
    );
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "32 32");

    let bound = controller(&mut guest, "LAB-A")?;
    ensure!(bound["driver"] == "vfio-pci" && bound["source"] == "recorded at prepare", "{bound:#}");
    ensure!(
        bound["namespace"].as_array().map(Vec::len) == Some(2) && bound["usable"] == false,
        "{bound:#}"
    );
    ensure!(bound["health"].is_null(), "{bound:#}");
    let group = &bound["iommu_group"];
    // Only its owner opens the group.
    guest.shell.run(&format!(
        "setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'exec 4<>/dev/vfio/{group}'"
    ))?;
    guest.shell.run("[ $(stat -c %U /dev/hugepages) = bob ]")?;
    let untouched = controller(&mut guest, "LAB-B")?;
    ensure!(untouched["driver"] == "nvme", "{untouched:#}");

    // Twice is the same as once; more pages than there are is an error that says how many were got.
    guest.shell.run(&prepare)?;
    let short = guest.shell.refused(
        "daos_server nvme prepare none -p 100000 -u bob",
        "asked for 50000 huge pages, got ",
    )?;
    ensure!(short.contains("code = 1442"), "{short}");
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "32 32", "what could be had is given back");

    // What a program uses is not taken from under it.
    guest.shell.run(&format!(
        "setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'exec 4<>/dev/vfio/{group}; exec sleep 600' & echo $! > /tmp/user"
    ))?;
    guest
        .shell
        .wait(&format!("ls -l /proc/$(cat /tmp/user)/fd | grep -q /dev/vfio/{group}"), UP)?;
    let busy = guest.shell.refused("daos_server nvme reset", "in use: open in sleep")?;
    ensure!(busy.contains("code = 1225"), "{busy}");
    lab.keep("prepare-reset-busy", &busy)?;
    ensure!(controller(&mut guest, "LAB-A")?["driver"] == "vfio-pci");
    guest.shell.run("kill $(cat /tmp/user)")?;

    let told = guest.shell.run("daos_server storage prepare --nvme-only --reset")?;
    lab.keep("prepare-reset", &told)?;
    let back = controller(&mut guest, "LAB-A")?;
    ensure!(back["driver"] == "nvme" && back["usable"] == true, "{back:#}");
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "0 0");
    guest.shell.run("[ ! -e /var/lib/daos_server/nvme_prepared.json ]")?;
    guest.power_off()
}

/// Mounted, swap and held namespaces keep their controller; the others are taken all the same.
pub fn refuses_in_use(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    let node = |serial: &str, namespace: u32| {
        format!(
            "/dev/$(basename $(dirname $(grep -l {serial} /sys/class/nvme/*/serial)))n{namespace}"
        )
    };
    guest.shell.run(&format!(
        "mkfs.ext4 -q {0} && mount {0} /mnt && echo keep > /mnt/file",
        node("LAB-A", 2)
    ))?;
    guest.shell.run(&format!("mkswap {0} && swapon {0}", node("LAB-B", 1)))?;
    let told = guest.shell.refused("daos_server nvme prepare -p 2", "mounted on /mnt")?;
    ensure!(told.contains("active swap space") && told.contains("code = 1225"), "{told}");
    for serial in ["LAB-A", "LAB-B"] {
        ensure!(controller(&mut guest, serial)?["driver"] == "nvme", "{serial}");
    }
    ensure!(controller(&mut guest, "LAB-C")?["driver"] == "vfio-pci");
    guest.shell.run("[ $(cat /mnt/file) = keep ] && umount /mnt && swapoff -a")?;
    guest.shell.run("daos_server nvme reset")?;
    ensure!(controller(&mut guest, "LAB-C")?["driver"] == "nvme");
    guest.power_off()
}

/// No IOMMU: refused for bob with the remedy, uio for root.
pub fn without_iommu(guest: &mut Guest) -> Result<()> {
    let told = guest.shell.refused("daos_server nvme prepare -p 2 -u bob", "no IOMMU is on")?;
    ensure!(told.contains("intel_iommu=on"), "{told}");
    ensure!(controller(guest, "LAB-C")?["driver"] == "nvme");
    guest.shell.run("daos_server nvme prepare -p 2 -u root")?;
    ensure!(controller(guest, "LAB-C")?["driver"] == "uio_pci_generic");
    guest.shell.run("daos_server nvme reset")?;
    ensure!(controller(guest, "LAB-C")?["driver"] == "nvme");
    Ok(())
}
