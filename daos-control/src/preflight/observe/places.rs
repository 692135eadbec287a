//! Directories that the server and its engines write to: which ones the configuration means, and what is there.

use std::path::{Path, PathBuf};

use daos_storage_nvme::blockdev::{FilesystemKind, filesystem_of};
use rustix::fs::{Access, access};

use crate::preflight::{Asked, PlaceFacts, PlacePurpose};

/// A directory to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    purpose: PlacePurpose,
    key: String,
    path: PathBuf,
}

/// What is configured; without a configuration the state directory alone. Each directory and purpose once.
pub(super) fn wanted(asked: Option<Asked<'_>>, state_dir: &Path) -> Vec<Wanted> {
    let one = |purpose, key: &str, path: &Path| Wanted {
        purpose,
        key: key.to_owned(),
        path: path.to_owned(),
    };
    let Some(asked) = asked else {
        return vec![one(PlacePurpose::State, "state_dir", state_dir)];
    };
    let config = asked.config;
    let mut all = vec![one(PlacePurpose::State, "state_dir", &config.state_dir)];
    if !config.engines.is_empty() {
        all.push(one(PlacePurpose::Sockets, "socket_dir", &config.socket_dir));
    }
    let mut log = |key: &str, file: Option<&PathBuf>| {
        let Some(directory) = file.and_then(|file| file.parent()) else { return };
        let listed = |each: &Wanted| each.purpose == PlacePurpose::Log && each.path == directory;
        if !all.iter().any(listed) {
            all.push(one(PlacePurpose::Log, key, directory));
        }
    };
    log("control_log_file", config.control_log.file.as_ref());
    for engine in &config.engines {
        log(&asked.engine_key(engine.index, "log_file"), engine.log_file.as_ref());
    }
    if let Some(metadata) = &config.control_metadata {
        all.push(one(PlacePurpose::Metadata, "control_metadata.path", &metadata.path));
    }
    all
}

/// Looks at one.
pub(super) fn look(wanted: Wanted) -> PlaceFacts {
    let Wanted { purpose, key, path } = wanted;
    let existing = path.ancestors().find(|each| each.exists()).unwrap_or(Path::new("/")).to_owned();
    let files = filesystem_of(&existing).ok();
    let in_memory = files
        .as_ref()
        .is_some_and(|files| matches!(files.kind, FilesystemKind::Tmpfs | FilesystemKind::Ramfs));
    // A file system without a limit says that it has no room at all.
    let limited = files.as_ref().filter(|files| files.total_bytes > 0);
    PlaceFacts {
        purpose,
        key,
        path,
        searchable: access(&existing, Access::EXEC_OK).is_ok(),
        writable: access(&existing, Access::WRITE_OK | Access::EXEC_OK).is_ok()
            && files.as_ref().is_none_or(|files| !files.read_only),
        available: limited.map(|files| files.available_bytes),
        in_memory,
        existing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_told_by_the_nearest_one_that_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let wanted = wanted(None, &path);
        assert_eq!(wanted.len(), 1);
        let found = look(wanted[0].clone());
        assert_eq!((found.path, found.existing), (path, directory.path().to_owned()));
        assert!(found.writable && found.available.is_some());
    }
}
