//! A host with real storage for one test: RAM in either form or a loop device, files as block devices, and a
//! state directory; everything is removed when it is dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use daos_control::format::{
    EngineTarget, FormatParts, FormatReport, FormatRequest, FormatService, FormatTargets,
    FormatWatcher, Journal, NoSystemDatabase, NobodyUses, NobodyWatches, StorageReady,
};
use daos_control::start_table::ReplicaRoles;
use daos_control::superblock::{self, EngineHome, Superblock};
use daos_storage_nvme::{
    BdevTarget, BdevTier, ByClass as Bdevs, ConfigForm, EngineDeviceConfig, EngineOptions,
    FileOwner, Roles, TierDevices,
};
use daos_storage_scm::linux::LinuxScm;
use daos_storage_scm::ram::RamScm;
use daos_storage_scm::{ByClass as Scms, RamForm, RamSpec, ScmParams, ScmTarget};
use tokio::sync::mpsc;

pub const PLAIN: FormatRequest = FormatRequest { reformat: false, replace: false };
pub const REFORMAT: FormatRequest = FormatRequest { reformat: true, replace: false };

/// How the SCM of the host is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A directory on the tmpfs at /dev/shm: any user.
    Directory,
    /// A tmpfs: needs the right to mount.
    Tmpfs,
    /// ext4 on a loop device: needs root.
    Loop,
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Tmpfs => "tmpfs",
            Self::Loop => "loop",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Directory, Self::Tmpfs, Self::Loop].into_iter().find(|form| form.name() == name)
    }
}

/// What a host is made of; another process can open the same one.
#[derive(Debug, Clone)]
pub struct Layout {
    pub form: Form,
    pub files: PathBuf,
    pub engines: u32,
    pub metadata: bool,
    /// The loop device, when there is one.
    pub device: Option<PathBuf>,
    /// Size of a tmpfs in bytes.
    pub ram_bytes: u64,
}

impl Layout {
    pub fn mount(&self, index: u32) -> PathBuf {
        match self.form {
            Form::Directory => {
                let unique = self.files.file_name().unwrap().to_string_lossy();
                Path::new("/dev/shm").join(format!("{unique}_{index}"))
            }
            Form::Tmpfs | Form::Loop => self.files.join(format!("mnt{index}")),
        }
    }

    pub fn bdev(&self, index: u32) -> PathBuf {
        self.files.join(format!("bdev{index}"))
    }

    pub fn state_dir(&self) -> PathBuf {
        self.files.join("state")
    }

    pub fn metadata_path(&self) -> Option<PathBuf> {
        self.metadata.then(|| self.files.join("metadata"))
    }

    pub fn home(&self, index: u32) -> EngineHome {
        EngineHome::of(index, &self.mount(index), self.metadata_path().as_deref())
    }

    pub fn journal(&self) -> Journal {
        Journal::new(&self.state_dir())
    }

    pub fn superblock(&self, index: u32) -> Option<Superblock> {
        superblock::load(&self.home(index).superblock()).readable().cloned()
    }

    fn engine(&self, index: u32) -> EngineTarget {
        let mut params = ScmParams {
            engine_index: index,
            mount_point: self.mount(index),
            ..ScmParams::default()
        };
        match self.form {
            Form::Loop => params.devices = Some(self.device.iter().cloned().collect()),
            Form::Directory => {
                params.ram = Some(RamSpec { form: RamForm::Directory, ..RamSpec::default() });
            }
            Form::Tmpfs => {
                params.ram =
                    Some(RamSpec { size_bytes: Some(self.ram_bytes), ..RamSpec::default() });
            }
        }
        let devices = TierDevices::File { paths: vec![self.bdev(index)], size_gib: 1 };
        let bdev = BdevTarget {
            engine: index,
            host: "n1".into(),
            owner: FileOwner::current(),
            tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
        };
        let device_config =
            EngineDeviceConfig::from_target(&bdev, EngineOptions::default()).unwrap();
        EngineTarget {
            scm: ScmTarget::from_params(params).unwrap(),
            home: self.home(index),
            bdev,
            device_config,
            config_form: ConfigForm::Json,
            keep_device_config: false,
            roles: ReplicaRoles::default(),
        }
    }

    /// The parts of a service over this host, and what it says about engines that are ready.
    pub fn parts(&self) -> (FormatParts, mpsc::Receiver<StorageReady>) {
        let (ready, told) = mpsc::channel(8);
        let parts = FormatParts {
            targets: FormatTargets {
                system: "daos_server".into(),
                recreate_superblocks: false,
                low_memory_refuses: false,
                engines: (0..self.engines).map(|index| self.engine(index)).collect(),
            },
            scm: Arc::new(Scms::new(Arc::new(RamScm::new()), Arc::new(LinuxScm::new()))),
            bdev: Arc::new(Bdevs::emulated()),
            journal: self.journal(),
            storage: Arc::new(NobodyUses),
            system: Arc::new(NoSystemDatabase),
            ready,
            watcher: Arc::new(NobodyWatches),
        };
        (parts, told)
    }

    pub fn service(&self) -> FormatService {
        FormatService::new(self.parts().0)
    }

    pub fn service_watched(&self, watcher: Arc<dyn FormatWatcher>) -> FormatService {
        let (parts, _told) = self.parts();
        FormatService::new(FormatParts { watcher, ..parts })
    }

    /// What a restart of the host does to this storage.
    pub fn reboot(&self) {
        for index in 0..self.engines {
            let mount = self.mount(index);
            match self.form {
                Form::Directory => drop(fs::remove_dir_all(mount)),
                Form::Tmpfs | Form::Loop => unmount(&mount),
            }
        }
    }
}

/// A layout whose storage goes with it.
#[derive(Debug)]
pub struct Host {
    pub layout: Layout,
    _files: tempfile::TempDir,
}

impl std::ops::Deref for Host {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

impl Host {
    /// A host of this form, or `None` with a line that says what is missing.
    pub async fn new(test: &str, form: Form, engines: u32) -> Option<Self> {
        let files = tempfile::Builder::new().prefix("daos_fmt_").tempdir().unwrap();
        fs::create_dir(files.path().join("state")).unwrap();
        let mut layout = Layout {
            form,
            files: files.path().to_owned(),
            engines,
            metadata: false,
            device: None,
            ram_bytes: 64 << 20,
        };
        let missing = match form {
            Form::Directory => (!is_tmpfs(Path::new("/dev/shm"))).then_some("a tmpfs at /dev/shm"),
            Form::Tmpfs => (!may_mount(files.path())).then_some("root"),
            Form::Loop => {
                layout.device = attach_loop(files.path());
                layout.device.is_none().then_some("root")
            }
        };
        if let Some(missing) = missing {
            eprintln!("{test}: skipped: needs {missing}");
            return None;
        }
        Some(Self { layout, _files: files })
    }

    pub fn with_metadata(mut self) -> Self {
        self.layout.metadata = true;
        self
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.layout.reboot();
        if let Some(device) = &self.layout.device {
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
        }
    }
}

fn is_tmpfs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == 0x0102_1994)
}

/// Tried, not inferred from the user.
pub fn may_mount(scratch: &Path) -> bool {
    let probe = scratch.join("may_mount");
    fs::create_dir(&probe).unwrap();
    let mounted = mount_tmpfs(&probe, 4096, false);
    if mounted {
        unmount(&probe);
    }
    fs::remove_dir(&probe).unwrap();
    mounted
}

pub fn mount_tmpfs(at: &Path, bytes: u64, read_only: bool) -> bool {
    let flags = match read_only {
        true => rustix::mount::MountFlags::RDONLY,
        false => rustix::mount::MountFlags::empty(),
    };
    let options = std::ffi::CString::new(format!("size={bytes}")).unwrap();
    rustix::mount::mount("tmpfs", at, "tmpfs", flags, Some(options.as_c_str())).is_ok()
}

pub fn unmount(at: &Path) {
    while rustix::mount::unmount(at, rustix::mount::UnmountFlags::empty()).is_ok() {}
}

fn attach_loop(files: &Path) -> Option<PathBuf> {
    let backing = files.join("pmem");
    fs::File::create(&backing).and_then(|file| file.set_len(256 << 20)).unwrap();
    let output = Command::new("losetup").args(["--find", "--show"]).arg(&backing).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(name.trim()))
}

/// What an engine leaves on its storage: a pool on SCM and data on its block device.
pub fn use_storage(layout: &Layout, index: u32) {
    fs::create_dir(layout.mount(index).join("2f1c8ad2-pool")).unwrap();
    fs::write(layout.mount(index).join("2f1c8ad2-pool/shard"), "precious").unwrap();
    let path = layout.bdev(index);
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"DAOSIOBD", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"precious", 1 << 20).unwrap();
}

/// Every row of a report as one line.
pub fn lines(report: &FormatReport) -> Vec<String> {
    report
        .rows()
        .map(|row| match row.outcome.fault() {
            Some(fault) => {
                format!("{} {} {} {}", row.engine, row.medium, row.outcome.name(), fault.code)
            }
            None => format!("{} {} {}", row.engine, row.medium, row.outcome.name()),
        })
        .collect()
}

pub fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
