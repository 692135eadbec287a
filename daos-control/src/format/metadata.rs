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
/// The files of one engine; everything else in its directory is somebody's own.
const ENGINE_FILES: [&str; 4] =
    ["superblock", "superblock.staging", "daos_nvme.conf", "daos_nvme.conf.staging"];
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

/// Looks at the control metadata directory; changes nothing.
#[must_use]
pub fn observe(path: &Path) -> MetadataState {
    let control = EngineHome::control_directory(path);
    let usable = check_directory(path)
        .and_then(|there| check_directory(&control).map(|formatted| (there, formatted)))
        .and_then(|found| check_file_system(path).map(|()| found));
    match usable {
        Err(refused) => MetadataState::Refused(refused),
        Ok((_, true)) => MetadataState::Ready,
        Ok((there, false)) => {
            let missing = if there { &control } else { path };
            MetadataState::NeedsFormat { why: format!("{} does not exist", missing.display()) }
        }
    }
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
        let create = (!self.directory.is_dir())
            .then(|| format!("create directory {}", self.directory.display()));
        removed.chain(system).chain(create).collect()
    }

    /// Whether anything that exists is removed.
    #[must_use]
    pub fn destroys(&self) -> bool {
        !self.remove_files.is_empty() || self.remove_system.is_some()
    }
}

/// Plans the metadata of one engine; `lose_system` when the system database of this host goes with it.
///
/// # Errors
/// [`RefusedMetadata::ForeignContent`] when its directory holds what is not ours.
pub fn plan(home: &EngineHome, lose_system: bool) -> Result<MetadataPlan, RefusedMetadata> {
    let directory = home.directory();
    check_directory(&directory)?;
    let content = names(&directory)
        .map_err(|why| RefusedMetadata::BadPath { path: directory.clone(), why })?;
    let (ours, foreign): (Vec<String>, Vec<String>) =
        content.iter().cloned().partition(|name| ENGINE_FILES.contains(&name.as_str()));
    if !foreign.is_empty() {
        return Err(RefusedMetadata::ForeignContent { path: directory, entries: foreign });
    }
    let mut remove_files: Vec<PathBuf> = ours.iter().map(|name| directory.join(name)).collect();
    let superblock = home.superblock();
    remove_files.sort_by_key(|path| *path != superblock);
    let system = home.system_database();
    let remove_system = (lose_system && check_directory(&system)?).then_some(system);
    Ok(MetadataPlan { directory, content, remove_files, remove_system })
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
    step(&format!("create directory {}", plan.directory.display()));
    durable_file::create_directories(&plan.directory, MODE)
}

/// Names in a directory, in order; none when it does not exist.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, String> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| error.to_string())?,
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(path: &Path, index: u32) -> EngineHome {
        EngineHome::ControlMetadata { path: path.to_owned(), index }
    }

    #[test]
    fn absent_path_and_absent_directory_need_a_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("md");
        assert!(matches!(observe(&path), MetadataState::NeedsFormat { .. }));
        fs::create_dir(&path).unwrap();
        assert!(matches!(observe(&path), MetadataState::NeedsFormat { .. }));
        let plan = plan(&home(&path, 0), false).unwrap();
        assert!(!plan.destroys());
        execute(&plan, |_| {}).unwrap();
        assert_eq!(observe(&path), MetadataState::Ready);
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
        }
        fs::create_dir_all(control.join("control_raft/snapshots")).unwrap();
        fs::write(path.join("other"), "keep").unwrap();
        let plan = plan(&home(&path, 0), true).unwrap();
        assert!(plan.destroys());
        assert_eq!(plan.remove_files.first(), Some(&home(&path, 0).superblock()));
        let mut steps = Vec::new();
        execute(&plan, |step| steps.push(step.to_owned())).unwrap();
        assert_eq!(steps.len(), 3, "{steps:?}");
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
        let refused = plan(&home, false).unwrap_err();
        assert_eq!(refused.code(), 1251);
        assert!(refused.to_string().contains("thesis.tex"));
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(matches!(observe(&dir.path().join("file")), MetadataState::Refused(_)));
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(matches!(observe(&dir.path().join("link")), MetadataState::Refused(_)));
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
