//! One server per SCM mount and per socket directory: locks held for the life of the process.
//!
//! Used once by `start`. A lock is a file in a directory all users share, named after the claimed path, with the
//! holder's process id in it; the kernel drops it when the process ends, however it ends. A holder that ends in good
//! order removes the file as well.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::fault::{Fault, code};

/// Held locks; dropped to give everything back.
#[derive(Debug, Default)]
pub struct Claims {
    _held: Vec<Lock>,
}

/// One lock, and the file that stands for it.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still held here, so the name is removed from under nobody; a file that stays is locked again by the next.
        if is_at(&self.file, &self.path) {
            let _stays = std::fs::remove_file(&self.path);
        }
    }
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

fn claim(directory: &Path, path: &Path) -> Result<Lock, Fault> {
    let name = Sha256::digest(resolved(path).as_os_str().as_encoded_bytes());
    let name: String = name.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let lock = directory.join(format!("daos_server-{name}.lock"));
    let mut file = loop {
        let mut file = open(&lock).map_err(|error| unavailable(path, &lock, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Its last holder may have removed it between the two calls: then the next one opens another file.
            Ok(()) if is_at(&file, &lock) => break file,
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(taken(path, &mut file)),
            Err(errno) => return Err(unavailable(path, &lock, &errno.into())),
        }
    };
    // Another user's left-over lock file can be locked but not written; the holder is then not named.
    let _unwritable = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(Lock { file, path: lock })
}

/// Whether an open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Claims, claim, code};

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
    fn a_lock_leaves_no_file_behind() {
        let directory = tempfile::tempdir().unwrap();
        let locks = tempfile::tempdir().unwrap();
        let path = directory.path().join("scm");
        let lock = claim(locks.path(), &path).unwrap();
        assert_eq!(std::fs::read_dir(locks.path()).unwrap().count(), 1);
        drop(lock);
        assert_eq!(std::fs::read_dir(locks.path()).unwrap().count(), 0);
    }

    /// Whoever locks a file whose name is gone has nothing: another may hold the file of that name.
    #[test]
    fn two_never_hold_one_path_while_files_come_and_go() {
        let locks = tempfile::tempdir().unwrap();
        let path = locks.path().join("scm");
        let holders = AtomicUsize::new(0);
        let turns = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while turns.load(Ordering::SeqCst) < 200 {
                        let Ok(lock) = claim(locks.path(), &path) else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        turns.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
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
