//! Fixtures on this machine: a tmpfs of our own, a directory on `/dev/shm`, a loop device. Each undoes what it did.
#![allow(dead_code)] // every test file uses its own part

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use daos_blockdev::testing::{
    ChildGuard, LoopDevice, LoopOver, MountGuard, Turn, must_run, run, skipped,
};
use daos_storage_scm::conformance::{Fixture, Foreign, Held};
use daos_storage_scm::ram::RamScm;
use daos_storage_scm::{
    ByClass, Medium, MountRight, RamForm, RamSpec, ScmParams, ScmProvider, ScmTarget,
};
use tempfile::TempDir;

/// Sixteen MiB, and not a whole number of GiB.
pub const RAM_BYTES: u64 = 16 << 20;

pub fn provider() -> Arc<dyn ScmProvider> {
    Arc::new(ByClass::for_this_host())
}

pub fn ram_target(mount_point: &Path, spec: RamSpec) -> ScmTarget {
    ScmTarget::from_params(ScmParams {
        mount_point: mount_point.to_owned(),
        ram: Some(spec),
        ..ScmParams::default()
    })
    .expect("valid parameters")
}

pub fn dcpm_target(mount_point: &Path, device: &Path) -> ScmTarget {
    ScmTarget::from_params(ScmParams {
        mount_point: mount_point.to_owned(),
        devices: Some(vec![device.to_owned()]),
        ..ScmParams::default()
    })
    .expect("valid parameters")
}

/// Whether this process may mount, by asking a real observation.
pub fn may_mount(test: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let dir = tempfile::tempdir().expect("directory");
    let target = ram_target(&dir.path().join("scm"), RamSpec::default());
    // The caller may be inside a runtime; this one gets a thread of its own.
    let observed = std::thread::spawn(move || runtime.block_on(RamScm::new().observe(&target)))
        .join()
        .expect("thread")
        .expect("observe");
    let Medium::Ram(facts) = observed.medium else { panic!("class ram") };
    if facts.may_mount != MountRight::Allowed {
        skipped(test, "root");
    }
    facts.may_mount == MountRight::Allowed
}

/// A new name directly below a tmpfs mount, removed with everything in it.
pub struct OnShm(PathBuf);

impl OnShm {
    pub fn new(test: &str) -> Option<Self> {
        let shm = Path::new("/dev/shm");
        let is_tmpfs = daos_blockdev::mount_at(shm)
            .is_ok_and(|mount| mount.is_some_and(|mount| mount.fs_type == "tmpfs"));
        let name = tempfile::Builder::new().prefix("daos-scm-").tempdir_in(shm);
        match name {
            // Only the name is wanted: the directory is what a format makes.
            Ok(dir) if is_tmpfs => Some(Self(dir.path().to_owned())),
            _ => {
                skipped(test, "a tmpfs at /dev/shm that it may write to");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OnShm {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unmounts a path when dropped, whatever a test left there.
pub struct Unmounting(pub PathBuf);

impl Drop for Unmounting {
    fn drop(&mut self) {
        for _ in 0..3 {
            if !matches!(daos_blockdev::mount_at(&self.0), Ok(Some(_))) {
                return;
            }
            let path = self.0.to_string_lossy().into_owned();
            if !run("umount", &[&path]).is_ok_and(|output| output.status.success()) {
                let _ = run("umount", &["--lazy", &path]);
            }
        }
    }
}

/// One medium on this machine.
pub struct Real {
    pub target: ScmTarget,
    // Fields drop in this order: unmount, detach, remove.
    _unmount: Unmounting,
    device: Option<LoopDevice>,
    _shm: Option<OnShm>,
    _dir: TempDir,
    _turn: Turn,
}

impl Real {
    /// A tmpfs that the provider mounts in a temporary directory.
    pub fn tmpfs(test: &str) -> Option<Self> {
        if !may_mount(test) {
            return None;
        }
        let dir = tempfile::tempdir().expect("directory");
        let mount_point = dir.path().join("with blank").join("daos0");
        let spec = RamSpec { size_bytes: Some(RAM_BYTES), hugepages: true, ..RamSpec::default() };
        let target = ram_target(&mount_point, spec);
        Some(Self::new(target, None, None, dir))
    }

    /// A directory on `/dev/shm`.
    pub fn directory(test: &str) -> Option<Self> {
        let shm = OnShm::new(test)?;
        let spec = RamSpec { form: RamForm::Directory, ..RamSpec::default() };
        let target = ram_target(shm.path(), spec);
        Some(Self::new(target, None, Some(shm), tempfile::tempdir().expect("directory")))
    }

    /// A loop device of 64 MiB.
    pub fn loop_device(test: &str) -> Option<Self> {
        let device = LoopDevice::attach(test, 64 << 20)?;
        if !may_mount(test) {
            return None;
        }
        let dir = tempfile::tempdir().expect("directory");
        let target = dcpm_target(&dir.path().join("daos0"), device.path());
        Some(Self::new(target, Some(device), None, dir))
    }

    fn new(
        target: ScmTarget,
        device: Option<LoopDevice>,
        shm: Option<OnShm>,
        dir: TempDir,
    ) -> Self {
        let _unmount = Unmounting(target.mount_point().to_owned());
        Self { target, _unmount, device, _shm: shm, _dir: dir, _turn: Turn::shared() }
    }

    pub fn device(&self) -> Option<&LoopDevice> {
        self.device.as_ref()
    }

    pub fn mount_point(&self) -> &Path {
        self.target.mount_point()
    }

    fn is_directory_form(&self) -> bool {
        self.target.ram().is_some_and(|ram| ram.form == RamForm::Directory)
    }
}

impl Fixture for Real {
    fn provider(&self) -> Arc<dyn ScmProvider> {
        provider()
    }

    fn target(&self) -> ScmTarget {
        self.target.clone()
    }

    fn put_file(&self, name: &str) {
        fs::write(self.mount_point().join(name), name).expect("file");
        let inner = self.mount_point().join(name).with_extension("d");
        if name == "stranger" {
            fs::create_dir_all(inner.join("deep/er")).expect("directories");
        }
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.mount_point()) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "lost+found")
            .collect();
        names.sort();
        names
    }

    fn survives_unmount(&self) -> bool {
        self.device.is_some()
    }

    fn put_foreign(&self) -> Foreign {
        if let Some(device) = &self.device {
            must_run("mkfs.ext4", &["-q", "-L", "home", device.path_str()]);
            return Foreign::UntilReformat;
        }
        fs::create_dir_all(self.mount_point()).expect("directory");
        fs::write(self.mount_point().join("thesis.tex"), "years of work").expect("file");
        Foreign::Never
    }

    fn use_medium(&self) -> Option<Box<dyn Any>> {
        if let Some(device) = &self.device {
            return Some(Box::new(LoopOver::attach("in use", device.path())?));
        }
        if self.is_directory_form() {
            return None;
        }
        let below = self.mount_point().join("below");
        fs::create_dir_all(&below).expect("directory");
        Some(Box::new(Below(MountGuard::tmpfs("in use", &below), below)))
    }

    fn hold_mount(&self) -> Option<Held> {
        if self.is_directory_form() {
            return None;
        }
        let mut child = Command::new("sleep")
            .arg("600")
            .current_dir(self.mount_point())
            .stdin(Stdio::null())
            .spawn()
            .expect("a process");
        let pid = child.id();
        // It is there when its directory can be read, which is as soon as it was spawned.
        assert!(child.try_wait().expect("wait").is_none());
        Some(Held { pid, guard: Box::new(ChildGuard(child)) })
    }
}

/// A mount below the mount point, and its directory.
struct Below(Option<MountGuard>, PathBuf);

impl Drop for Below {
    fn drop(&mut self) {
        self.0.take();
        let _ = fs::remove_dir(&self.1);
    }
}
