//! Programs that the server runs: where they are, and the version of the one whose version matters.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Access, access};

use super::Roots;
use crate::config::DataPlane;
use crate::engine_command::binary_name;
use crate::fault::Fault;
use crate::preflight::ToolFacts;
use crate::supervisor::find_program;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// The programs, and the word with which one is asked for its version.
const TOOLS: [(&str, Option<&str>); 4] =
    [("blkid", None), ("mkfs.ext4", None), ("ndctl", None), ("ipmctl", Some("version"))];

/// Looks for all of them.
pub(super) async fn find(roots: &Roots) -> Vec<ToolFacts> {
    let mut found = Vec::new();
    for (name, ask) in TOOLS {
        let path = search(roots, name);
        let version = match (&path, ask) {
            (Some(path), Some(word)) => version(path, word).await,
            _ => None,
        };
        found.push(ToolFacts { name, path, version });
    }
    found
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

/// The first word with a digit and a dot in what the program prints: `… Version 02.00.00.3830`.
async fn version(program: &Path, word: &str) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.arg(word).env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null());
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let text = String::from_utf8(output.ok()?.ok()?.stdout).ok()?;
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    text.split_whitespace().find(is_version).map(str::to_owned)
}
