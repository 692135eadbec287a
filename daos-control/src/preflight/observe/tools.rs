//! What the server runs or loads: where its programs are, and the tools of persistent memory as the server itself would use them.

use std::path::PathBuf;

use daos_storage_scm::linux::LinuxScm;
use rustix::fs::{Access, access};

use super::Roots;
use crate::config::DataPlane;
use crate::engine_command::binary_name;
use crate::fault::Fault;
use crate::preflight::facts::{LIBIPMCTL, ToolFacts};
use crate::supervisor::find_program;

/// The programs.
const PROGRAMS: [&str; 3] = ["blkid", "mkfs.ext4", "ndctl"];

/// Looks for all of them. The version of libipmctl is that of the library which is loaded to look at modules: a program of that name
/// may be another one, and need not be there.
pub(super) async fn find(roots: &Roots) -> Vec<ToolFacts> {
    let provider = LinuxScm::new().with_tool_dirs(roots.programs.clone());
    let versions = provider.tool_versions().await;
    let of = |name: &str| versions.iter().find(|tool| tool.tool == name);
    let program = |name: &'static str| ToolFacts {
        name,
        path: search(roots, name),
        version: of(name).and_then(|tool| tool.version.clone()),
        problem: of(name).and_then(|tool| tool.problem.clone()),
    };
    let library = of(LIBIPMCTL);
    let there = library.filter(|tool| tool.version.is_some() || tool.problem.is_some());
    let library = ToolFacts {
        name: LIBIPMCTL,
        path: there.map(|_| PathBuf::from(LIBIPMCTL)),
        version: library.and_then(|tool| tool.version.clone()),
        problem: library.and_then(|tool| tool.problem.clone()),
    };
    PROGRAMS.map(program).into_iter().chain([library]).collect()
}

/// The program of the data plane, as a start looks for it.
pub(super) fn engine_program(plane: DataPlane) -> Result<PathBuf, Fault> {
    let path = std::env::var_os("PATH");
    let running = std::env::current_exe().unwrap_or_default();
    find_program(binary_name(plane), path.as_deref(), &running).map_err(Fault::from)
}

fn search(roots: &Roots, name: &str) -> Option<PathBuf> {
    let runs = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    roots.programs.iter().map(|directory| directory.join(name)).find(runs)
}
