//! Looks at everything a format or a start decides on, engines side by side. Changes nothing.
//!
//! Called by `service` and `bring_up`; judged by `plan` and the start table. What cannot be looked at is part of
//! the answer and hides nothing else (R92).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use daos_storage_nvme::{BdevProvider, ObservedDevice};
use daos_storage_scm::{
    DeviceContent, DeviceState, Entries, Medium, MountPointState, MountRight, RamForm, ScmClass,
    ScmError, ScmObserved, ScmProvider, ScmReadiness,
};
use futures_util::future::{join_all, join3};

use super::targets::EngineTarget;
use super::{Journal, JournalError, MarkState, MetadataObserved, metadata};
use crate::start_table::{Contents, ScmAtStart, StartFacts};
use crate::superblock::{self, EngineHome, SuperblockError, SuperblockState};

/// Everything seen of one engine's storage.
#[derive(Debug)]
pub struct EngineObserved {
    /// Index of the engine on this host.
    pub index: u32,
    /// Its SCM.
    pub scm: Result<ScmObserved, ScmError>,
    /// Its block devices, each with what was seen of it.
    pub bdev: Vec<ObservedDevice>,
    /// The small files.
    pub files: FilesObserved,
}

/// The small files of one engine.
#[derive(Debug)]
pub struct FilesObserved {
    /// Its superblock.
    pub superblock: SuperblockState,
    /// Its superblock was set aside by a reset of the format: what its home holds is our own.
    pub was_reset: bool,
    /// Its mark in the journal.
    pub mark: MarkState,
    /// Control metadata; `None` when the configuration has none.
    pub metadata: Option<MetadataObserved>,
    /// The system database lies in its home and is not empty.
    pub holds_system: bool,
}

/// Looks at several engines at once.
pub(super) async fn observe(
    targets: &[&EngineTarget],
    scm: &dyn ScmProvider,
    bdev: &dyn BdevProvider,
    journal: &Journal,
) -> BTreeMap<u32, EngineObserved> {
    let looks = targets.iter().map(|target| observe_engine(target, scm, bdev, journal));
    join_all(looks).await.into_iter().map(|seen| (seen.index, seen)).collect()
}

async fn observe_engine(
    target: &EngineTarget,
    scm: &dyn ScmProvider,
    bdev: &dyn BdevProvider,
    journal: &Journal,
) -> EngineObserved {
    let (of_files, its_journal) = (target.clone(), journal.clone());
    let files = tokio::task::spawn_blocking(move || observe_files(&of_files, &its_journal));
    let (scm, bdev, files) =
        join3(scm.observe(&target.scm), bdev.observe(&target.bdev), files).await;
    let files = files.unwrap_or_else(|error| unknown_files(journal, target.index(), &error));
    EngineObserved { index: target.index(), scm, bdev, files }
}

/// Files that could not be looked at because of a defect: nothing may be concluded from that.
fn unknown_files(journal: &Journal, index: u32, error: &tokio::task::JoinError) -> FilesObserved {
    let (path, reason) = (journal.path(index), error.to_string());
    FilesObserved {
        superblock: SuperblockState::Unreadable(SuperblockError::Corrupt {
            reason: reason.clone(),
        }),
        was_reset: false,
        mark: MarkState::Unreadable(JournalError::Corrupt { path, reason }),
        metadata: None,
        holds_system: false,
    }
}

fn observe_files(target: &EngineTarget, journal: &Journal) -> FilesObserved {
    let home = &target.home;
    let metadata = target.metadata_path().map(|path| metadata::observe(path, home));
    FilesObserved {
        superblock: superblock::load(&home.superblock()),
        was_reset: superblock::was_set_aside(&home.superblock()),
        mark: journal.load(target.index()),
        metadata,
        holds_system: target.index() == 0 && has_entries(&home.system_database()),
    }
}

/// Memory available for new RAM disks, in bytes.
pub(super) fn available_memory() -> Option<u64> {
    use procfs::Current as _;
    procfs::Meminfo::current().ok()?.mem_available
}

fn has_entries(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

impl EngineObserved {
    /// The facts of the start table for this engine.
    #[must_use]
    pub fn into_start_facts(self, target: &EngineTarget, recreate_superblocks: bool) -> StartFacts {
        let (scm, may_mount) = match &self.scm {
            Ok(observed) => {
                (scm_at_start(target, observed, &self.files), may_mount(target, observed))
            }
            Err(error) => (ScmAtStart::Unknown { why: error.to_string() }, true),
        };
        StartFacts {
            index: self.index,
            scm_mount: PathBuf::from(target.scm.mount_point()),
            may_mount,
            scm,
            superblock_path: target.home.superblock(),
            superblock: self.files.superblock,
            was_reset: self.files.was_reset,
            mark: self.files.mark,
            metadata: self.files.metadata.map(|metadata| metadata.state),
            recreate_superblocks,
            roles: target.roles,
        }
    }
}

/// Where the right to mount was not tried, because there is no device to mount, it is not what decides. Told to
/// use a directory, the server is in the place of one that may not mount.
fn may_mount(target: &EngineTarget, observed: &ScmObserved) -> bool {
    let right = match &observed.medium {
        Medium::Ram(_) if target.scm.ram().is_some_and(|ram| ram.form == RamForm::Directory) => {
            return false;
        }
        Medium::Ram(ram) => &ram.may_mount,
        Medium::Dcpm(DeviceState::Present(device)) => &device.may_mount,
        Medium::Dcpm(_) => return true,
    };
    *right == MountRight::Allowed
}

fn scm_at_start(
    target: &EngineTarget,
    observed: &ScmObserved,
    files: &FilesObserved,
) -> ScmAtStart {
    let readiness = observed.readiness(&target.scm);
    // What is configured counts, whoever mounted it, when it carries a superblock (R124, row C1).
    if let MountPointState::MountPoint(mount) = &observed.at {
        let reachable = matches!(readiness, ScmReadiness::Reachable { .. });
        if reachable || !matches!(files.superblock, SuperblockState::Missing) {
            return match observed.mounted_instead(&target.scm) {
                Some(error) => ScmAtStart::OtherMounted { found: error.to_string() },
                None => ScmAtStart::Mounted(contents(&mount.entries)),
            };
        }
    }
    match (target.scm.class(), &observed.at, &readiness) {
        (ScmClass::Ram(_), MountPointState::Directory(directory), _) if !directory.erasing => {
            ScmAtStart::RamDirectory {
                on_tmpfs: directory.fs_type == "tmpfs",
                contents: contents(&directory.entries),
            }
        }
        (ScmClass::Ram(_), MountPointState::Missing { parent }, _) => ScmAtStart::RamAbsent {
            parent_is_tmpfs: parent.direct && parent.is_mount_point && parent.fs_type == "tmpfs",
        },
        (ScmClass::Dcpm(_), _, ScmReadiness::Mountable) => ScmAtStart::DeviceOurs,
        (ScmClass::Dcpm(_), _, ScmReadiness::NotFormatted) => ScmAtStart::DeviceBlank,
        (_, _, ScmReadiness::Unusable { why }) => unusable(observed, why),
        _ => ScmAtStart::Unknown { why: "an erase of it did not come to its end".to_owned() },
    }
}

fn unusable(observed: &ScmObserved, why: &str) -> ScmAtStart {
    match &observed.medium {
        Medium::Dcpm(DeviceState::Missing) => ScmAtStart::DeviceMissing,
        Medium::Dcpm(DeviceState::Present(device)) => match &device.content {
            DeviceContent::Foreign { signature } => {
                ScmAtStart::DeviceForeign { found: signature.clone() }
            }
            _ => ScmAtStart::Unknown { why: why.to_owned() },
        },
        _ => ScmAtStart::Unknown { why: why.to_owned() },
    }
}

fn contents(entries: &Entries) -> Contents {
    let leftovers = EngineHome::leftovers();
    if entries.is_empty() || entries.only(&leftovers) {
        return Contents::Empty;
    }
    let others = entries.names().iter().filter(|name| !leftovers.contains(name));
    Contents::Holds(others.cloned().collect())
}
