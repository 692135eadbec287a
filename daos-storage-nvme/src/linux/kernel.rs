//! What `prepare` has the kernel do to a host: attributes of sysfs that move controllers and huge pages, claims on namespaces, mounts
//! of huge pages. One trait, so that every order of events can be tried without hardware.
//!
//! Called by `prepare`; `Roots` is the body for a real host. Must not decide anything, nor know the record.

use std::any::Any;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use daos_blockdev::{BlockdevError, DeviceIdentity, ExclusiveClaim};

use super::discover::Inspect;
use super::pci::Roots;
use super::sys;
use crate::BdevError;

/// A namespace nobody else can mount or claim while this lives.
pub(super) type Claim = Box<dyn Any>;

/// Where SPDK programs leave which files when they crash, by the beginning of their names.
const LEFT_BEHIND: &[(&str, &str)] =
    &[("/tmp", "spdk_pci_lock_"), ("/var/tmp", "spdk_pci_lock_"), ("/run", ".spdk")];

/// The kernel of one host.
///
/// What an implementer owes: a write may succeed and do nothing, as it may on a real host, so that callers read back; what `roots`
/// shows is true at every instant.
pub(super) trait Kernel: Debug {
    /// Where it shows itself.
    fn roots(&self) -> &Roots;

    /// Writes an attribute of sysfs.
    fn write(&self, attribute: &Path, value: &str) -> io::Result<()>;

    /// The same, which a driver may hold up for as long as it likes: [`io::ErrorKind::TimedOut`] when it has not ended in time. It
    /// may still come to its end later.
    fn write_in_time(&self, attribute: &Path, value: &str, limit: Duration) -> io::Result<()>;

    /// How its block devices are looked at.
    fn inspect(&self) -> Inspect;

    /// Claims a block device, which fails when anybody has it.
    fn claim(&self, identity: &DeviceIdentity) -> Result<Claim, BlockdevError>;

    /// Whether VFIO lets programs use what is in the group of this device file.
    fn group_is_viable(&self, group: &Path) -> io::Result<bool>;

    /// Where huge pages are mounted.
    fn hugepage_mounts(&self) -> Result<Vec<PathBuf>, BdevError>;

    /// Mounts huge pages on a directory, which is made when it is missing.
    fn mount_hugepages(&self, at: &Path) -> Result<(), BdevError>;

    /// Unmounts them. Never by force: pages that are in use stay.
    fn unmount_hugepages(&self, at: &Path) -> Result<(), BdevError>;

    /// Where left-over files of SPDK lie, by directory and beginning of the name.
    fn left_behind(&self) -> Vec<(PathBuf, &'static str)>;
}

impl Kernel for Roots {
    fn roots(&self) -> &Roots {
        self
    }

    fn write(&self, attribute: &Path, value: &str) -> io::Result<()> {
        fs::write(attribute, value)
    }

    fn write_in_time(&self, attribute: &Path, value: &str, limit: Duration) -> io::Result<()> {
        let (sent, done) = mpsc::channel();
        let (attribute, value) = (attribute.to_owned(), value.to_owned());
        // Nothing ends such a write before the driver does, not even a signal: the thread stays with it, and the caller does not.
        std::thread::spawn(move || sent.send(fs::write(attribute, value)));
        done.recv_timeout(limit).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn inspect(&self) -> Inspect {
        daos_blockdev::inspect
    }

    fn claim(&self, identity: &DeviceIdentity) -> Result<Claim, BlockdevError> {
        Ok(Box::new(ExclusiveClaim::take(identity)?))
    }

    fn group_is_viable(&self, group: &Path) -> io::Result<bool> {
        sys::group_is_viable(fs::File::options().read(true).write(true).open(group)?)
    }

    fn hugepage_mounts(&self) -> Result<Vec<PathBuf>, BdevError> {
        let mounts = daos_blockdev::mounts()?;
        let huge = mounts.into_iter().filter(|entry| entry.fs_type == "hugetlbfs");
        Ok(huge.map(|entry| entry.mount_point).collect())
    }

    fn mount_hugepages(&self, at: &Path) -> Result<(), BdevError> {
        fs::create_dir_all(at).map_err(|source| failed(at, "make", source))?;
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        rustix::mount::mount("hugetlbfs", at, "hugetlbfs", flags, None)
            .map_err(|error| failed(at, "mount huge pages on", error.into()))
    }

    fn unmount_hugepages(&self, at: &Path) -> Result<(), BdevError> {
        rustix::mount::unmount(at, rustix::mount::UnmountFlags::empty())
            .map_err(|error| failed(at, "unmount", error.into()))
    }

    fn left_behind(&self) -> Vec<(PathBuf, &'static str)> {
        LEFT_BEHIND.iter().map(|(directory, prefix)| (PathBuf::from(directory), *prefix)).collect()
    }
}

fn failed(path: &Path, action: &str, source: io::Error) -> BdevError {
    BdevError::from_io(&path.display().to_string(), action, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_the_driver_holds_up_is_not_waited_for_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let attribute = directory.path().join("unbind");
        // Opening a FIFO for writing waits until somebody reads.
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &attribute,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .unwrap();
        let roots = Roots::default();
        let late = roots.write_in_time(&attribute, "x", Duration::from_millis(20)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        // It comes to its end all the same.
        assert_eq!(fs::read_to_string(&attribute).unwrap(), "x");
        fs::remove_file(&attribute).unwrap();
        roots.write_in_time(&attribute, "y", Duration::from_secs(60)).unwrap();
        assert_eq!(fs::read_to_string(&attribute).unwrap(), "y");
    }
}
