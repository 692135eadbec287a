//! Formats through the whole server: `dmg storage format` in the guest.

use anyhow::{Result, ensure};

use super::nvme_scan::address;
use crate::guest::{Guest, Lab};
use crate::hardware::Hardware;
use std::time::Duration;

const UP: Duration = Duration::from_secs(60);

fn node(serial: &str, namespace: u32) -> String {
    format!("/dev/$(basename $(dirname $(grep -l {serial} /sys/class/nvme/*/serial)))n{namespace}")
}

/// A server with one engine on RAM and the controllers with these serials.
fn serve(guest: &mut Guest, serials: &[&str]) -> Result<()> {
    let mut list = Vec::new();
    for serial in serials {
        list.push(format!("\"{}\"", address(guest, serial)?));
    }
    let config = format!(
        "name: lab\nmgmt_svc_replicas: [127.0.0.1]\nport: 10001\ntransport_config: {{allow_insecure: true}}\ndata_plane: emulated\n\
         socket_dir: /run/daos\nengines:\n- fabric_iface: lo\n  fabric_iface_port: 31416\n  provider: ofi+tcp\n  targets: 1\n  \
         storage:\n  - {{class: ram, scm_mount: /mnt, scm_size: 1}}\n  - {{class: nvme, bdev_list: [{}]}}\n",
        list.join(", ")
    );
    guest.shell.run(&format!(
        "mkdir -p /run/daos; printf '%s' '{config}' > /etc/server.yml
         printf 'name: lab\\nhostlist: [127.0.0.1]\\ntransport_config: {{allow_insecure: true}}\\n' > /etc/control.yml
         daos_server start -o /etc/server.yml > /tmp/server.log 2>&1 &"
    ))?;
    guest.shell.wait("grep -q listening /tmp/server.log || { cat /tmp/server.log; false; }", UP)?;
    Ok(())
}

/// Data is gone and the plan said so; the sibling controller is as it was; the engine joins.
pub fn erases_the_plan(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    for (serial, namespace) in [("LAB-A", 1), ("LAB-A", 2), ("LAB-B", 1)] {
        guest.shell.run(&format!("mkfs.ext4 -q -L keep {}", node(serial, namespace)))?;
    }
    serve(&mut guest, &["LAB-A"])?;
    guest.shell.refused("dmg -o /etc/control.yml storage format --force", "not blank")?;
    let plan = guest.shell.run("dmg -o /etc/control.yml storage format --reformat --dry-run")?;
    ensure!(plan.contains("LAB-A") && plan.contains("format namespace 2"), "{plan}");
    guest.shell.run("dmg -o /etc/control.yml storage format --reformat --force")?;
    for namespace in [1, 2] {
        guest.shell.refused(&format!("blkid -p {}", node("LAB-A", namespace)), "")?;
    }
    guest.shell.run(&format!("[ $(blkid -p -s LABEL -o value {}) = keep ]", node("LAB-B", 1)))?;
    guest.shell.wait(
        "dmg -o /etc/control.yml system query | grep -qi joined || { cat /tmp/server.log; false; }",
        UP,
    )?;
    guest.power_off()
}

/// Mounted, swap, md member in use, partitioned: refused with the reason, with every option.
pub fn refuses_in_use(lab: &Lab) -> Result<()> {
    let hardware = Hardware::default();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run(&format!(
        "mkfs.ext4 -q {0} && mkdir /tmp/m && mount {0} /tmp/m && echo keep > /tmp/m/file",
        node("LAB-A", 2)
    ))?;
    guest.shell.run(&format!("mkswap {0} && swapon {0}", node("LAB-B", 1)))?;
    guest.shell.run(&format!("echo '1M,' | sfdisk -q {}", node("LAB-C", 1)))?;
    serve(&mut guest, &["LAB-A", "LAB-B", "LAB-C"])?;
    let told = guest.shell.refused(
        "dmg -o /etc/control.yml storage format --reformat --force",
        "mounted on /tmp/m",
    )?;
    ensure!(told.contains("active swap space") && told.contains("has partitions"), "{told}");
    guest.shell.run("[ $(cat /tmp/m/file) = keep ]")?;
    guest.power_off()
}
