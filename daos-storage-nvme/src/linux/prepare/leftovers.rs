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
    remove_unused(found)
}

fn remove_unused(found: Vec<PathBuf>) -> Result<Vec<String>, BdevError> {
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

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_nobody_uses_is_removed_and_the_rest_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["spdk_pci_lock_0000:81:00.0", "spdk_pci_lock_0000:82:00.0", "other"] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir(at("spdk_pci_lock_directory")).unwrap();
        let used = at("spdk_pci_lock_0000:82:00.0");
        let input = Stdio::from(fs::File::open(&used).unwrap());
        let mut user = Command::new("sleep").arg("600").stdin(input).spawn().unwrap();
        let found = named(directory.path(), |name| name.starts_with("spdk_pci_lock_"));
        assert_eq!(found.len(), 3);
        let notices = remove_unused(found);
        user.kill().unwrap();
        user.wait().unwrap();
        let notices = notices.unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains("0000:82:00.0 is left alone: sleep (pid "), "{notices:?}");
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["other", "spdk_pci_lock_0000:82:00.0"]);
    }
}
