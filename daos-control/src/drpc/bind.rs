//! Taking a socket path: live ones are left alone, stale ones replaced, nobody else gets in between.
//!
//! Called by the listener. Must not know what is served. The socket exists under a temporary name with mode 0600
//! and already listens before it appears under its own name, so there is no instant in which the path is wider open
//! or refuses connections.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use thiserror::Error;

use super::connection::new_socket;

/// Longest path of a UNIX socket: 108 bytes with the closing zero.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;
/// Longest file name that is used in the same directory while binding: shorter than any name of ours.
const TEMPORARY_NAME_BYTES: usize = ".3fffff.ffffff".len();
/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 128;
const SOCKET_MODE: Mode = Mode::from_raw_mode(0o600);

/// Why a path could not be taken.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("socket {path} is in use by a running process")]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The path passes what the kernel can address.
    #[error("socket path {path} is too long: {length} bytes, at most {MAX_SOCKET_PATH_BYTES}")]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// Something other than a socket has that name.
    #[error("{path} exists and is not a socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The directory is missing.
    #[error("socket directory {directory} does not exist")]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory is something else.
    #[error("{directory} is not a directory")]
    NotADirectory {
        /// The path in its place.
        directory: PathBuf,
    },
    /// The directory does not let this user in.
    #[error("no permission to create a socket in {directory}")]
    NotPermitted {
        /// The directory.
        directory: PathBuf,
    },
    /// Anything else, with what was tried.
    #[error("cannot {doing} {path}")]
    Io {
        /// The step, as a verb.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    /// Stable fault number: 6 for a socket in use (contract 10.2), else ours.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::InUse { .. } => 6,
            Self::PathTooLong { .. } => 1263,
            Self::NoDirectory { .. } | Self::NotADirectory { .. } | Self::NotPermitted { .. } => {
                1264
            }
            Self::NotASocket { .. } | Self::Io { .. } => 1265,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::InUse { .. } => {
                "stop the other daos_server of this socket directory, or configure another socket_dir"
            }
            Self::PathTooLong { .. } => "configure a shorter socket_dir",
            Self::NoDirectory { .. } => "create the directory, or configure another socket_dir",
            Self::NotADirectory { .. } => "configure socket_dir to name a directory",
            Self::NotPermitted { .. } => {
                "give the user of daos_server write permission on the directory"
            }
            Self::NotASocket { .. } => "move the file away, or configure another socket_dir",
            Self::Io { .. } => "check the file system that holds socket_dir",
        }
    }
}

/// The name of a bound socket in its directory; removes it, if it is still ours, when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours {
            remove_quietly(&self.path);
        }
    }
}

/// Refuses a path that could not be bound, before anything is created (also for paths others will bind).
pub fn check_path_length(path: &Path) -> Result<(), BindError> {
    let directory = path.parent().map_or(0, |parent| parent.as_os_str().len() + 1);
    let length = path.as_os_str().len().max(directory + TEMPORARY_NAME_BYTES);
    if length > MAX_SOCKET_PATH_BYTES {
        return Err(BindError::PathTooLong { path: path.to_owned(), length });
    }
    Ok(())
}

/// Makes `path` a listening socket of mode 0600.
pub(super) fn bind(path: &Path) -> Result<(OwnedFd, SocketFile), BindError> {
    check_path_length(path)?;
    check_directory(path)?;
    let temporary = Temporary::beside(path);
    let socket = listen_at(&temporary.0)?;
    let identity = identity_of(&temporary.0)?;
    take_name(&temporary.0, path)?;
    Ok((socket, SocketFile { path: path.to_owned(), identity }))
}

/// Removes a socket that nobody listens on any more (E28); `Ok(false)` when there is none.
///
/// Refuses a live one and whatever is not a socket.
pub fn remove_stale(path: &Path) -> Result<bool, BindError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error("look at", path, source)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    refuse_if_live(path, path)?;
    // Another process may have bound the path since: set it aside first, and look once more at what was moved.
    let aside = Temporary::beside(path);
    match fs::rename(path, &aside.0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error("set aside stale socket", path, source)),
        Ok(()) => {}
    }
    if let Err(live) = refuse_if_live(&aside.0, path) {
        if let Err(error) = fs::hard_link(&aside.0, path) {
            tracing::error!(path = %path.display(), %error, "cannot put a live socket back");
        }
        return Err(live);
    }
    Ok(true)
}

fn check_directory(path: &Path) -> Result<(), BindError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let owned = || directory.to_owned();
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(BindError::NotADirectory { directory: owned() }),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => BindError::NoDirectory { directory: owned() },
            io::ErrorKind::NotADirectory => BindError::NotADirectory { directory: owned() },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { directory: owned() },
            _ => io_error("look at", directory, error),
        }),
    }
}

fn listen_at(path: &Path) -> Result<OwnedFd, BindError> {
    let bind_error = |source: Errno| match (source, path.parent()) {
        (Errno::ACCESS | Errno::PERM, Some(parent)) => {
            BindError::NotPermitted { directory: parent.to_owned() }
        }
        _ => io_error("bind socket", path, source.into()),
    };
    let socket = new_socket().map_err(|source| io_error("open a socket for", path, source))?;
    let address = SocketAddrUnix::new(path).map_err(bind_error)?;
    // Linux gives the file the mode of the socket, so it is never wider open; chmod then defeats a strict umask.
    rustix::fs::fchmod(&socket, SOCKET_MODE).map_err(bind_error)?;
    rustix::net::bind(&socket, &address).map_err(bind_error)?;
    rustix::fs::chmodat(CWD, path, SOCKET_MODE, AtFlags::empty()).map_err(bind_error)?;
    rustix::net::listen(&socket, BACKLOG).map_err(bind_error)?;
    Ok(socket)
}

/// Gives the bound socket its own name; the temporary one stays for its owner to remove.
fn take_name(temporary: &Path, path: &Path) -> Result<(), BindError> {
    remove_stale(path)?;
    match fs::hard_link(temporary, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BindError::InUse { path: path.to_owned() })
        }
        Err(source) => Err(io_error("name socket", path, source)),
    }
}

fn refuse_if_live(found: &Path, named: &Path) -> Result<(), BindError> {
    let look = |source: io::Error| io_error("look at socket", named, source);
    let address = SocketAddrUnix::new(found).map_err(|error| look(error.into()))?;
    let probe = new_socket().map_err(look)?;
    match rustix::net::connect(&probe, &address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
            Err(BindError::InUse { path: named.to_owned() })
        }
        Err(error) => Err(look(error.into())),
    }
}

fn identity_of(path: &Path) -> Result<(u64, u64), BindError> {
    let found =
        fs::symlink_metadata(path).map_err(|source| io_error("look at socket", path, source))?;
    Ok((found.dev(), found.ino()))
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> BindError {
    BindError::Io { doing, path: path.to_owned(), source }
}

fn remove_quietly(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove socket");
    }
}

/// A name beside the path that no other process and no other call uses; removed when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed) & 0xff_ffff;
        let temporary = path.with_file_name(format!(".{:x}.{number:x}", std::process::id()));
        remove_quietly(&temporary); // of an earlier process with this number
        Self(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove_quietly(&self.0);
    }
}
