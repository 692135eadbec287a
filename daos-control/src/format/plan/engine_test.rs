//! Every rule that spans the devices of an engine, on observations of a simulated host.

use std::path::Path;

use daos_storage_nvme::model::{FileState, ParentState};
use daos_storage_nvme::{
    BdevError, BdevTarget, BdevTier, ConfigForm, DeviceState, EngineDeviceConfig, EngineOptions,
    FileOwner, ObservedDevice, Roles, TierDevices,
};
use daos_storage_scm::sim::SimScm;
use daos_storage_scm::{RamSpec, ScmParams, ScmProvider, ScmTarget};
use std::sync::Arc;
use uuid::Uuid;

use super::*;
use crate::format::{
    FilesObserved, FormatError, FormatPlan, FormatTargets, HostObserved, MarkTarget,
    MetadataObserved, MetadataState,
};
use crate::start_table::ReplicaRoles;
use crate::superblock::{EngineHome, Superblock, SuperblockError};

const PLAIN: FormatRequest = FormatRequest { reformat: false, replace: false };
const REFORMAT: FormatRequest = FormatRequest { reformat: true, replace: false };

fn target(index: u32, mount: &str, metadata: Option<&Path>) -> EngineTarget {
    let ram = RamSpec { size_bytes: Some(1 << 30), ..RamSpec::default() };
    let params = ScmParams {
        engine_index: index,
        mount_point: mount.into(),
        ram: Some(ram),
        ..ScmParams::default()
    };
    let devices = TierDevices::File { paths: vec![format!("/b{index}").into()], size_gib: 1 };
    let bdev = BdevTarget {
        engine: index,
        host: "n1".into(),
        owner: FileOwner { uid: 0, gid: 0 },
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    };
    let device_config = EngineDeviceConfig::from_target(&bdev, EngineOptions::default()).unwrap();
    EngineTarget {
        scm: ScmTarget::from_params(params).unwrap(),
        home: EngineHome::of(index, Path::new(mount), metadata),
        bdev,
        device_config,
        config_form: ConfigForm::Json,
        keep_device_config: false,
        roles: ReplicaRoles::default(),
    }
}

fn targets(engines: Vec<EngineTarget>) -> FormatTargets {
    FormatTargets {
        system: "daos_server".into(),
        recreate_superblocks: false,
        low_memory_refuses: true,
        engines,
    }
}

async fn seen(target: &EngineTarget, host: &SimScm) -> EngineObserved {
    let state = DeviceState::File(FileState::Absent { parent: ParentState::Directory });
    EngineObserved {
        index: target.index(),
        scm: host.observe(&target.scm).await,
        bdev: vec![ObservedDevice { device: target.bdev.devices()[0].clone(), state: Ok(state) }],
        files: FilesObserved {
            superblock: SuperblockState::Missing,
            was_reset: false,
            mark: MarkState::Clear,
            metadata: None,
            holds_system: false,
        },
    }
}

/// A host whose engine 0 has a mounted tmpfs with these files on it.
async fn mounted(files: &[&str]) -> (EngineTarget, SimScm, EngineObserved) {
    let (target, host) = (target(0, "/mnt/daos0", None), SimScm::new());
    let blank = seen(&target, &host).await;
    let Verdict::Format(work) = plan_engine(&target, &blank, None, PLAIN).verdict else {
        panic!("a blank engine is formatted")
    };
    let digest = work.scm.digest().clone();
    let accepted = work.scm.accept(&digest).unwrap();
    host.format(accepted, &daos_storage_scm::SilentObserver).await.unwrap();
    for file in files {
        host.put_file("/mnt/daos0", file).unwrap();
    }
    let seen = seen(&target, &host).await;
    (target, host, seen)
}

fn superblock() -> SuperblockState {
    SuperblockState::Readable(Superblock::new(Uuid::from_u128(5), "daos_server"))
}

fn verdict(plan: &EnginePlan) -> String {
    match plan.verdict.fault() {
        Some(fault) => format!("{} {}", plan.verdict.name(), fault.code),
        None => plan.verdict.name().to_owned(),
    }
}

fn judge(target: &EngineTarget, seen: &EngineObserved, request: FormatRequest) -> String {
    verdict(&plan_engine(target, seen, None, request))
}

fn destroys(plan: &EnginePlan) -> bool {
    plan.devices.iter().any(DevicePlan::destroys)
}

#[tokio::test]
async fn blank_storage_is_formatted_and_loses_nothing() {
    let (target, host) = (target(0, "/mnt/daos0", None), SimScm::new());
    let plan = plan_engine(&target, &seen(&target, &host).await, None, PLAIN);
    assert_eq!(verdict(&plan), "format");
    assert!(!destroys(&plan) && !plan.system_lost);
    assert_eq!(plan.devices.len(), 2);
}

/// R5, R130
#[tokio::test]
async fn formatted_engine_is_left_alone_until_reformat() {
    let (target, _host, mut seen) = mounted(&["superblock", "daos_nvme.conf"]).await;
    seen.files.superblock = superblock();
    assert_eq!(judge(&target, &seen, PLAIN), "already_formatted 101");
    let plan = plan_engine(&target, &seen, None, REFORMAT);
    assert_eq!(verdict(&plan), "format");
    assert!(destroys(&plan));
}

/// R6, E25, contract 7.4
#[tokio::test]
async fn engine_in_use_is_never_formatted() {
    let (target, _host, mut seen) = mounted(&["superblock"]).await;
    let doing = "running".to_owned();
    let judge = |seen: &EngineObserved, request| {
        verdict(&plan_engine(&target, seen, Some(&doing), request))
    };
    assert_eq!(judge(&seen, PLAIN), "refused 1246");
    seen.files.superblock = superblock();
    assert_eq!(judge(&seen, REFORMAT), "refused 1246");
    assert_eq!(judge(&seen, PLAIN), "already_formatted 101");
}

/// W13
#[tokio::test]
async fn unreadable_superblock_is_kept_until_reformat() {
    let (target, _host, mut seen) = mounted(&["superblock"]).await;
    seen.files.superblock = SuperblockState::Unreadable(SuperblockError::Truncated);
    assert_eq!(judge(&target, &seen, PLAIN), "refused 1244");
    assert_eq!(judge(&target, &seen, REFORMAT), "format");
}

/// W46
#[tokio::test]
async fn mount_without_superblock_is_adopted_when_empty_and_refused_when_not() {
    let (target, host, seen_empty) = mounted(&[]).await;
    let plan = plan_engine(&target, &seen_empty, None, PLAIN);
    assert_eq!(verdict(&plan), "format");
    assert!(!destroys(&plan));
    host.put_file("/mnt/daos0", "daos_nvme.conf").unwrap();
    let ours = seen(&target, &host).await;
    assert_eq!(judge(&target, &ours, PLAIN), "format", "our own file counts as nothing");
    host.put_file("/mnt/daos0", "thesis.tex").unwrap();
    let full = seen(&target, &host).await;
    let plan = plan_engine(&target, &full, None, PLAIN);
    assert_eq!(verdict(&plan), "refused 1203");
    let named = plan.verdict.fault().unwrap().description.contains("thesis.tex");
    assert!(named, "{:?}", plan.verdict.fault());
    assert!(destroys(&plan_engine(&target, &full, None, REFORMAT)));
}

#[tokio::test]
async fn interrupted_format_is_never_taken_for_formatted() {
    let (target, host, mut with_block) = mounted(&["superblock"]).await;
    let mark = |uuid| MarkState::Marked(Mark::new(0, "d", Uuid::from_u128(uuid), Vec::new()));
    with_block.files.superblock = superblock();
    with_block.files.mark = mark(9);
    assert_eq!(judge(&target, &with_block, PLAIN), "refused 1243");
    assert_eq!(judge(&target, &with_block, REFORMAT), "format");
    with_block.files.mark = mark(5);
    assert_eq!(judge(&target, &with_block, PLAIN), "already_formatted 101", "it had ended");
    host.reboot();
    let mut gone = seen(&target, &host).await;
    gone.files.mark = mark(9);
    assert_eq!(judge(&target, &gone, PLAIN), "format", "nothing is left to lose");
}

#[tokio::test]
async fn interrupted_format_of_a_device_is_unknown_until_reformat() {
    let host = SimScm::new();
    host.add_device("/dev/pmem0", 1 << 30);
    let params = ScmParams {
        mount_point: "/mnt/daos0".into(),
        devices: Some(vec!["/dev/pmem0".into()]),
        ..ScmParams::default()
    };
    let scm = ScmTarget::from_params(params).unwrap();
    let target = EngineTarget { scm, ..target(0, "/mnt/daos0", None) };
    let blank = seen(&target, &host).await;
    let Verdict::Format(work) = plan_engine(&target, &blank, None, PLAIN).verdict else {
        panic!("a blank device is formatted")
    };
    let digest = work.scm.digest().clone();
    let accepted = work.scm.accept(&digest).unwrap();
    host.format(accepted, &daos_storage_scm::SilentObserver).await.unwrap();
    host.unmount(&target.scm).await.unwrap();
    let mut ours = seen(&target, &host).await;
    assert_eq!(judge(&target, &ours, PLAIN), "already_formatted 101");
    ours.files.mark = MarkState::Marked(Mark::new(0, "d", Uuid::nil(), Vec::new()));
    assert_eq!(judge(&target, &ours, PLAIN), "refused 1243");
    assert_eq!(judge(&target, &ours, REFORMAT), "format");
}

#[tokio::test]
async fn what_a_reset_left_may_be_formatted_plainly_and_is_shown_as_lost() {
    let (target, _host, mut seen) = mounted(&["daos_nvme.conf", "rdb-pool", "newborns"]).await;
    assert_eq!(judge(&target, &seen, PLAIN), "refused 1203");
    seen.files.was_reset = true;
    let plan = plan_engine(&target, &seen, None, PLAIN);
    assert_eq!(verdict(&plan), "format");
    assert!(destroys(&plan));
}

/// A directory on a tmpfs is erased only when this server knows that the contents are its own (W1).
#[tokio::test]
async fn directory_of_others_is_never_erased() {
    let host = SimScm::new();
    host.allow_mounts(false);
    host.put_directory("/dev/shm/daos0", "tmpfs", &["thesis.tex"]);
    let target = target(0, "/dev/shm/daos0", None);
    let mut seen = seen(&target, &host).await;
    assert_eq!(judge(&target, &seen, PLAIN), "refused 1203");
    assert_eq!(judge(&target, &seen, REFORMAT), "refused 1203");
    let known = |destroys| MarkTarget {
        medium: "scm".into(),
        device: "/dev/shm/daos0".into(),
        identity: String::new(),
        destroys,
    };
    let mark = |target| MarkState::Marked(Mark::new(0, "d", Uuid::nil(), vec![target]));
    seen.files.mark = mark(known(false));
    assert_eq!(judge(&target, &seen, REFORMAT), "refused 1203");
    seen.files.mark = mark(known(true));
    assert_eq!(judge(&target, &seen, PLAIN), "refused 1203");
    assert_eq!(judge(&target, &seen, REFORMAT), "format", "an accepted format was erasing it");
    seen.files.mark = MarkState::Clear;
    seen.files.superblock = superblock();
    assert_eq!(judge(&target, &seen, REFORMAT), "format");
}

fn missing_file(target: &EngineTarget, seen: &mut EngineObserved) {
    let device = target.bdev.devices()[0].clone();
    let error = BdevError::NotFound { device: device.name.clone() };
    seen.bdev = vec![ObservedDevice { device, state: Err(Arc::new(error)) }];
}

/// R147, and a formatted engine is not given up for nothing.
#[tokio::test]
async fn bad_device_stops_no_other_but_no_formatted_engine_is_lost_for_it() {
    let (target, _host, mut seen) = mounted(&[]).await;
    missing_file(&target, &mut seen);
    let plan = plan_engine(&target, &seen, None, PLAIN);
    assert_eq!(verdict(&plan), "format");
    let refused: Vec<i32> =
        plan.devices.iter().filter_map(|row| row.refused.as_ref().map(|f| f.code)).collect();
    assert_eq!(refused, [304]);
    let (target, _host, mut seen) = mounted(&["superblock"]).await;
    missing_file(&target, &mut seen);
    seen.files.superblock = superblock();
    assert_eq!(judge(&target, &seen, REFORMAT), "refused 1249");
}

#[tokio::test]
async fn system_goes_with_the_storage_it_lies_on() {
    let (on_mount, _host, mut seen_mount) = mounted(&["superblock", "control_raft"]).await;
    seen_mount.files.superblock = superblock();
    seen_mount.files.holds_system = true;
    assert!(plan_engine(&on_mount, &seen_mount, None, REFORMAT).system_lost);
    assert!(!plan_engine(&on_mount, &seen_mount, None, PLAIN).system_lost);

    let (on_disk, host) = (target(0, "/mnt/daos0", Some(Path::new("/md"))), SimScm::new());
    let mut seen_disk = seen(&on_disk, &host).await;
    seen_disk.files.holds_system = true;
    seen_disk.files.metadata =
        Some(MetadataObserved { state: MetadataState::Ready, entries: Some(vec![]) });
    let plain = plan_engine(&on_disk, &seen_disk, None, PLAIN);
    assert!(!plain.system_lost, "a plain format of metadata on disk keeps the system");
    let plan = plan_engine(&on_disk, &seen_disk, None, REFORMAT);
    assert!(plan.system_lost && destroys(&plan));
}

fn host_of(engines: Vec<EngineObserved>) -> HostObserved {
    HostObserved {
        engines: engines.into_iter().map(|seen| (seen.index, seen)).collect(),
        ..HostObserved::default()
    }
}

fn whole(
    engines: &[&EngineTarget],
    host: &HostObserved,
    request: FormatRequest,
) -> Result<FormatPlan, FormatError> {
    let targets = targets(engines.iter().map(|&target| target.clone()).collect());
    crate::format::plan::plan(&targets, host, request)
}

#[tokio::test]
async fn engines_are_judged_apart_and_replace_needs_one_that_is_not_formatted() {
    let (first, host, mut formatted) = mounted(&["superblock"]).await;
    formatted.files.superblock = superblock();
    let second = target(1, "/mnt/daos1", None);
    let blank = seen(&second, &host).await;
    let replace = FormatRequest { replace: true, ..PLAIN };

    let host = host_of(vec![formatted, blank]);
    let plan = whole(&[&first, &second], &host, PLAIN).unwrap();
    let verdicts: Vec<String> = plan.engines.iter().map(verdict).collect();
    assert_eq!(verdicts, ["already_formatted 101", "format"]);
    assert!(whole(&[&first, &second], &host, replace).is_ok());
    assert_eq!(whole(&[&first], &host, replace).unwrap_err().code(), 1250);
    let nothing = whole(&[&first], &host, PLAIN).unwrap();
    assert_eq!((nothing.digest(), nothing.destroys()), ("", false));
}

#[tokio::test]
async fn digest_changes_with_what_would_be_done_and_only_the_shown_plan_is_accepted() {
    let (target, host, empty) = mounted(&[]).await;
    let plan = |seen, request| whole(&[&target], &host_of(vec![seen]), request).unwrap();
    let before = plan(empty, PLAIN).digest().to_owned();
    assert_eq!(before.len(), 64);
    let again = plan(seen(&target, &host).await, PLAIN);
    assert_eq!(again.digest(), before);
    assert!(again.accept(Some(&before)).is_ok());
    host.put_file("/mnt/daos0", "daos_nvme.conf").unwrap();
    let changed = plan(seen(&target, &host).await, PLAIN);
    assert_ne!(changed.digest(), before);
    assert_eq!(changed.accept(Some(&before)).unwrap_err().code(), 1241);
    let reformat = plan(seen(&target, &host).await, REFORMAT);
    assert_ne!(reformat.digest(), before);
    assert!(reformat.accept(None).is_ok());
}

#[tokio::test]
async fn ram_disks_must_fit_into_memory_together() {
    let (first, second) = (target(0, "/mnt/daos0", None), target(1, "/mnt/daos1", None));
    let host = SimScm::new();
    let seen = vec![seen(&first, &host).await, seen(&second, &host).await];
    let mut host = host_of(seen);
    host.available_memory = Some(1 << 30);
    let plan = whole(&[&first, &second], &host, PLAIN).unwrap();
    let verdicts: Vec<String> = plan.engines.iter().map(verdict).collect();
    assert_eq!(verdicts, ["refused 214", "refused 214"]);
    assert_eq!(verdict(&whole(&[&first], &host, PLAIN).unwrap().engines[0]), "format");
    let mut emulated = targets(vec![first, second]);
    emulated.low_memory_refuses = false;
    let plan = crate::format::plan::plan(&emulated, &host, PLAIN).unwrap();
    assert_eq!(plan.notices.len(), 1);
    assert!(plan.engines.iter().all(|engine| verdict(engine) == "format"));
}
