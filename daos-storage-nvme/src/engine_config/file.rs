//! The device configuration on disk: written durably (W11), read strictly.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{ConfigFile, ConfigForm, EngineDeviceConfig};
use crate::BdevError;
use crate::durable::sync_directory_of;

/// Permission bits of the file (contract 5.1).
const MODE: u32 = 0o664;

/// Writes the file under another name, syncs it, renames it, and syncs the directory. Without devices a stale
/// file is removed instead (R61).
///
/// # Errors
/// [`BdevError::ConfigFile`] or [`BdevError::ConfigInexpressible`]. What was there before is then still there.
pub fn write(file: &ConfigFile, config: &EngineDeviceConfig) -> Result<(), BdevError> {
    let path = &file.path;
    let failed = |action| move |source| config_error(path, action, source);
    if config.is_empty() {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(config_error(path, "remove the stale file", error)),
        }
        return sync_directory_of(path).map_err(failed("sync its directory"));
    }
    let text = config.render(file.form)?;
    let temporary = temporary_name(path);
    write_and_rename(file, &temporary, text.as_bytes()).inspect_err(|_| {
        // The half-written file is of no use to anybody.
        let _ = fs::remove_file(&temporary);
    })
}

fn write_and_rename(file: &ConfigFile, temporary: &Path, bytes: &[u8]) -> Result<(), BdevError> {
    let path = &file.path;
    let failed = |action| move |source| config_error(path, action, source);
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(config_error(path, "remove a left-over", error));
        }
        _ => {}
    }
    let mut out = File::options()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(temporary)
        .map_err(failed("create"))?;
    out.write_all(bytes).map_err(failed("write"))?;
    // The umask takes bits off what `open` was given.
    out.set_permissions(fs::Permissions::from_mode(MODE)).map_err(failed("set its mode"))?;
    if file.owner != crate::FileOwner::current() {
        let (uid, gid) = (Some(file.owner.uid), Some(file.owner.gid));
        std::os::unix::fs::fchown(&out, uid, gid).map_err(failed("set its owner"))?;
    }
    out.sync_all().map_err(failed("sync"))?;
    fs::rename(temporary, path).map_err(failed("rename"))?;
    sync_directory_of(path).map_err(failed("sync its directory"))
}

/// Reads the file; `None` when there is none.
///
/// # Errors
/// [`BdevError::ConfigFile`], or [`BdevError::ConfigInvalid`] when it is not what this version writes.
pub fn read(path: &Path, form: ConfigForm) -> Result<Option<EngineDeviceConfig>, BdevError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(config_error(path, "read", error)),
    };
    let text = String::from_utf8(bytes).map_err(|_| BdevError::ConfigInvalid {
        path: path.to_owned(),
        detail: "not UTF-8".to_owned(),
    })?;
    EngineDeviceConfig::parse(&text, form, path).map(Some)
}

fn config_error(path: &Path, action: &'static str, source: io::Error) -> BdevError {
    BdevError::ConfigFile { path: path.to_owned(), action, source }
}

/// The name under which a new file is staged beside `path`; a crash may leave it behind.
#[must_use]
pub fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}
