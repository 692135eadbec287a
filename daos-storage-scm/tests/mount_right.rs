//! Whether this process may mount is found by trying: a uid of 0 does not tell, nor does another one (R117).

mod rig;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use daos_blockdev::testing::{Turn, skipped};
use daos_storage_scm::{
    Intent, Medium, MountRight, PlanFacts, RamForm, RamSpec, ScmForm, SilentObserver, plan,
};
use rig::{OnShm, provider, ram_target};

const TARGET: &str = "DAOS_SCM_TEST_TARGET";

/// Not a test of its own: what the others run in a namespace. Prints the right, and what a plain format did.
#[test]
#[ignore = "run by the other tests of this file"]
fn child_formats_and_tells() {
    let Some(path) = std::env::var_os(TARGET) else { return };
    let target =
        ram_target(Path::new(&path), RamSpec { form: RamForm::Auto, ..RamSpec::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let text = runtime.block_on(async {
        let observed = provider().observe(&target).await.expect("observe");
        let Medium::Ram(facts) = &observed.medium else { panic!("class ram") };
        let right = if facts.may_mount == MountRight::Allowed { "may" } else { "may not" };
        let done = match plan(&target, &observed, Intent::Plain, &PlanFacts::default()) {
            Err(error) => format!("refused {}", error.code()),
            Ok(plan) => {
                let digest = plan.digest().clone();
                let accepted = plan.accept(&digest).expect("its own digest");
                match provider().format(accepted, &SilentObserver).await {
                    Ok(mounted) if mounted.form == ScmForm::Tmpfs => "tmpfs".to_owned(),
                    Ok(mounted) => mounted.form.to_string(),
                    Err(error) => format!("failed {}: {error}", error.code()),
                }
            }
        };
        format!("answer: {right}, {done}\n")
    });
    std::io::stdout().write_all(text.as_bytes()).expect("stdout");
}

fn in_namespace(arguments: &[&str], target: &Path) -> std::io::Result<Output> {
    Command::new("unshare")
        .args(arguments)
        .arg(std::env::current_exe()?)
        .args(["--exact", "child_formats_and_tells", "--ignored", "--nocapture"])
        .env(TARGET, target)
        .stdin(Stdio::null())
        .output()
}

fn answer(test: &str, arguments: &[&str], target: &Path) -> Option<String> {
    let _turn = Turn::alone();
    let output = match in_namespace(arguments, target) {
        Ok(output) => output,
        Err(error) => {
            skipped(test, &format!("the program unshare ({error})"));
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.lines().find_map(|line| line.split_once("answer: ")) {
        Some((_, answer)) => Some(answer.to_owned()),
        None => {
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(why.contains("unshare"), "{said}{why}");
            skipped(test, "user namespaces");
            None
        }
    }
}

#[test]
fn uid_0_that_may_not_mount_takes_a_directory() {
    let test = "uid_0_that_may_not_mount";
    let Some(shm) = OnShm::new(test) else { return };
    // Mapped to uid 0 in a user namespace, but in a mount namespace that belongs to another.
    let Some(answer) = answer(test, &["--user", "--map-root-user"], shm.path()) else { return };
    assert_eq!(answer, "may not, directory on a tmpfs");
    assert!(shm.path().is_dir());
}

#[test]
fn a_uid_that_may_mount_takes_a_tmpfs() {
    let test = "a_uid_that_may_mount";
    let dir = tempfile::tempdir().expect("directory");
    let arguments = ["--user", "--map-root-user", "--mount"];
    let target = dir.path().join("daos0");
    let Some(answer) = answer(test, &arguments, &target) else { return };
    assert_eq!(answer, "may, tmpfs");
    assert!(daos_blockdev::mount_at(&target).expect("table").is_none(), "it was private");
}

#[test]
fn without_the_right_and_without_a_tmpfs_it_is_refused_r117() {
    let test = "without_the_right";
    let dir = tempfile::tempdir().expect("directory");
    let on_tmpfs = daos_blockdev::filesystem_of(dir.path()).expect("file system").kind
        == daos_blockdev::FilesystemKind::Tmpfs;
    let target = dir.path().join("daos0");
    let Some(answer) = answer(test, &["--user", "--map-root-user"], &target) else { return };
    // The temporary directory is no mount point of its own, so the answer is the same on a tmpfs.
    assert_eq!(answer, "may not, refused 1205", "on tmpfs: {on_tmpfs}");
    assert!(!target.exists());
}
