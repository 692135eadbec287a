//! The block devices of the engine's device configuration: opened, claimed, measured and marked as ours.
//!
//! A device that holds anything but zeros or our own mark is refused and left as it is.

mod config_file;
mod mark;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use daos_control::drpc::EngineDevice;
use daos_control::stand_in::StandInDevice;
use rustix::fs::{FlockOperation, OFlags, SeekFrom, flock, seek};
use rustix::io::Errno;
use uuid::Uuid;

pub use config_file::Bdev;
use mark::{MARK_BYTES, Mark};

/// A device smaller than this has no room for anything beside the mark.
const MIN_DEVICE_BYTES: u64 = 2 * MARK_BYTES as u64;

/// State of a device in use (contract 2, `NvmeDevState`).
const STATE_NORMAL: i32 = 1;

/// A device in use, claimed as long as the engine lives.
#[derive(Debug)]
pub struct Device {
    /// Its name in the device configuration.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Where it is; none for memory.
    path: Option<PathBuf>,
    _claim: Option<File>,
}

/// What the engine tells of its devices (calls 210 and 211). Targets share them in turn.
pub fn told(devices: &[Device], engine: Uuid, targets: u32) -> Vec<StandInDevice> {
    let number = u32::try_from(devices.len()).unwrap_or(u32::MAX).max(1);
    let tell = |(position, device): (u32, &Device)| {
        let using = (0..targets).filter(|target| target % number == position);
        let path = device.path.as_ref().map(|path| path.display().to_string());
        StandInDevice {
            device: EngineDevice {
                uuid: uuid_of(engine, position).to_string(),
                targets: using.filter_map(|target| i32::try_from(target).ok()).collect(),
                roles: config_file::roles(&device.name).unwrap_or_default(),
                address: path.unwrap_or_else(|| device.name.clone()),
                state: STATE_NORMAL,
                namespaces: vec![(1, device.bytes)],
                namespace: 1,
                ..EngineDevice::default()
            },
            bytes: device.bytes,
            free: device.bytes.saturating_sub(MARK_BYTES as u64),
        }
    };
    (0..).zip(devices).map(tell).collect()
}

/// The same in every start, and another one for each device and engine.
fn uuid_of(engine: Uuid, position: u32) -> Uuid {
    Uuid::from_u128(engine.as_u128() ^ (u128::from(position) + 1))
}

/// The engine whose metadata the devices keep, if any does: RAM that is lost in a reboot does not take it along
/// (contract 5.4). Devices that cannot be read are left to [`open_all`] to complain of.
pub fn recorded_engine(config: &Path) -> Option<Uuid> {
    let text = std::fs::read_to_string(config).ok()?;
    config_file::metadata_devices(&text).ok()?.iter().find_map(|path| {
        let mut found = [0; MARK_BYTES];
        File::open(path).and_then(|file| file.read_exact_at(&mut found, 0)).ok()?;
        Mark::read(&found).ok().map(|mark| mark.engine)
    })
}

/// Opens every device of the configuration file for that engine.
pub fn open_all(config: &Path, engine: Uuid) -> anyhow::Result<Vec<Device>> {
    let text = std::fs::read_to_string(config)
        .with_context(|| format!("cannot read device configuration {}", config.display()))?;
    let bdevs = config_file::parse(&text)
        .with_context(|| format!("device configuration {}", config.display()))?;
    bdevs.into_iter().zip(0..).map(|(bdev, position)| open(bdev, position, engine)).collect()
}

fn open(bdev: Bdev, position: u32, engine: Uuid) -> anyhow::Result<Device> {
    match bdev {
        Bdev::Malloc { name, bytes } => Ok(Device { name, bytes, path: None, _claim: None }),
        Bdev::Aio { name, path } => {
            let (file, bytes) = claim(&path)
                .with_context(|| format!("block device {name} ({})", path.display()))?;
            take(&file, &Mark { engine, position })
                .with_context(|| format!("block device {name} ({})", path.display()))?;
            Ok(Device { name, bytes, path: Some(path), _claim: Some(file) })
        }
    }
}

/// Opens the file or device exclusively and measures it.
fn claim(path: &PathBuf) -> anyhow::Result<(File, u64)> {
    // Exclusive means something for block devices only: it fails while the kernel or another process holds it.
    let is_block =
        std::fs::metadata(path).context("cannot be found")?.file_type().is_block_device();
    let exclusive = if is_block { OFlags::EXCL } else { OFlags::empty() };
    let flags = (exclusive | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
        .context("cannot be opened; is it in use?")?;
    let kind = file.metadata()?.file_type();
    ensure!(kind.is_file() || kind.is_block_device(), "is neither a file nor a block device");
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => bail!("is in use by another engine"),
        Err(error) => return Err(error).context("cannot be locked"),
    }
    let bytes = seek(&file, SeekFrom::End(0)).context("cannot be measured")?;
    ensure!(
        bytes >= MIN_DEVICE_BYTES,
        "has {bytes} bytes, at least {MIN_DEVICE_BYTES} are needed; format it again"
    );
    Ok((file, bytes))
}

/// Marks a blank device as ours, or finds that it is.
fn take(file: &File, ours: &Mark) -> anyhow::Result<()> {
    let mut found = [0; MARK_BYTES];
    file.read_exact_at(&mut found, 0).context("cannot be read")?;
    if found.iter().all(|&byte| byte == 0) {
        let bytes = ours.to_bytes();
        file.write_all_at(&bytes, 0).context("cannot be written")?;
        file.sync_data().context("does not keep what is written")?;
        file.read_exact_at(&mut found, 0).context("cannot be read again")?;
        ensure!(found == bytes, "reads back differently from what was written");
    }
    let mark = Mark::read(&found)?;
    ensure!(
        mark.engine == ours.engine,
        "belongs to engine {}, this is engine {}; see first that bdev_list and scm_list of all engines name the right devices, a reboot \
         may give them other names",
        mark.engine,
        ours.engine
    );
    ensure!(
        mark.position == ours.position,
        "was device {} of this engine and is now device {}; restore the order of bdev_list",
        mark.position,
        ours.position
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    const US: Uuid = Uuid::from_u128(1);
    const THEM: Uuid = Uuid::from_u128(2);

    struct Bed {
        root: tempfile::TempDir,
        _turn: std::sync::MutexGuard<'static, ()>,
    }

    impl Bed {
        fn new() -> Self {
            let bed = Self { root: tempfile::tempdir().unwrap(), _turn: crate::turn::take() };
            let path = bed.file();
            fs::write(&path, vec![0; 4 * MARK_BYTES]).unwrap();
            let aio = format!("[AIO]\n    AIO {} AIO_h_0 4096\n", path.display());
            fs::write(bed.config(), aio).unwrap();
            bed
        }

        fn file(&self) -> PathBuf {
            self.root.path().join("bdev0")
        }

        fn config(&self) -> PathBuf {
            self.root.path().join("daos_nvme.conf")
        }

        fn open(&self, engine: Uuid) -> Result<Vec<Device>, String> {
            open_all(&self.config(), engine).map_err(|error| format!("{error:#}"))
        }
    }

    #[test]
    fn a_blank_file_becomes_ours_and_stays_ours() {
        let bed = Bed::new();
        let devices = bed.open(US).unwrap();
        assert_eq!((devices[0].name.as_str(), devices[0].bytes), ("AIO_h_0", 16384));
        assert!(bed.open(US).unwrap_err().contains("in use by another engine"));
        drop(devices);
        let marked = fs::read(bed.file()).unwrap();
        assert_eq!(&marked[..8], b"DAOSIOBD");
        bed.open(US).unwrap();
        assert_eq!(fs::read(bed.file()).unwrap(), marked);
    }

    #[test]
    fn devices_are_told_with_their_targets() {
        let bed = Bed::new();
        let memory = |name: &str| Device { name: name.into(), bytes: 9, path: None, _claim: None };
        let mut devices = bed.open(US).unwrap();
        devices.push(memory("Malloc_h_0_2_1"));
        let told = super::told(&devices, US, 3);
        let [file, memory] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(file.device.address, bed.file().display().to_string());
        assert_eq!((&file.device.targets[..], &memory.device.targets[..]), (&[0, 2][..], &[1][..]));
        assert_eq!((file.device.roles, memory.device.roles), (0, 1));
        assert_eq!((file.bytes, file.free), (16384, 12288));
        assert_ne!(file.device.uuid, memory.device.uuid);
        assert_eq!(super::told(&devices, US, 3), told);
        assert_ne!(super::told(&devices, THEM, 3), told);
    }

    #[test]
    fn a_device_of_another_engine_or_with_other_contents_is_refused_unchanged() {
        let bed = Bed::new();
        bed.open(US).unwrap();
        let marked = fs::read(bed.file()).unwrap();
        assert!(bed.open(THEM).unwrap_err().contains("belongs to engine"));
        assert_eq!(fs::read(bed.file()).unwrap(), marked);

        let mut foreign = vec![0; 4 * MARK_BYTES];
        foreign[1080] = 0x53;
        fs::write(bed.file(), &foreign).unwrap();
        assert!(bed.open(US).unwrap_err().contains("neither blank nor"));
        assert_eq!(fs::read(bed.file()).unwrap(), foreign);
    }

    #[test]
    fn what_cannot_be_a_device_is_named() {
        let bed = Bed::new();
        fs::write(bed.file(), vec![0; MARK_BYTES]).unwrap();
        assert!(bed.open(US).unwrap_err().contains("has 4096 bytes"));
        fs::remove_file(bed.file()).unwrap();
        let error = bed.open(US).unwrap_err();
        assert!(error.contains("AIO_h_0") && error.contains("bdev0"), "{error}");
        fs::create_dir(bed.file()).unwrap();
        assert!(bed.open(US).is_err());
        fs::remove_file(bed.config()).unwrap();
        assert!(bed.open(US).unwrap_err().contains("daos_nvme.conf"));
    }

    #[test]
    fn devices_may_not_change_places() {
        let bed = Bed::new();
        bed.open(US).unwrap();
        let other = bed.root.path().join("bdev1");
        fs::write(&other, vec![0; 4 * MARK_BYTES]).unwrap();
        let (first, second) = (other.display(), bed.file());
        let text = format!("[AIO]\n    AIO {first} A_0\n    AIO {} A_1\n", second.display());
        fs::write(bed.config(), text).unwrap();
        assert!(bed.open(US).unwrap_err().contains("restore the order"));
    }

    /// A loop device over the bed's file; detached when dropped.
    struct Loop(String);

    impl Loop {
        fn over(file: &Path) -> Option<Self> {
            let made =
                Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
            made.status
                .success()
                .then(|| Self(String::from_utf8(made.stdout).unwrap().trim().to_owned()))
        }
    }

    impl Drop for Loop {
        fn drop(&mut self) {
            let detached = Command::new("losetup").args(["--detach", &self.0]).status();
            assert!(detached.is_ok_and(|status| status.success()), "{} stays attached", self.0);
        }
    }

    #[test]
    fn a_block_device_that_anybody_holds_is_refused() {
        let bed = Bed::new();
        let Some(device) = Loop::over(&bed.file()) else {
            println!("skipped: needs root");
            return;
        };
        fs::write(bed.config(), format!("[AIO]\n    AIO {} AIO_h_0\n", device.0)).unwrap();
        let holder = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::EXCL.bits() as i32)
            .open(&device.0)
            .unwrap();
        assert!(bed.open(US).unwrap_err().contains("is it in use?"));
        drop(holder);
        let devices = bed.open(US).unwrap();
        assert_eq!(devices[0].bytes, 16384);
        assert!(bed.open(US).unwrap_err().contains("is it in use?"));
        drop(devices);
        assert!(bed.open(THEM).unwrap_err().contains("belongs to engine"));
    }
}
