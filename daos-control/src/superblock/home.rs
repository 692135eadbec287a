//! Where the small files of one engine lie: on its SCM mount, or on disk when control metadata has a path.
//!
//! One rule for the superblock, the engine's device config and the system database (contract 5.1, 5.4).

use std::path::{Path, PathBuf};

use daos_storage_nvme::engine_config::{CONFIG_FILE_NAME, temporary_name};

use crate::durable_file::staging_path;

/// Directory below `control_metadata.path` that holds everything of ours.
const CONTROL_DIRECTORY: &str = "daos_control";
/// Name of the superblock.
const SUPERBLOCK: &str = "superblock";
/// Directory of the replicated system database.
const SYSTEM_DATABASE: &str = "control_raft";

/// The directory that holds one engine's superblock and device config.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EngineHome {
    /// The root of the engine's SCM mount, the normal case.
    ScmMount(PathBuf),
    /// `<path>/daos_control/engine<index>`: metadata on disk, which outlives RAM-backed SCM.
    ControlMetadata {
        /// `control_metadata.path` of the configuration.
        path: PathBuf,
        /// Index of the engine on this host, from 0.
        index: u32,
    },
}

impl EngineHome {
    /// The home of engine `index`: on disk when the configuration has a control metadata path.
    #[must_use]
    pub fn of(index: u32, scm_mount: &Path, control_metadata: Option<&Path>) -> Self {
        match control_metadata {
            Some(path) => Self::ControlMetadata { path: path.to_owned(), index },
            None => Self::ScmMount(scm_mount.to_owned()),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        match self {
            Self::ScmMount(mount) => mount.clone(),
            Self::ControlMetadata { path, index } => {
                Self::control_directory(path).join(format!("engine{index}"))
            }
        }
    }

    /// Path of the superblock.
    #[must_use]
    pub fn superblock(&self) -> PathBuf {
        self.directory().join(SUPERBLOCK)
    }

    /// Path of the config from which the engine learns its block devices (contract 5.3).
    #[must_use]
    pub fn device_config(&self) -> PathBuf {
        self.directory().join(CONFIG_FILE_NAME)
    }

    /// Names of the files that a format or a start of our own may leave in an engine's home before the superblock.
    #[must_use]
    pub fn leftovers() -> Vec<String> {
        let config = Path::new(CONFIG_FILE_NAME);
        let staged = [temporary_name(config), staging_path(Path::new(SUPERBLOCK))];
        let names = staged.iter().map(|path| path.display().to_string());
        names.chain([CONFIG_FILE_NAME.to_owned()]).collect()
    }

    /// Where the system database of this host lies when this is the home of engine 0.
    ///
    /// With control metadata it belongs to no engine: it lies beside all of them.
    #[must_use]
    pub fn system_database(&self) -> PathBuf {
        match self {
            Self::ScmMount(mount) => mount.join(SYSTEM_DATABASE),
            Self::ControlMetadata { path, .. } => {
                Self::control_directory(path).join(SYSTEM_DATABASE)
            }
        }
    }

    /// `<path>/daos_control`, whose presence says that control metadata was formatted.
    #[must_use]
    pub fn control_directory(path: &Path) -> PathBuf {
        path.join(CONTROL_DIRECTORY)
    }

    /// Whether the files lie on disk rather than on the SCM mount.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        matches!(self, Self::ControlMetadata { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_on_the_scm_mount_without_control_metadata() {
        let home = EngineHome::of(1, Path::new("/mnt/daos1"), None);
        assert_eq!(home.superblock(), Path::new("/mnt/daos1/superblock"));
        assert_eq!(home.device_config(), Path::new("/mnt/daos1/daos_nvme.conf"));
        assert_eq!(home.system_database(), Path::new("/mnt/daos1/control_raft"));
    }

    #[test]
    fn leftovers_are_the_files_before_the_superblock() {
        let mut names = EngineHome::leftovers();
        names.sort();
        assert_eq!(names, [".daos_nvme.conf.new", "daos_nvme.conf", "superblock.staging"]);
    }

    #[test]
    fn files_lie_on_disk_with_control_metadata() {
        let home = EngineHome::of(1, Path::new("/mnt/daos1"), Some(Path::new("/var/daos")));
        assert_eq!(home.superblock(), Path::new("/var/daos/daos_control/engine1/superblock"));
        assert_eq!(
            home.device_config(),
            Path::new("/var/daos/daos_control/engine1/daos_nvme.conf")
        );
        assert_eq!(home.system_database(), Path::new("/var/daos/daos_control/control_raft"));
    }
}
