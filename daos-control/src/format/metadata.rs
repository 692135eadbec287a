//! Control metadata on disk: `<path>/daos_control/engineN`, so that a RAM system survives a reboot (contract 5.4).
//!
//! Observe, plan and execute for that one directory tree; called by the rooms of the same names. Only the files
//! that a control plane keeps there are ever removed, and only those of the engines that are formatted: a
//! mistyped path costs nothing (W1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use serde::Serialize;

use crate::durable_file::{self, WriteError};
use crate::fault::Fault;
use crate::superblock::EngineHome;

/// Mode of the directories (contract 5.4).
const MODE: u32 = 0o775;
/// File system types that are known to keep what they are given, by magic number: ext, xfs, btrfs, f2fs, zfs,
/// tmpfs, overlayfs.
const FAMILIAR: [i64; 7] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0x0102_1994, 0x794c_7630];
const NFS: i64 = 0x6969;

/// State of the control metadata directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MetadataState {
    /// Formatted.
    Ready,
    /// Absent, or without its directory.
    NeedsFormat {
        /// What is missing.
        why: String,
    },
    /// It cannot work there.
    Refused(RefusedMetadata),
}

/// Why control metadata cannot be where it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum RefusedMetadata {
    /// A network file system, or one mounted nosuid (fault 1001).
    #[error("control metadata cannot be kept on {}: {why}", path.display())]
    BadFileSystem {
        /// The nearest existing directory.
        path: PathBuf,
        /// What is wrong with its file system.
        why: String,
    },
    /// Something on the way is not a directory, or cannot be looked at (fault 1251).
    #[error("control metadata path {} cannot be used: {why}", path.display())]
    BadPath {
        /// The path in question.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The directory of an engine holds something that no control plane put there (fault 1251).
    #[error("control metadata directory {} holds {}, which is not ours", path.display(), entries.join(", "))]
    ForeignContent {
        /// The directory.
        path: PathBuf,
        /// Names of what is there.
        entries: Vec<String>,
    },
}

impl RefusedMetadata {
    /// Fault number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::BadFileSystem { .. } => 1001,
            Self::BadPath { .. } | Self::ForeignContent { .. } => 1251,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::BadFileSystem { .. } => {
                "set control_metadata.path to a directory on a local disk that is not mounted nosuid"
            }
            Self::BadPath { .. } => "set control_metadata.path to a directory the server can use",
            Self::ForeignContent { .. } => "move it away and try again",
        }
    }
}

impl From<&RefusedMetadata> for Fault {
    fn from(error: &RefusedMetadata) -> Self {
        Self::new("controlmetadata", error.code(), error.to_string(), error.resolution())
    }
}

/// What was seen of control metadata, for one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataObserved {
    /// State of the whole.
    pub state: MetadataState,
    /// Names in the engine's directory; `None` when there is no such directory.
    pub entries: Option<Vec<String>>,
}

/// Looks at the control metadata directory `path` and at what the engine of `home` has there; changes nothing.
#[must_use]
pub fn observe(path: &Path, home: &EngineHome) -> MetadataObserved {
    let directory = home.directory();
    let looked = state(path).and_then(|state| {
        let entries = match check_directory(&directory)? {
            true => Some(names(&directory)?),
            false => None,
        };
        Ok(MetadataObserved { state, entries })
    });
    looked.unwrap_or_else(|refused| MetadataObserved {
        state: MetadataState::Refused(refused),
        entries: None,
    })
}

fn state(path: &Path) -> Result<MetadataState, RefusedMetadata> {
    let control = EngineHome::control_directory(path);
    let there = check_directory(path)?;
    let formatted = check_directory(&control)?;
    check_file_system(path)?;
    if formatted {
        return Ok(MetadataState::Ready);
    }
    let missing = if there { &control } else { path };
    Ok(MetadataState::NeedsFormat { why: format!("{} does not exist", missing.display()) })
}

/// Whether a directory is there; anything else in its place is refused, links too.
fn check_directory(path: &Path) -> Result<bool, RefusedMetadata> {
    let refused = |why: String| RefusedMetadata::BadPath { path: path.to_owned(), why };
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => Ok(true),
        Ok(about) if about.is_symlink() => Err(refused("it is a symbolic link".into())),
        Ok(_) => Err(refused("it is not a directory".into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// Judges the file system of the nearest existing directory (contract 5.4).
fn check_file_system(path: &Path) -> Result<(), RefusedMetadata> {
    let nearest = path.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let failed = |errno: rustix::io::Errno| RefusedMetadata::BadPath {
        path: nearest.to_owned(),
        why: io::Error::from(errno).to_string(),
    };
    #[allow(clippy::unnecessary_cast)] // the width of f_type depends on the platform
    let magic = statfs(nearest).map_err(failed)?.f_type as i64;
    let flags = statvfs(nearest).map_err(failed)?.f_flag;
    judge(nearest, magic, flags.contains(StatVfsMountFlags::NOSUID))
}

fn judge(nearest: &Path, magic: i64, nosuid: bool) -> Result<(), RefusedMetadata> {
    let bad = |why: &str| {
        Err(RefusedMetadata::BadFileSystem { path: nearest.to_owned(), why: why.to_owned() })
    };
    if magic == NFS {
        return bad("it is a network file system (NFS)");
    }
    if nosuid {
        return bad("its file system is mounted nosuid");
    }
    if !FAMILIAR.contains(&magic) {
        tracing::warn!(
            "control metadata lies on a file system of unfamiliar type {magic:#x} at {}",
            nearest.display()
        );
    }
    Ok(())
}

/// What a format does to the metadata of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataPlan {
    /// The engine's directory.
    pub directory: PathBuf,
    /// It does not exist yet.
    pub create: bool,
    /// Names in it now.
    pub content: Vec<String>,
    /// Files to remove first, the superblock before all others.
    pub remove_files: Vec<PathBuf>,
    /// The system database, when it goes too.
    pub remove_system: Option<PathBuf>,
}

impl MetadataPlan {
    /// What will be done, in order.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        let removed = self.remove_files.iter().map(|path| format!("remove {}", path.display()));
        let system = self
            .remove_system
            .iter()
            .map(|path| format!("remove the system database {}", path.display()));
        let create = self.create.then(|| format!("create directory {}", self.directory.display()));
        removed.chain(system).chain(create).collect()
    }

    /// Whether anything that exists is removed.
    #[must_use]
    pub fn destroys(&self) -> bool {
        !self.remove_files.is_empty() || self.remove_system.is_some()
    }
}

/// Plans the metadata of one engine; `remove_system` when the system database of this host goes with it. Pure.
///
/// # Errors
/// [`RefusedMetadata`] as observed, or when the engine's directory holds what is not ours.
pub fn plan(
    home: &EngineHome,
    observed: &MetadataObserved,
    remove_system: bool,
) -> Result<MetadataPlan, RefusedMetadata> {
    if let MetadataState::Refused(refused) = &observed.state {
        return Err(refused.clone());
    }
    let directory = home.directory();
    let content = observed.entries.clone().unwrap_or_default();
    // Everything else in the directory is somebody's own.
    let mut ours = EngineHome::leftovers();
    ours.extend(["superblock".to_owned(), "superblock.reset".to_owned()]);
    let foreign: Vec<String> =
        content.iter().filter(|name| !ours.contains(name)).cloned().collect();
    if !foreign.is_empty() {
        return Err(RefusedMetadata::ForeignContent { path: directory, entries: foreign });
    }
    let superblock = home.superblock();
    let mut remove_files: Vec<PathBuf> = content.iter().map(|name| directory.join(name)).collect();
    remove_files.sort_by_key(|path| *path != superblock);
    Ok(MetadataPlan {
        create: observed.entries.is_none(),
        directory,
        content,
        remove_files,
        remove_system: remove_system.then(|| home.system_database()),
    })
}

/// Carries the plan out; `step` is told each step before it is taken.
///
/// # Errors
/// [`WriteError`] naming the path; what was begun is finished by planning and executing again.
pub fn execute(plan: &MetadataPlan, mut step: impl FnMut(&str)) -> Result<(), WriteError> {
    for path in &plan.remove_files {
        step(&format!("remove {}", path.display()));
        durable_file::remove(path)?;
    }
    if let Some(path) = &plan.remove_system {
        step(&format!("remove the system database {}", path.display()));
        durable_file::remove_tree(path)?;
    }
    if plan.create {
        step(&format!("create directory {}", plan.directory.display()));
    }
    durable_file::create_directories(&plan.directory, MODE)
}

/// The fault of a metadata directory that could not be changed.
pub(super) fn write_fault(error: &WriteError) -> Fault {
    let remedy = match error.is_full() {
        true => "make room on the file system of control_metadata.path and format again",
        false => "see that the server may write to control_metadata.path and format again",
    };
    Fault::new("controlmetadata", 1251, error.to_string(), remedy).with_causes_of(error)
}

fn names(directory: &Path) -> Result<Vec<String>, RefusedMetadata> {
    let entries = fs::read_dir(directory).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>()
    });
    let mut names = entries.map_err(|error| RefusedMetadata::BadPath {
        path: directory.to_owned(),
        why: error.to_string(),
    })?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(path: &Path, index: u32) -> EngineHome {
        EngineHome::ControlMetadata { path: path.to_owned(), index }
    }

    fn plan_of(
        home: &EngineHome,
        path: &Path,
        system: bool,
    ) -> Result<MetadataPlan, RefusedMetadata> {
        plan(home, &observe(path, home), system)
    }

    #[test]
    fn absent_path_and_absent_directory_need_a_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("md");
        let home = home(&path, 0);
        let state = || observe(&path, &home).state;
        assert!(matches!(state(), MetadataState::NeedsFormat { .. }));
        fs::create_dir(&path).unwrap();
        assert!(matches!(state(), MetadataState::NeedsFormat { .. }));
        let plan = plan_of(&home, &path, false).unwrap();
        assert!(!plan.destroys());
        execute(&plan, |_| {}).unwrap();
        assert_eq!(state(), MetadataState::Ready);
        assert!(path.join("daos_control/engine0").is_dir());
    }

    #[test]
    fn only_this_engine_and_the_system_database_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("md");
        let control = path.join("daos_control");
        for index in 0..2 {
            let home = home(&path, index);
            fs::create_dir_all(home.directory()).unwrap();
            fs::write(home.superblock(), "x").unwrap();
            fs::write(home.device_config(), "x").unwrap();
        }
        fs::create_dir_all(control.join("control_raft/snapshots")).unwrap();
        fs::write(path.join("other"), "keep").unwrap();
        let plan = plan_of(&home(&path, 0), &path, true).unwrap();
        assert!(plan.destroys());
        assert_eq!(plan.remove_files.first(), Some(&home(&path, 0).superblock()));
        let mut steps = Vec::new();
        execute(&plan, |step| steps.push(step.to_owned())).unwrap();
        assert_eq!(steps, plan.steps());
        assert!(!home(&path, 0).superblock().exists());
        assert!(!control.join("control_raft").exists());
        assert!(home(&path, 1).superblock().exists());
        assert!(path.join("other").exists());
    }

    #[test]
    fn what_is_not_ours_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path(), 0);
        fs::create_dir_all(home.directory()).unwrap();
        fs::write(home.directory().join("thesis.tex"), "years of work").unwrap();
        let refused = plan_of(&home, dir.path(), false).unwrap_err();
        assert_eq!(refused.code(), 1251);
        assert!(refused.to_string().contains("thesis.tex"));
        let refused = |path: &Path| matches!(state(path), Err(RefusedMetadata::BadPath { .. }));
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(refused(&dir.path().join("file")));
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(refused(&dir.path().join("link")));
    }

    #[test]
    fn network_and_nosuid_file_systems_are_refused_with_1001() {
        let at = Path::new("/x");
        assert_eq!(judge(at, NFS, false).unwrap_err().code(), 1001);
        assert_eq!(judge(at, 0xef53, true).unwrap_err().code(), 1001);
        assert!(judge(at, 0xef53, false).is_ok());
        assert!(judge(at, 1, false).is_ok(), "an unfamiliar type only warns");
    }
}
