//! A system of one engine in a guest: its configuration, its server, and what an administrator does with it.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::nvme_scan::address;
use crate::guest::Guest;
use crate::shell::Ran;

/// How long a server may take to listen and an engine to be started. Emulation on a busy machine is slow.
pub const UP: Duration = Duration::from_secs(120);
/// Directory of the metadata on disk of a site that has some.
pub const METADATA: &str = "/var/lib/daos_server/meta/daos_control/engine0";

/// Path of a namespace's node in the guest, for its shell.
pub fn node(serial: &str, namespace: u32) -> String {
    format!("/dev/$(basename $(dirname $(grep -l {serial} /sys/class/nvme/*/serial)))n{namespace}")
}

/// Text without the line breaks of a table.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How the engine is set up.
#[derive(Debug, Clone, Copy)]
pub enum Metadata {
    /// SCM in RAM with everything in it.
    InRam,
    /// SCM in RAM, superblock and device configuration on the disk of the state directory: they outlive a reboot.
    OnDisk,
}

/// Writes the configuration for an engine with the controllers with these serials, and starts the server.
pub fn serve(guest: &mut Guest, serials: &[&str], metadata: Metadata) -> Result<()> {
    configure(guest, serials, metadata)?;
    start(guest)
}

pub fn configure(guest: &mut Guest, serials: &[&str], metadata: Metadata) -> Result<()> {
    let mut list = Vec::new();
    for serial in serials {
        list.push(format!("\"{}\"", address(guest, serial)?));
    }
    let (control, roles) = match metadata {
        Metadata::InRam => ("", ""),
        Metadata::OnDisk => (
            "control_metadata: {path: /var/lib/daos_server/meta}\n",
            ", bdev_roles: [wal, meta, data]",
        ),
    };
    let config = format!(
        "name: lab\nprovider: ofi+tcp\nmgmt_svc_replicas: [127.0.0.1]\nport: 10001\ntransport_config: {{allow_insecure: true}}\n\
         data_plane: emulated\nsocket_dir: /run/daos\nstate_dir: /var/lib/daos_server\n{control}engines:\n\
         - fabric_iface: lo\n  fabric_iface_port: 31416\n  targets: 1\n  storage:\n  \
         - {{class: ram, scm_mount: /mnt, scm_size: 1}}\n  \
         - {{class: nvme, bdev_list: [{}]{roles}}}\n",
        list.join(", ")
    );
    guest.shell.run(&format!(
        "mkdir -p /run/daos; printf '%s' '{config}' > /etc/server.yml
         printf 'name: lab\\nhostlist: [127.0.0.1]\\ntransport_config: {{allow_insecure: true}}\\n' > /etc/control.yml"
    ))?;
    Ok(())
}

/// Starts the server with the configuration that is there, and waits until it listens.
pub fn start(guest: &mut Guest) -> Result<()> {
    guest.shell.run(
        "daos_server start -o /etc/server.yml > /tmp/server.log 2>&1 &
         echo $! > /tmp/server.pid",
    )?;
    guest.shell.wait("grep -q listening /tmp/server.log || { cat /tmp/server.log; false; }", UP)?;
    Ok(())
}

/// The words of a format command.
pub fn format(options: &str) -> String {
    format!("dmg -o /etc/control.yml storage format {options}")
}

/// What a format shows that is only tried, refused or not.
pub fn dry_run(guest: &mut Guest) -> Result<String> {
    Ok(guest.shell.try_run(&format("--reformat --dry-run"))?.output)
}

/// Formats whatever is there, and waits until the engine is started on it. (The stand-in engine ends then: it drives no NVMe.)
pub fn format_all(guest: &mut Guest) -> Result<String> {
    let log = "{ cat /tmp/server.log; false; }";
    let told = guest.shell.run(&format!("{} || {log}", format("--reformat --yes --verbose")))?;
    started(guest)?;
    Ok(told)
}

/// Waits until the server has found the engine formatted and starts it.
pub fn started(guest: &mut Guest) -> Result<()> {
    let found = "grep -q 'Starting I/O server instance 0' /tmp/server.log || { cat /tmp/server.log; false; }";
    guest.shell.wait(found, UP).map(drop)
}

/// Begins a format at a terminal, and leaves it where the administrator is asked.
pub fn ask(guest: &mut Guest) -> Result<()> {
    let command = format("--reformat");
    guest.shell.run(&format!(
        "rm -f /tmp/go /tmp/typed /tmp/rc
         (
            ( while [ ! -e /tmp/go ]; do usleep 50000; done; echo yes
              while [ ! -e /tmp/rc ]; do usleep 50000; done ) |
            script -qfc '{command}; echo $? > /tmp/rc.new; mv /tmp/rc.new /tmp/rc' /tmp/typed
         ) > /dev/null 2>&1 &"
    ))?;
    let asked = "grep -q 'Type yes' /tmp/typed || { cat /tmp/typed /tmp/server.log; false; }";
    guest.shell.wait(asked, UP).map(drop)
}

/// Types the answer of the administrator: what the format said then, and its status.
pub fn answer(guest: &mut Guest) -> Result<Ran> {
    guest.shell.run("touch /tmp/go")?;
    let output = guest.shell.wait("[ -e /tmp/rc ] && cat /tmp/typed", UP)?;
    let status = guest.shell.run("cat /tmp/rc")?.trim().parse()?;
    Ok(Ran { status, output })
}

/// Stops the server at once, without any end in good order, and waits until it is gone.
pub fn kill(guest: &mut Guest) -> Result<()> {
    guest.shell.run("kill -9 $(cat /tmp/server.pid)")?;
    guest.shell.wait("! kill -0 $(cat /tmp/server.pid) 2>/dev/null", UP)?;
    let left = guest.shell.try_run("pidof daos_io_server")?;
    ensure!(left.status != 0, "an engine outlived its server: {}", left.output);
    Ok(())
}
