//! Power that fails while persistent memory is prepared or formatted: QEMU is killed at chosen steps, and the next boot tells what is left.

use anyhow::{Context as _, Result, ensure};

use super::pmem::{device, hardware};
use super::site;
use crate::guest::{Guest, Lab};

const STATE: &str = "/var/lib/daos_server";
const FORMAT: &str = "dmg -o /etc/control.yml storage format";

/// Puts a script in the place of a program: it does `before`, runs the program, and does `after`. Either may wait for ever.
fn replace(guest: &mut Guest, program: &str, before: &str, after: &str) -> Result<()> {
    guest.shell.run(&format!(
        "[ -e /tmp/{program} ] || cp /usr/bin/{program} /tmp/{program}
         cat > /usr/bin/{program} <<'END'
#!/bin/sh
hold() {{ touch /tmp/reached; exec sleep 600; }}
{before}
/tmp/{program} \"$@\"
status=$?
{after}
exit $status
END"
    ))?;
    Ok(())
}

/// Three steps of a prepare: labels are gone; there are new ones; the label of a namespace is written, and it is not usable yet. One of a
/// reset: a namespace is wiped, and there. After each boot the same command goes on from what is there.
pub fn cut_during_prepare(lab: &Lab) -> Result<()> {
    let hardware = hardware();
    let disks = lab.disks(&hardware)?;
    // A label has the size of its namespace before that is made usable.
    let inside = "if [ \"$1\" = create-namespace ]; then
            /tmp/ndctl \"$@\" & p=$!
            while :; do
                for size in /sys/bus/nd/devices/namespace1.?/size; do read bytes < $size; [ \"$bytes\" = 0 ] || break 2; done
            done
            kill -STOP $p; hold
        fi";
    let prepare = "daos_server scm prepare --force --scm-ns-per-socket 2";
    let (first, second) = (format!("{prepare} --socket 0"), format!("{prepare} --socket 1"));
    let again = format!("ndctl destroy-namespace -f all > /dev/null; {prepare}");
    let reset = "mkfs.ext4 -q -b 4096 -L daos /dev/pmem1; daos_server scm reset --force";
    // What is done, what goes on after it, and with how many namespaces that ends.
    let steps = [
        (first.as_str(), first.as_str(), 2, "[ \"$1\" = init-labels ] && hold"),
        (second.as_str(), second.as_str(), 2, "[ \"$1\" = enable-region ] && hold"),
        (again.as_str(), prepare, 4, inside),
        (reset, prepare, 4, "[ \"$1\" = destroy-namespace -a \"$2\" = namespace1.0 ] && hold"),
    ];
    let mut guest = lab.boot(&hardware, &disks)?;
    for (number, (command, then, spaces, before)) in steps.iter().enumerate() {
        replace(&mut guest, "ndctl", before, "")?;
        guest.shell.run(&format!("{{ {command}; }} > /tmp/out 2>&1 &"))?;
        guest.shell.wait("[ -e /tmp/reached ] || { cat /tmp/out; false; }", site::UP)?;
        guest.cut_power();
        guest = lab.boot(&hardware, &disks)?;
        goes_on(&mut guest, then, *spaces)
            .with_context(|| format!("cut {number}: {command}, {before}"))?;
    }
    guest.power_off()
}

/// A scan works, nothing looks formatted, and the same command ends with namespaces, if need be after a reset: one that was never made
/// usable is raw, and may as well be somebody's.
fn goes_on(guest: &mut Guest, prepare: &str, spaces: usize) -> Result<()> {
    let found = guest.shell.run("daos_server scm scan; ndctl list -i")?;
    guest.shell.run("for d in /dev/pmem*; do [ ! -e $d ] || ! blkid -p $d || exit 1; done")?;
    let usable = |text: &str| text.lines().filter(|line| line.contains("fsdax")).count();
    let mut told = guest.shell.run(prepare).with_context(|| found.clone())?;
    if usable(&told) != spaces {
        ensure!(told.contains("of mode raw, and left alone"), "{told}\n{found}");
        told = guest.shell.run(&format!("daos_server scm reset --force && {prepare}"))?;
    }
    ensure!(usable(&told) == spaces, "{told}");
    Ok(())
}

/// Four steps of a format: the mark is there and nothing is gone; it is wiped; it has a new file system; that is mounted and has no
/// superblock. After each boot it is not taken for formatted, and the mark says so; the last format brings the engine up.
pub fn cut_during_format(lab: &Lab) -> Result<()> {
    let hardware = hardware();
    let disks = lab.disks(&hardware)?;
    let mut guest = lab.boot(&hardware, &disks)?;
    guest.shell.run("daos_server scm prepare --force")?;
    let marked = format!("[ -e {STATE}/format/engine0.json ]");
    let steps = [
        ("", "", marked.as_str()),
        ("hold", "", "[ -e /tmp/reached ]"),
        ("", "hold", "[ -e /tmp/reached ]"),
        ("", "", "grep -q /mnt/daos0 /proc/mounts"),
    ];
    for (number, (before, after, reached)) in steps.iter().enumerate() {
        let device = device(&mut guest, 0)?;
        guest.shell.run(&format!("mkfs.ext4 -q -b 4096 -F -L keep {device}"))?;
        serve(&mut guest, &device)?;
        replace(&mut guest, "mkfs.ext4", before, after)?;
        guest.shell.run(&format!(
            "{FORMAT} --reformat --yes > /tmp/format.out 2>&1 &
             server=$(cat /tmp/server.pid); while ! {reached}; do :; done; kill -STOP $server"
        ))?;
        guest.cut_power();

        guest = lab.boot(&hardware, &disks)?;
        let device = super::pmem::device(&mut guest, 0)?;
        let label = guest.shell.try_run(&format!("blkid -p -s LABEL -o value {device}"))?.output;
        let expected: &[&str] = match number {
            0 => &["keep", ""],
            1 => &[""],
            _ => &["daos"],
        };
        ensure!(expected.contains(&label.trim()), "cut {number}: '{label}' is on it");
        serve(&mut guest, &device)?;
        guest.shell.wait("grep -q 'waiting for storage format' /tmp/server.log", site::UP)?;
        let log = guest.shell.run("cat /tmp/server.log")?;
        ensure!(!log.contains("Starting I/O server"), "cut {number}, falsely formatted: {log}");
        ensure!(log.contains("state of the storage is unknown"), "cut {number}: {log}");
        stop(&mut guest)?;
    }
    let device = device(&mut guest, 0)?;
    serve(&mut guest, &device)?;
    guest.shell.run(&format!("{FORMAT} --reformat --yes"))?;
    site::started(&mut guest)?;
    guest.shell.run("[ -e /mnt/daos0/superblock ]")?;
    guest.power_off()
}

/// A server with one engine on a device.
fn serve(guest: &mut Guest, device: &str) -> Result<()> {
    let config = format!(
        "name: lab\nprovider: ofi+tcp\nmgmt_svc_replicas: [127.0.0.1]\nport: 10001\ntransport_config: {{allow_insecure: true}}\ndata_plane: emulated\n\
         socket_dir: /run/daos\nstate_dir: {STATE}\nengines:\n- fabric_iface: lo\n  fabric_iface_port: 31416\n  targets: 1\n  storage:\n  \
         - {{class: dcpm, scm_mount: /mnt/daos0, scm_list: [{device}]}}\n"
    );
    guest.shell.run(&format!(
        "mkdir -p /run/daos; printf '%s' '{config}' > /etc/server.yml
         printf 'name: lab\\nhostlist: [127.0.0.1]\\ntransport_config: {{allow_insecure: true}}\\n' > /etc/control.yml"
    ))?;
    site::start(guest)
}

fn stop(guest: &mut Guest) -> Result<()> {
    guest.shell.run("kill $(cat /tmp/server.pid)")?;
    guest.shell.wait("! kill -0 $(cat /tmp/server.pid) 2>/dev/null", site::UP)?;
    guest.shell.try_run("umount /mnt/daos0")?;
    Ok(())
}
