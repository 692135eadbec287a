//! The whole way over the network: `dmg` on the host scans two guests, proposes their configuration, formats them (one with an SSD that
//! holds data), and sees the second join the first, vanish when its cable is pulled, and come back.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::nvme_scan::address;
use super::site::flat;
use crate::guest::{Disks, Guest, Lab};
use crate::hardware::{Controller, Hardware};
use crate::medium;

/// The port on which the guests listen.
const PORT: u16 = 10001;
const UP: Duration = Duration::from_secs(120);
/// How long a member is suspected before it is given up, in milliseconds; emulated processors stall for a while.
const SUSPECTED_MS: u32 = 8000;
/// What is on the first guest's SSD before a format.
const SECRET: &str = "data of somebody";

/// A guest that the host reaches through a forwarded port, and its neighbour through a cable of its own.
struct Node {
    guest: Guest,
    /// Where the host reaches its server.
    address: String,
    /// On the cable.
    lan: &'static str,
    /// The file behind its SSD.
    ssd: PathBuf,
    _disks: Disks,
}

fn hardware(serial: &'static str, place: &str, port: u16, lan: &str) -> Hardware {
    let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    Hardware {
        memory_mib: 512,
        controllers: vec![Controller { serial, node: 0, namespaces: vec![64] }],
        dimm_mib: 128,
        extra: words(format!(
            "-netdev user,id=host,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:10001 \
             -device virtio-net-pci,netdev=host,bus=pcie.0,mac=52:54:00:00:01:01 \
             -netdev stream,id=lan,addr.type=unix,{lan} \
             -device virtio-net-pci,netdev=lan,bus=pcie.0,mac=52:54:00:00:02:{place}"
        )),
        ..Hardware::default()
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn boot(
    lab: &Lab,
    serial: &'static str,
    place: &str,
    cable: &str,
    lan: &'static str,
) -> Result<Node> {
    let port = free_port()?;
    let hardware = hardware(serial, place, port, cable);
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run(&format!(
        "for link in /sys/class/net/e*; do
             name=${{link##*/}}; ip addr flush dev $name
             case $(cat $link/address) in
                 52:54:00:00:01:*) ip addr add 10.0.2.15/24 dev $name; echo $name > /tmp/host_link ;;
                 52:54:00:00:02:*) ip addr add {lan}/24 dev $name; echo $name > /tmp/lan_link ;;
             esac
             ip link set $name up
         done; test -s /tmp/host_link && test -s /tmp/lan_link"
    ))?;
    // Blank modules come up without labels: a namespace of the region's own.
    guest.shell.run(
        "ndctl disable-region all && ndctl zero-labels all && ndctl init-labels -f all && ndctl enable-region all || exit 1
         for region in /sys/bus/nd/devices/region*; do
             ndctl create-namespace -m fsdax -r ${region##*/} || exit 1
         done",
    )?;
    let ssd = disks.path().join(hardware.image(serial, 1)?);
    Ok(Node { guest, address: format!("127.0.0.1:{port}"), lan, ssd, _disks: disks })
}

impl Node {
    /// Starts the server with a configuration, in place of the one that runs.
    fn serve(&mut self, config: &str) -> Result<()> {
        self.guest.shell.run(&format!(
            "mkdir -p /run/daos; printf '%s' '{config}' > /etc/server.yml
             if [ -s /tmp/server.pid ]; then
                 kill $(cat /tmp/server.pid)
                 for i in $(seq 300); do [ -e /proc/$(cat /tmp/server.pid) ] || break; sleep 0.1; done
             fi
             rm -f /tmp/server.log
             daos_server start -o /etc/server.yml > /tmp/server.log 2>&1 &
             echo $! > /tmp/server.pid"
        ))?;
        // Until it listens or is gone.
        self.guest.shell.run(
            "for i in $(seq 500); do
                 grep -qs listening /tmp/server.log && exit 0
                 [ -e /proc/$(cat /tmp/server.pid) ] || break
                 sleep 0.2
             done; cat /tmp/server.log; exit 1",
        )?;
        Ok(())
    }

    /// The stand-in data plane drives no NVMe controllers: it is started without their configuration.
    fn engine_without_nvme(&mut self) -> Result<()> {
        self.guest.shell.run(&format!(
            "mv /usr/bin/daos_io_server /usr/bin/io_server && cat > /usr/bin/daos_io_server <<'END'\n{ENGINE}END\n\
             chmod 755 /usr/bin/daos_io_server"
        ))?;
        Ok(())
    }

    fn log(&mut self) -> String {
        self.guest
            .shell
            .try_run("grep -v SystemQuery /tmp/server.log | tail -n 40")
            .map(|ran| ran.output)
            .unwrap_or_default()
    }
}

/// Drops the option that names the devices.
const ENGINE: &str = r#"#!/bin/sh
kept=
while [ $# -gt 0 ]; do
    if [ "$1" = -n ]; then shift; else kept="$kept $1"; fi
    shift
done
exec io_server $kept
"#;

/// `dmg` on the host.
struct Dmg<'a> {
    lab: &'a Lab,
    config: std::path::PathBuf,
}

impl Dmg<'_> {
    /// Whether it ended well, and what it printed on its two outputs.
    fn try_run(&self, hosts: &str, arguments: &[&str]) -> Result<(bool, String, String)> {
        let mut dmg = self.lab.program("dmg");
        dmg.arg("-o").arg(&self.config).args(["-l", hosts]).args(arguments);
        let output = dmg.output().context("starting dmg")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    }

    fn run(&self, hosts: &str, arguments: &[&str]) -> Result<(String, String)> {
        let (good, told, complaint) = self.try_run(hosts, arguments)?;
        ensure!(good, "dmg {arguments:?}: {told}{complaint}");
        Ok((told, complaint))
    }

    fn json(&self, hosts: &str, arguments: &[&str]) -> Result<Value> {
        let (text, _) = self.run(hosts, &[&["-j"], arguments].concat())?;
        Ok(serde_json::from_str::<Value>(&text).with_context(|| text.clone())?["response"].take())
    }

    /// State and control address of each rank.
    fn members(&self, host: &str) -> Result<Vec<(String, String)>> {
        let found = self.json(host, &["system", "query"])?;
        let members = found["members"].as_array().context("members")?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(members.iter().map(|member| (word(&member["state"]), word(&member["addr"]))).collect())
    }

    /// Asks until the states are as wanted.
    fn until(
        &self,
        host: &str,
        what: &str,
        wanted: impl Fn(&[(String, String)]) -> bool,
    ) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let seen = self.members(host);
            if seen.as_ref().is_ok_and(|members| wanted(members)) {
                return Ok(began.elapsed());
            }
            if began.elapsed() > UP {
                bail!("{what}: not within {UP:?}, last seen {seen:?}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Scan, propose, format, join, cut, heal.
pub fn two_hosts(lab: &Lab) -> Result<()> {
    let place = lab.place()?;
    let cable = place.path().join("lan");
    let end = |server: &str| format!("server={server},addr.path={}", cable.display());
    let mut first = boot(lab, "NET-1", "01", &end("on"), "10.9.0.1")?;
    let mut second = boot(lab, "NET-2", "02", &end("off"), "10.9.0.2")?;
    let outcome = play(lab, place.path(), &mut first, &mut second);
    if let Err(error) = outcome {
        return Err(error.context(format!(
            "first server:\n{}\nsecond server:\n{}",
            first.log(),
            second.log()
        )));
    }
    first.guest.power_off()?;
    second.guest.power_off()
}

fn play(lab: &Lab, place: &Path, first: &mut Node, second: &mut Node) -> Result<()> {
    let dmg = Dmg { lab, config: place.join("control.yml") };
    std::fs::write(
        &dmg.config,
        format!(
            "name: lab\nport: 10001\nhostlist: ['{}']\ntransport_config: {{allow_insecure: true}}\n",
            first.address
        ),
    )?;
    // A server without engines is enough to look at a host.
    let scans = "name: lab\nport: 10001\nmgmt_svc_replicas: [10.9.0.1]\ntransport_config: {allow_insecure: true}\nsocket_dir: /run/daos\nengines: []\n";
    first.serve(scans)?;
    second.serve(scans)?;
    let both = format!("{},{}", first.address, second.address);
    looks(&dmg, &both)?;
    let config = proposal(lab, &dmg, place, &both, first)?;
    first.engine_without_nvme()?;
    second.engine_without_nvme()?;
    first.serve(&config)?;
    second.serve(&config)?;

    takes_the_data(&dmg, first)?;
    dmg.until(&first.address, "the first to join", |members| {
        members.iter().map(|(state, _)| state.as_str()).eq(["joined"])
    })?;
    dmg.run(&second.address, &["storage", "format"])?;
    let joined = [first.lan, second.lan].map(|lan| ("joined".to_owned(), format!("{lan}:10001")));
    dmg.until(&first.address, "the second to join", |members| members == joined.as_slice())?;
    first.guest.shell.run("grep -q '^/dev/pmem[01] /mnt/daos0 ext4 .*dax' /proc/mounts")?;

    second.guest.qmp.run("set_link", json!({"name": "lan", "up": false}))?;
    let lost = dmg.until(&first.address, "the loss to be seen", |members| {
        members.len() == 2 && members[0] == joined[0] && members[1].0 != "joined"
    })?;
    second.guest.qmp.run("set_link", json!({"name": "lan", "up": true}))?;
    let back = dmg
        .until(&first.address, "the second to come back", |members| members == joined.as_slice())?;
    println!(
        "         cut link seen after {:.1} s, healed after {:.1} s",
        lost.as_secs_f64(),
        back.as_secs_f64()
    );
    Ok(())
}

/// Formats the first guest, whose SSD holds data by now: a plain format refuses it and leaves it as it is, a reformat takes it, and the
/// device configuration on the persistent memory names the controller.
fn takes_the_data(dmg: &Dmg<'_>, first: &mut Node) -> Result<()> {
    medium::fill(&first.ssd, SECRET)?;
    let before = medium::fingerprint(&first.ssd, 0)?;
    let (good, told, complaint) =
        dmg.try_run(&first.address, &["storage", "format", "--yes", "--verbose"])?;
    ensure!(
        !good && flat(&format!("{told}{complaint}")).contains("not blank"),
        "{told}{complaint}"
    );
    ensure!(medium::fingerprint(&first.ssd, 0)? == before, "a plain format wrote over data");

    dmg.run(&first.address, &["storage", "format", "--reformat", "--yes"])?;
    ensure!(!medium::holds(&first.ssd, SECRET)?, "the data is still there");
    let ssd = address(&mut first.guest, "NET-1")?;
    first.guest.shell.run(&format!(
        "grep '{ssd}: format namespace 1 (Format NVM)' /tmp/server.log && grep '\"{ssd}\"' /mnt/daos0/daos_nvme.conf"
    ))?;
    Ok(())
}

/// Both scans from the host: what QEMU was given, and the health of the SSDs as the kernel reads it.
fn looks(dmg: &Dmg<'_>, both: &str) -> Result<()> {
    for (host, serial) in both.split(',').zip(["NET-1", "NET-2"]) {
        let listed = dmg.json(host, &["storage", "scan", "--verbose"])?.to_string();
        for word in [serial, "pmem0", "pmem1"] {
            ensure!(listed.contains(word), "no {word}: {listed}");
        }
    }
    let (health, _) = dmg.run(both, &["storage", "scan", "--nvme-health"])?;
    // QEMU's controllers report 323 K.
    ensure!(flat(&health).contains("temperature 323K (49.85C)"), "{health}");
    let fabrics = dmg.json(both, &["network", "scan", "-p", "ofi+tcp"])?;
    let groups = fabrics["HostFabrics"].as_object().context("fabrics")?;
    ensure!(groups.len() == 1, "both guests have the same interfaces: {fabrics:#}");
    for group in groups.values() {
        let fabric = &group["HostFabric"];
        ensure!(fabric["NumaCount"] == 2 && fabric["CoresPerNuma"] == 1, "{fabric:#}");
        ensure!(fabric["Interfaces"].as_array().is_some_and(|rows| rows.len() == 2), "{fabric:#}");
    }
    Ok(())
}

/// A file for each, alike but for the forwarded port by which it was asked; one with the port that the guests listen on, checked by the
/// program that will read it; then what an emulated data plane needs.
fn proposal(
    lab: &Lab,
    dmg: &Dmg<'_>,
    place: &Path,
    both: &str,
    first: &mut Node,
) -> Result<String> {
    let link = first.guest.shell.run("cat /tmp/lan_link")?;
    let arguments =
        ["config", "generate", "-r", first.lan, "-p", "ofi+tcp", "--net-ifaces", link.trim()];
    let (yaml, notes) = dmg.run(both, &arguments)?;
    lab.keep("config_generate.txt", &format!("$ dmg {}\n{yaml}{notes}", arguments.join(" ")))?;
    let (one, other) = yaml.split_once("\n---\n").with_context(|| yaml.clone())?;
    let at = |text: &str, address: &str| {
        let (_, port) = address.split_once(':')?;
        let (head, text) = text.split_once("name: ")?;
        let (asked, ours) = (format!("\nport: {port}\n"), format!("\nport: {PORT}\n"));
        let fits = head.contains(address) && text.contains(&asked);
        fits.then(|| format!("name: {}\n", text.trim_end().replace(&asked, &ours)))
    };
    let (first_host, second_host) = both.split_once(',').context("two hosts")?;
    let (one, other) = (at(one, first_host), at(other, second_host));
    ensure!(one.is_some() && one == other, "{yaml}");
    let yaml = one.unwrap_or_default();
    ensure!(yaml.contains("class: dcpm") && yaml.contains("class: nvme"), "{yaml}{notes}");
    // The other node has persistent memory and nothing else, which is said.
    ensure!(
        notes.contains("no engine there: NUMA node 1 has 1 persistent memory namespace and"),
        "{notes}"
    );
    let file = place.join("server.yml");
    std::fs::write(&file, &yaml)?;
    let checked = lab.program("daos_server").args(["config", "check"]).arg(&file).output()?;
    ensure!(checked.status.success(), "{yaml}{}", String::from_utf8_lossy(&checked.stderr));
    let variables = format!("  env_vars: [SWIM_SUSPECT_TIMEOUT={SUSPECTED_MS}]\n  storage:\n");
    Ok(format!(
        "data_plane: emulated\nsocket_dir: /run/daos\n{}",
        yaml.replace("  storage:\n", &variables)
    ))
}
