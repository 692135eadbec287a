//! What all guests have: an initial RAM disk with busybox, the tools, libraries and the modules of the kernel package; and a disk with our
//! large programs, of which a guest reads what it needs instead of unpacking all at every boot.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Programs of the host that guests have.
const TOOLS: &[&str] = &[
    "ndctl",
    "ipmctl",
    "mkfs.ext4",
    "wipefs",
    "blkid",
    "lsblk",
    "setpriv",
    "mount",
    "umount",
    "kmod",
    "sfdisk",
    "mdadm",
    "lvm",
    "dmsetup",
    "script",
    "mkswap",
    "swapon",
    "swapoff",
    "dd",
    "stty",
    "base64",
    "od",
    "id",
];
/// Our programs on the disk, which are found in `/usr/bin` all the same. The conformance suite needs real persistent memory to itself.
const LARGE: &[&str] = &["daos_server", "dmg", "vfio_probe", "examples/provision_suite"];
/// The one that cases exchange for others.
const ENGINE: &str = "daos_io_server";
/// Modules that a guest loads at boot.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "nvme",
    "nfit",
    "nd_e820",
    "nd_pmem",
    "nd_btt",
    "dax_pmem",
    "device_dax",
    "ext4",
    "dm_mod",
    "md_mod",
    "raid1",
];
/// Modules that are there and not loaded: programs load them.
const MORE_MODULES: &[&str] =
    &["vfio_pci", "vfio_iommu_type1", "uio_pci_generic", "raid1", "dm_mod"];

/// The files that guests are booted from.
#[derive(Debug)]
pub struct Image {
    pub initrd: PathBuf,
    /// ext4, read only, with programs in its root.
    pub programs: PathBuf,
}

/// Builds both in the work directory.
pub fn build(kernel: &Path, programs: &Path, work: &Path) -> Result<Image> {
    let root = tempfile::tempdir_in(work)?;
    let root = root.path();
    for directory in [
        "bin", "sbin", "usr/bin", "usr/sbin", "dev", "proc", "sys", "tmp", "run", "etc", "mnt",
        "opt", "var/lib", "var/tmp",
    ] {
        fs::create_dir_all(root.join(directory))?;
    }
    busybox(root)?;
    for tool in TOOLS {
        // What this machine lacks is missed by the case that needs it, by name.
        if let Some(path) = which(tool) {
            install(root, &path, &root.join("usr/bin").join(tool))?;
        }
    }
    // busybox' own shell prefers its applets to the programs above.
    let dash = which("dash").context("dash is not installed")?;
    install(root, &dash, &root.join("bin/sh"))?;
    // Before busybox' own, which takes other options, and where the kernel looks.
    for place in ["usr/sbin/modprobe", "sbin/modprobe"] {
        symlink("/usr/bin/kmod", root.join(place))?;
    }
    let engine = root.join("usr/bin").join(ENGINE);
    install(root, &programs.join(ENGINE), &engine)?;
    strip(&engine);
    let disk = large(root, programs, work)?;
    modules(root, kernel)?;
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nbob:x:1000:1000::/:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nbob:x:1000:\n")?;
    fs::write(root.join("etc/modules"), MODULES.join("\n"))?;
    if Path::new("/etc/mke2fs.conf").exists() {
        fs::copy("/etc/mke2fs.conf", root.join("etc/mke2fs.conf"))?;
    }
    let init = root.join("init");
    fs::write(&init, include_str!("init.sh"))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(Image { initrd: pack(root, &work.join("initrd"))?, programs: disk })
}

/// Makes the disk with the large programs; their libraries and links to them are in the RAM disk.
fn large(root: &Path, programs: &Path, work: &Path) -> Result<PathBuf> {
    let place = tempfile::tempdir_in(work)?;
    for program in LARGE {
        let from = programs.join(program);
        let name = from.file_name().context("a program")?;
        let to = place.path().join(name);
        install(root, &from, &to)?;
        strip(&to);
        symlink(Path::new("/opt").join(name), root.join("usr/bin").join(name))?;
    }
    let disk = work.join("programs.img");
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-F", "-O", "^has_journal", "-d"]).arg(place.path()).arg(&disk).arg("256M");
    let made = mkfs.stdout(Stdio::null()).status()?;
    ensure!(made.success(), "making the disk with the programs failed");
    Ok(disk)
}

fn busybox(root: &Path) -> Result<()> {
    let busybox = which("busybox").context("busybox is not installed")?;
    install(root, &busybox, &root.join("bin/busybox"))?;
    let applets = Command::new(&busybox).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|name| *name != "busybox")
    {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    Ok(())
}

fn which(program: &str) -> Option<PathBuf> {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    places.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists())
}

/// Copies a program and every shared library it names, which keep their paths.
fn install(root: &Path, program: &Path, to: &Path) -> Result<()> {
    copy(program, to)?;
    let libraries = Command::new("ldd").arg(program).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&libraries.stdout).into_owned();
    for library in
        text.split_whitespace().filter(|word| word.starts_with('/') && word.contains(".so"))
    {
        let place = root.join(library.trim_start_matches('/'));
        if !place.exists() {
            copy(Path::new(library), &place)?;
        }
    }
    Ok(())
}

/// Takes debug information and symbols away, which is most of a program and has to be unpacked at every boot. Without the tool it stays.
fn strip(program: &Path) {
    let mut strip = Command::new("strip");
    let _large = strip.arg(program).stderr(Stdio::null()).status();
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::copy(from, to).with_context(|| format!("{} into the image", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The named modules with what they need, as the package's own list has it.
fn modules(root: &Path, kernel: &Path) -> Result<()> {
    let kernel = &kernel.canonicalize()?;
    let all = kernel.join("lib/modules");
    let version = fs::read_dir(&all)?.flatten().next().context("a kernel version")?.file_name();
    let mut files = BTreeSet::new();
    for module in MODULES.iter().chain(MORE_MODULES) {
        let mut modprobe = Command::new("modprobe");
        modprobe
            .args(["-C", "/dev/null", "--show-depends", "-d"])
            .arg(kernel)
            .arg("-S")
            .arg(&version)
            .arg(module);
        let needed = modprobe.stderr(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&needed.stdout).into_owned();
        files.extend(text.lines().filter_map(|line| {
            line.strip_prefix("insmod ")?.split_whitespace().next().map(PathBuf::from)
        }));
    }
    for file in files {
        let inside = file.strip_prefix(kernel).with_context(|| file.display().to_string())?;
        copy(&file, &root.join(inside))?;
    }
    let place = Path::new("lib/modules").join(&version);
    for list in ["modules.builtin", "modules.order"] {
        copy(&kernel.join(&place).join(list), &root.join(&place).join(list))?;
    }
    let status = Command::new("depmod").arg("-b").arg(root).arg(&version).status()?;
    ensure!(status.success(), "depmod failed");
    Ok(())
}

fn pack(root: &Path, to: &Path) -> Result<PathBuf> {
    let script = "find . -print0 | cpio --null -o -H newc --quiet --owner 0:0";
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(root)
        .stdout(fs::File::create(to)?)
        .status()?;
    ensure!(status.success(), "packing the image failed");
    Ok(to.to_owned())
}
