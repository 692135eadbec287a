//! What prepare changed and what it saw before: a file in the state directory, so that reset restores exactly that and a scan can
//! still name what no kernel driver shows any more.
//!
//! Called by `prepare`, `reset`, `discover` and `format`. Knows no sysfs. Survives a crash: written before each change.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daos_blockdev::wait_until;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::durable::sync_directory_of;
use crate::{BdevError, FileOwner, FormatAbility, PciAddress};

/// Name of the file below the state directory.
pub const RECORD_FILE: &str = "nvme_prepared.json";
/// Name of the file that is locked by whoever changes the record.
const LOCK_FILE: &str = "nvme_prepared.lock";
/// How long another prepare, reset or format may keep it: longer than any of them takes when all goes well.
const LOCK_LIMIT: Duration = Duration::from_secs(60);
/// The version of the form that is written.
const VERSION: u32 = 1;

/// What prepare changed on this host since the last complete reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareRecord {
    version: u32,
    /// Controllers taken from the kernel's driver, or about to be.
    pub controllers: Vec<RecordedController>,
    /// Huge pages of each node before the first change.
    pub hugepages: Vec<RecordedPages>,
    /// Owners and modes of files before they were changed.
    pub files: Vec<RecordedFile>,
    /// Mount point of a huge page file system that prepare made.
    pub mounted: Option<PathBuf>,
    /// The boot in which huge pages, owners and the mount were changed: the next one undoes all three. Not in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// A controller as the kernel's driver last showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedController {
    /// Where.
    pub address: PciAddress,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Firmware revision.
    pub firmware: String,
    /// Namespaces: id and bytes.
    pub namespaces: Vec<(u32, u64)>,
    /// Driver it had, to be given back.
    pub driver: Option<String>,
    /// Driver it is to have, or has.
    pub bound_to: String,
    /// What it can format by itself.
    #[serde(default)]
    pub ability: FormatAbility,
    /// The kernel's driver has it for the time of a format, and it is to be given back.
    #[serde(default)]
    pub lent: Option<Loan>,
}

/// From whom a format took a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loan {
    /// The driver for user space that had it.
    pub driver: String,
    /// Owner of the device file through which programs had it.
    pub owner: FileOwner,
    /// Its permission bits.
    pub mode: u32,
    /// The boot in which that was: with the next one drivers and owners are forgotten anyway.
    pub boot: String,
}

/// Only one at a time changes the record.
#[derive(Debug)]
pub struct RecordLock(#[expect(dead_code, reason = "held, not read")] File);

/// Huge pages of one node before prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedPages {
    /// NUMA node.
    pub node: u32,
    /// Pages.
    pub pages: u64,
}

/// Owner and mode of a file before prepare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// The file.
    pub path: PathBuf,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl PrepareRecord {
    /// Reads the record below a state directory; an empty one when there is none.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`] when it cannot be read, [`BdevError::RecordInvalid`] when it is not understood: what was changed
    /// is then not known, and nothing may be changed on top.
    pub fn load(state_dir: &Path) -> Result<Self, BdevError> {
        let path = state_dir.join(RECORD_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(BdevError::ConfigFile { path, action: "read", source }),
        };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| {
            BdevError::RecordInvalid { path: path.clone(), detail: error.to_string() }
        })?;
        if record.version > VERSION {
            let detail = format!("version {} is newer than {VERSION}", record.version);
            return Err(BdevError::RecordInvalid { path, detail });
        }
        Ok(record)
    }

    /// Makes the record durable, or removes the file when nothing is left to remember.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`].
    pub fn save(&mut self, state_dir: &Path) -> Result<(), BdevError> {
        let path = state_dir.join(RECORD_FILE);
        self.version = VERSION;
        let written = if self.is_empty() { remove(&path) } else { self.write(&path) };
        written.map_err(|source| BdevError::ConfigFile { path, action: "write", source })
    }

    /// Whether there is nothing to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { version: _, controllers, hugepages, files, mounted, boot: _ } = self;
        controllers.is_empty() && hugepages.is_empty() && files.is_empty() && mounted.is_none()
    }

    /// Forgets what a reboot has undone, if there was one since it was recorded, and whether that was anything. A record without a
    /// boot is of the version before this one, and taken for one of this boot.
    pub(super) fn enter_boot(&mut self, boot: Option<String>) -> bool {
        let rebooted = self.boot.is_some() && boot.is_some() && self.boot != boot;
        self.boot = boot.or_else(|| self.boot.take());
        if !rebooted {
            return false;
        }
        let pages = std::mem::take(&mut self.hugepages);
        let files = std::mem::take(&mut self.files);
        let mounted = self.mounted.take();
        !pages.is_empty() || !files.is_empty() || mounted.is_some()
    }

    /// Waits until nobody else changes the record, in this process or another, and keeps it so while the result lives.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`]; [`BdevError::RecordBusy`] when it lasts longer than a minute.
    pub fn lock(state_dir: &Path) -> Result<RecordLock, BdevError> {
        Self::lock_within(state_dir, LOCK_LIMIT)
    }

    fn lock_within(state_dir: &Path, limit: Duration) -> Result<RecordLock, BdevError> {
        let path = state_dir.join(LOCK_FILE);
        let failed = |source| BdevError::ConfigFile { path: path.clone(), action: "lock", source };
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(failed)?;
        let taken = wait_until(limit, || {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => None,
                other => Some(other),
            }
        });
        match taken {
            Some(Ok(())) => Ok(RecordLock(file)),
            Some(Err(error)) => Err(failed(error.into())),
            None => {
                let (holder, seconds) = (holder_of(&path), limit.as_secs());
                Err(BdevError::RecordBusy { path, holder, seconds })
            }
        }
    }

    /// Sets or ends the loan of a controller, durably. Whether it still is in the record: a reset may have ended it.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`], [`BdevError::RecordInvalid`].
    pub fn set_loan(
        state_dir: &Path,
        address: PciAddress,
        loan: Option<Loan>,
    ) -> Result<bool, BdevError> {
        let _lock = Self::lock(state_dir)?;
        let mut record = Self::load(state_dir)?;
        let found = record.controllers.iter_mut().find(|recorded| recorded.address == address);
        let Some(recorded) = found else { return Ok(false) };
        if recorded.lent != loan {
            recorded.lent = loan;
            record.save(state_dir)?;
        }
        Ok(true)
    }

    /// What is remembered of a controller.
    #[must_use]
    pub fn controller(&self, address: PciAddress) -> Option<&RecordedController> {
        self.controllers.iter().find(|recorded| recorded.address == address)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let bytes = serde_json::to_vec_pretty(self)?;
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        // A server that is not root reads it too, whatever the umask of whoever prepared.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory_of(path)
    }
}

/// Who has the file open besides this process, for an administrator to look at.
fn holder_of(path: &Path) -> String {
    let others = daos_blockdev::openers_of_file(path).unwrap_or_default();
    let names: Vec<_> = others.iter().map(ToString::to_string).collect();
    if names.is_empty() { "another task of this program".to_owned() } else { names.join(", ") }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory_of(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_an_empty_one_leaves_no_file() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(PrepareRecord::load(state.path()).unwrap(), PrepareRecord::default());
        let mut record = PrepareRecord {
            hugepages: vec![RecordedPages { node: 0, pages: 7 }],
            ..PrepareRecord::default()
        };
        record.save(state.path()).unwrap();
        assert_eq!(PrepareRecord::load(state.path()).unwrap(), record);
        let mode = fs::metadata(state.path().join(RECORD_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "every server may read it");
        record.hugepages.clear();
        record.save(state.path()).unwrap();
        assert!(!state.path().join(RECORD_FILE).exists());
    }

    #[test]
    fn a_loan_is_remembered_until_it_is_ended_and_only_of_a_recorded_controller() {
        let state = tempfile::tempdir().unwrap();
        let address: PciAddress = "0000:81:00.0".parse().unwrap();
        let recorded = RecordedController {
            address,
            model: "m".to_owned(),
            serial: "s".to_owned(),
            firmware: "f".to_owned(),
            namespaces: vec![(1, 1 << 30)],
            driver: Some("nvme".to_owned()),
            bound_to: "vfio-pci".to_owned(),
            ability: FormatAbility::EachNamespace,
            lent: None,
        };
        let loan = Loan {
            driver: "vfio-pci".to_owned(),
            owner: FileOwner { uid: 7, gid: 8 },
            mode: 0o600,
            boot: "b".to_owned(),
        };
        assert!(!PrepareRecord::set_loan(state.path(), address, Some(loan.clone())).unwrap());
        let mut record = PrepareRecord { controllers: vec![recorded], ..PrepareRecord::default() };
        record.save(state.path()).unwrap();
        assert!(PrepareRecord::set_loan(state.path(), address, Some(loan.clone())).unwrap());
        let lent = |record: PrepareRecord| record.controller(address).unwrap().lent.clone();
        assert_eq!(lent(PrepareRecord::load(state.path()).unwrap()), Some(loan));
        assert!(PrepareRecord::set_loan(state.path(), address, None).unwrap());
        assert_eq!(lent(PrepareRecord::load(state.path()).unwrap()), None);
    }

    #[test]
    fn a_record_of_before_there_were_loans_is_understood() {
        let state = tempfile::tempdir().unwrap();
        let text = r#"{"version":1,"controllers":[{"address":"0000:81:00.0","model":"m","serial":"s","firmware":"f",
            "namespaces":[[1,5]],"driver":"nvme","bound_to":"vfio-pci"}],"hugepages":[],"files":[],"mounted":null}"#;
        fs::write(state.path().join(RECORD_FILE), text).unwrap();
        let record = PrepareRecord::load(state.path()).unwrap();
        assert_eq!(
            (record.controllers[0].ability, &record.controllers[0].lent),
            (FormatAbility::None, &None)
        );
    }

    #[test]
    fn what_a_reboot_has_undone_is_forgotten_and_controllers_are_not() {
        let text = r#"{"version":1,"controllers":[{"address":"0000:81:00.0","model":"m","serial":"s","firmware":"f",
            "namespaces":[[1,5]],"driver":"nvme","bound_to":"vfio-pci"}],"hugepages":[{"node":0,"pages":7}],
            "files":[{"path":"/dev/vfio/7","uid":0,"gid":0,"mode":384}],"mounted":"/dev/hugepages"}"#;
        let mut record: PrepareRecord = serde_json::from_str(text).unwrap();
        let old = record.clone();
        assert!(!record.enter_boot(Some("this".to_owned())), "an old record names no boot");
        assert_eq!((&record.hugepages, &record.files), (&old.hugepages, &old.files));
        assert!(!record.enter_boot(Some("this".to_owned())));
        assert!(!record.enter_boot(None), "a kernel that does not tell is no reboot");
        assert_eq!(record, PrepareRecord { boot: Some("this".to_owned()), ..old.clone() });
        assert!(record.enter_boot(Some("next".to_owned())));
        let left = PrepareRecord {
            controllers: old.controllers,
            version: VERSION,
            boot: Some("next".to_owned()),
            ..PrepareRecord::default()
        };
        assert_eq!(record, left);
        assert!(!record.enter_boot(Some("third".to_owned())), "there was nothing left to forget");
    }

    #[test]
    fn one_at_a_time_changes_the_record() {
        let state = tempfile::tempdir().unwrap();
        let held = PrepareRecord::lock(state.path()).unwrap();
        let place = state.path().to_owned();
        let (begun, begins) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            begun.send(()).unwrap();
            PrepareRecord::lock(&place).map(drop)
        });
        begins.recv().unwrap();
        let again = File::open(state.path().join(LOCK_FILE)).unwrap();
        let refused =
            rustix::fs::flock(&again, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        assert_eq!(refused, Err(rustix::io::Errno::WOULDBLOCK));
        drop(held);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn whoever_keeps_the_record_for_too_long_is_named() {
        let state = tempfile::tempdir().unwrap();
        let held = PrepareRecord::lock(state.path()).unwrap();
        let busy = PrepareRecord::lock_within(state.path(), Duration::from_millis(20)).unwrap_err();
        assert_eq!(busy.code(), 1498);
        assert!(busy.to_string().contains("another task of this program"), "{busy}");
        drop(held);
        let file = File::open(state.path().join(LOCK_FILE)).unwrap();
        rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
        // The lock goes with the open file, which the other program has now.
        let mut other = std::process::Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
        let busy = PrepareRecord::lock_within(state.path(), Duration::from_millis(20)).unwrap_err();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(busy.to_string().contains("kept by sleep (pid "), "{busy}");
        PrepareRecord::lock_within(state.path(), Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_record_that_is_not_understood_is_an_error_and_not_empty() {
        let state = tempfile::tempdir().unwrap();
        for text in
            ["{", r#"{"version":9,"controllers":[],"hugepages":[],"files":[],"mounted":null}"#]
        {
            fs::write(state.path().join(RECORD_FILE), text).unwrap();
            let refused = PrepareRecord::load(state.path()).unwrap_err();
            assert!(matches!(refused, BdevError::RecordInvalid { .. }), "{refused}");
            assert!(!refused.resolution().contains("configuration file"), "{refused}");
        }
    }
}
