//! One running guest: started with a machine and images, asked through its shell, killed at the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::hardware::{Hardware, STATE};
use crate::image::Image;
use crate::qmp::Qmp;
use crate::shell::Shell;

/// How long a guest may take to boot, and one command in it to answer. Emulation on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where guests come from.
#[derive(Debug)]
pub struct Lab {
    kernel: PathBuf,
    image: Image,
    work: PathBuf,
    programs: PathBuf,
    boots: AtomicU32,
}

/// A guest that runs.
#[derive(Debug)]
pub struct Guest {
    qemu: Child,
    pub shell: Shell,
    pub qmp: Qmp,
    console: PathBuf,
    /// What is of no use once it is gone.
    litter: Vec<PathBuf>,
}

/// Images that outlive a guest: a second boot with them is a reboot.
#[derive(Debug)]
pub struct Disks {
    directory: tempfile::TempDir,
}

impl Disks {
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Lab {
    pub fn new(kernel: &Path, image: Image, work: PathBuf, programs: PathBuf) -> Result<Self> {
        let boot = kernel.join("boot");
        let entries = std::fs::read_dir(&boot).with_context(|| boot.display().to_string())?;
        let found = entries.flatten().map(|entry| entry.path()).find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
        });
        let kernel = found.context("a kernel")?;
        Ok(Self { kernel, image, work, programs, boots: AtomicU32::new(0) })
    }

    /// A directory for as long as a case takes.
    pub fn place(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(&self.work)?)
    }

    /// One of our programs, to be run on the host.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Blank images for a machine, but for the file system of the state directory.
    pub fn disks(&self, hardware: &Hardware) -> Result<Disks> {
        let disks = Disks { directory: tempfile::tempdir_in(&self.work)? };
        for (name, kib) in hardware.images() {
            File::create(disks.path().join(name))?.set_len(kib * 1024)?;
        }
        // Here it takes a moment, in the guest a second.
        let mut mkfs = Command::new("mkfs.ext4");
        let status = mkfs.arg("-q").arg(disks.path().join(STATE)).status()?;
        ensure!(status.success(), "the disk for the state directory got no file system");
        Ok(disks)
    }

    /// Keeps what a guest printed, for people to read.
    pub fn keep(&self, name: &str, text: &str) -> Result<()> {
        let directory = self.work.join("output");
        std::fs::create_dir_all(&directory)?;
        Ok(std::fs::write(directory.join(name), text)?)
    }

    /// Boots a machine on images, and waits until its shell answers.
    pub fn boot(&self, hardware: &Hardware, disks: &Disks) -> Result<Guest> {
        let number = self.boots.fetch_add(1, Ordering::Relaxed) + 1;
        let place = |what: &str| self.work.join(format!("{what}-{number}"));
        let (console, shell, qmp) = (place("console"), place("shell"), place("qmp"));
        let mut append =
            "console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off cryptomgr.notests nokaslr no_timer_check"
                .to_owned();
        if hardware.iommu {
            append.push_str(" intel_iommu=on iommu=nopt");
        }
        if !hardware.kernel.is_empty() {
            append.push(' ');
            append.push_str(&hardware.kernel);
        }
        // Ends with this program, however that ends.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-monitor",
            "none",
        ]);
        qemu.args(hardware.arguments(disks.path()));
        let programs = self.image.programs.display();
        qemu.args([
            "-drive",
            &format!("if=none,id=programs,file={programs},format=raw,readonly=on"),
        ]);
        qemu.args(["-device", "virtio-blk-pci,drive=programs,serial=PROGRAMS,bus=pcie.0"]);
        qemu.arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.image.initrd)
            .args(["-append", &append]);
        qemu.args(["-serial", &format!("file:{}", console.display())]);
        qemu.args(["-serial", &format!("unix:{},server=on,wait=off", shell.display())]);
        qemu.args(["-qmp", &format!("unix:{},server=on,wait=off", qmp.display())]);
        let errors = File::create(place("qemu"))?;
        let litter = vec![shell.clone(), qmp.clone(), place("qemu")];
        let mut qemu = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("starting QEMU")?;
        let up = Shell::connect(&shell, PATIENCE)
            .and_then(|shell| Ok((shell, Qmp::connect(&qmp, PATIENCE)?)));
        match up {
            Ok((shell, qmp)) => Ok(Guest { qemu, shell, qmp, console, litter }),
            Err(error) => {
                let _gone = qemu.kill();
                let _gone = qemu.wait();
                Err(error.context(format!("the guest did not come up, see {}", console.display())))
            }
        }
    }
}

impl Guest {
    /// Ends the guest in good order.
    pub fn power_off(mut self) -> Result<()> {
        // The shell goes down with the guest, without an answer.
        let _gone = self.shell.try_run("sync; poweroff -f");
        let deadline = Instant::now() + PATIENCE;
        while self.qemu.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                bail!("the guest does not end");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _removed = std::fs::remove_file(&self.console);
        Ok(())
    }
}

impl Guest {
    /// Pulls the plug: QEMU is killed, whatever the guest does.
    pub fn cut_power(self) {
        let console = self.console.clone();
        drop(self);
        let _removed = std::fs::remove_file(console);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _gone = self.qemu.kill();
        let _gone = self.qemu.wait();
        for file in &self.litter {
            let _removed = std::fs::remove_file(file);
        }
    }
}
