//! Formats through the whole server: `dmg storage format` in the guest.

use anyhow::{Context as _, Result, ensure};

use super::site::{
    METADATA, Metadata, answer, ask, dry_run, flat, format, format_all, node, serve,
};
use crate::guest::{Disks, Guest, Lab};
use crate::hardware::{Controller, Hardware};
use crate::medium;

/// What is on the namespaces before a format.
const SECRET: &str = "data of somebody";

/// Data is gone and the plan said so; the sibling namespace and the other controllers are as they were; the engine is started on it.
pub fn erases_the_plan(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let image = |serial, namespace| -> Result<_> {
        Ok(disks.path().join(hardware.image(serial, namespace)?))
    };
    let (first, sibling, other) = (image("LAB-A", 1)?, image("LAB-A", 2)?, image("LAB-B", 1)?);
    medium::fill(&first, SECRET)?;
    // In the middle, so that both ends are blank and no format is needed: it has to stay.
    medium::write(&sibling, SECRET, 20 << 20, 24 << 20)?;
    medium::fill(&other, SECRET)?;
    let before = (medium::fingerprint(&sibling, 0)?, medium::fingerprint(&other, 0)?);
    let mut guest = lab.boot(&hardware, &disks)?;
    serve(&mut guest, &["LAB-A"], Metadata::InRam)?;
    let refused = guest.shell.refused(&format("--yes --verbose"), "")?;
    ensure!(flat(&refused).contains("not blank"), "{refused}");
    let plan = dry_run(&mut guest)?;
    let words = flat(&plan);
    ensure!(words.contains("LAB-A") && words.contains("format namespace 1 (Format NVM)"), "{plan}");
    ensure!(!words.contains("namespace 2 (Format NVM)"), "it is blank already: {plan}");
    lab.keep("format-plan", &plan)?;
    let told = format_all(&mut guest)?;
    lab.keep("format-done", &told)?;
    logs_what_the_page_shows(&guest.shell.run("cat /tmp/server.log")?)?;
    guest.power_off()?;
    ensure!(!medium::holds(&first, SECRET)?, "the data is still there");
    let after = (medium::fingerprint(&sibling, 0)?, medium::fingerprint(&other, 0)?);
    ensure!(before == after, "a namespace changed that was not in the plan");
    Ok(())
}

/// The lines of the page on the class come in their order, whatever else is logged. Times differ.
fn logs_what_the_page_shows(log: &str) -> Result<()> {
    let timeless = |line: &str| match line.split_once(" finished in ") {
        Some((what, rest)) => {
            let (_time, rest) = rest.split_once(" ms").unwrap_or(("", rest));
            format!("{what} finished{rest}")
        }
        None => line.to_owned(),
    };
    let page = include_str!("../../../../../docs/config/bdev-nvme.md");
    let shown: Vec<_> =
        page.lines().filter(|line| line.starts_with("INFO ")).map(timeless).collect();
    ensure!(shown.len() > 5, "the page shows no log");
    // Host, level, date and time stand before each line.
    let logged = log.lines().map(|line| line.splitn(5, ' ').nth(4).unwrap_or_default());
    let mut logged = logged.map(|line| timeless(&format!("INFO {line}")));
    for line in shown {
        ensure!(
            logged.any(|logged| logged == line),
            "not logged, or not in its place: {line}\n{log}"
        );
    }
    Ok(())
}

/// The machine with five controllers for five ways to be in use.
fn five() -> Hardware {
    let mut hardware = Hardware::default();
    for (serial, node) in [("LAB-D", 0), ("LAB-E", 1)] {
        hardware.controllers.push(Controller { serial, node, namespaces: vec![32] });
    }
    hardware
}

/// Everything from the first MiB on: RAID and volume groups keep their own notes before it.
fn fingerprints(hardware: &Hardware, disks: &Disks, serials: &[&str]) -> Result<Vec<u64>> {
    let of = |serial: &&str| {
        medium::fingerprint(&disks.path().join(hardware.image(serial, 1)?), 1 << 20)
    };
    serials.iter().map(of).collect()
}

/// Mounted, swap, RAID member, volume group, partitioned: each refused with its reason, with every option, and untouched.
pub fn refuses_in_use(lab: &Lab) -> Result<()> {
    let hardware = five();
    let disks = lab.disks(&hardware)?;
    for serial in ["LAB-B", "LAB-C", "LAB-D", "LAB-E"] {
        medium::fill(&disks.path().join(hardware.image(serial, 1)?), SECRET)?;
    }
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run(&format!(
        "mkfs.ext4 -q {0} && mkdir /tmp/m && mount {0} /tmp/m && echo keep > /tmp/m/file",
        node("LAB-A", 2)
    ))?;
    guest.shell.run(&format!("mkswap {0} && swapon {0}", node("LAB-B", 1)))?;
    guest
        .shell
        .run(&format!("echo '1M,' | sfdisk -q --force --wipe never {}", node("LAB-C", 1)))?;
    guest.shell.run(&format!(
        "mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --bitmap=none {} missing",
        node("LAB-D", 1)
    ))?;
    guest.shell.run(&format!(
        "mkdir -p /run/lock /etc/lvm
         printf 'devices {{ use_devicesfile=0 obtain_device_list_from_udev=0 }}\\nactivation {{ udev_sync=0 udev_rules=0 }}\\n' > /etc/lvm/lvm.conf
         lvm pvcreate -q -y -ff {0} && lvm vgcreate -q lab {0} && lvm lvcreate -q -y -Wn -L 8M -n volume lab",
        node("LAB-E", 1)
    ))?;
    guest.shell.run("sync")?;
    let serials = ["LAB-B", "LAB-C", "LAB-D", "LAB-E"];
    let before = fingerprints(&hardware, &disks, &serials)?;
    serve(&mut guest, &["LAB-A", "LAB-B", "LAB-C", "LAB-D", "LAB-E"], Metadata::InRam)?;
    let plan = dry_run(&mut guest)?;
    for reason in [
        "mounted on /tmp/m",
        "active swap space",
        "has partitions",
        "held by RAID array md0",
        "held by device-mapper device lab-volume",
    ] {
        ensure!(flat(&plan).contains(reason), "no '{reason}' in {plan}");
    }
    lab.keep("format-refused", &plan)?;
    let told = guest.shell.refused(&format("--reformat --yes --verbose"), "")?;
    ensure!(flat(&told).contains("mounted on /tmp/m"), "{told}");
    guest.shell.run("[ $(cat /tmp/m/file) = keep ] && umount /tmp/m && swapoff -a")?;
    guest.shell.run("lvm lvs lab | grep volume; grep md0 /proc/mdstat; sync")?;
    let after = fingerprints(&hardware, &disks, &serials)?;
    ensure!(before == after, "something was written: {before:x?} {after:x?}");
    guest.power_off()
}

/// The administrator agrees to a plan, but meanwhile the card was pulled, or another one sits in its slot: refused, nothing is written.
pub fn refuses_another_controller(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let old = disks.path().join(hardware.image("LAB-B", 1)?);
    let new = disks.path().join("new.img");
    std::fs::File::create(&new)?.set_len(32 << 20)?;
    for image in [&old, &new] {
        medium::fill(image, SECRET)?;
    }
    let before = (medium::fingerprint(&old, 0)?, medium::fingerprint(&new, 0)?);
    let mut guest = lab.boot(&hardware, &disks)?;
    serve(&mut guest, &["LAB-B"], Metadata::InRam)?;

    ask(&mut guest)?;
    let place = hardware.place("LAB-B")?;
    pull(&mut guest, &format!("nvme{place}"))?;
    let pulled = answer(&mut guest)?;
    ensure!(pulled.status != 0, "formatted what is not there: {}", pulled.output);
    lab.keep("format-pulled", &pulled.output)?;

    plug(&mut guest, place, "old", "LAB-B", &old)?;
    ask(&mut guest)?;
    pull(&mut guest, "old")?;
    plug(&mut guest, place, "new", "LAB-X", &new)?;
    let exchanged = answer(&mut guest)?;
    ensure!(exchanged.status != 0, "formatted another controller: {}", exchanged.output);
    ensure!(flat(&exchanged.output).contains("changed"), "{}", exchanged.output);
    lab.keep("format-exchanged", &exchanged.output)?;
    guest.power_off()?;
    let after = (medium::fingerprint(&old, 0)?, medium::fingerprint(&new, 0)?);
    ensure!(before == after, "something was written");
    Ok(())
}

pub fn pull(guest: &mut Guest, device: &str) -> Result<()> {
    guest.qmp.run("device_del", serde_json::json!({"id": device}))?;
    guest.qmp.wait_for("DEVICE_DELETED", device)
}

/// Puts a controller with one namespace into an empty slot, and waits until the kernel has its node.
pub fn plug(
    guest: &mut Guest,
    place: usize,
    name: &str,
    serial: &str,
    image: &std::path::Path,
) -> Result<()> {
    let file = image.to_str().context("a path in UTF-8")?;
    let medium = format!("medium-{name}");
    let add = serde_json::json!({"node-name": medium, "driver": "file", "filename": file});
    guest.qmp.run("blockdev-add", add)?;
    let device = serde_json::json!({
        "driver": "nvme", "id": name, "serial": serial, "bus": format!("port{place}"), "drive": medium
    });
    guest.qmp.run("device_add", device)?;
    guest.shell.wait(&format!("[ -b {} ]", node(serial, 1)), super::site::UP).map(drop)
}

/// A medium that fails in the middle of a format, once: not formatted, unknown, and formatted by the next try. One with a sector that
/// cannot be read is refused by a plain format, and is not formatted by any.
pub fn bad_sectors(lab: &Lab) -> Result<()> {
    let fault = |what: &str| format!("inject-error.0.event=none,inject-error.0.errno=5,{what}");
    let hardware = Hardware {
        faults: vec![
            ("LAB-B", fault("inject-error.0.iotype=write-zeroes,inject-error.0.once=on")),
            ("LAB-C", fault("inject-error.0.iotype=read,inject-error.0.sector=16")),
        ],
        ..Hardware::default()
    };
    let disks = lab.disks(&hardware)?;
    let failing = disks.path().join(hardware.image("LAB-B", 1)?);
    let unreadable = disks.path().join(hardware.image("LAB-C", 1)?);
    medium::fill(&failing, SECRET)?;
    medium::fill(&unreadable, SECRET)?;
    let before = medium::fingerprint(&unreadable, 0)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    serve(&mut guest, &["LAB-B", "LAB-C"], Metadata::OnDisk)?;
    let scan = guest.shell.run("daos_server nvme scan")?;
    ensure!(scan.contains("cannot be looked at"), "{scan}");
    let plain = guest.shell.refused(&format("--yes --verbose"), "")?;
    ensure!(flat(&plain).contains("namespace 1: cannot be read"), "{plain}");
    lab.keep("format-unreadable", &plain)?;
    ensure!(medium::fingerprint(&unreadable, 0)? == before, "a medium changed that was refused");

    let failed = guest.shell.refused(&format("--reformat --yes --verbose"), "")?;
    ensure!(flat(&failed).contains("Format NVM"), "{failed}");
    lab.keep("format-failed", &failed)?;
    guest.shell.run(&format!(
        "[ ! -e {METADATA}/superblock ] && [ -e /var/lib/daos_server/format/engine0.json ]"
    ))?;
    super::site::kill(&mut guest)?;
    serve(&mut guest, &["LAB-B"], Metadata::OnDisk)?;
    format_all(&mut guest)?;
    guest.power_off()?;
    ensure!(!medium::holds(&failing, SECRET)?, "the data is still there");
    Ok(())
}
