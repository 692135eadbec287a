//! Files that crashed SPDK programs leave behind and that keep the next one from starting, or hold its huge pages (R83, R94).
//!
//! Removes nothing that a running process has open or mapped, follows no link, and goes into no directory: their names are known, but
//! the places are open to everybody.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use daos_blockdev::{BlockdevError, FileId};

use super::super::kernel::Kernel;
use crate::BdevError;
#[cfg(any(test, feature = "spdk"))]
use crate::PciAddress;

/// Removes what nobody uses, and says of the rest who does.
///
/// # Errors
/// Who uses what cannot be told at all.
pub(super) fn remove(kernel: &dyn Kernel) -> Result<Vec<String>, BdevError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for (directory, prefix) in kernel.left_behind() {
        found.extend(named(&directory, |name| name.starts_with(prefix)));
    }
    for mount in kernel.hugepage_mounts()? {
        found.extend(named(&mount, |name| name.starts_with("spdk") && name.contains("map_")));
    }
    remove_unused(found)
}

/// Removes the locks of these controllers that nobody has, and says what of the rest keeps them.
#[cfg(any(test, feature = "spdk"))]
pub(in crate::linux) fn remove_locks(kernel: &dyn Kernel, addresses: &[PciAddress]) -> Vec<String> {
    let places = kernel.left_behind();
    let locks = places.iter().filter(|(_, prefix)| prefix.ends_with("lock_"));
    let names = locks.flat_map(|(directory, prefix)| {
        addresses.iter().map(move |address| directory.join(format!("{prefix}{address}")))
    });
    remove_unused(names.collect()).unwrap_or_else(|error| vec![error.to_string()])
}

fn remove_unused(found: Vec<PathBuf>) -> Result<Vec<String>, BdevError> {
    let mut notices = Vec::new();
    let mut files = Vec::new();
    for path in found {
        match FileId::at(&path) {
            Ok(id) => files.push((path, id)),
            Err(BlockdevError::NotFound { .. }) => {}
            Err(error) => notices.push(format!("{error}; it is left alone")),
        }
    }
    let mut used = BTreeSet::new();
    for (process, its) in daos_blockdev::users_of_files(&files.iter().map(|(_, id)| *id).collect())?
    {
        let one = files.iter().find(|(_, id)| its.contains(id));
        let what = match (one, its.len()) {
            (Some((path, _)), 1) => {
                format!("{} is left alone: {process} has it open", path.display())
            }
            (_, number) => {
                format!("{number} files of SPDK are left alone: {process} has them open")
            }
        };
        notices.push(what);
        used.extend(its);
    }
    for (path, id) in files.iter().filter(|(_, id)| !used.contains(id)) {
        if let Err(error) = remove_one(path, *id) {
            notices.push(format!("{} could not be removed: {error}", path.display()));
        }
    }
    Ok(notices)
}

/// Removes a file, a link or an empty directory, as long as the name still is that of what was looked at.
fn remove_one(path: &Path, id: FileId) -> io::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?.file_type(),
    };
    if FileId::at(path).is_ok_and(|now| now != id) {
        return Ok(());
    }
    let removed = match (kind.is_file() || kind.is_symlink(), kind.is_dir()) {
        (true, _) => fs::remove_file(path),
        (_, true) => fs::remove_dir(path),
        _ => Err(io::Error::other("neither a file nor a directory")),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn named(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&wanted)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};

    use super::super::super::fake_kernel::FakeKernel;
    use super::*;

    fn left(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut left: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        left
    }

    #[test]
    fn only_the_locks_of_the_controllers_that_were_looked_at_are_removed() {
        let kernel = FakeKernel::new();
        for address in ["0000:81:00.0", "0000:82:00.0", "0000:83:00.0"] {
            fs::write(kernel.left().join(format!("spdk_pci_lock_{address}")), "").unwrap();
        }
        let _ours = fs::File::open(kernel.left().join("spdk_pci_lock_0000:82:00.0")).unwrap();
        let looked_at = ["0000:81:00.0", "0000:82:00.0", "0000:84:00.0"];
        let notices = remove_locks(&kernel, &looked_at.map(|address| address.parse().unwrap()));
        assert_eq!(notices.len(), 1, "{notices:?}");
        let left = left(&kernel.left());
        assert_eq!(left, ["spdk_pci_lock_0000:82:00.0", "spdk_pci_lock_0000:83:00.0"]);
    }

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
        assert_eq!(left(directory.path()), ["other", "spdk_pci_lock_0000:82:00.0"]);
    }

    #[test]
    fn many_files_of_one_process_are_one_notice() {
        let directory = tempfile::tempdir().unwrap();
        let names: Vec<_> =
            (0..20).map(|n| directory.path().join(format!("spdkmap_{n}"))).collect();
        for name in &names {
            fs::write(name, "").unwrap();
        }
        let script = "for n in 10 11 12; do eval \"exec $n<$1/spdkmap_$n\"; done; echo up; read _";
        let mut user = Command::new("bash")
            .args(["-c", script, "-"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = io::BufReader::new(user.stdout.take().unwrap());
        io::BufRead::read_line(&mut output, &mut line).unwrap();
        let notices = remove_unused(names);
        drop(user.stdin.take());
        user.wait().unwrap();
        let notices = notices.unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(
            notices[0].starts_with("3 files of SPDK are left alone: bash (pid "),
            "{notices:?}"
        );
        assert_eq!(left(directory.path()), ["spdkmap_10", "spdkmap_11", "spdkmap_12"]);
    }

    #[test]
    fn links_lead_nowhere_and_directories_with_something_in_them_stay() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("data"), "keep").unwrap();
        fs::create_dir(at("spdk_pci_lock_tree")).unwrap();
        fs::write(at("spdk_pci_lock_tree/file"), "keep").unwrap();
        symlink("/nonexistent", at("spdk_pci_lock_nowhere")).unwrap();
        symlink(at("data"), at("spdk_pci_lock_data")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("spdk_pci_lock_pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let mut found = named(directory.path(), |name| name.starts_with("spdk_pci_lock_"));
        found.push(at("spdk_pci_lock_gone"));
        let notices = remove_unused(found).unwrap();
        assert_eq!(notices.len(), 2, "the tree and the pipe: {notices:?}");
        assert_eq!(left(directory.path()), ["data", "spdk_pci_lock_pipe", "spdk_pci_lock_tree"]);
        assert_eq!(fs::read_to_string(at("spdk_pci_lock_tree/file")).unwrap(), "keep");
    }

    #[test]
    fn a_name_that_was_given_to_another_file_meanwhile_is_left_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, kept) = (directory.path().join("spdk_pci_lock_x"), directory.path().join("old"));
        fs::write(&path, "").unwrap();
        let id = FileId::at(&path).unwrap();
        fs::rename(&path, &kept).unwrap();
        fs::write(&path, "new").unwrap();
        remove_one(&path, id).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::rename(&kept, &path).unwrap();
        remove_one(&path, id).unwrap();
        assert!(!path.exists());
    }
}
