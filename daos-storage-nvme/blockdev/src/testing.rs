//! Test rig: loop devices and mounts that are gone when the test ends, also when it panics.
//!
//! For the tests of the storage crates, ours and others'. Whether a test may do this is found by trying.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Prints the one line that says a test did not run.
pub fn skipped(test: &str, needs: &str) {
    eprintln!("{test}: skipped: needs {needs}");
}

/// Runs a program with its arguments as given.
///
/// # Errors
/// The program is not there or cannot be started.
pub fn run(program: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(arguments).env("LC_ALL", "C").output()
}

/// Runs a program that has to succeed.
///
/// # Panics
/// When it does not, with what it said.
pub fn must_run(program: &str, arguments: &[&str]) {
    let output = run(program, arguments).unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
}

/// A turn among the tests of this machine, ended when dropped.
///
/// A new mount namespace begins as a copy of all mounts, and keeps the file systems of other tests busy. Tests
/// that make one take [`Turn::alone`]; tests that would stumble over such a copy take [`Turn::shared`].
#[derive(Debug)]
pub struct Turn(#[allow(dead_code)] File);

impl Turn {
    /// Waits until no test is alone.
    #[must_use]
    pub fn shared() -> Self {
        Self::take(rustix::fs::FlockOperation::LockShared)
    }

    /// Waits until no other test has a turn.
    #[must_use]
    pub fn alone() -> Self {
        Self::take(rustix::fs::FlockOperation::LockExclusive)
    }

    /// Locks the temporary directory itself, which all tests see and nobody needs to create.
    fn take(how: rustix::fs::FlockOperation) -> Self {
        let dir = File::open(std::env::temp_dir()).expect("temporary directory");
        rustix::fs::flock(&dir, how).expect("lock on the temporary directory");
        Self(dir)
    }
}

/// A loop device over a sparse file in a temporary directory; detached and removed when dropped.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    backing: PathBuf,
    _dir: TempDir,
}

impl LoopDevice {
    /// Attaches one of `size` bytes, or prints that the test is skipped and returns `None` where this process
    /// may not.
    ///
    /// # Panics
    /// When it fails for another reason than a missing right or program.
    #[must_use]
    pub fn attach(test: &str, size: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let backing = dir.path().join("backing file");
        File::create(&backing).and_then(|file| file.set_len(size)).expect("backing file");
        let path = attach(test, &backing)?;
        Some(Self { path, backing, _dir: dir })
    }

    /// The device, e.g. `/dev/loop3`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The device as text, for arguments of programs.
    #[must_use]
    pub fn path_str(&self) -> &str {
        self.path.to_str().expect("loop device names are ASCII")
    }

    /// The file it stands on.
    #[must_use]
    pub fn backing_file(&self) -> &Path {
        &self.backing
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", self.path_str()]);
    }
}

/// A second loop device standing on an existing file or device; detached when dropped.
#[derive(Debug)]
pub struct LoopOver {
    path: PathBuf,
}

impl LoopOver {
    /// Attaches one, or says why the test is skipped.
    #[must_use]
    pub fn attach(test: &str, backing: &Path) -> Option<Self> {
        attach(test, backing).map(|path| Self { path })
    }

    /// The device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopOver {
    fn drop(&mut self) {
        let _ = run("losetup", &["--detach", &self.path.to_string_lossy()]);
    }
}

fn attach(test: &str, backing: &Path) -> Option<PathBuf> {
    let backing = backing.to_str().expect("temporary paths are UTF-8");
    let output = match run("losetup", &["--find", "--show", backing]) {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skipped(test, "the program losetup");
            return None;
        }
        Err(error) => panic!("losetup: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let may_not = ["Permission denied", "Operation not permitted", "No such file or directory"];
        assert!(may_not.iter().any(|reason| said.contains(reason)), "losetup: {said}");
        skipped(test, "root");
        return None;
    }
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if let Err(error) = File::open(&path) {
        let _ = run("losetup", &["--detach", &path.to_string_lossy()]);
        skipped(test, &format!("access to loop devices ({error})"));
        return None;
    }
    Some(path)
}

/// A mount that is undone when dropped.
#[derive(Debug)]
pub struct MountGuard {
    target: PathBuf,
}

impl MountGuard {
    /// Mounts a tmpfs of 16 MiB on an existing directory, or says why the test is skipped.
    #[must_use]
    pub fn tmpfs(test: &str, target: &Path) -> Option<Self> {
        let target = target.to_str().expect("temporary paths are UTF-8");
        Self::mount(test, &["-t", "tmpfs", "-o", "size=16m", "tmpfs", target])
    }

    /// Mounts a device on an existing directory, or says why the test is skipped.
    #[must_use]
    pub fn device(test: &str, device: &Path, target: &Path) -> Option<Self> {
        let device = device.to_str().expect("device names are ASCII");
        let target = target.to_str().expect("temporary paths are UTF-8");
        Self::mount(test, &[device, target])
    }

    /// Mounts with the arguments given to `mount`, of which the last is the target.
    ///
    /// # Panics
    /// When it fails for another reason than a missing right.
    #[must_use]
    pub fn mount(test: &str, arguments: &[&str]) -> Option<Self> {
        let output = run("mount", arguments).expect("the program mount");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let may_not = ["permission denied", "must be superuser", "not permitted"];
            assert!(may_not.iter().any(|reason| said.contains(reason)), "mount: {said}");
            skipped(test, "root");
            return None;
        }
        arguments.last().map(|target| Self { target: PathBuf::from(target) })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }
}

impl Drop for MountGuard {
    fn drop(&mut self) {
        let target = self.target.to_string_lossy().into_owned();
        let plain = run("umount", &[&target]);
        if !plain.is_ok_and(|output| output.status.success()) {
            // A test that failed may still have something open there; leave nothing behind all the same.
            let _ = run("umount", &["--lazy", &target]);
        }
    }
}

/// A child process that is ended when dropped.
#[derive(Debug)]
pub struct ChildGuard(pub std::process::Child);

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
