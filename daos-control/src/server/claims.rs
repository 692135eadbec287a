//! One server per SCM mount and per socket directory: locks held for the life of the process.
//!
//! Used once by `start`. A lock is a file in a directory all users share, named after the claimed path, with the
//! holder's process id in it; the kernel drops it when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::fault::{Fault, code};

/// Held locks; dropped to give everything back.
#[derive(Debug, Default)]
pub struct Claims {
    _held: Vec<File>,
}

impl Claims {
    /// Claims every path, or names the process that has one of them.
    ///
    /// # Errors
    /// Fault 1280 when another server holds a path, 1281 when the lock cannot be made.
    pub fn take<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Self, Fault> {
        let directory = lock_directory();
        let held =
            paths.into_iter().map(|path| claim(&directory, path)).collect::<Result<_, _>>()?;
        Ok(Self { _held: held })
    }
}

/// `/run/lock` is there for this; a host without it shares `/tmp`.
fn lock_directory() -> PathBuf {
    let preferred = Path::new("/run/lock");
    if rustix::fs::access(preferred, rustix::fs::Access::WRITE_OK).is_ok() {
        return preferred.to_owned();
    }
    std::env::temp_dir()
}

fn claim(directory: &Path, path: &Path) -> Result<File, Fault> {
    let name = Sha256::digest(resolved(path).as_os_str().as_encoded_bytes());
    let name: String = name.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let lock = directory.join(format!("daos_server-{name}.lock"));
    let mut file = open(&lock).map_err(|error| unavailable(path, &lock, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(taken(path, &mut file)),
        Err(errno) => return Err(unavailable(path, &lock, &errno.into())),
    }
    // Another user's left-over lock file can be locked but not written; the holder is then not named.
    let _unwritable = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn open(lock: &Path) -> std::io::Result<File> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nofollow).mode(0o644);
    match options.clone().write(true).create(true).truncate(false).open(lock) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => options.open(lock),
        other => other,
    }
}

/// The path as the kernel sees it, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

fn taken(path: &Path, file: &mut File) -> Fault {
    let mut pid = String::new();
    let holder = match file.read_to_string(&mut pid) {
        Ok(_) if !pid.is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    };
    Fault::new(
        "server",
        code::SERVER_PATH_CLAIMED,
        format!("{} is used by another daos_server ({holder})", path.display()),
        "stop the other server, or give this one its own socket_dir and scm_mount",
    )
}

fn unavailable(path: &Path, lock: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        "server",
        code::SERVER_PATH_UNLOCKABLE,
        format!("{} cannot be locked through {}", path.display(), lock.display()),
        "make the lock directory writable for the user of daos_server",
    )
    .with_reason(error)
}

#[cfg(test)]
mod tests {
    use super::{Claims, code};

    #[test]
    fn a_second_server_on_one_path_is_told_who_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("scm");
        let first = Claims::take([path.as_path()]).unwrap();
        let refused = Claims::take([path.as_path()]).unwrap_err();
        assert_eq!(refused.code, code::SERVER_PATH_CLAIMED);
        assert!(refused.description.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        Claims::take([path.as_path()]).unwrap();
    }

    #[test]
    fn a_path_is_the_same_by_whatever_name() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let alias = directory.path().join("alias");
        std::os::unix::fs::symlink(&real, &alias).unwrap();
        let _held = Claims::take([real.join("scm").as_path()]).unwrap();
        assert!(Claims::take([alias.join("scm").as_path()]).is_err());
    }
}
