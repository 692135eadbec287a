//! Finding the program of the data plane (contract 4.1): `PATH` first, then beside the running program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::error::SupervisorError;

/// The stand-in data plane; its absence has another remedy than that of an engine.
pub(super) const STAND_IN: &str = "daos_io_server";

/// Absolute path of an executable `name`, looked for in the directories of `path` and then beside `running`.
///
/// Relative entries of `path` are skipped: what is run must not depend on the working directory. There is no fallback
/// to another data plane; the error names both remedies.
pub fn find_program(
    name: &str,
    path: Option<&OsStr>,
    running: &Path,
) -> Result<PathBuf, SupervisorError> {
    let in_path = path.into_iter().flat_map(std::env::split_paths);
    let beside = running.parent().map(Path::to_owned);
    in_path
        .filter(|directory| directory.is_absolute())
        .chain(beside)
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| SupervisorError::ProgramMissing {
            name: name.to_owned(),
            beside: running.to_owned(),
        })
}

fn is_executable(candidate: &Path) -> bool {
    candidate.is_file() && access(candidate, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(directory: &Path, mode: u32) -> PathBuf {
        fs::create_dir_all(directory).unwrap();
        let path = directory.join("daos_engine");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn path_comes_before_the_place_beside_the_server() {
        let root = tempfile::tempdir().unwrap();
        let in_path = program(&root.path().join("first"), 0o755);
        let beside = program(&root.path().join("second"), 0o755);
        let path = std::env::join_paths(["relative".as_ref(), in_path.parent().unwrap()]).unwrap();
        let running = root.path().join("second/daos_server");
        let find = |path: Option<&OsStr>| find_program("daos_engine", path, &running);
        assert_eq!(find(Some(&path)).unwrap(), in_path);
        assert_eq!(find(None).unwrap(), beside);
    }

    #[test]
    fn what_cannot_be_executed_is_not_a_program() {
        let root = tempfile::tempdir().unwrap();
        program(root.path(), 0o644);
        let error = find_program("daos_engine", None, &root.path().join("daos_server"));
        assert!(matches!(error, Err(SupervisorError::ProgramMissing { .. })));
    }
}
