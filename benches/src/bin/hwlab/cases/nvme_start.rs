//! What a start makes ready by itself, and what an administrator does from afar.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::nvme_prepare::NODE_PAGES;
use super::nvme_scan::{address, controller, controllers};
use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;

const UP: Duration = Duration::from_secs(120);
/// Where root's server has its sockets.
const PLACE: &str = "/run/daos";
const DMG: &str = "dmg -o /etc/control.yml";

/// A program in place of the real engine: notes how it was started, leaves the controllers alone, and serves as the stand-in does.
const ENGINE: &str = r#"#!/bin/sh
echo "$*" > /tmp/engine.argv
ulimit -l > /tmp/engine.memlock
kept=
while [ $# -gt 0 ]; do
    if [ "$1" = -n ]; then shift; else kept="$kept $1"; fi
    shift
done
exec daos_io_server $kept
"#;

/// The configuration of a server with one engine on node 1; real data plane, so that all rules hold.
fn config(place: &str, port: u16, pages: u64, list: &str) -> String {
    // Scans here have no configuration: they look for the record of prepare in the usual place.
    let state = match place {
        PLACE => "/var/lib/daos_server".to_owned(),
        other => format!("{other}/state"),
    };
    format!(
        "name: lab\nmgmt_svc_replicas: [127.0.0.1:{port}]\nport: {port}\ntransport_config: {{allow_insecure: true}}\n\
         provider: ofi+tcp\nallow_thp: true\nsystem_ram_reserved: 1\nnr_hugepages: {pages}\nsocket_dir: {place}/sockets\n\
         state_dir: {state}\nengines:\n- fabric_iface: lo\n  fabric_iface_port: {}\n  targets: 1\n  \
         pinned_numa_node: 1\n  storage:\n  - {{class: ram, scm_mount: /mnt, scm_size: 4}}\n  \
         - {{class: nvme, bdev_list: [\"{list}\"]}}\n",
        port + 1000
    )
}

fn write(guest: &mut Guest, file: &str, text: &str) -> Result<()> {
    guest.shell.run(&format!("cat > {file} <<'END'\n{text}END"))?;
    Ok(())
}

fn start(guest: &mut Guest) -> Result<()> {
    guest.shell.run(
        "daos_server start -o /etc/server.yml > /tmp/server.log 2>&1 & echo $! > /tmp/server.pid",
    )?;
    let listening = "grep -q listening /tmp/server.log || { cat /tmp/server.log; false; }";
    guest.shell.wait(listening, UP)?;
    Ok(())
}

fn joined(guest: &mut Guest) -> Result<()> {
    let joined =
        format!("{DMG} system query | grep -qi joined || {{ cat /tmp/server.log; false; }}");
    guest.shell.wait(&joined, UP)?;
    guest.shell.wait("grep -q ' is running' /tmp/server.log", UP)?;
    Ok(())
}

fn drivers(guest: &mut Guest) -> Result<Vec<String>> {
    let found = controllers(guest)?;
    let serials = found.iter().map(|each| each["serial"].as_str().unwrap_or_default());
    ensure!(serials.eq(["LAB-A", "LAB-B", "LAB-C"]), "{found:#?}");
    Ok(found.iter().map(|each| each["driver"].as_str().unwrap_or("none").to_owned()).collect())
}

/// Huge pages on the engine's node, the engine's controller when it starts, its owner, limits and arguments; wrong values are named;
/// nothing else is touched; the same from afar.
pub fn automatic(lab: &Lab) -> Result<()> {
    // A real data plane has at least 4 GiB of RAM tier.
    let hardware = Hardware { memory_mib: 7168, ..Hardware::default() };
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    write(&mut guest, "/usr/bin/daos_engine", ENGINE)?;
    write(
        &mut guest,
        "/etc/control.yml",
        "name: lab\nhostlist: [127.0.0.1]\ntransport_config: {allow_insecure: true}\n",
    )?;
    guest.shell.run("chmod 755 /usr/bin/daos_engine; mkdir -p /run/daos/sockets")?;
    let (listed, other) = (address(&mut guest, "LAB-A")?, address(&mut guest, "LAB-B")?);

    refuses_wrong_values(&mut guest, &listed)?;
    refuses_a_plain_user(&mut guest, &listed)?;
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "0 0");
    ensure!(drivers(&mut guest)? == ["nvme"; 3]);

    write(&mut guest, "/etc/server.yml", &config(PLACE, 10001, 64, &listed))?;
    start(&mut guest)?;
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "0 64", "pages on the engine's node only");
    ensure!(drivers(&mut guest)? == ["nvme"; 3], "a format still sees what is on the controller");
    guest.shell.run(&format!("{DMG} storage format"))?;
    joined(&mut guest)?;
    ensure!(drivers(&mut guest)? == ["vfio-pci", "nvme", "nvme"]);
    let group = controller(&mut guest, "LAB-A")?["iommu_group"].to_string();
    guest.shell.run(&format!("[ \"$(stat -c '%U %a' /dev/vfio/{group})\" = 'root 600' ]"))?;
    let argv = guest.shell.run("cat /tmp/engine.argv")?;
    ensure!(argv.contains("-p 1 ") && argv.contains("-r 1024 -H 2"), "{argv}");
    ensure!(guest.shell.run("cat /tmp/engine.memlock")?.trim() == "unlimited");

    from_afar(&mut guest, &listed, &other)?;
    // A second start finds everything as it should be, and makes nothing less.
    guest.shell.run("kill $(cat /tmp/server.pid)")?;
    guest.shell.wait("! kill -0 $(cat /tmp/server.pid) 2>/dev/null", UP)?;
    guest
        .shell
        .run("echo 100 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages")?;
    start(&mut guest)?;
    joined(&mut guest)?;
    ensure!(guest.shell.run(NODE_PAGES)?.trim().ends_with(" 100"));
    ensure!(drivers(&mut guest)? == ["vfio-pci", "nvme", "nvme"]);
    guest.power_off()
}

fn refuses_wrong_values(guest: &mut Guest, listed: &str) -> Result<()> {
    let start = "daos_server start -o /etc/server.yml";
    let nowhere =
        config(PLACE, 10001, 64, listed).replace("pinned_numa_node: 1", "pinned_numa_node: 5");
    write(guest, "/etc/server.yml", &nowhere)?;
    let told = guest.shell.refused(start, "engines are placed on NUMA node 5")?;
    ensure!(told.contains("code = 1453"), "{told}");
    write(guest, "/etc/server.yml", &config(PLACE, 10001, 64, "0000:99:00.0"))?;
    let told = guest.shell.refused(start, "engine 0: there is no NVMe controller 0000:99:00.0")?;
    ensure!(told.contains("code = 304"), "{told}");
    let left_out =
        format!("bdev_include: [\"0000:99:00.0\"]\n{}", config(PLACE, 10001, 64, listed));
    write(guest, "/etc/server.yml", &left_out)?;
    let told =
        guest.shell.refused(start, "bdev_include, bdev_exclude or disable_vmd keeps the server")?;
    ensure!(told.contains("code = 1451") && told.contains(listed), "{told}");
    Ok(())
}

fn refuses_a_plain_user(guest: &mut Guest, listed: &str) -> Result<()> {
    guest.shell.run("mkdir -p /tmp/bob/sockets /tmp/bob/state; chown -R bob /tmp/bob")?;
    write(guest, "/etc/bob.yml", &config("/tmp/bob", 10101, 64, listed))?;
    // What is refused before that is not what is looked for here.
    let told = guest.shell.refused(
        "modprobe -C /dev/null -a vfio_pci vfio_iommu_type1; ulimit -l unlimited
         setpriv --reuid 1000 --regid 1000 --clear-groups daos_server start -o /etc/bob.yml",
        "a plain user may not take them",
    )?;
    ensure!(told.contains(&format!("-w '{listed}' -p 1:64 -u USER")), "{told}");
    ensure!(told.contains("NUMA node 1 has 0 huge pages, the engines need 64"), "{told}");
    Ok(())
}

/// `dmg storage prepare`: another controller for bob and back; what an engine uses is refused.
fn from_afar(guest: &mut Guest, listed: &str, other: &str) -> Result<()> {
    let prepare = format!("{DMG} storage prepare --nvme-only");
    let busy =
        guest.shell.refused(&format!("{prepare} -w {listed}"), "engine 0 has its storage")?;
    ensure!(busy.contains("code = 1455"), "{busy}");
    guest.shell.refused(&format!("{prepare} --reset"), "engine 0 has its storage")?;
    let told = guest.shell.run(&format!("{prepare} -w {other} -p 128 -u bob"))?;
    ensure!(told.contains("vfio-pci") && told.contains("64"), "{told}");
    ensure!(guest.shell.run(NODE_PAGES)?.trim() == "64 64");
    ensure!(drivers(guest)? == ["vfio-pci", "vfio-pci", "nvme"]);
    let group = controller(guest, "LAB-B")?["iommu_group"].to_string();
    guest.shell.run(&format!("[ $(stat -c %U /dev/vfio/{group}) = bob ]"))?;
    let told = guest.shell.run(&format!("{prepare} --reset -w {other}"))?;
    ensure!(told.contains(other), "{told}");
    ensure!(drivers(guest)? == ["vfio-pci", "nvme", "nvme"]);
    Ok(())
}
