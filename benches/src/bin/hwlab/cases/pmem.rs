//! Persistent memory: from blank modules to a system that outlives a reboot, and back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;

const UP: Duration = Duration::from_secs(180);

/// MiB of each of the two modules.
const DIMM_MIB: u64 = 256;

pub(super) fn hardware() -> Hardware {
    Hardware { controllers: Vec::new(), dimm_mib: DIMM_MIB, iommu: false, ..Hardware::default() }
}

pub(super) fn json(guest: &mut Guest, command: &str) -> Result<Value> {
    let text = guest.shell.run(command)?;
    serde_json::from_str(&text).with_context(|| text.clone())
}

fn scan(guest: &mut Guest) -> Result<Value> {
    json(guest, "daos_server -j scm scan")
}

fn known(scan: &Value, kind: &str) -> Result<Vec<Value>> {
    let rows = scan[kind]["known"].as_array().cloned();
    rows.with_context(|| format!("{kind} of {scan:#}"))
}

/// The device of the namespace on a NUMA node, whatever it is called in this boot.
pub(super) fn device(guest: &mut Guest, node: u64) -> Result<String> {
    let spaces = known(&scan(guest)?, "namespaces")?;
    let own = spaces.iter().find(|space| space["numa_node"] == node && space["mode"] == "fsdax");
    let name = own.and_then(|space| space["blockdev"].as_str());
    Ok(format!("/dev/{}", name.with_context(|| format!("no namespace on node {node}"))?))
}

/// A server with an engine on the device of each node.
fn serve(guest: &mut Guest) -> Result<()> {
    let mut engines = String::new();
    for node in 0..2 {
        let device = device(guest, node)?;
        engines.push_str(&format!(
            "- fabric_iface: lo\n  fabric_iface_port: {}\n  targets: 1\n  pinned_numa_node: {node}\n  \
             log_file: /tmp/engine{node}.log\n  storage:\n  - {{class: dcpm, scm_mount: /mnt/daos{node}, scm_list: [{device}]}}\n",
            31416 + 1000 * node
        ));
    }
    let config = format!(
        "name: lab\nprovider: ofi+tcp\nmgmt_svc_replicas: [127.0.0.1]\nport: 10001\ntransport_config: {{allow_insecure: true}}\ndata_plane: emulated\n\
         socket_dir: /run/daos\nengines:\n{engines}"
    );
    guest.shell.run(&format!(
        "mkdir -p /run/daos; printf '%s' '{config}' > /etc/server.yml
         printf 'name: lab\\nhostlist: [127.0.0.1]\\ntransport_config: {{allow_insecure: true}}\\n' > /etc/control.yml
         daos_server start -o /etc/server.yml > /tmp/server.log 2>&1 & echo $! > /tmp/server.pid"
    ))?;
    guest.shell.wait("grep -q listening /tmp/server.log || { cat /tmp/server.log; false; }", UP)?;
    Ok(())
}

fn stop(guest: &mut Guest) -> Result<()> {
    guest.shell.run("kill $(cat /tmp/server.pid)")?;
    guest.shell.wait("! kill -0 $(cat /tmp/server.pid) 2>/dev/null", UP)?;
    Ok(())
}

/// Rank and uuid of both engines, and the time of the last one's start, once both were started after `since`: what was
/// joined before a reboot is shown as joined until it joins again.
fn members(guest: &mut Guest, since: u64) -> Result<(Vec<String>, u64)> {
    let deadline = Instant::now() + UP;
    loop {
        let ran = guest.shell.try_run("dmg -j -o /etc/control.yml system query")?;
        let answer: Value = serde_json::from_str(&ran.output).unwrap_or_default();
        let rows = answer["response"]["members"].as_array().cloned().unwrap_or_default();
        let started: Vec<u64> = rows.iter().filter_map(|row| row["incarnation"].as_u64()).collect();
        let joined = rows.iter().filter(|row| row["state"] == "joined").count();
        if joined == 2 && started.iter().all(|each| *each > since) {
            let mut found: Vec<String> =
                rows.iter().map(|row| format!("{} {}", row["rank"], row["uuid"])).collect();
            found.sort();
            return Ok((found, started.into_iter().max().unwrap_or(0)));
        }
        if Instant::now() >= deadline {
            let log = guest.shell.run("tail -30 /tmp/server.log")?;
            bail!("not joined: {}\n{log}", ran.output);
        }
    }
}

/// Keeps what was printed, and makes sure that the page about it shows the same.
fn documented(lab: &Lab, name: &str, told: &str) -> Result<()> {
    const PAGE: &str = include_str!("../../../../../docs/devices/pmem.md");
    lab.keep(name, told)?;
    for line in told.lines() {
        // The answer of the administrator is not echoed.
        let line = line.rsplit("(yes/no)").next().unwrap_or(line).trim();
        ensure!(PAGE.contains(line), "docs/devices/pmem.md does not show: {line}");
    }
    Ok(())
}

/// Case 4: blank modules, `scm prepare`, `dmg storage format`, a reboot, the same ranks, reset.
pub fn outlives_a_reboot(lab: &Lab) -> Result<()> {
    let hardware = hardware();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;

    let blank = scan(&mut guest)?;
    documented(lab, "pmem-scan.txt", &guest.shell.run("daos_server scm scan")?)?;
    let (modules, regions) = (known(&blank, "modules")?, known(&blank, "regions")?);
    ensure!(modules.len() == 2 && regions.len() == 2, "{blank:#}");
    for module in &modules {
        ensure!(module["capacity"] == DIMM_MIB << 20, "{module:#}");
    }
    let nodes = |rows: &[Value], key: &str| {
        let mut nodes: Vec<u64> = rows.iter().filter_map(|row| row[key].as_u64()).collect();
        nodes.sort_unstable();
        nodes
    };
    ensure!(
        nodes(&modules, "socket") == [0, 1] && nodes(&regions, "socket") == [0, 1],
        "{blank:#}"
    );
    for region in &regions {
        ensure!(region["free_capacity"] == 0 && region["capacity"] == DIMM_MIB << 20, "{region:#}");
    }

    // Labels are written over, so it asks; no answer is no.
    let told = guest.shell.refused("daos_server scm prepare", "consent not given")?;
    ensure!(told.contains("LOST: labels of nmem"), "{told}");
    guest.shell.refused("echo no | daos_server scm prepare", "consent not given")?;
    ensure!(scan(&mut guest)? == blank, "a question that was answered with no changed something");
    let told = guest.shell.run("echo yes | daos_server scm prepare")?;
    ensure!(told.contains("make a namespace") && told.contains("fsdax"), "{told}");
    documented(lab, "pmem-prepare.txt", &told)?;
    let ready = scan(&mut guest)?;
    let spaces = known(&ready, "namespaces")?;
    ensure!(nodes(&spaces, "numa_node") == [0, 1], "{ready:#}");
    ensure!(spaces.iter().all(|space| space["mode"] == "fsdax"), "{ready:#}");
    let again = json(&mut guest, "daos_server -j storage prepare --scm-only")?["SCM"].take();
    ensure!(
        again["verdict"] == "already_prepared" && again["reboot_required"] == false,
        "{again:#}"
    );
    // What ndctl tells and what the bus shows is the same.
    let without = json(
        &mut guest,
        "mv /usr/bin/ndctl /tmp/; daos_server -j scm scan; mv /tmp/ndctl /usr/bin/",
    )?;
    ensure!(without == ready, "{without:#}\n{ready:#}");
    let lines = guest.shell.run("daos_server storage scan")?;
    ensure!(lines.contains("Mode:fsdax") && lines.contains("SCM Regions:"), "{lines}");

    serve(&mut guest)?;
    guest.shell.run("dmg -o /etc/control.yml storage format")?;
    let (ranks, started) = members(&mut guest, 0)?;
    let mounts = guest.shell.run("grep -c 'ext4.*dax' /proc/mounts; grep pmem /proc/mounts")?;
    ensure!(
        mounts.starts_with("2\n") && mounts.contains("nosuid,nodev,noexec,noatime"),
        "{mounts}"
    );
    let shown = guest.shell.run("dmg -o /etc/control.yml storage scan -v")?;
    ensure!(shown.contains("pmem0") && shown.contains("pmem1"), "{shown}");
    guest.shell.refused("daos_server scm reset --force", "is mounted at /mnt/daos")?;
    stop(&mut guest)?;
    guest.power_off()?;

    let mut guest = lab.boot(&hardware, &disks)?;
    let after = scan(&mut guest)?;
    ensure!(
        known(&after, "regions")?.len() == 2 && known(&after, "namespaces")?.len() == 2,
        "{after:#}"
    );
    serve(&mut guest)?;
    let (again, _) = members(&mut guest, started)?;
    ensure!(again == ranks, "other ranks after the reboot: {again:?} instead of {ranks:?}");
    let waited = guest.shell.run("grep -c 'waiting for storage format' /tmp/server.log || true")?;
    ensure!(waited.trim() == "0", "a format was waited for");
    stop(&mut guest)?;

    // Unmounted it can be reset, and nothing of the old file system is found in new namespaces.
    guest.shell.run("umount /mnt/daos0 /mnt/daos1")?;
    let told = guest.shell.refused("echo no | daos_server scm reset", "consent not given")?;
    ensure!(told.contains("daos"), "{told}");
    lab.keep("pmem-reset.txt", &told)?;
    let gone = json(&mut guest, "daos_server -j scm reset --force")?;
    ensure!(gone["destroyed"].as_array().map(Vec::len) == Some(2), "{gone:#}");
    ensure!(gone["reboot_required"] == false, "virtual modules take no goals: {gone:#}");
    ensure!(known(&scan(&mut guest)?, "namespaces")?.is_empty());
    guest.shell.run("! ls /dev/pmem* 2>/dev/null")?;
    let again =
        json(&mut guest, "daos_server -j storage prepare --scm-only --reset")?["SCM"].take();
    ensure!(again["verdict"] == "already_reset", "{again:#}");
    let two = json(&mut guest, "daos_server -j scm prepare --scm-ns-per-socket 2")?;
    let spaces = two["namespaces"].as_array().cloned().unwrap_or_default();
    ensure!(
        spaces.len() == 4 && spaces.iter().all(|space| space["size"] == spaces[0]["size"]),
        "{two:#}"
    );
    guest.shell.run("for d in /dev/pmem*; do ! blkid -p $d || exit 1; done")?;
    guest.power_off()
}

/// The suite that the simulation passes, on the kernel's drivers.
pub fn passes_the_suite(lab: &Lab) -> Result<()> {
    let hardware = hardware();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run("provision_suite --destroy-all-persistent-memory >/tmp/suite 2>&1 &")?;
    let passed = "grep -q ' passed' /tmp/suite; status=$?; cat /tmp/suite; exit $status";
    let told = guest.shell.wait(passed, 5 * UP)?;
    ensure!(told.contains("13 of 13 passed"), "{told}");
    guest.power_off()
}

/// R127, R128 on real devices: somebody's file system is refused plainly, and what is mounted with every option.
fn formats_only_what_it_may(guest: &mut Guest) -> Result<()> {
    serve(guest)?;
    let format = "dmg -o /etc/control.yml storage format";
    guest.shell.refused(format, "label \"keep\"")?;
    let device = device(guest, 0)?;
    guest
        .shell
        .run(&format!("mkdir -p /tmp/m && mount {device} /tmp/m && echo keep > /tmp/m/file"))?;
    guest.shell.refused(&format!("{format} --reformat --yes"), "is mounted at /tmp/m")?;
    guest.shell.run("[ $(cat /tmp/m/file) = keep ] && umount /tmp/m")?;
    // The other engine may run by now, which is told as well.
    guest.shell.try_run(&format!("{format} --reformat --yes"))?;
    members(guest, 0)?;
    stop(guest)?;
    guest.shell.run("umount /mnt/daos0 /mnt/daos1")?;
    Ok(())
}

/// What is used is neither labelled nor destroyed; what an earlier owner left is named, and refused by a plain format.
pub fn refuses_what_is_used(lab: &Lab) -> Result<()> {
    let hardware = hardware();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    // Without labels the kernel shows each module as one raw disk, which somebody may well use.
    guest
        .shell
        .run("mkfs.ext4 -q -L keep /dev/pmem0 && mount /dev/pmem0 /mnt && echo keep > /mnt/file")?;
    let told =
        guest.shell.refused("daos_server scm prepare --force", "/dev/pmem0 is mounted at /mnt")?;
    ensure!(told.contains("code = 103"), "{told}");
    guest.shell.run(
        "[ $(cat /mnt/file) = keep ] && umount /mnt && mkswap /dev/pmem1 && swapon /dev/pmem1",
    )?;
    guest.shell.refused("daos_server scm prepare --force", "active swap space")?;
    guest.shell.run("swapoff /dev/pmem1 && wipefs -qa /dev/pmem1")?;
    let told = guest.shell.refused("daos_server scm prepare", "consent not given")?;
    ensure!(told.contains("keep"), "the file system that would be lost is named: {told}");
    guest.shell.run("[ $(blkid -p -s LABEL -o value /dev/pmem0) = keep ]")?;

    guest.shell.run("daos_server scm prepare --force --socket 0")?;
    let spaces = known(&scan(&mut guest)?, "namespaces")?;
    let modes: Vec<&Value> = spaces.iter().map(|space| &space["mode"]).collect();
    ensure!(modes.iter().filter(|mode| **mode == "fsdax").count() == 1, "{modes:?}");
    guest
        .shell
        .refused("daos_server scm prepare --socket 7", "socket 7 has no persistent memory")?;
    guest.shell.run("daos_server scm prepare --force")?;

    // A namespace that was destroyed by other means comes back with its old file system on it.
    let device = device(&mut guest, 0)?;
    let space = guest.shell.run(&format!(
        "mkfs.ext4 -q -b 4096 -L keep {device}; ndctl list | tr -d '\\n ' | sed 's/.*\"dev\":\"\\(namespace[0-9.]*\\)\"[^}}]*\"blockdev\":\"{}\".*/\\1/'",
        device.trim_start_matches("/dev/")
    ))?;
    guest.shell.run(&format!("ndctl destroy-namespace -f {}", space.trim()))?;
    let told = guest.shell.run("daos_server scm prepare --force")?;
    ensure!(told.contains("a plain format will refuse it"), "{told}");
    guest.shell.refused("daos_server scm set-interleaved --force", "managed by no library")?;
    formats_only_what_it_may(&mut guest)?;

    // Without ndctl it is shown, and cannot be changed.
    guest.shell.run("mv /usr/bin/ndctl /tmp/")?;
    ensure!(known(&scan(&mut guest)?, "namespaces")?.len() == 2);
    let told = guest.shell.refused("daos_server scm reset --force", "ndctl is needed")?;
    ensure!(told.contains("code = 1 ") && told.contains("install ndctl"), "{told}");
    guest.power_off()
}
