//! Controllers and huge pages for an unprivileged user, and everything back again.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::nvme_bound::reads_registers;
use super::nvme_scan::{address, controller};
use crate::guest::{Guest, Lab};
use crate::hardware::{Controller, Hardware};

const UP: Duration = Duration::from_secs(60);
pub const NODE_PAGES: &str =
    "cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages | tr '\\n' ' '";

/// What a prepare may change: drivers, overrides, pages, mounts of huge pages, and who owns them or a device file.
const SNAPSHOT: &str = "
    for place in /sys/bus/pci/devices/*; do
        [ $(cat $place/class) = 0x010802 ] || continue
        echo ${place##*/} $(basename $(readlink $place/driver)) $(cat $place/driver_override)
    done
    cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages
    grep hugetlbfs /proc/mounts
    for file in $(grep hugetlbfs /proc/mounts | cut -d ' ' -f 2) $(ls -d /dev/vfio/[0-9]* /dev/uio[0-9]* 2>/dev/null); do
        stat -c '%n %u:%g %a' $file
    done";
/// Pages, and a mount of somebody else's, that were there before.
const BEFORE: &str = "
    cd /sys/devices/system/node
    echo 3 > node0/hugepages/hugepages-2048kB/nr_hugepages
    echo 5 > node1/hugepages/hugepages-2048kB/nr_hugepages
    mkdir -p /tmp/huge && mount -t hugetlbfs huge /tmp/huge && chown 7:8 /tmp/huge && chmod 711 /tmp/huge";

/// One controller and huge pages on both nodes for bob; scan names what the record remembers; reset restores all of it, as it was.
pub fn user_and_back(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    let taken = address(&mut guest, "LAB-A")?;
    guest.shell.run(BEFORE)?;
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "3 5");
    let before = guest.shell.run(SNAPSHOT)?;
    left_over_files(&mut guest)?;
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
    reads_registers(&mut guest, &bound)?;
    guest
        .shell
        .run("[ \"$(stat -c '%U %a' /tmp/huge)\" = 'bob 711' ] && [ ! -e /dev/hugepages ]")?;
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
    is_as_before(&mut guest, &before)?;
    another_driver(&mut guest, &taken, &before)?;
    guest.power_off()
}

/// Nothing is changed any more, and nothing is remembered.
fn is_as_before(guest: &mut Guest, before: &str) -> Result<()> {
    let now = guest.shell.run(SNAPSHOT)?;
    ensure!(now == before, "before:\n{before}\nafter a reset:\n{now}");
    guest.shell.run("[ ! -e /var/lib/daos_server/nvme_prepared.json ]").map(drop)
}

/// Files that SPDK left behind are removed, and one that a program has open is kept and told.
fn left_over_files(guest: &mut Guest) -> Result<()> {
    guest.shell.run(
        "touch /tmp/huge/spdk_pid7map_0 /tmp/huge/spdk_pid8map_0 /var/tmp/spdk_pci_lock_0000:99:00.0
         ln -s /nonexistent /tmp/spdk_pci_lock_link
         sleep 600 < /tmp/huge/spdk_pid8map_0 & echo $! > /tmp/spdk",
    )?;
    guest.shell.wait("ls -l /proc/$(cat /tmp/spdk)/fd | grep -q spdk_pid8map_0", UP)?;
    let told = guest.shell.run("daos_server nvme prepare none -p 8 -u root")?;
    ensure!(told.contains("/tmp/huge/spdk_pid8map_0 is left alone: sleep"), "{told}");
    let left = guest.shell.run("ls /tmp/huge; ls /var/tmp /tmp | grep spdk_ || true")?;
    ensure!(left.trim() == "spdk_pid8map_0", "{left}");
    guest.shell.run("kill $(cat /tmp/spdk)")?;
    guest.shell.wait("[ ! -e /proc/$(cat /tmp/spdk) ]", UP)?;
    guest.shell.run("daos_server nvme reset && [ -z \"$(ls /tmp/huge)\" ]").map(drop)
}

/// From one driver for user space to another, and back to the kernel; what the kernel has then, and somebody mounts, stays with it.
fn another_driver(guest: &mut Guest, taken: &str, before: &str) -> Result<()> {
    let driver = |guest: &mut Guest| -> Result<String> {
        let place = format!("/sys/bus/pci/devices/{taken}/driver");
        Ok(guest.shell.run(&format!("basename $(readlink {place})"))?.trim().to_owned())
    };
    for (options, wanted) in [("", "vfio-pci"), ("--disable-vfio", "uio_pci_generic")] {
        guest.shell.run(&format!("daos_server nvme prepare {taken} -p 8 -u root {options}"))?;
        ensure!(driver(guest)? == wanted);
    }
    guest.shell.run("daos_server nvme reset")?;
    is_as_before(guest, before)?;
    // A record of an older version, which remembers the driver of the last prepare, of a controller that the kernel has by now.
    guest.shell.run(&format!(
        "daos_server nvme prepare {taken} -p 8 -u root && cp /var/lib/daos_server/nvme_prepared.json /tmp/record
         daos_server nvme reset
         sed 's/\"driver\": \"nvme\"/\"driver\": \"vfio-pci\"/' /tmp/record > /var/lib/daos_server/nvme_prepared.json
         grep -q '\"driver\": \"vfio-pci\"' /var/lib/daos_server/nvme_prepared.json"
    ))?;
    let node = node("LAB-A", 2);
    guest.shell.wait(&format!("[ -b {node} ]"), UP)?;
    guest
        .shell
        .run(&format!("mkfs.ext4 -q {node} && mount {node} /mnt && echo keep > /mnt/file"))?;
    guest.shell.run("daos_server nvme reset")?;
    ensure!(driver(guest)? == "nvme");
    guest.shell.run("[ $(cat /mnt/file) = keep ] && touch /mnt/more && umount /mnt")?;
    is_as_before(guest, before)
}

/// The kernel's name of a namespace.
fn node(serial: &str, namespace: u32) -> String {
    format!("/dev/$(basename $(dirname $(grep -l {serial} /sys/class/nvme/*/serial)))n{namespace}")
}

/// Mounted, swap, half of a mirror and a volume group keep their controller; the free one is taken all the same.
pub fn refuses_in_use(lab: &Lab) -> Result<()> {
    let mut hardware = Hardware::default();
    for (serial, node) in [("LAB-D", 0), ("LAB-E", 1)] {
        hardware.controllers.push(Controller { serial, node, namespaces: vec![32] });
    }
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run(&format!(
        "mkfs.ext4 -q {0} && mount {0} /mnt && echo keep > /mnt/file",
        node("LAB-A", 2)
    ))?;
    guest.shell.run(&format!("mkswap {0} && swapon {0}", node("LAB-B", 1)))?;
    guest.shell.run(&format!(
        "mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --bitmap=none {} missing",
        node("LAB-D", 1)
    ))?;
    guest.shell.run(&format!(
        "mkdir -p /run/lock /etc/lvm
         printf 'devices {{ use_devicesfile=0 obtain_device_list_from_udev=0 }}\nactivation {{ udev_sync=0 udev_rules=0 }}\n' > /etc/lvm/lvm.conf
         lvm pvcreate -q -y -ff {0} && lvm vgcreate -q lab {0} && lvm lvcreate -q -y -Wn -L 8M -n volume lab",
        node("LAB-E", 1)
    ))?;
    let before = guest.shell.run(SNAPSHOT)?;
    let told = guest.shell.refused("daos_server nvme prepare -p 2", "mounted on /mnt")?;
    for reason in ["active swap space", "code = 1225", "md0", "lab-volume"] {
        ensure!(told.contains(reason), "{reason}: {told}");
    }
    for serial in ["LAB-A", "LAB-B", "LAB-D", "LAB-E"] {
        ensure!(controller(&mut guest, serial)?["driver"] == "nvme", "{serial}");
    }
    ensure!(controller(&mut guest, "LAB-C")?["driver"] == "vfio-pci");
    guest.shell.run("[ $(stat -c %U /dev/hugepages) = root ] && grep -q ' /dev/hugepages hugetlbfs' /proc/mounts")?;
    guest.shell.run("daos_server nvme reset")?;
    is_as_before(&mut guest, &before)?;
    guest.shell.run(
        "[ $(cat /mnt/file) = keep ] && umount /mnt && swapoff -a && lvm lvs lab | grep volume && grep md0 /proc/mdstat",
    )?;
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
