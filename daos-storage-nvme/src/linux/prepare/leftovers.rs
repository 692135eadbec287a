//! Files that crashed SPDK programs leave behind and that keep the next one from starting (R83, R94).
//!
//! Removes nothing that a running process has open.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::own;
use crate::BdevError;

/// Where which names are left behind.
const LOCKS: &[(&str, &str)] =
    &[("/tmp", "spdk_pci_lock_"), ("/var/tmp", "spdk_pci_lock_"), ("/run", ".spdk")];

/// Removes what nobody uses, and says of the rest who does.
pub(super) fn remove() -> Result<Vec<String>, BdevError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for (directory, prefix) in LOCKS {
        found.extend(named(Path::new(directory), |name| name.starts_with(prefix)));
    }
    for mount in own::hugepage_mounts()? {
        found.extend(named(&mount, |name| name.starts_with("spdk") && name.contains("map_")));
    }
    let mut notices = Vec::new();
    for path in found {
        let openers = daos_blockdev::openers_of_file(&path)?;
        if let Some(process) = openers.first() {
            notices.push(format!("{} is left alone: {process} has it open", path.display()));
            continue;
        }
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            notices.push(format!("{} could not be removed: {error}", path.display()));
        }
    }
    Ok(notices)
}

fn named(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&wanted)).collect()
}
