//! Makes a block file that appears under its name only when it is complete, and never over another one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, RenameFlags};
use rustix::io::Errno;

use crate::durable::sync_directory_of;
use crate::{BdevError, FileOwner};

pub(super) fn create(
    path: &Path,
    size_bytes: u64,
    owner: FileOwner,
    mode: u32,
) -> Result<(), BdevError> {
    let temporary = temporary_name(path);
    let made = make(&temporary, path, size_bytes, owner, mode);
    if made.is_err() {
        // Gives the space back; what was not made cannot be removed.
        let _ = fs::remove_file(&temporary);
    }
    made
}

fn make(
    temporary: &Path,
    path: &Path,
    size_bytes: u64,
    owner: FileOwner,
    mode: u32,
) -> Result<(), BdevError> {
    let name = path.display().to_string();
    let failed = |step: &'static str| {
        let name = name.clone();
        move |error: io::Error| BdevError::from_io(&name, step, error)
    };
    match fs::remove_file(temporary) {
        // Also where nothing is left over; a read-only file system says so whatever is there.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            return Err(BdevError::ReadOnly { device: format!("the file system of {name}") });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove what an earlier format left over")(error));
        }
        _ => {}
    }
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)
        .map_err(failed("create the file"))?;
    reserve(&file, &name, size_bytes)?;
    set_owner(&file, &name, owner, mode)?;
    file.sync_all().map_err(failed("sync the file"))?;
    match rename_without_replacing(temporary, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let detail = "a file has appeared".to_owned();
            return Err(BdevError::PlanChanged { subject: name, detail });
        }
        Err(error) => return Err(failed("rename the file")(error)),
    }
    sync_directory_of(path).map_err(failed("sync the directory"))
}

/// Gives the file its size and reserves all of it (R59). Only where the file system cannot reserve, the size
/// alone is set; every other failure, such as no space, is one (W15).
pub(super) fn reserve(file: &File, name: &str, size_bytes: u64) -> Result<(), BdevError> {
    let reserved = rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size_bytes);
    let result = match reserved {
        Err(Errno::NOSYS | Errno::OPNOTSUPP) => file.set_len(size_bytes),
        other => other.map_err(io::Error::from),
    };
    result.map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            BdevError::NoSpace { device: name.to_owned(), wanted: size_bytes, source }
        }
        _ => BdevError::from_io(name, format!("reserve {size_bytes} bytes"), source),
    })
}

pub(super) fn set_owner(
    file: &File,
    name: &str,
    owner: FileOwner,
    mode: u32,
) -> Result<(), BdevError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |error| BdevError::from_io(name, "set owner and permissions", error);
    let metadata = file.metadata().map_err(failed)?;
    if (metadata.uid(), metadata.gid()) != (owner.uid, owner.gid) {
        std::os::unix::fs::fchown(file, Some(owner.uid), Some(owner.gid)).map_err(failed)?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot; a second name never replaces anything either.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => other.map_err(io::Error::from),
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.daos-new"))
}
