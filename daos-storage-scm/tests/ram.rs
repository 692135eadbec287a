//! Class ram on real tmpfs: what is mounted, what is refused, what an erase touches.

mod rig;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use daos_blockdev::testing::MountGuard;
use daos_storage_scm::conformance::Fixture;
use daos_storage_scm::{
    Entries, Intent, Owner, PlanFacts, RamForm, RamSpec, ScanRequest, ScmError, ScmForm,
    ScmMounted, ScmParams, ScmReadiness, ScmStep, ScmTarget, SilentObserver, Unmounted, plan,
};
use rig::{OnShm, RAM_BYTES, Real, Unmounting, may_mount, provider, ram_target};
use rstest::rstest;

async fn planned(
    target: &ScmTarget,
    intent: Intent,
    facts: &PlanFacts,
) -> Result<daos_storage_scm::ScmPlan, ScmError> {
    let observed = provider().observe(target).await.expect("observe");
    plan(target, &observed, intent, facts)
}

async fn format(
    target: &ScmTarget,
    intent: Intent,
    facts: &PlanFacts,
) -> Result<ScmMounted, ScmError> {
    let plan = planned(target, intent, facts).await?;
    let digest = plan.digest().clone();
    provider().format(plan.accept(&digest)?, &SilentObserver).await
}

fn plain() -> PlanFacts {
    PlanFacts::default()
}

fn seen() -> PlanFacts {
    PlanFacts { superblock_seen: true, ..PlanFacts::default() }
}

fn code<T>(result: Result<T, ScmError>) -> Option<i32> {
    result.err().map(|error| error.code())
}

#[tokio::test]
async fn a_tmpfs_has_size_flags_owner_and_mode_r126_r129() {
    let Some(real) = Real::tmpfs("a_tmpfs_has_size") else { return };
    let target = ScmTarget::from_params(ScmParams {
        engine_index: 3,
        mount_point: real.mount_point().to_owned(),
        ram: Some(RamSpec { size_bytes: Some(RAM_BYTES), hugepages: true, ..RamSpec::default() }),
        owner: Some(Owner { uid: 4242, gid: 4343 }),
        ..ScmParams::default()
    })
    .expect("valid");
    let mounted = format(&target, Intent::Plain, &plain()).await.expect("format");
    assert_eq!((mounted.engine_index, mounted.form), (3, ScmForm::Tmpfs));
    assert_eq!((mounted.source.as_str(), mounted.total_bytes), ("tmpfs", RAM_BYTES));
    let mount = daos_blockdev::mount_at(real.mount_point()).expect("table").expect("mounted");
    assert_eq!(mount.super_option("size"), Some("16384k"));
    if mounted.notices.is_empty() {
        assert_eq!(mount.super_option("huge"), Some("always"));
    }
    for flag in ["noatime", "nosuid", "nodev", "noexec"] {
        assert!(mount.has_option(flag), "{flag} is missing in {:?}", mount.options);
    }
    let root = fs::metadata(real.mount_point()).expect("root");
    assert_eq!((root.uid(), root.gid()), (4242, 4343));
    assert_eq!(root.permissions().mode() & 0o7777, 0o700);
}

#[tokio::test]
async fn a_directory_has_owner_and_mode_and_shares_its_tmpfs_r129() {
    let Some(real) = Real::directory("a_directory_has_owner") else { return };
    let mounted = format(&real.target, Intent::Plain, &plain()).await.expect("format");
    assert_eq!(mounted.form, ScmForm::Directory);
    let root = fs::symlink_metadata(real.mount_point()).expect("root");
    let owner = Owner::current();
    assert_eq!((root.uid(), root.gid()), (owner.uid, owner.gid));
    assert_eq!(root.permissions().mode() & 0o7777, 0o700);
    let request = ScanRequest { targets: vec![real.target.clone()] };
    let scan = provider().scan(&request).await.expect("scan");
    let [namespace] = scan.namespaces.known() else { panic!("{:?}", scan.namespaces) };
    assert_eq!((namespace.blockdev.as_str(), namespace.size), ("ramdisk", mounted.total_bytes));
}

#[tokio::test]
async fn a_directory_is_scanned_with_its_configured_size() {
    let Some(real) = Real::directory("a_directory_is_scanned") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    let sized = ScmTarget::from_params(ScmParams {
        mount_point: real.mount_point().to_owned(),
        ram: Some(RamSpec { size_bytes: Some(4096), ..RamSpec::default() }),
        ..ScmParams::default()
    })
    .expect("valid");
    let scan = provider().scan(&ScanRequest { targets: vec![sized] }).await.expect("scan");
    let [namespace] = scan.namespaces.known() else { panic!("{:?}", scan.namespaces) };
    let total = namespace.mount.as_ref().expect("mount").total_bytes;
    assert!(namespace.size == 4096 && total > 4096, "{namespace:?}");
}

#[tokio::test]
async fn a_missing_mount_point_is_no_error_and_made_with_parents_e1() {
    let Some(real) = Real::tmpfs("a_missing_mount_point") else { return };
    let parent = real.mount_point().parent().expect("parent").to_owned();
    assert!(!parent.exists());
    let observed = provider().observe(&real.target).await.expect("observe");
    assert_eq!(observed.readiness(&real.target), ScmReadiness::NotFormatted);
    let plan = planned(&real.target, Intent::Plain, &plain()).await.expect("plan");
    let names: Vec<_> = plan.steps().iter().map(ScmStep::name).collect();
    assert_eq!(names, ["create-directory", "mount-tmpfs", "set-owner", "verify"]);
    assert!(!parent.exists(), "planning made something");
    format(&real.target, Intent::Plain, &PlanFacts::default()).await.expect("format");
    assert_eq!(fs::metadata(&parent).expect("parent").permissions().mode() & 0o700, 0o700);
}

// W1: a mistyped scm_mount must not cost a directory tree, whatever flag is given.
#[rstest]
#[tokio::test]
async fn a_populated_directory_is_never_removed_w1(
    #[values(Intent::Plain, Intent::Reformat)] intent: Intent,
    #[values(RamForm::Auto, RamForm::Tmpfs, RamForm::Directory)] form: RamForm,
    #[values(false, true)] on_tmpfs: bool,
    #[values(false, true)] superblock_seen: bool,
) {
    let shm = if on_tmpfs { OnShm::new("a_populated_directory") } else { None };
    let dir = tempfile::tempdir().expect("directory");
    let path = shm.as_ref().map_or_else(|| dir.path().join("home"), |shm| shm.path().to_owned());
    fs::create_dir_all(path.join("deep/er")).expect("directories");
    fs::write(path.join("deep/er/thesis.tex"), "years of work").expect("file");
    let target = ram_target(&path, RamSpec { form, ..RamSpec::default() });
    // Known to be ours and on a tmpfs is the one case where a reformat takes it.
    let known = superblock_seen && shm.is_some() && form != RamForm::Tmpfs;
    let facts = PlanFacts { superblock_seen, ..PlanFacts::default() };
    match planned(&target, intent, &facts).await {
        Err(error) if superblock_seen && shm.is_some() && intent == Intent::Plain => {
            assert_eq!(error.code(), 101, "{error}");
        }
        Err(error) => {
            assert_eq!(error.code(), 1203, "{error}");
            assert!(error.to_string().contains("deep"), "it lists what is there: {error}");
        }
        Ok(plan) => {
            assert!(known && intent == Intent::Reformat, "{plan}");
            assert!(plan.destroys().iter().any(|loss| loss.contains("deep")), "{plan}");
        }
    }
    assert!(path.join("deep/er/thesis.tex").exists());
}

#[tokio::test]
async fn an_erase_stays_inside_and_follows_no_link_w1() {
    let Some(real) = Real::directory("an_erase_stays_inside") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    let outside = tempfile::tempdir().expect("directory");
    fs::write(outside.path().join("precious"), "kept").expect("file");
    let root = real.mount_point();
    symlink(outside.path(), root.join("link")).expect("link");
    symlink(outside.path().join("precious"), root.join("superblock")).expect("link");
    fs::create_dir_all(root.join("vos/a/b")).expect("directories");
    symlink(outside.path(), root.join("vos/a/link")).expect("link");
    fs::write(root.join("vos/a/b/file"), "lost").expect("file");
    fs::write(root.join(".hidden"), "lost").expect("file");
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd \xff\n");
    fs::write(root.join(name), "lost").expect("file");
    format(&real.target, Intent::Reformat, &seen()).await.expect("reformat");
    assert_eq!(fs::read_dir(root).expect("root").count(), 0);
    assert_eq!(fs::read_to_string(outside.path().join("precious")).expect("kept"), "kept");
}

#[tokio::test]
async fn an_interrupted_erase_is_known_and_can_be_finished() {
    let Some(real) = Real::directory("an_interrupted_erase") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    // As a crash between the mark and the end leaves it.
    fs::write(real.mount_point().join(".daos_scm_erase"), "").expect("mark");
    fs::write(real.mount_point().join("superblock"), "identity").expect("file");
    fs::write(real.mount_point().join("vos-0"), "half").expect("file");
    let observed = provider().observe(&real.target).await.expect("observe");
    assert_eq!(observed.readiness(&real.target), ScmReadiness::NotFormatted);
    for facts in [plain(), seen()] {
        assert_eq!(code(planned(&real.target, Intent::Plain, &facts).await), Some(1202));
    }
    assert_eq!(code(provider().mount(&real.target).await), Some(1213));
    format(&real.target, Intent::Reformat, &plain()).await.expect("reformat");
    assert_eq!(fs::read_dir(real.mount_point()).expect("root").count(), 0);

    // Only the mark was left: nothing to lose, so that a plain format does.
    fs::write(real.mount_point().join(".daos_scm_erase"), "").expect("mark");
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    assert_eq!(fs::read_dir(real.mount_point()).expect("root").count(), 0);
}

#[tokio::test]
async fn paths_that_are_no_directory_are_refused() {
    let dir = tempfile::tempdir().expect("directory");
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "").expect("file");
    symlink(dir.path(), &link).expect("link");
    for path in [&file, &link] {
        let target = ram_target(path, RamSpec::default());
        for intent in [Intent::Plain, Intent::Reformat] {
            assert_eq!(code(planned(&target, intent, &plain()).await), Some(1206));
        }
    }
    let below_file = ram_target(&file.join("daos0"), RamSpec::default());
    assert_eq!(code(format(&below_file, Intent::Plain, &plain()).await), Some(1206));
}

#[tokio::test]
async fn links_in_parents_are_resolved_before_the_mount_table_is_asked_w7() {
    let Some(real) = Real::tmpfs("links_in_parents") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    let dir = tempfile::tempdir().expect("directory");
    let link = dir.path().join("mnt");
    symlink(real.mount_point().parent().expect("parent"), &link).expect("link");
    let target = ram_target(&link.join("daos0"), RamSpec::default());
    let readiness = provider().observe(&target).await.expect("observe").readiness(&target);
    let entries = Entries::default();
    assert_eq!(readiness, ScmReadiness::Reachable { form: ScmForm::Tmpfs, entries });
}

#[tokio::test]
async fn a_tmpfs_mounted_by_hand_is_adopted_when_empty_r124_w46() {
    let test = "a_tmpfs_mounted_by_hand";
    let dir = tempfile::tempdir().expect("directory");
    let Some(mount) = MountGuard::tmpfs(test, dir.path()) else { return };
    let spec = RamSpec { size_bytes: Some(RAM_BYTES), ..RamSpec::default() };
    let target = ram_target(dir.path(), spec);
    let mounted = format(&target, Intent::Plain, &plain()).await.expect("adopted");
    assert_eq!(mounted.form, ScmForm::Tmpfs);
    fs::write(dir.path().join("unknown"), "").expect("file");
    let refused = planned(&target, Intent::Plain, &plain()).await.expect_err("not empty");
    assert_eq!(refused.code(), 1203);
    assert!(refused.to_string().contains("unknown"), "{refused}");
    let plan = planned(&target, Intent::Reformat, &plain()).await.expect("until reformat");
    assert!(plan.destroys()[0].contains("unknown"), "{plan}");
    drop(mount);
}

#[tokio::test]
async fn a_tmpfs_bigger_than_configured_is_refused() {
    let dir = tempfile::tempdir().expect("directory");
    let Some(_mount) = MountGuard::tmpfs("a_tmpfs_bigger", dir.path()) else { return };
    let spec = RamSpec { size_bytes: Some(RAM_BYTES / 2), ..RamSpec::default() };
    let target = ram_target(dir.path(), spec);
    assert_eq!(code(planned(&target, Intent::Plain, &plain()).await), Some(215));
}

#[tokio::test]
async fn anything_else_mounted_there_is_refused_r128_e3() {
    let test = "anything_else_mounted";
    if !may_mount(test) {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let (source, at) = (dir.path().join("source"), dir.path().join("at"));
    fs::create_dir(&source).expect("directory");
    fs::create_dir(&at).expect("directory");
    let target = ram_target(&at, RamSpec::default());
    let bind = [path(&source), path(&at)];
    let Some(bind) = MountGuard::mount(test, &["--bind", bind[0], bind[1]]) else { return };
    let is_tmpfs = daos_blockdev::mount_at(&at).expect("table").expect("bind").fs_type == "tmpfs";
    if !is_tmpfs {
        for intent in [Intent::Plain, Intent::Reformat] {
            assert_eq!(code(planned(&target, intent, &plain()).await), Some(104));
        }
        assert_eq!(code(provider().unmount(&target).await), Some(104));
        assert_eq!(code(provider().mount(&target).await), Some(104));
    }
    drop(bind);
    let _unmount = Unmounting(at.clone());
    let (Some(_lower), Some(_upper)) = (MountGuard::tmpfs(test, &at), MountGuard::tmpfs(test, &at))
    else {
        return;
    };
    let refused = planned(&target, Intent::Reformat, &plain()).await.expect_err("two mounts");
    assert_eq!(refused.code(), 104);
    assert!(refused.to_string().contains("over each other"), "{refused}");
}

#[tokio::test]
async fn a_mount_that_appears_below_after_planning_stops_the_format_w9() {
    let Some(real) = Real::tmpfs("a_mount_that_appears") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    real.put_file("superblock");
    let plan = planned(&real.target, Intent::Reformat, &seen()).await.expect("plan");
    let digest = plan.digest().clone();
    let accepted = plan.accept(&digest).expect("accept");
    let below = real.mount_point().join("below");
    fs::create_dir(&below).expect("directory");
    let Some(mount) = MountGuard::tmpfs("a_mount_that_appears", &below) else { return };
    let refused = provider().format(accepted, &SilentObserver).await;
    assert_eq!(code(refused), Some(1207));
    assert_eq!(real.files(), ["below", "superblock"]);
    assert_eq!(code(planned(&real.target, Intent::Reformat, &seen()).await), Some(1206));
    drop(mount);
}

#[tokio::test]
async fn a_file_held_open_is_named_when_it_keeps_the_mount_busy() {
    let Some(real) = Real::tmpfs("a_file_held_open") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    let file = fs::File::create(real.mount_point().join("open")).expect("file");
    let refused = provider().unmount(&real.target).await.expect_err("busy");
    assert_eq!(refused.code(), 1200);
    let own = format!("(pid {})", std::process::id());
    assert!(refused.to_string().contains(&own), "{refused}");
    drop(file);
    provider().unmount(&real.target).await.expect("free");
}

#[tokio::test]
async fn unmounting_what_is_not_mounted_succeeds_e2() {
    let dir = tempfile::tempdir().expect("directory");
    let missing = ram_target(&dir.path().join("missing"), RamSpec::default());
    let present = ram_target(dir.path(), RamSpec::default());
    for target in [missing, present] {
        let done = provider().unmount(&target).await.expect("unmount");
        assert_eq!(done, Unmounted::WasNotMounted);
    }
}

#[tokio::test]
async fn a_reformat_mounts_anew_even_when_the_owner_was_changed() {
    let Some(real) = Real::tmpfs("a_reformat_mounts_anew") else { return };
    format(&real.target, Intent::Plain, &plain()).await.expect("format");
    fs::set_permissions(real.mount_point(), fs::Permissions::from_mode(0o777)).expect("mode");
    real.put_file("superblock");
    format(&real.target, Intent::Reformat, &seen()).await.expect("reformat");
    let root = fs::metadata(real.mount_point()).expect("root");
    assert_eq!(root.permissions().mode() & 0o7777, 0o700);
    let table = daos_blockdev::mounts().expect("table");
    let resolved = fs::canonicalize(real.mount_point()).expect("path");
    let count = table.iter().filter(|mount| mount.mount_point == resolved).count();
    assert_eq!(count, 1, "mounted once");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
