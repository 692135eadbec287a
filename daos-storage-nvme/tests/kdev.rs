//! Kernel devices: real loop devices with real contents and users.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use daos_blockdev::Content;
use daos_blockdev::testing::{LoopDevice, LoopOver, MountGuard, must_run};
use daos_storage_nvme::kdev::KdevBdev;
use daos_storage_nvme::{
    BdevPlan, BdevProvider, BdevTarget, BdevTier, DeviceOutcome, FileOwner, FormatResult, Intent,
    Roles, SilentObserver, StepObserver, TierDevices, plan,
};

const SIZE: u64 = 24 << 20;

fn target(paths: &[&Path]) -> BdevTarget {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    BdevTarget {
        engine: 0,
        host: "n1".to_owned(),
        owner: FileOwner::current(),
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices: TierDevices::Kdev { paths } }],
    }
}

async fn planned(target: &BdevTarget, intent: Intent) -> BdevPlan {
    let observed = KdevBdev.observe(target).await;
    plan(target, &observed, intent).expect("a valid target")
}

async fn run(plan: BdevPlan, observer: &dyn StepObserver) -> Vec<DeviceOutcome> {
    let digest = plan.digest();
    KdevBdev.format(plan.accept(&digest).expect("its digest"), observer).await
}

async fn format(target: &BdevTarget, intent: Intent) -> Vec<DeviceOutcome> {
    run(planned(target, intent).await, &SilentObserver).await
}

fn code(outcome: &DeviceOutcome) -> Option<i32> {
    outcome.result.error().map(|error| error.code())
}

#[tokio::test]
async fn a_foreign_file_system_is_named_refused_and_erased_only_by_a_reformat() {
    let Some(device) = LoopDevice::attach("a_foreign_file_system", SIZE) else { return };
    must_run("mkfs.ext4", &["-q", "-L", "backup 7", device.path_str()]);
    let target = target(&[device.path()]);
    let outcomes = format(&target, Intent::Plain).await;
    assert_eq!(code(&outcomes[0]), Some(1226), "{outcomes:?}");
    let text = outcomes[0].result.error().expect("refused").to_string();
    assert!(text.contains("ext4 file system, label \"backup 7\", uuid "), "{text}");
    assert!(text.contains(&format!("{SIZE} bytes")), "{text}");
    must_run("e2fsck", &["-fn", device.path_str()]);

    let outcomes = format(&target, Intent::Reformat).await;
    assert!(matches!(outcomes[0].result, FormatResult::Formatted), "{outcomes:?}");
    assert_eq!(daos_blockdev::inspect(device.path()).expect("inspect").content, Content::Blank);
}

/// An SCM device in a bdev list is a mistake, not our own block device.
#[tokio::test]
async fn an_scm_file_system_is_not_taken_for_our_block_device() {
    let Some(device) = LoopDevice::attach("an_scm_file_system", SIZE) else { return };
    must_run("mkfs.ext4", &["-q", "-L", "daos", device.path_str()]);
    assert_eq!(code(&format(&target(&[device.path()]), Intent::Plain).await[0]), Some(1226));
}

#[tokio::test]
async fn what_is_mounted_or_held_is_refused_even_for_a_reformat() {
    let test = "what_is_mounted_or_held";
    let Some(mounted) = LoopDevice::attach(test, SIZE) else { return };
    let Some(held) = LoopDevice::attach(test, SIZE) else { return };
    let Some(free) = LoopDevice::attach(test, SIZE) else { return };
    must_run("mkfs.ext4", &["-q", mounted.path_str()]);
    let dir = tempfile::tempdir().expect("directory");
    let Some(mount) = MountGuard::device(test, mounted.path(), dir.path()) else { return };
    fs::write(dir.path().join("file"), "precious").expect("write");
    let Some(_upper) = LoopOver::attach(test, held.path()) else { return };

    let target = target(&[mounted.path(), held.path(), free.path()]);
    for intent in [Intent::Plain, Intent::Reformat] {
        let outcomes = format(&target, intent).await;
        assert_eq!(
            outcomes.iter().map(code).collect::<Vec<_>>(),
            [Some(1225), Some(1225), None],
            "{outcomes:?}"
        );
        let text = outcomes[0].result.error().expect("refused").to_string();
        assert!(text.contains(&format!("mounted on {}", dir.path().display())), "{text}");
    }
    assert_eq!(fs::read(dir.path().join("file")).expect("still there"), b"precious");
    drop(mount);
    must_run("e2fsck", &["-fn", mounted.path_str()]);
}

/// Mounts the device when the step is announced: after every check of the plan, before the write.
struct MountNow<'a> {
    device: &'a Path,
    target: &'a Path,
    guard: std::sync::Mutex<Option<MountGuard>>,
}

impl StepObserver for MountNow<'_> {
    fn step(&self, _step: &str) {
        let guard = MountGuard::device("mounted_at_the_last_moment", self.device, self.target);
        *self.guard.lock().expect("lock") = guard;
    }
}

/// W9
#[tokio::test]
async fn a_device_mounted_at_the_last_moment_is_not_erased() {
    let test = "a_device_mounted_at_the_last_moment";
    let Some(device) = LoopDevice::attach(test, SIZE) else { return };
    must_run("mkfs.ext4", &["-q", device.path_str()]);
    let dir = tempfile::tempdir().expect("directory");
    let target = target(&[device.path()]);
    let plan = planned(&target, Intent::Reformat).await;
    let guard = std::sync::Mutex::new(None);
    let observer = MountNow { device: device.path(), target: dir.path(), guard };
    let outcomes = run(plan, &observer).await;
    if observer.guard.lock().expect("lock").take().is_none() {
        return; // said so already
    }
    assert_eq!(code(&outcomes[0]), Some(1220), "{outcomes:?}");
    must_run("e2fsck", &["-fn", device.path_str()]);
}

#[tokio::test]
async fn another_device_behind_the_same_name_is_not_erased() {
    let test = "another_device_behind_the_same_name";
    let Some(planned_for) = LoopDevice::attach(test, SIZE) else { return };
    let Some(other) = LoopDevice::attach(test, SIZE) else { return };
    let write = |device: &LoopDevice| {
        let file = File::options().write(true).open(device.path()).expect("open");
        file.write_all_at(b"data", 9000).expect("write");
        file.sync_all().expect("sync");
    };
    write(&planned_for);
    write(&other);
    let dir = tempfile::tempdir().expect("directory");
    let link = dir.path().join("by-id-link");
    symlink(planned_for.path(), &link).expect("link");
    let target = target(&[&link]);
    let plan = planned(&target, Intent::Reformat).await;
    assert!(plan.destroys());
    fs::remove_file(&link).expect("remove");
    symlink(other.path(), &link).expect("link");
    let outcomes = run(plan, &SilentObserver).await;
    assert_eq!(code(&outcomes[0]), Some(1230), "{outcomes:?}");
    for device in [&planned_for, &other] {
        let content = daos_blockdev::inspect(device.path()).expect("inspect").content;
        assert_eq!(content, Content::Unrecognised { first_data: 9000 });
    }
}

#[tokio::test]
async fn one_device_under_two_names_is_refused() {
    let Some(device) = LoopDevice::attach("one_device_under_two_names", SIZE) else { return };
    let dir = tempfile::tempdir().expect("directory");
    let link = dir.path().join("link");
    symlink(device.path(), &link).expect("link");
    let outcomes = format(&target(&[device.path(), &link]), Intent::Plain).await;
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), [Some(305), Some(305)]);
}

#[tokio::test]
async fn missing_devices_and_files_are_told_apart() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("file");
    File::create(&file).expect("file");
    let absent = dir.path().join("absent");
    let outcomes = format(&target(&[&absent, &file]), Intent::Reformat).await;
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), [Some(1215), Some(1216)]);
}
