//! The engine's files on its SCM mount: identity and one small file for each target (a small ext4 has few inodes).
//!
//! Everything is written durably before the engine reports that it is ready. A lock on the directory, which the
//! kernel releases however the process ends, keeps a second engine out.

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};
use daos_control::durable_file;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use uuid::Uuid;

use crate::identity::Identity;

/// Directory of all our files on the SCM mount.
const DIRECTORY: &str = "daos_io";
const MAX_FILE_BYTES: u64 = 4096;
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// The storage of a running engine.
#[derive(Debug)]
pub struct Storage {
    /// Who it is in this start.
    pub identity: Identity,
    /// Locked as long as the engine lives.
    _directory: File,
}

impl Storage {
    /// Takes the files at `mount`, making what is missing; `recorded` is the engine that block devices name.
    pub fn open(
        mount: &Path,
        targets: u32,
        recorded: Option<Uuid>,
        now: SystemTime,
    ) -> anyhow::Result<Self> {
        if !mount.is_dir() {
            bail!("SCM mount {} is not a directory; format the storage first", mount.display());
        }
        let directory = mount.join(DIRECTORY);
        durable_file::create_directories(&directory, DIRECTORY_MODE)?;
        let lock = lock(&directory)?;
        let identity = raise_identity(&directory.join("identity.json"), recorded, now)?;
        for target in 0..targets {
            check_target(&directory.join(format!("target_{target}")), &identity, target)?;
        }
        Ok(Self { identity, _directory: lock })
    }
}

fn lock(directory: &Path) -> anyhow::Result<File> {
    let handle =
        File::open(directory).with_context(|| format!("cannot open {}", directory.display()))?;
    match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(handle),
        Err(Errno::WOULDBLOCK) => bail!("{} is in use by another engine", directory.display()),
        Err(error) => Err(error).with_context(|| format!("cannot lock {}", directory.display())),
    }
}

/// The incarnation is durable before anybody hears of it, so that it can never be given twice.
fn raise_identity(
    path: &Path,
    recorded: Option<Uuid>,
    now: SystemTime,
) -> anyhow::Result<Identity> {
    let identity = match durable_file::read(path, MAX_FILE_BYTES)? {
        Some(bytes) => Identity::read(&bytes)
            .with_context(|| format!("{} is damaged", path.display()))?
            .next(now),
        None => Identity::new(recorded, now),
    };
    durable_file::write(path, FILE_MODE, &identity.to_bytes()?)?;
    Ok(identity)
}

fn check_target(path: &Path, identity: &Identity, target: u32) -> anyhow::Result<()> {
    let expected = format!("{{ \"engine\": \"{}\", \"target\": {target} }}\n", identity.uuid);
    match durable_file::read(path, MAX_FILE_BYTES)? {
        None => Ok(durable_file::write(path, FILE_MODE, expected.as_bytes())?),
        Some(bytes) if bytes == expected.as_bytes() => Ok(()),
        Some(_) => bail!("{} belongs to another engine or is damaged", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(mount: &Path, targets: u32) -> anyhow::Result<Storage> {
        Storage::open(mount, targets, None, SystemTime::now())
    }

    #[test]
    fn comes_up_as_the_same_engine_with_a_newer_incarnation() {
        let _turn = crate::turn::take();
        let mount = tempfile::tempdir().unwrap();
        let first = open(mount.path(), 2).unwrap().identity;
        let again = open(mount.path(), 3).unwrap().identity;
        assert_eq!(again.uuid, first.uuid);
        assert!(again.incarnation > first.incarnation);
        let names = fs::read_dir(mount.path().join(DIRECTORY)).unwrap().count();
        assert_eq!(names, 4, "identity and three targets, nothing staged");
    }

    #[test]
    fn a_second_engine_is_kept_out() {
        let _turn = crate::turn::take();
        let mount = tempfile::tempdir().unwrap();
        let _first = open(mount.path(), 1).unwrap();
        let error = open(mount.path(), 1).unwrap_err().to_string();
        assert!(error.contains("in use by another engine"), "{error}");
    }

    #[test]
    fn damage_is_refused_and_left_as_it_is() {
        let _turn = crate::turn::take();
        let mount = tempfile::tempdir().unwrap();
        drop(open(mount.path(), 1).unwrap());
        let identity = mount.path().join(DIRECTORY).join("identity.json");
        let target = mount.path().join(DIRECTORY).join("target_0");
        let good = fs::read(&identity).unwrap();
        fs::write(&identity, b"{").unwrap();
        assert!(open(mount.path(), 1).unwrap_err().to_string().contains("is damaged"));
        assert_eq!(fs::read(&identity).unwrap(), b"{");
        fs::write(&identity, good).unwrap();
        fs::write(&target, b"other").unwrap();
        assert!(open(mount.path(), 1).unwrap_err().to_string().contains("target_0"));
    }

    #[test]
    fn a_missing_mount_is_named() {
        let _turn = crate::turn::take();
        let mount = tempfile::tempdir().unwrap();
        let missing = mount.path().join("missing");
        assert!(open(&missing, 1).unwrap_err().to_string().contains("missing"));
    }
}
