//! Class dcpm on real loop devices: what is made, what is refused, what is left alone.

mod rig;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use daos_blockdev::testing::{ChildGuard, LoopDevice, MountGuard, Turn, must_run, run, skipped};
use daos_blockdev::{Content, inspect};
use daos_storage_scm::conformance::Fixture;
use daos_storage_scm::linux::LinuxScm;
use daos_storage_scm::{
    Intent, Owner, PlanFacts, ScmError, ScmForm, ScmMounted, ScmPlan, ScmProvider, ScmReadiness,
    ScmStep, ScmTarget, SilentObserver, StepObserver, plan,
};
use rig::{Real, Unmounting, dcpm_target, provider};

async fn planned(
    target: &ScmTarget,
    intent: Intent,
    facts: &PlanFacts,
) -> Result<ScmPlan, ScmError> {
    let observed = provider().observe(target).await.expect("observe");
    plan(target, &observed, intent, facts)
}

async fn carry_out(
    provider: &dyn ScmProvider,
    plan: ScmPlan,
    steps: &dyn StepObserver,
) -> Result<ScmMounted, ScmError> {
    let digest = plan.digest().clone();
    provider.format(plan.accept(&digest)?, steps).await
}

async fn format(target: &ScmTarget, intent: Intent) -> Result<ScmMounted, ScmError> {
    let facts = PlanFacts { superblock_seen: intent == Intent::Reformat, ..PlanFacts::default() };
    let plan = planned(target, intent, &facts).await?;
    carry_out(provider().as_ref(), plan, &SilentObserver).await
}

fn code<T>(result: Result<T, ScmError>) -> Option<i32> {
    result.err().map(|error| error.code())
}

fn device(real: &Real) -> &LoopDevice {
    real.device().expect("a loop device")
}

/// A directory with a program of this name in it.
fn tool(name: &str, script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join(name);
    fs::write(&path, script).expect("script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    dir
}

fn with_tools(dir: &Path) -> Arc<dyn ScmProvider> {
    Arc::new(LinuxScm::new().with_tool_dirs(vec![dir.to_owned()]))
}

#[tokio::test]
async fn a_device_gets_our_ext4_with_the_flags_of_r125() {
    let Some(real) = Real::loop_device("a_device_gets_our_ext4") else { return };
    let plan = planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan");
    let names: Vec<_> = plan.steps().iter().map(ScmStep::name).collect();
    assert_eq!(
        names,
        [
            "create-directory",
            "wipe-signatures",
            "make-filesystem",
            "mount-ext4",
            "set-owner",
            "verify"
        ]
    );
    assert!(plan.identity().contains(device(&real).path_str()), "{plan}");
    let mounted = carry_out(provider().as_ref(), plan, &SilentObserver).await.expect("format");
    assert_eq!(mounted.form, ScmForm::Ext4NoDax);
    assert!(mounted.notices.iter().any(|notice| notice.contains("loop device")), "{mounted:?}");
    let mount = daos_blockdev::mount_at(real.mount_point()).expect("table").expect("mounted");
    assert_eq!(mount.fs_type, "ext4");
    assert_eq!(mount.source, device(&real).path().as_os_str());
    for flag in ["noatime", "nosuid", "nodev", "noexec"] {
        assert!(mount.has_option(flag), "{flag} is missing in {:?}", mount.options);
    }
    assert!(mount.super_options.iter().any(|option| option == "nodelalloc"));
    let root = fs::metadata(real.mount_point()).expect("root");
    let owner = Owner::current();
    assert_eq!((root.uid(), root.gid()), (owner.uid, owner.gid));
    assert_eq!(root.permissions().mode() & 0o7777, 0o700);
    let facts = inspect(device(&real).path()).expect("inspect");
    let [signature] = facts.content.signatures() else { panic!("{}", facts.content) };
    assert!(signature.is_daos(), "{signature}");
}

#[tokio::test]
async fn the_little_file_system_of_a_test_holds_what_an_engine_makes() {
    let Some(real) = Real::loop_device("the_little_file_system") else { return };
    format(&real.target, Intent::Plain).await.expect("format");
    // Superblock, device config, and per pool a directory with one file per target.
    for name in ["superblock", "daos_nvme.conf", "control_raft"] {
        fs::write(real.mount_point().join(name), [7u8; 4096]).expect(name);
    }
    fs::create_dir(real.mount_point().join("pool")).expect("directory");
    for target in 0..8 {
        fs::write(real.mount_point().join(format!("pool/vos-{target}")), [7u8; 65536])
            .unwrap_or_else(|error| panic!("vos-{target}: {error}"));
    }
}

#[tokio::test]
async fn what_is_no_usable_device_is_named_r110_e4() {
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("file");
    fs::write(&file, "not a device").expect("file");
    let mount_point = dir.path().join("daos0");
    for (path, expected) in [
        (dir.path().join("absent"), 204),
        (file, 1209),
        (dir.path().to_owned(), 1209),
        (PathBuf::from("/dev/null"), 1209),
    ] {
        let target = dcpm_target(&mount_point, &path);
        for intent in [Intent::Plain, Intent::Reformat] {
            let refused = planned(&target, intent, &PlanFacts::default()).await;
            let refused = refused.expect_err("no usable device");
            assert_eq!(refused.code(), expected, "{refused}");
            assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
        }
        assert_eq!(code(provider().mount(&target).await), Some(expected));
    }
}

#[tokio::test]
async fn a_foreign_file_system_is_named_and_left_alone_w10_w14() {
    let Some(real) = Real::loop_device("a_foreign_file_system") else { return };
    must_run("mkfs.ext4", &["-q", "-L", "home", device(&real).path_str()]);
    let before = inspect(device(&real).path()).expect("inspect").content;
    let refused = planned(&real.target, Intent::Plain, &PlanFacts::default()).await;
    let refused = refused.expect_err("foreign");
    assert_eq!(refused.code(), 101);
    for part in ["ext4", "\"home\"", "uuid"] {
        assert!(refused.to_string().contains(part), "{part} in {refused}");
    }
    assert_eq!(code(provider().mount(&real.target).await), Some(101));
    assert!(daos_blockdev::mount_at(real.mount_point()).expect("table").is_none());
    assert_eq!(inspect(device(&real).path()).expect("inspect").content, before);
    let observed = provider().observe(&real.target).await.expect("observe");
    let readiness = observed.readiness(&real.target);
    assert!(matches!(readiness, ScmReadiness::Unusable { .. }), "{readiness:?}");
}

#[tokio::test]
async fn data_without_a_signature_is_not_blank() {
    let Some(real) = Real::loop_device("data_without_a_signature") else { return };
    let raw = fs::OpenOptions::new().write(true).open(device(&real).path()).expect("open");
    raw.write_all_at(b"somebody's records", 1 << 20).expect("write");
    raw.sync_all().expect("sync");
    drop(raw);
    let refused = planned(&real.target, Intent::Plain, &PlanFacts::default()).await;
    assert_eq!(code(refused), Some(101));
}

#[tokio::test]
async fn a_device_mounted_elsewhere_is_refused_r128() {
    let test = "a_device_mounted_elsewhere";
    let Some(real) = Real::loop_device(test) else { return };
    must_run("mkfs.ext4", &["-q", "-L", "daos", device(&real).path_str()]);
    let elsewhere = tempfile::tempdir().expect("directory");
    let mount = MountGuard::device(test, device(&real).path(), elsewhere.path());
    let Some(mount) = mount else { return };
    for intent in [Intent::Plain, Intent::Reformat] {
        let refused = planned(&real.target, intent, &PlanFacts::default()).await;
        let refused = refused.expect_err("mounted elsewhere");
        assert_eq!(refused.code(), 103);
        assert!(refused.to_string().contains(&elsewhere.path().display().to_string()), "{refused}");
    }
    assert_eq!(code(provider().mount(&real.target).await), Some(103));
    drop(mount);
    provider().mount(&real.target).await.expect("mounted now");
}

#[tokio::test]
async fn a_device_mounted_in_another_namespace_is_refused() {
    let test = "a_device_mounted_in_another_namespace";
    let _turn = Turn::alone();
    let Some(device) = LoopDevice::attach(test, 64 << 20) else { return };
    must_run("mkfs.ext4", &["-q", "-L", "daos", device.path_str()]);
    let dir = tempfile::tempdir().expect("directory");
    let target = dcpm_target(&dir.path().join("daos0"), device.path());
    let script = "mount \"$0\" \"$1\" && echo mounted && exec sleep 600";
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .args([device.path(), dir.path()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare");
    let mut child = ChildGuard(child);
    let mut line = String::new();
    let stdout = child.0.stdout.take().expect("stdout");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("line");
    if line.trim() != "mounted" {
        skipped(test, "mount namespaces");
        return;
    }
    for intent in [Intent::Plain, Intent::Reformat] {
        let refused = planned(&target, intent, &PlanFacts::default()).await;
        let refused = refused.expect_err("mounted in another namespace");
        assert_eq!(refused.code(), 103);
        assert!(refused.to_string().contains("namespace of pid"), "{refused}");
    }
}

#[tokio::test]
async fn something_else_at_the_mount_point_is_refused_r128_e3() {
    let test = "something_else_at_the_mount_point";
    let Some(real) = Real::loop_device(test) else { return };
    fs::create_dir_all(real.mount_point()).expect("directory");
    let Some(mount) = MountGuard::tmpfs(test, real.mount_point()) else { return };
    for intent in [Intent::Plain, Intent::Reformat] {
        let refused = planned(&real.target, intent, &PlanFacts::default()).await;
        assert_eq!(code(refused), Some(104));
    }
    assert_eq!(code(provider().unmount(&real.target).await), Some(104));
    drop(mount);
    fs::write(real.mount_point().join("thesis.tex"), "hidden by a mount").expect("file");
    for intent in [Intent::Plain, Intent::Reformat] {
        let refused = planned(&real.target, intent, &PlanFacts::default()).await;
        assert_eq!(code(refused), Some(1203), "W1");
    }
}

#[tokio::test]
async fn swap_and_partitions_are_in_use_whatever_the_flag() {
    let test = "swap_and_partitions";
    let Some(real) = Real::loop_device(test) else { return };
    let path = device(&real).path_str();
    must_run("mkswap", &[path]);
    if !run("swapon", &[path]).is_ok_and(|output| output.status.success()) {
        skipped(test, "swap on loop devices");
        return;
    }
    let refused = planned(&real.target, Intent::Reformat, &PlanFacts::default()).await;
    must_run("swapoff", &[path]);
    let refused = refused.expect_err("swap");
    assert_eq!(refused.code(), 1201);
    assert!(refused.to_string().contains("swap"), "{refused}");
}

#[tokio::test]
async fn a_device_taken_between_plan_and_wipe_keeps_its_data_w9() {
    struct Taker(PathBuf, std::sync::Mutex<Option<fs::File>>);
    impl StepObserver for Taker {
        fn step(&self, step: &str) {
            if step.starts_with("wipe") {
                use std::os::unix::fs::OpenOptionsExt;
                let exclusive = 0o200;
                let taken = fs::OpenOptions::new().read(true).custom_flags(exclusive).open(&self.0);
                *self.1.lock().expect("lock") = Some(taken.expect("exclusive"));
            }
        }
    }
    let Some(real) = Real::loop_device("a_device_taken") else { return };
    must_run("mkfs.ext4", &["-q", "-L", "home", device(&real).path_str()]);
    let before = inspect(device(&real).path()).expect("inspect").content;
    let plan = planned(&real.target, Intent::Reformat, &PlanFacts::default()).await.expect("plan");
    let taker = Taker(device(&real).path().to_owned(), std::sync::Mutex::default());
    let refused = carry_out(provider().as_ref(), plan, &taker).await;
    assert_eq!(code(refused), Some(1220));
    drop(taker);
    assert_eq!(inspect(device(&real).path()).expect("inspect").content, before);
}

#[tokio::test]
async fn content_that_changes_between_check_and_wipe_is_kept_w9() {
    struct Writer(PathBuf);
    impl StepObserver for Writer {
        fn step(&self, step: &str) {
            if step.starts_with("wipe") {
                let path = self.0.to_str().expect("ASCII");
                must_run("mkfs.ext4", &["-q", "-F", "-L", "quick", path]);
            }
        }
    }
    let Some(real) = Real::loop_device("content_that_changes") else { return };
    let plan = planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan");
    let writer = Writer(device(&real).path().to_owned());
    let refused = carry_out(provider().as_ref(), plan, &writer).await;
    assert_eq!(code(refused), Some(1207));
    let content = inspect(device(&real).path()).expect("inspect").content;
    assert_eq!(content.signatures()[0].label.as_deref(), Some("quick"));
}

#[tokio::test]
async fn another_device_under_the_same_name_is_not_touched() {
    let test = "another_device_under_the_same_name";
    let Some(real) = Real::loop_device(test) else { return };
    let Some(other) = LoopDevice::attach(test, 64 << 20) else { return };
    // The name is a link, as below /dev/disk; it leads to another device once the plan was accepted.
    let dir = tempfile::tempdir().expect("directory");
    let link = dir.path().join("pmem0");
    std::os::unix::fs::symlink(device(&real).path(), &link).expect("link");
    let target = dcpm_target(real.mount_point(), &link);
    let plan = planned(&target, Intent::Reformat, &PlanFacts::default()).await.expect("plan");

    struct Swapper {
        link: PathBuf,
        to: PathBuf,
        at: &'static str,
    }
    impl StepObserver for Swapper {
        fn step(&self, step: &str) {
            if step.starts_with(self.at) {
                fs::remove_file(&self.link).expect("remove");
                std::os::unix::fs::symlink(&self.to, &self.link).expect("link");
            }
        }
    }
    let swapper = |at| Swapper { link: link.clone(), to: other.path().to_owned(), at };
    let refused = carry_out(provider().as_ref(), plan, &swapper("wipe")).await;
    assert_eq!(code(refused), Some(1221));
    assert_eq!(inspect(other.path()).expect("inspect").content, Content::Blank);

    // Exchanged between wipe and mkfs: mkfs works on the device that was claimed, and the check finds out.
    fs::remove_file(&link).expect("remove");
    std::os::unix::fs::symlink(device(&real).path(), &link).expect("link");
    let plan = planned(&target, Intent::Reformat, &PlanFacts::default()).await.expect("plan");
    let refused = carry_out(provider().as_ref(), plan, &swapper("make ext4")).await;
    assert_eq!(code(refused), Some(1221));
    assert_eq!(inspect(other.path()).expect("inspect").content, Content::Blank);
    let made = inspect(device(&real).path()).expect("inspect").content;
    assert!(made.signatures().iter().any(daos_blockdev::Signature::is_daos), "{made}");
}

#[tokio::test]
async fn a_missing_mkfs_is_found_before_anything_is_wiped_e4() {
    let Some(real) = Real::loop_device("a_missing_mkfs") else { return };
    must_run("mkfs.ext4", &["-q", "-L", "home", device(&real).path_str()]);
    let before = inspect(device(&real).path()).expect("inspect").content;
    let empty = tempfile::tempdir().expect("directory");
    let plan = planned(&real.target, Intent::Reformat, &PlanFacts::default()).await.expect("plan");
    let refused = carry_out(with_tools(empty.path()).as_ref(), plan, &SilentObserver).await;
    assert_eq!(code(refused), Some(1));
    assert_eq!(inspect(device(&real).path()).expect("inspect").content, before);
}

#[tokio::test]
async fn a_failing_mkfs_leaves_blank_and_a_plain_format_repairs_it_e4() {
    let Some(real) = Real::loop_device("a_failing_mkfs") else { return };
    let tools = tool("mkfs.ext4", "#!/bin/sh\necho no space for the journal >&2\nexit 1\n");
    let plan = planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan");
    let failed = carry_out(with_tools(tools.path()).as_ref(), plan, &SilentObserver).await;
    let failed = failed.expect_err("mkfs fails");
    assert_eq!(failed.code(), 1210);
    assert!(failed.to_string().contains("no space for the journal"), "{failed}");
    let readiness =
        provider().observe(&real.target).await.expect("observe").readiness(&real.target);
    assert_eq!(readiness, ScmReadiness::NotFormatted);
    format(&real.target, Intent::Plain).await.expect("plain format");
}

#[tokio::test]
async fn a_mkfs_killed_half_way_leaves_what_only_a_reformat_takes() {
    let Some(real) = Real::loop_device("a_mkfs_killed_half_way") else { return };
    let script = "#!/bin/sh\nfor device; do :; done\n\
        printf 'half an inode table' | /bin/dd of=\"$device\" bs=512 seek=64 conv=notrunc,fsync 2>&1\n\
        kill -KILL $$\n";
    let tools = tool("mkfs.ext4", script);
    let plan = planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan");
    let failed = carry_out(with_tools(tools.path()).as_ref(), plan, &SilentObserver).await;
    let failed = failed.expect_err("killed");
    assert_eq!(failed.code(), 1210, "{failed}");
    assert!(failed.to_string().contains("SIGKILL"), "{failed}");
    let refused = planned(&real.target, Intent::Plain, &PlanFacts::default()).await;
    assert_eq!(code(refused), Some(101));
    assert_eq!(code(provider().mount(&real.target).await), Some(101));
    format(&real.target, Intent::Reformat).await.expect("reformat");
}

#[tokio::test]
async fn a_mkfs_that_does_nothing_is_found_out() {
    let Some(real) = Real::loop_device("a_mkfs_that_does_nothing") else { return };
    let tools = tool("mkfs.ext4", "#!/bin/sh\nexit 0\n");
    let plan = planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan");
    let failed = carry_out(with_tools(tools.path()).as_ref(), plan, &SilentObserver).await;
    assert_eq!(code(failed), Some(1211));
}

#[tokio::test]
async fn a_formatted_device_is_mounted_again_c6_e1() {
    let Some(real) = Real::loop_device("a_formatted_device_is_mounted") else { return };
    format(&real.target, Intent::Plain).await.expect("format");
    real.put_file("superblock");
    provider().unmount(&real.target).await.expect("unmount");
    // After a reboot even the directory may be gone.
    fs::remove_dir(real.mount_point()).expect("directory");
    let observed = provider().observe(&real.target).await.expect("observe");
    assert_eq!(observed.readiness(&real.target), ScmReadiness::Mountable);
    let refused = plan(&real.target, &observed, Intent::Plain, &PlanFacts::default());
    assert_eq!(code(refused), Some(101), "R130");
    let mounted = provider().mount(&real.target).await.expect("mount");
    assert_eq!(mounted.form, ScmForm::Ext4NoDax);
    assert_eq!(real.files(), ["superblock"]);
    let mount = daos_blockdev::mount_at(real.mount_point()).expect("table").expect("mounted");
    assert!(mount.has_option("noexec"), "{:?}", mount.options);
}

#[tokio::test]
async fn a_mount_directory_that_cannot_be_made_is_a_condition_of_its_own() {
    let Some(real) = Real::loop_device("a_mount_directory") else { return };
    must_run("mkfs.ext4", &["-q", "-L", "daos", device(&real).path_str()]);
    // The kernel makes no directories in /proc.
    let target = dcpm_target(Path::new("/proc/daos-scm-test/daos0"), device(&real).path());
    assert_eq!(code(provider().mount(&target).await), Some(106));
}

#[tokio::test]
async fn an_empty_device_of_an_interrupted_format_is_adopted_w46() {
    let Some(real) = Real::loop_device("an_empty_device") else { return };
    must_run("mkfs.ext4", &["-q", "-L", "daos", device(&real).path_str()]);
    provider().mount(&real.target).await.expect("mount");
    let uuid = |content: Content| content.signatures()[0].uuid.clone();
    let before = uuid(inspect(device(&real).path()).expect("inspect").content);
    let plan = planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan");
    assert!(!plan.steps().iter().any(ScmStep::is_destructive), "{plan}");
    carry_out(provider().as_ref(), plan, &SilentObserver).await.expect("adopt");
    assert_eq!(uuid(inspect(device(&real).path()).expect("inspect").content), before);
}

#[tokio::test]
async fn a_reformat_makes_another_file_system_r130() {
    let Some(real) = Real::loop_device("a_reformat_makes_another") else { return };
    format(&real.target, Intent::Plain).await.expect("format");
    let uuid = || {
        let content = inspect(device(&real).path()).expect("inspect").content;
        content.signatures()[0].uuid.clone().expect("uuid")
    };
    let before = uuid();
    real.put_file("superblock");
    format(&real.target, Intent::Reformat).await.expect("reformat");
    assert_ne!(uuid(), before);
    assert!(real.files().is_empty());
}

#[tokio::test]
async fn two_formats_at_once_do_not_both_run() {
    let Some(real) = Real::loop_device("two_formats_at_once") else { return };
    let _unmount = Unmounting(real.mount_point().to_owned());
    let plans = [
        planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan"),
        planned(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("plan"),
    ];
    let provider = provider();
    let [first, second] = plans.map(|plan| {
        let provider = provider.clone();
        tokio::spawn(async move { carry_out(provider.as_ref(), plan, &SilentObserver).await })
    });
    let results = [first.await.expect("task"), second.await.expect("task")];
    let succeeded = results.iter().filter(|result| result.is_ok()).count();
    assert!(succeeded <= 1, "{results:?}");
    let table = daos_blockdev::mounts().expect("table");
    let resolved = fs::canonicalize(real.mount_point()).expect("path");
    let mounts = table.iter().filter(|mount| mount.mount_point == resolved).count();
    assert!(mounts <= 1, "mounted {mounts} times");
}
