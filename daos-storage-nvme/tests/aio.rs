//! Files on real file systems: full, without reservation, exchanged behind our back.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use daos_blockdev::testing::{LoopDevice, MountGuard, must_run, skipped};
use daos_storage_nvme::aio::AioBdev;
use daos_storage_nvme::{
    BdevProvider, BdevTarget, BdevTier, DeviceOutcome, FileOwner, FormatResult, Intent, Roles,
    SilentObserver, StepObserver, TierDevices, plan,
};
use tempfile::TempDir;

const GIB: u64 = 1 << 30;

fn temporary() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory")
}

fn target(paths: &[&Path]) -> BdevTarget {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    let devices = TierDevices::File { paths, size_gib: 1 };
    BdevTarget {
        engine: 0,
        host: "n1".to_owned(),
        owner: FileOwner::current(),
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    }
}

async fn format_observed_by(
    target: &BdevTarget,
    intent: Intent,
    observer: &dyn StepObserver,
) -> Vec<DeviceOutcome> {
    let observed = AioBdev.observe(target).await;
    let plan = plan(target, &observed, intent).expect("a valid target");
    let digest = plan.digest();
    AioBdev.format(plan.accept(&digest).expect("its digest"), observer).await
}

async fn format(target: &BdevTarget, intent: Intent) -> Vec<DeviceOutcome> {
    format_observed_by(target, intent, &SilentObserver).await
}

fn code(outcome: &DeviceOutcome) -> Option<i32> {
    outcome.result.error().map(|error| error.code())
}

/// R59
#[tokio::test]
async fn an_absent_file_is_made_in_its_full_size_for_its_owner_alone() {
    let dir = temporary();
    let path = dir.path().join("bdev file");
    let outcomes = format(&target(&[&path]), Intent::Plain).await;
    assert!(matches!(outcomes[0].result, FormatResult::Formatted), "{outcomes:?}");
    let metadata = fs::metadata(&path).expect("made");
    assert_eq!(metadata.len(), GIB);
    assert!(metadata.blocks() * 512 >= GIB, "reserved on the medium");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o660);
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "nothing is left over");
}

/// W15
#[tokio::test]
async fn a_full_file_system_is_an_error_and_nothing_stays() {
    let dir = temporary();
    let Some(_mount) = MountGuard::tmpfs("a_full_file_system", dir.path()) else { return };
    let path = dir.path().join("f");
    let outcomes = format(&target(&[&path]), Intent::Plain).await;
    assert_eq!(code(&outcomes[0]), Some(1234), "{outcomes:?}");
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);

    // An existing empty file is as it was.
    File::create(&path).expect("empty file");
    let outcomes = format(&target(&[&path]), Intent::Plain).await;
    assert_eq!(code(&outcomes[0]), Some(1234));
    assert_eq!(fs::metadata(&path).expect("still there").len(), 0);
}

/// W15, E6: only where nothing can be reserved, the size alone is enough.
#[tokio::test]
async fn a_file_system_without_reservation_gets_the_size_alone() {
    let test = "a_file_system_without_reservation";
    let Some(device) = LoopDevice::attach(test, 2 * GIB) else { return };
    // ext4 cannot reserve space in files without extents.
    must_run("mkfs.ext4", &["-q", "-O", "^extent,^64bit", device.path_str()]);
    let dir = temporary();
    let Some(_mount) = MountGuard::device(test, device.path(), dir.path()) else { return };
    let path = dir.path().join("f");
    let probe = File::create(dir.path().join("probe")).expect("probe");
    let reserved = rustix::fs::fallocate(&probe, rustix::fs::FallocateFlags::empty(), 0, 4096);
    if reserved.is_ok() {
        skipped(test, "a file system that cannot reserve space");
        return;
    }
    let outcomes = format(&target(&[&path]), Intent::Plain).await;
    assert!(matches!(outcomes[0].result, FormatResult::Formatted), "{outcomes:?}");
    assert_eq!(fs::metadata(&path).expect("made").len(), GIB);
}

#[tokio::test]
async fn what_an_earlier_format_left_half_done_is_replaced() {
    let dir = temporary();
    let path = dir.path().join("f");
    fs::write(dir.path().join(".f.daos-new"), "half a file").expect("left-over");
    let outcomes = format(&target(&[&path]), Intent::Plain).await;
    assert!(matches!(outcomes[0].result, FormatResult::Formatted), "{outcomes:?}");
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
}

/// R59, E6
#[tokio::test]
async fn relative_paths_and_missing_directories_are_refused() {
    let dir = temporary();
    let absent = dir.path().join("absent/f");
    let outcomes = format(&target(&[Path::new("relative"), &absent]), Intent::Reformat).await;
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), [Some(1229), Some(1229)]);
    assert!(!Path::new("relative").exists());
}

/// Does something to the world just before a step.
struct Meddler<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> StepObserver for Meddler<F> {
    fn step(&self, _step: &str) {
        (self.0)();
    }
}

#[tokio::test]
async fn a_file_that_appears_at_the_last_moment_is_not_replaced() {
    let dir = temporary();
    let path = dir.path().join("f");
    let meddler = Meddler(|| fs::write(&path, "precious").expect("write"));
    let outcomes = format_observed_by(&target(&[&path]), Intent::Reformat, &meddler).await;
    assert_eq!(code(&outcomes[0]), Some(1230), "{outcomes:?}");
    assert_eq!(fs::read(&path).expect("still there"), b"precious");
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
}

#[tokio::test]
async fn a_file_exchanged_at_the_last_moment_is_not_touched() {
    let dir = temporary();
    let path = dir.path().join("f");
    let precious = dir.path().join("precious");
    let exchanges: [&(dyn Fn() + Send + Sync); 3] = [
        // another file
        &|| fs::rename(&precious, &path).expect("rename"),
        // a link to it
        &|| {
            fs::remove_file(&path).expect("remove");
            std::os::unix::fs::symlink(&precious, &path).expect("link");
        },
        // the same file with new data
        &|| {
            let file = File::options().write(true).open(&path).expect("open");
            file.write_all_at(b"precious", 0).expect("write");
        },
    ];
    for (number, exchange) in exchanges.into_iter().enumerate() {
        let _ = fs::remove_file(&path);
        fs::write(&path, "to be lost").expect("write");
        fs::write(&precious, "precious").expect("write");
        let outcomes =
            format_observed_by(&target(&[&path]), Intent::Reformat, &Meddler(exchange)).await;
        assert!(outcomes[0].result.error().is_some(), "exchange {number}: {outcomes:?}");
        let kept = fs::read(&path).expect("still there");
        assert!(kept.starts_with(b"precious"), "exchange {number}");
    }
}

#[tokio::test]
async fn a_file_under_a_loop_device_is_refused_even_for_a_reformat() {
    let Some(device) = LoopDevice::attach("a_file_under_a_loop_device", 24 << 20) else { return };
    for intent in [Intent::Plain, Intent::Reformat] {
        let outcomes = format(&target(&[device.backing_file()]), intent).await;
        assert_eq!(code(&outcomes[0]), Some(1225), "{outcomes:?}");
    }
    assert_eq!(fs::metadata(device.backing_file()).expect("file").len(), 24 << 20);
}

#[tokio::test]
async fn the_file_belongs_to_the_user_of_the_engine() {
    let test = "the_file_belongs_to_the_user";
    let dir = temporary();
    let path = dir.path().join("f");
    let mut target = target(&[&path]);
    target.owner = FileOwner { uid: 12345, gid: 54321 };
    let outcomes = format(&target, Intent::Plain).await;
    if code(&outcomes[0]) == Some(105) || code(&outcomes[0]) == Some(302) {
        assert!(!path.exists(), "nothing stays");
        skipped(test, "root");
        return;
    }
    let metadata = fs::metadata(&path).expect("made");
    assert_eq!((metadata.uid(), metadata.gid()), (12345, 54321), "{outcomes:?}");
}

/// R92, R147
#[tokio::test]
async fn good_and_bad_files_are_told_apart() {
    let dir = temporary();
    let [good, foreign, missing] = ["good", "foreign", "no/dir"].map(|name| dir.path().join(name));
    fs::write(&foreign, "precious").expect("write");
    File::options().write(true).open(&foreign).and_then(|f| f.set_len(GIB)).expect("size");
    let target = target(&[&foreign, &good, &missing]);
    let provider: Arc<dyn BdevProvider> = Arc::new(AioBdev);
    let observed = provider.observe(&target).await;
    assert!(observed.iter().all(|device| device.state.is_ok()));
    let outcomes = format(&target, Intent::Plain).await;
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), [Some(1226), None, Some(1229)]);
    assert!(good.exists());
}
