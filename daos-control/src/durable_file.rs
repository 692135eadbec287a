//! Small files that must survive a crash: written beside, synced, renamed, directory synced, read back.
//!
//! Owns the order of those calls and nothing about contents. Used for superblocks and format marks. Everything
//! here blocks: call it from a blocking thread. Readers refuse what is not a plain file of sensible size, so a
//! FIFO or a device put at the path can neither hang nor flood the server.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What was being done when a durable write failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteStep {
    /// Creating the temporary file or the directory.
    Create,
    /// Writing its bytes.
    Write,
    /// Making the bytes durable.
    Sync,
    /// Putting the new file in the place of the old one.
    Rename,
    /// Making the name durable.
    SyncDirectory,
    /// Reading the file again to see that it holds what was written.
    ReadBack,
    /// Removing a file.
    Remove,
}

impl WriteStep {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename into place",
            Self::SyncDirectory => "sync the directory of",
            Self::ReadBack => "read back",
            Self::Remove => "remove",
        }
    }
}

/// A durable write or removal that did not happen as asked.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} {}", step.name(), path.display())]
pub struct WriteError {
    /// What was being done.
    pub step: WriteStep,
    /// The file or directory it was done to.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl WriteError {
    fn at(step: WriteStep, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { step, path, source }
    }

    /// Whether the cause is a file system without room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A directory, link, device, socket or FIFO stands where a file is expected.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The path in question.
        path: PathBuf,
    },
    /// Larger than any such file can be.
    #[error("{} has {size} bytes, more than the {limit} that such a file can have", path.display())]
    TooLarge {
        /// The path in question.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The largest size accepted, in bytes.
        limit: u64,
    },
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The path in question.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// The temporary name beside `path` under which new contents are staged.
#[must_use]
pub fn staging_path(path: &Path) -> PathBuf {
    let mut name: OsString = path.file_name().unwrap_or(OsStr::new("file")).to_owned();
    name.push(".staging");
    path.with_file_name(name)
}

/// Replaces `path` with `bytes`, durably: after `Ok` the file survives a crash; after `Err` the old file, or
/// none, is in place and the staged one is gone.
///
/// The mode is set whatever the umask is. Only the owner task of a path may call this: two writers of one path
/// would share the staging name.
///
/// # Errors
/// [`WriteError`] naming the step. `ReadBack` means that the storage did not keep what it accepted.
pub fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), WriteError> {
    let staging = staging_path(path);
    let written = stage(&staging, mode, bytes)
        .and_then(|()| fs::rename(&staging, path).map_err(WriteError::at(WriteStep::Rename, path)));
    if let Err(error) = written {
        // Best effort: the first error is the one to report, and a stale staging file is replaced next time.
        let _ = fs::remove_file(&staging);
        return Err(error);
    }
    sync_directory(parent(path))?;
    let back = read(path, bytes.len() as u64).map_err(|error| {
        WriteError::at(WriteStep::ReadBack, path)(io::Error::other(error.to_string()))
    })?;
    if back.as_deref() != Some(bytes) {
        return Err(WriteError::at(WriteStep::ReadBack, path)(io::Error::other(
            "the file does not hold what was written",
        )));
    }
    Ok(())
}

fn stage(staging: &Path, mode: u32, bytes: &[u8]) -> Result<(), WriteError> {
    match fs::remove_file(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(WriteError::at(WriteStep::Remove, staging)(error));
        }
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(staging)
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(mode)).map(|()| file))
        .map_err(WriteError::at(WriteStep::Create, staging))?;
    file.write_all(bytes).map_err(WriteError::at(WriteStep::Write, staging))?;
    file.sync_all().map_err(WriteError::at(WriteStep::Sync, staging))
}

/// Gives a file another name in the same directory, durably. Returns whether the file was there.
///
/// # Errors
/// [`WriteError`] naming the step.
pub fn rename(from: &Path, to: &Path) -> Result<bool, WriteError> {
    match fs::rename(from, to) {
        Ok(()) => sync_directory(parent(to)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(WriteError::at(WriteStep::Rename, from)(error)),
    }
}

/// Removes `path` durably, and a staged file beside it. Returns whether the file was there.
///
/// # Errors
/// [`WriteError`] naming the step.
pub fn remove(path: &Path) -> Result<bool, WriteError> {
    let mut found = false;
    for name in [path.to_owned(), staging_path(path)] {
        match fs::remove_file(&name) {
            Ok(()) => found |= name == path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(WriteError::at(WriteStep::Remove, &name)(error)),
        }
    }
    match sync_directory(parent(path)) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(found),
        other => other.map(|()| found),
    }
}

/// Removes a directory with everything in it, durably; without one, does nothing. Follows no link.
///
/// # Errors
/// [`WriteError`] naming the step.
pub fn remove_tree(path: &Path) -> Result<(), WriteError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(WriteError::at(WriteStep::Remove, path))?,
    }
    sync_directory(parent(path))
}

/// Reads a plain file of at most `limit` bytes; `None` when there is none.
///
/// # Errors
/// [`ReadError`] when it is not a plain file, too large, or not readable.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let failed = |source: io::Error| ReadError::Io { path: path.to_owned(), source };
    // NONBLOCK: opening a FIFO without a writer would otherwise hang. NOFOLLOW: a link is not a plain file.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        // A link, or a socket.
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
            return Err(ReadError::NotRegular { path: path.to_owned() });
        }
        Err(errno) => return Err(failed(errno.into())),
    };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(ReadError::NotRegular { path: path.to_owned() });
    }
    let too_large = |size| ReadError::TooLarge { path: path.to_owned(), size, limit };
    if about.len() > limit {
        return Err(too_large(about.len()));
    }
    let mut bytes = Vec::new();
    let count = file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)? as u64;
    if count > limit { Err(too_large(count)) } else { Ok(Some(bytes)) }
}

/// Creates a directory and its missing parents with `mode`, each made durable in its parent.
///
/// # Errors
/// [`WriteError`] naming the directory that could not be made or synced.
pub fn create_directories(path: &Path, mode: u32) -> Result<(), WriteError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        match fs::DirBuilder::new().mode(mode).create(dir) {
            // Another process made it first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            other => other.map_err(WriteError::at(WriteStep::Create, dir))?,
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))
            .map_err(WriteError::at(WriteStep::Create, dir))?;
        sync_directory(parent(dir))?;
    }
    Ok(())
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// [`WriteError`] with the step `SyncDirectory`.
pub fn sync_directory(path: &Path) -> Result<(), WriteError> {
    File::options()
        .read(true)
        .custom_flags(OFlags::DIRECTORY.bits() as i32)
        .open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(WriteError::at(WriteStep::SyncDirectory, path))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn write_replaces_with_the_mode_asked_and_leaves_no_staging() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thing");
        write(&path, 0o660, b"one").unwrap();
        write(&path, 0o660, b"two").unwrap();
        assert_eq!(read(&path, 10).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(!staging_path(&path).exists());
    }

    #[test]
    fn failed_write_keeps_the_old_file_and_removes_the_staged_one() {
        let dir = tempfile::tempdir().unwrap();
        // A directory with contents cannot be renamed over.
        let path = dir.path().join("thing");
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = write(&path, 0o660, b"one").unwrap_err();
        assert_eq!(error.step, WriteStep::Rename);
        assert!(path.join("inside").is_dir());
        assert!(!staging_path(&path).exists());
    }

    #[test]
    fn stale_staging_of_an_earlier_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thing");
        fs::write(staging_path(&path), b"half").unwrap();
        write(&path, 0o600, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!staging_path(&path).exists());
    }

    #[test]
    fn read_refuses_what_is_not_a_plain_file_of_sensible_size() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(read(&at("none"), 4).unwrap().is_none());
        fs::create_dir(at("dir")).unwrap();
        assert!(matches!(read(&at("dir"), 4), Err(ReadError::NotRegular { .. })));
        fs::write(at("file"), b"12345").unwrap();
        assert!(matches!(read(&at("file"), 4), Err(ReadError::TooLarge { size: 5, .. })));
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert!(matches!(read(&at("link"), 9), Err(ReadError::NotRegular { .. })));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert!(matches!(read(&at("socket"), 9), Err(ReadError::NotRegular { .. })));
        let fifo = at("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(read(&fifo, 9), Err(ReadError::NotRegular { .. })));
    }

    #[test]
    fn remove_tells_whether_it_was_there_and_takes_the_staged_one_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thing");
        assert!(!remove(&path).unwrap());
        fs::write(&path, b"x").unwrap();
        fs::write(staging_path(&path), b"x").unwrap();
        assert!(remove(&path).unwrap());
        assert!(!path.exists() && !staging_path(&path).exists());
        assert!(!remove(&dir.path().join("no/such/dir/thing")).unwrap());
    }

    #[test]
    fn directories_are_made_with_their_parents() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        create_directories(&deep, 0o750).unwrap();
        create_directories(&deep, 0o750).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o750);
    }
}
