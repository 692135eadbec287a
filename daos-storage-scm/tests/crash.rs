//! A format that is cut off before any of its steps, by a process that aborts there: what is seen afterwards is
//! never 'formatted' unless nothing was touched, and a later format works (promise 1).

mod rig;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use daos_storage_scm::conformance::Fixture;
use daos_storage_scm::{
    Intent, PlanFacts, RamForm, RamSpec, ScmReadiness, ScmTarget, SilentObserver, StepObserver,
    plan,
};
use rig::{RAM_BYTES, Real, dcpm_target, provider, ram_target};

const MOUNT_POINT: &str = "DAOS_SCM_CRASH_MOUNT_POINT";
const DEVICE: &str = "DAOS_SCM_CRASH_DEVICE";
const FORM: &str = "DAOS_SCM_CRASH_FORM";
const REFORMAT: &str = "DAOS_SCM_CRASH_REFORMAT";
const STEP: &str = "DAOS_SCM_CRASH_STEP";

/// Kills the process when it is told of a step.
struct AbortAt {
    step: usize,
    told: AtomicUsize,
}

impl StepObserver for AbortAt {
    fn step(&self, _step: &str) {
        if self.told.fetch_add(1, Ordering::SeqCst) == self.step {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
            std::process::abort();
        }
    }
}

/// Not a test of its own: the process that the tests below start and that aborts.
#[test]
#[ignore = "run by the other tests of this file"]
fn child_formats_and_aborts() {
    let Some(mount_point) = std::env::var_os(MOUNT_POINT) else { return };
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    let mount_point = Path::new(&mount_point);
    let target = match text(DEVICE).as_str() {
        "" => ram_target(mount_point, spec(text(FORM) == "directory")),
        device => dcpm_target(mount_point, Path::new(device)),
    };
    let superblock_seen = text(REFORMAT) == "yes";
    let intent = if superblock_seen { Intent::Reformat } else { Intent::Plain };
    let observer =
        AbortAt { step: text(STEP).parse().expect("a number"), told: AtomicUsize::new(0) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(format(&target, intent, superblock_seen, &observer));
}

fn spec(directory: bool) -> RamSpec {
    match directory {
        true => RamSpec { form: RamForm::Directory, ..RamSpec::default() },
        false => RamSpec { size_bytes: Some(RAM_BYTES), ..RamSpec::default() },
    }
}

async fn format(
    target: &ScmTarget,
    intent: Intent,
    superblock_seen: bool,
    steps: &dyn StepObserver,
) {
    let observed = provider().observe(target).await.expect("observe");
    let facts = PlanFacts { superblock_seen, ..PlanFacts::default() };
    let plan = plan(target, &observed, intent, &facts).expect("plan");
    let digest = plan.digest().clone();
    let accepted = plan.accept(&digest).expect("its own digest");
    provider().format(accepted, steps).await.expect("format");
}

/// Runs a format that aborts before step `step`; whether it did, or came to its end.
fn crash(real: &Real, reformat: bool, step: usize) -> bool {
    let directory = real.target.ram().is_some_and(|ram| ram.form == RamForm::Directory);
    let device = real.target.device().map(Path::to_owned).unwrap_or_default();
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_formats_and_aborts", "--ignored"])
        .env(MOUNT_POINT, real.mount_point())
        .env(DEVICE, device)
        .env(FORM, if directory { "directory" } else { "tmpfs" })
        .env(REFORMAT, if reformat { "yes" } else { "no" })
        .env(STEP, step.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("a process");
    let aborted = status.signal() == Some(rustix::process::Signal::KILL.as_raw());
    assert!(aborted || status.success(), "{status}");
    aborted
}

/// What the control plane does before it judges: mount what can be mounted.
async fn settle(real: &Real) -> ScmReadiness {
    let observed = provider().observe(&real.target).await.expect("observe");
    match observed.readiness(&real.target) {
        ScmReadiness::Mountable => {
            provider().mount(&real.target).await.expect("mount");
            let observed = provider().observe(&real.target).await.expect("observe");
            observed.readiness(&real.target)
        }
        other => other,
    }
}

/// Lets a format crash before each of its steps in turn, each time on a fresh medium.
async fn crash_everywhere(make: impl Fn() -> Option<Real>, reformat: bool) {
    for step in 0.. {
        let Some(real) = make() else { return };
        if reformat {
            format(&real.target, Intent::Plain, false, &SilentObserver).await;
            real.put_file("superblock");
            real.put_file("vos-0");
        }
        let aborted = crash(&real, reformat, step);
        let readiness = settle(&real).await;
        let files = real.files();
        match &readiness {
            ScmReadiness::Reachable { entries, .. } if entries.contains("superblock") => {
                assert!(reformat && aborted, "step {step}: formatted out of nothing");
                assert_eq!(files, ["superblock", "vos-0"], "step {step}: half of what there was");
            }
            ScmReadiness::Reachable { entries, .. } => {
                assert!(entries.is_empty(), "step {step}: {entries} was left");
            }
            ScmReadiness::NotFormatted => assert!(aborted, "step {step}: not formatted at the end"),
            other => panic!("step {step}: {other:?}"),
        }
        let seen = files.iter().any(|name| name == "superblock");
        if !seen && !files.iter().any(|name| name == "vos-0") {
            format(&real.target, Intent::Plain, false, &SilentObserver).await;
        }
        format(&real.target, Intent::Reformat, seen, &SilentObserver).await;
        assert!(fs::read_dir(real.mount_point()).is_ok() && real.files().is_empty());
        if !aborted {
            assert!(step >= 2, "a format has more steps than {step}");
            return;
        }
    }
}

#[tokio::test]
async fn a_first_format_on_tmpfs_survives_a_crash_anywhere() {
    crash_everywhere(|| Real::tmpfs("a_first_format_on_tmpfs"), false).await;
}

#[tokio::test]
async fn a_reformat_on_tmpfs_survives_a_crash_anywhere() {
    crash_everywhere(|| Real::tmpfs("a_reformat_on_tmpfs"), true).await;
}

#[tokio::test]
async fn a_first_format_in_a_directory_survives_a_crash_anywhere() {
    crash_everywhere(|| Real::directory("a_first_format_in_a_directory"), false).await;
}

#[tokio::test]
async fn a_reformat_in_a_directory_survives_a_crash_anywhere() {
    crash_everywhere(|| Real::directory("a_reformat_in_a_directory"), true).await;
}

#[tokio::test]
async fn a_first_format_of_a_device_survives_a_crash_anywhere() {
    crash_everywhere(|| Real::loop_device("a_first_format_of_a_device"), false).await;
}

#[tokio::test]
async fn a_reformat_of_a_device_survives_a_crash_anywhere() {
    crash_everywhere(|| Real::loop_device("a_reformat_of_a_device"), true).await;
}
