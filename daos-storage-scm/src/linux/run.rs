//! The one place that runs programs: argument arrays, no shell, no inherited environment, a deadline, and all
//! they said in the error.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::ScmError;
use crate::plan::LABEL;

pub(super) const MKFS: &str = "mkfs.ext4";

/// Options of contract 7.3 for a real device. `-i` leaves about one inode per 64 MiB: an engine makes few
/// and large files. A small loop device in a test gets as few as 32.
const MKFS_OPTIONS: &[&str] = &[
    "-q",
    "-D",
    "-L",
    LABEL,
    "-m",
    "0",
    "-b",
    "4096",
    "-I",
    "128",
    "-i",
    "67108864",
    "-E",
    "stride=512,lazy_itable_init=0,lazy_journal_init=0,nodiscard,packed_meta_blocks=1",
    "-O",
    "flex_bg,^uninit_bg,^resize_inode,^extra_isize,sparse_super2,^metadata_csum",
    "-G",
    "128",
];

/// At most this much of a program's output is kept.
const OUTPUT_KEPT: usize = 4096;

/// Where programs are looked for, and how long one may take.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    pub(super) dirs: Vec<PathBuf>,
    pub(super) deadline: Duration,
}

impl Runner {
    /// The system's own directories first: a program of that name elsewhere in `PATH` is not trusted before
    /// them.
    pub(super) fn new() -> Self {
        let mut dirs: Vec<PathBuf> =
            ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().map(PathBuf::from).collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        dirs.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
        Self { dirs, deadline: Duration::from_secs(30 * 60) }
    }

    /// Finds a program.
    pub(super) fn find(&self, tool: &str, device: &Path) -> Result<PathBuf, ScmError> {
        let found = self.dirs.iter().map(|dir| dir.join(tool)).find(|path| path.is_file());
        found.ok_or_else(|| ScmError::MissingTool {
            tool: tool.to_owned(),
            device: device.to_owned(),
            searched: std::env::join_paths(&self.dirs)
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        })
    }

    /// Makes our ext4 on `pinned`, which leads to the device that errors call `device`.
    pub(super) async fn make_ext4(&self, device: &Path, pinned: &Path) -> Result<(), ScmError> {
        let mut arguments: Vec<OsString> = MKFS_OPTIONS.iter().map(OsString::from).collect();
        // Never -F: mkfs itself then refuses a device that is mounted or claimed.
        arguments.push(pinned.into());
        self.run(MKFS, &arguments, device).await.map(drop)
    }

    /// Runs a program that has to succeed, and gives its standard output. `device` is what errors name.
    pub(super) async fn run(
        &self,
        tool: &str,
        arguments: &[OsString],
        device: &Path,
    ) -> Result<String, ScmError> {
        let program = self.find(tool, device)?;
        let words = arguments.iter().map(|word| word.to_string_lossy().into_owned());
        let command = std::iter::once(tool.to_owned()).chain(words).collect::<Vec<_>>().join(" ");
        let failed = |status: String, output: String| ScmError::CommandFailed {
            command: command.clone(),
            device: device.to_owned(),
            status,
            output,
        };
        let child = Command::new(&program)
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("not started".to_owned(), error.to_string()))?;
        let output = match tokio::time::timeout(self.deadline, child.wait_with_output()).await {
            Err(_) => {
                let status = format!("ended after {} s", self.deadline.as_secs());
                return Err(failed(status, String::new()));
            }
            Ok(Err(error)) => return Err(failed("not awaited".to_owned(), error.to_string())),
            Ok(Ok(output)) => output,
        };
        let said = said(&output.stdout, &output.stderr);
        if output.status.success() {
            tracing::debug!(device = %device.display(), "{command}: {said}");
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(output.status.to_string(), said))
    }
}

/// Whether mkfs found the device claimed by somebody.
pub(super) fn found_in_use(error: &ScmError) -> bool {
    matches!(error, ScmError::CommandFailed { output, .. } if output.contains("in use"))
}

fn said(stdout: &[u8], stderr: &[u8]) -> String {
    let texts = [stdout, stderr].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let mut text = texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    if text.len() > OUTPUT_KEPT {
        let end = (0..=OUTPUT_KEPT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fake_tool(script: &str) -> (tempfile::TempDir, Runner) {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join(MKFS);
        std::fs::write(&path, script).expect("script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let runner =
            Runner { dirs: vec![dir.path().to_owned()], deadline: Duration::from_secs(20) };
        (dir, runner)
    }

    #[tokio::test]
    async fn both_outputs_of_a_failed_program_are_in_the_error_e4() {
        let (_dir, runner) =
            fake_tool("#!/bin/sh\necho to stdout $LC_ALL $HOME\necho to stderr >&2\nexit 3\n");
        let error = runner
            .make_ext4(Path::new("/dev/pmem0"), Path::new("/proc/1/fd/3"))
            .await
            .expect_err("fails");
        assert_eq!(error.code(), 1210);
        let text = error.to_string();
        for part in ["/dev/pmem0", "exit status: 3", "to stdout C\nto stderr", "-L daos"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error_of_its_own_e4() {
        let dir = tempfile::tempdir().expect("directory");
        let runner = Runner { dirs: vec![dir.path().to_owned()], deadline: Duration::from_secs(1) };
        let error = runner.find(MKFS, Path::new("/dev/pmem0")).expect_err("missing");
        assert_eq!(error.code(), 1);
        assert!(error.to_string().contains("mkfs.ext4"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended() {
        let (_dir, mut runner) = fake_tool("#!/bin/sh\nexec /bin/sleep 600\n");
        runner.deadline = Duration::from_millis(50);
        let error = runner
            .make_ext4(Path::new("/dev/pmem0"), Path::new("/dev/null"))
            .await
            .expect_err("hangs");
        assert!(error.to_string().contains("ended after"), "{error}");
    }

    #[test]
    fn output_is_capped_between_characters() {
        let long = "ü".repeat(OUTPUT_KEPT);
        let text = said(long.as_bytes(), b"");
        assert!(text.len() <= OUTPUT_KEPT + 4 && text.ends_with('…'));
    }

    #[test]
    fn options_are_those_of_the_contract() {
        assert_eq!(
            MKFS_OPTIONS.join(" "),
            "-q -D -L daos -m 0 -b 4096 -I 128 -i 67108864 -E stride=512,lazy_itable_init=0,\
             lazy_journal_init=0,nodiscard,packed_meta_blocks=1 -O flex_bg,^uninit_bg,\
             ^resize_inode,^extra_isize,sparse_super2,^metadata_csum -G 128"
        );
    }
}
