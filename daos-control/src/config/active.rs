//! The configuration a server runs with, saved for people and for a later load (R36-R39, W26).
//!
//! Written once at start. Failing to write it never stops a server. Nothing reads it by itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::raw::RawConfig;
use crate::durable_file;

/// Name of the saved file.
pub const ACTIVE_FILE_NAME: &str = ".daos_server.active.yml";
/// Where it goes when the directory of the configuration is closed to the server (R37).
const FALLBACK_DIRECTORY: &str = "/tmp";
const HEADER: &str =
    "# What daos_server was started with: built-in defaults, file and command line together.\n";

/// Why the active configuration is nowhere to be found.
#[derive(Debug, thiserror::Error)]
#[error("{}", .attempts.iter().map(|(path, why)| format!("{}: {why}", path.display())).collect::<Vec<_>>().join("; "))]
pub struct NotSaved {
    /// Each place that was tried and what was wrong with it.
    pub attempts: Vec<(PathBuf, io::Error)>,
}

/// Saves the effective keys beside `config_path`, or else in `/tmp`. Returns where.
///
/// # Errors
/// [`NotSaved`], which is worth a warning and nothing more (R38).
pub fn save_active(config_path: &Path, effective: &RawConfig) -> Result<PathBuf, NotSaved> {
    save_in(
        &[config_path.parent().unwrap_or(Path::new(".")), Path::new(FALLBACK_DIRECTORY)],
        effective,
    )
}

/// Saves in the first directory that takes it.
pub(super) fn save_in(directories: &[&Path], effective: &RawConfig) -> Result<PathBuf, NotSaved> {
    let mut attempts = Vec::new();
    for directory in directories {
        let path = directory.join(ACTIVE_FILE_NAME);
        match text(effective).and_then(|text| replace(directory, &path, text.as_bytes())) {
            Ok(()) => return Ok(path),
            Err(error) => attempts.push((path, error)),
        }
    }
    Err(NotSaved { attempts })
}

fn text(effective: &RawConfig) -> io::Result<String> {
    let body = serde_saphyr::to_string(effective).map_err(io::Error::other)?;
    Ok(format!("{HEADER}{body}"))
}

/// Replaces `path` through a new file of a name nobody could have prepared.
///
/// In a directory that others can write, `path` may be a trap: a link, or a file of somebody else. Neither is
/// followed or replaced.
fn replace(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    refuse_traps(path)?;
    let staging = directory.join(format!("{ACTIVE_FILE_NAME}.{}", uuid::Uuid::new_v4().simple()));
    let written = write_new(&staging, bytes)
        .and_then(|()| refuse_traps(path))
        .and_then(|()| fs::rename(&staging, path));
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&staging);
    }
    written?;
    durable_file::sync_directory(directory).map_err(io::Error::other)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // `create_new` is O_EXCL, which follows no link.
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refuse_traps(path: &Path) -> io::Result<()> {
    let refused =
        |what: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, what.to_owned()));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.is_file() => refused("something that is not a plain file stands there"),
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            refused("a file of another user stands there")
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use super::{ACTIVE_FILE_NAME, save_active, save_in};
    use crate::config::raw::RawConfig;

    fn keys() -> RawConfig {
        RawConfig { name: Some("no".to_owned()), port: Some(1), ..RawConfig::default() }
    }

    #[test]
    fn r36_written_beside_the_file_and_replaced_at_each_start() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("daos_server.yml");
        for port in [1, 2] {
            let keys = RawConfig { port: Some(port), ..keys() };
            let saved = save_active(&config, &keys).unwrap();
            assert_eq!(saved, directory.path().join(ACTIVE_FILE_NAME));
            let text = fs::read_to_string(&saved).unwrap();
            assert_eq!(serde_saphyr::from_str::<RawConfig>(&text).unwrap(), keys);
            assert_eq!(fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn r37_r38_the_second_place_then_a_warning() {
        let fallback = tempfile::tempdir().unwrap();
        let missing = Path::new("/proc/self/nothing");
        let saved = save_in(&[missing, fallback.path()], &keys()).unwrap();
        assert_eq!(saved, fallback.path().join(ACTIVE_FILE_NAME));
        let refused = save_in(&[missing, Path::new("/sys")], &keys()).unwrap_err();
        assert_eq!(refused.attempts.len(), 2);
        assert!(refused.to_string().contains("/sys/.daos_server.active.yml"), "{refused}");
    }

    #[test]
    fn w26_links_and_other_kinds_of_files_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let trap = directory.path().join(ACTIVE_FILE_NAME);
        symlink(&victim, &trap).unwrap();
        assert!(save_in(&[directory.path()], &keys()).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        fs::remove_file(&trap).unwrap();
        fs::create_dir(&trap).unwrap();
        assert!(save_in(&[directory.path()], &keys()).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no staged file is left");
    }

    #[test]
    fn w26_a_file_of_another_user_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = directory.path().join(ACTIVE_FILE_NAME);
        fs::write(&theirs, "theirs").unwrap();
        if std::os::unix::fs::chown(&theirs, Some(65534), None).is_err() {
            println!("skipped: needs root");
            return;
        }
        assert!(save_in(&[directory.path()], &keys()).is_err());
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(fs::metadata(&theirs).unwrap().uid(), 65534);
    }
}
