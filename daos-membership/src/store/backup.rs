//! Backups: the whole state of a system at one point of its log, in one file that says what it is.
//!
//! Every snapshot that a replica stores is kept as such a file beside its database, the last few of them. Written
//! under a temporary name, synced and linked into place, with a checksum over the content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{LogId, STORE_DIR, StoreError};
use crate::clock::Timestamp;
use crate::error::code;
use crate::replica::{RecordedReplicas, ReplicaId};
use crate::system::SystemIdentity;

/// Directory of the snapshots that are kept, beside the database.
const KEPT_DIR: &str = "snapshots";
const SUFFIX: &str = "backup";
/// How many are kept.
pub const KEPT: usize = 5;
const FORMAT: &str = "daos-system-backup";
const VERSION: u16 = 1;
/// The first line of a backup is never longer.
const MAX_HEAD: u64 = 1 << 20;

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHead {
    format: String,
    v: u16,
    /// The system.
    pub system: SystemIdentity,
    /// The replica that wrote it; `None` if it never had an id.
    pub replica: Option<ReplicaId>,
    /// When it was written.
    pub taken: Timestamp,
    /// The last log entry that is part of it.
    pub upto: LogId,
    /// The replicas as of then, as far as known.
    pub replicas: Option<RecordedReplicas>,
    /// Size of the content.
    pub bytes: u64,
    sha256: String,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// What it says about itself.
    pub head: BackupHead,
    /// Its content, a [`crate::SystemSnapshot`] as it is stored.
    pub data: Vec<u8>,
}

/// Why a backup cannot be written or used.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The system database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a file already, and it is not overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged, or no backup of a system database at all.
    #[error("{} is no usable backup: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later version wrote it.
    #[error("backup {} has version {found}, newer than {known}, the newest known here", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version that can be read.
        known: u16,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} backup {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Store(error) => error.code(),
            Self::Newer { .. } => code::STORE_NEWER,
            Self::Exists { .. } | Self::Unusable { .. } | Self::Io { .. } => code::BACKUP_UNUSABLE,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Store(error) => error.resolution(),
            Self::Exists { .. } => "name another file",
            Self::Unusable { .. } => "use another backup; nothing was changed",
            Self::Newer { .. } => "use the version of the server that wrote it, or a later one",
            Self::Io { .. } => "check the path, permissions and space",
        }
    }
}

impl Backup {
    /// Writes it to a new file.
    ///
    /// # Errors
    /// [`BackupError::Exists`] when there is a file, which is then left alone; else when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BackupError> {
        write(path, &self.head, &self.data)
    }

    /// Reads and checks a backup.
    ///
    /// # Errors
    /// When it cannot be read, was damaged, or is of a later version.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let (head, mut rest) = open(path)?;
        let unusable = |what: &str| unusable(path, what);
        let mut data = Vec::new();
        rest.read_to_end(&mut data).map_err(|source| io_error(path, "read", source))?;
        if data.len() as u64 != head.bytes {
            return Err(unusable("it has not the size that it says"));
        }
        if checksum(&data) != head.sha256 {
            return Err(unusable("its checksum is wrong"));
        }
        Ok(Self { head, data })
    }
}

impl BackupHead {
    /// The head of a backup with this content.
    #[must_use]
    pub fn of(
        data: &[u8],
        system: SystemIdentity,
        replica: Option<ReplicaId>,
        taken: Timestamp,
        upto: LogId,
        replicas: Option<RecordedReplicas>,
    ) -> Self {
        let (format, bytes) = (FORMAT.to_owned(), data.len() as u64);
        let (v, sha256) = (VERSION, checksum(data));
        Self { format, v, system, replica, taken, upto, replicas, bytes, sha256 }
    }

    /// Reads what a backup says about itself, without checking its content.
    ///
    /// # Errors
    /// As [`Backup::read`].
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        open(path).map(|(head, _)| head)
    }
}

fn write(path: &Path, head: &BackupHead, data: &[u8]) -> Result<(), BackupError> {
    let failed = |source| io_error(path, "write", source);
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = write_new(&temporary, head, data).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists { path: path.to_owned() });
        }
        written => written.and(removed).map_err(failed)?,
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn write_new(path: &Path, head: &BackupHead, data: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(path)?;
    file.write_all(&serde_json::to_vec(head)?)?;
    file.write_all(b"\n")?;
    file.write_all(data)?;
    file.sync_all()
}

fn open(path: &Path) -> Result<(BackupHead, BufReader<File>), BackupError> {
    let failed = |source| io_error(path, "read", source);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    file.by_ref().take(MAX_HEAD).read_until(b'\n', &mut line).map_err(failed)?;
    let no_backup = |_| unusable(path, "it is no backup of a system database");
    let kind: Kind = serde_json::from_slice(&line).map_err(no_backup)?;
    if kind.format != FORMAT {
        return Err(unusable(path, "it is no backup of a system database"));
    }
    if kind.v > VERSION {
        let (found, known) = (kind.v, VERSION);
        return Err(BackupError::Newer { path: path.to_owned(), found, known });
    }
    let head = serde_json::from_slice(&line);
    Ok((head.map_err(|error| unusable(path, &error.to_string()))?, file))
}

#[derive(Deserialize)]
struct Kind {
    format: String,
    v: u16,
}

fn checksum(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unusable(path: &Path, what: &str) -> BackupError {
    BackupError::Unusable { path: path.to_owned(), what: what.to_owned() }
}

fn io_error(path: &Path, doing: &'static str, source: io::Error) -> BackupError {
    BackupError::Io { path: path.to_owned(), doing, source }
}

/// Where the snapshots of the database below `parent` are kept.
#[must_use]
pub fn kept_dir(parent: &Path) -> PathBuf {
    parent.join(STORE_DIR).join(KEPT_DIR)
}

/// A kept file with what it says about itself.
pub type KeptBackup = (PathBuf, Result<BackupHead, BackupError>);

/// The snapshots that are kept for the database below `parent`, the newest first. A file that is no backup is
/// listed with what is wrong with it.
///
/// # Errors
/// When the directory cannot be read. That there is none is no error.
pub fn kept(parent: &Path) -> Result<Vec<KeptBackup>, BackupError> {
    let dir = kept_dir(parent);
    let found = names(&dir).map_err(|source| io_error(&dir, "list", source))?;
    Ok(found.into_iter().rev().map(|path| (path.clone(), BackupHead::read(&path))).collect())
}

/// Keeps a snapshot, and drops those that are too many.
pub(super) fn keep(dir: &Path, head: &BackupHead, data: &[u8]) -> Result<(), BackupError> {
    let failed = |source| io_error(dir, "keep", source);
    match fs::create_dir(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let LogId { term, index } = head.upto;
    // Names in the order of the log, whatever the clock says.
    let path = dir.join(format!("{term:010}-{index:016}.{SUFFIX}"));
    match write(&path, head, data) {
        Err(error) if !matches!(error, BackupError::Exists { .. }) => return Err(error),
        _ => {}
    }
    let found = names(dir).map_err(failed)?;
    for old in found.iter().take(found.len().saturating_sub(KEPT)) {
        fs::remove_file(old).map_err(failed)?;
    }
    Ok(())
}

/// Removes all that are kept.
pub(super) fn forget(dir: &Path) -> io::Result<()> {
    for path in names(dir)? {
        fs::remove_file(path)?;
    }
    match fs::remove_dir(dir) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// The backups in a directory, in the order of their names.
fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}
