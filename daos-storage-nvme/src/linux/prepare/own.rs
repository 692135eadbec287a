//! Who may use what: VFIO groups, UIO devices and huge page mounts go to the user that will run the engines (R74).

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use daos_blockdev::{find_program, run_program};

use super::super::pci::{Roots, text};
use super::super::record::RecordedFile;
use crate::{BdevError, FileOwner};

/// What DPDK needs of locked memory with VFIO.
const LEAST_MEMLOCK: u64 = 64 << 20;
/// How long the system may take to tell who a user is: a directory service that is away answers never.
const ASKED: Duration = Duration::from_secs(30);

/// The variable in which sudo says who called it.
pub(super) const SUDO_USER: &str = "SUDO_USER";

/// The user that was named, else who called sudo, else root (R75).
pub(super) fn target_user<'a>(named: Option<&'a str>, sudo: Option<&'a str>) -> &'a str {
    named.or(sudo).filter(|name| !name.is_empty()).unwrap_or("root")
}

/// The user that will run the engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// One number of a user; `None` when there is no such user.
fn ask(program: &Path, what: &str, name: &str) -> Result<Option<u32>, BdevError> {
    let asked = run_program(program, &[what, name], Stdio::null(), ASKED);
    let asked = asked.map_err(|source| program_failed(name, source))?;
    Ok(String::from_utf8(asked.stdout).ok().and_then(|text| text.trim().parse().ok()))
}

fn program_failed(user: &str, source: std::io::Error) -> BdevError {
    BdevError::ProgramFailed { program: "id", about: format!("user {user}"), source }
}

impl Owner {
    /// Asks the system, so that users of a directory service are found too.
    pub(super) fn look_up(name: &str) -> Result<Self, BdevError> {
        let unknown = || BdevError::UnknownUser { user: name.to_owned() };
        // A name that looks like an option is no user.
        if name.is_empty() || name.starts_with('-') {
            return Err(unknown());
        }
        let program = find_program("id").map_err(|source| program_failed(name, source))?;
        let (uid, gid) = (ask(&program, "-u", name)?, ask(&program, "-g", name)?);
        let (uid, gid) = (uid.ok_or_else(unknown)?, gid.ok_or_else(unknown)?);
        Ok(Self { name: name.to_owned(), uid, gid })
    }

    pub(super) fn ids(&self) -> FileOwner {
        FileOwner { uid: self.uid, gid: self.gid }
    }

    pub(super) fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Owner and mode of a file now.
pub(in crate::linux) fn look(path: &Path) -> Result<RecordedFile, BdevError> {
    let metadata = fs::metadata(path).map_err(|source| failed(path, "look at", source))?;
    Ok(RecordedFile {
        path: path.to_owned(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.permissions().mode() & 0o7777,
    })
}

/// What a file is like once the owner has it. A device node is for nobody else then; the root of a huge page mount stays open to
/// whom it was open to.
pub(super) fn given(before: &RecordedFile, is_device: bool, owner: &Owner) -> RecordedFile {
    let mode = if is_device { 0o600 } else { before.mode | 0o600 };
    RecordedFile { path: before.path.clone(), uid: owner.uid, gid: owner.gid, mode }
}

/// Whether a path is a device node.
pub(super) fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
}

/// Sets owner and mode as they were. A file that is gone needs neither.
pub(in crate::linux) fn restore(before: &RecordedFile) -> Result<(), BdevError> {
    if before.path.exists() { apply(before) } else { Ok(()) }
}

/// Sets owner and mode, and reads them back.
pub(super) fn apply(wanted: &RecordedFile) -> Result<(), BdevError> {
    let path = &wanted.path;
    std::os::unix::fs::chown(path, Some(wanted.uid), Some(wanted.gid))
        .map_err(|source| failed(path, "set the owner of", source))?;
    fs::set_permissions(path, fs::Permissions::from_mode(wanted.mode))
        .map_err(|source| failed(path, "set the mode of", source))?;
    let now = look(path)?;
    if now == *wanted {
        return Ok(());
    }
    let detail = format!("owner {}:{}, mode {:04o}", now.uid, now.gid, now.mode);
    Err(BdevError::ReadBack { device: path.display().to_string(), detail })
}

fn failed(path: &Path, action: &str, source: std::io::Error) -> BdevError {
    BdevError::from_io(&path.display().to_string(), action, source)
}

/// Where huge pages are mounted when nobody has.
pub(super) fn default_hugepage_mount(roots: &Roots) -> PathBuf {
    roots.dev.join("hugepages")
}

/// Whether the administrator has allowed VFIO without an IOMMU.
pub(super) fn unsafe_no_iommu(roots: &Roots) -> bool {
    let parameter = "module/vfio/parameters/enable_unsafe_noiommu_mode";
    text(&roots.sys.join(parameter)).is_some_and(|value| value == "Y")
}

/// What to tell about the limit on locked memory. It is a limit of the session that will start the engines, so that it can only be
/// told and not set from here.
pub(super) fn memlock_notice(owner: &Owner) -> Option<String> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current?;
    (!owner.is_root() && limit < LEAST_MEMLOCK).then(|| {
        format!(
            "the limit on locked memory is {limit} bytes here; user {} needs at least {LEAST_MEMLOCK} to use VFIO: set \
             'LimitMEMLOCK=infinity' in the service, or '{} - memlock unlimited' in /etc/security/limits.d/",
            owner.name, owner.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r75_the_owner_is_who_was_named_else_who_called_sudo_else_root() {
        assert_eq!(target_user(Some("bob"), Some("eve")), "bob");
        assert_eq!(target_user(None, Some("eve")), "eve");
        assert_eq!(target_user(None, None), "root");
        assert_eq!(target_user(None, Some("")), "root");
    }

    #[test]
    fn a_device_node_is_for_its_owner_and_nobody_else() {
        let owner = Owner { name: "somebody".to_owned(), uid: 7, gid: 8 };
        let path = PathBuf::from("/dev/vfio/7");
        let before = RecordedFile { path: path.clone(), uid: 0, gid: 0, mode: 0o666 };
        let private = RecordedFile { path: path.clone(), uid: 7, gid: 8, mode: 0o600 };
        assert_eq!(given(&before, true, &owner), private);
        let mount = RecordedFile { path: path.clone(), uid: 7, gid: 8, mode: 0o755 };
        let root_of_mount = RecordedFile { mode: 0o755, ..before };
        assert_eq!(given(&root_of_mount, false, &owner), mount);
        assert!(is_device(Path::new("/dev/null")) && !is_device(Path::new("/")));
    }

    #[test]
    fn a_user_that_does_not_exist_is_named() {
        assert_eq!(
            Owner::look_up("root").unwrap(),
            Owner { name: "root".to_owned(), uid: 0, gid: 0 }
        );
        for name in ["", "-u", "nobody of that name"] {
            let unknown = Owner::look_up(name).unwrap_err();
            assert!(
                matches!(&unknown, BdevError::UnknownUser { user } if user == name),
                "{unknown}"
            );
        }
    }

    #[test]
    fn a_directory_service_that_does_not_answer_is_no_unknown_user() {
        let directory = tempfile::tempdir().unwrap();
        let asked = program_failed("bob", std::io::ErrorKind::TimedOut.into());
        assert_eq!(asked.code(), 1497, "{asked}");
        let missing = ask(&directory.path().join("id"), "-u", "bob").unwrap_err();
        assert_eq!(missing.code(), 1497, "{missing}");
    }

    #[test]
    fn a_file_goes_to_its_owner_and_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o440)).unwrap();
        let before = look(file.path()).unwrap();
        // As root to somebody else, otherwise to oneself, which everybody may.
        let (uid, gid) = if before.uid == 0 { (65534, 65534) } else { (before.uid, before.gid) };
        let owner = Owner { name: "somebody".to_owned(), uid, gid };
        apply(&given(&before, is_device(file.path()), &owner)).unwrap();
        let now = look(file.path()).unwrap();
        assert_eq!(
            (now.uid, now.gid, now.mode),
            (uid, gid, 0o640),
            "its owner may, the world may not"
        );
        restore(&before).unwrap();
        assert_eq!(look(file.path()).unwrap(), before);
        let path = file.path().to_owned();
        drop(file);
        restore(&before).unwrap();
        assert!(look(&path).is_err(), "a file that is gone stays gone");
    }
}
