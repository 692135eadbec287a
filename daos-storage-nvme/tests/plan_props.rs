//! What every plan keeps, whatever the world looks like.

use std::path::PathBuf;
use std::sync::Arc;

use daos_blockdev::{Content, DeviceFacts, DeviceUse, Signature, SignatureKind};
use daos_storage_nvme::model::{
    DeviceState, FileContent, FileFacts, FileKind, FileState, NvmeState, ObservedDevice,
    ParentState,
};
use daos_storage_nvme::sim::{blank_file, blank_namespaces, controller, kernel_device};
use daos_storage_nvme::{
    BdevError, BdevPlan, BdevTarget, BdevTier, FileOwner, Intent, Roles, TierDevices, Verdict, plan,
};
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

fn content() -> impl Strategy<Value = Content> {
    use SignatureKind::{
        Ambiguous, Blobstore, DaosBlockDevice, FileSystem, LvmMember, PartitionTable, Swap,
    };
    let kind = prop::sample::select(vec![
        FileSystem,
        LvmMember,
        PartitionTable,
        Swap,
        Blobstore,
        Ambiguous,
        DaosBlockDevice,
    ]);
    let label = prop::option::of(Just("daos".to_owned()));
    let signature = (kind, "[a-z]{1,4}", label).prop_map(|(kind, name, label)| Signature {
        kind,
        name,
        label,
        uuid: None,
    });
    prop_oneof![
        3 => Just(Content::Blank),
        1 => any::<u64>().prop_map(|first_data| Content::Unrecognised { first_data }),
        3 => prop::collection::vec(signature, 1..3).prop_map(Content::Signatures),
    ]
}

fn uses() -> impl Strategy<Value = Vec<DeviceUse>> {
    let mounted = DeviceUse::MountedHere { mount_point: "/data".into() };
    let partitions = DeviceUse::Partitions { names: vec!["sdb1".to_owned()] };
    let one =
        prop::sample::select(vec![DeviceUse::Swap, DeviceUse::BusyExclusive, mounted, partitions]);
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..3)]
}

fn file_state() -> impl Strategy<Value = FileState> {
    use FileKind::{BlockDevice, Directory, Regular, Special, SymbolicLink};
    let parent = prop::sample::select(vec![
        ParentState::Directory,
        ParentState::ReadOnly,
        ParentState::Full,
        ParentState::Missing,
        ParentState::NotADirectory,
    ]);
    let kind = prop_oneof![
        6 => Just(Regular),
        1 => prop::sample::select(vec![BlockDevice, Directory, Special, SymbolicLink]),
    ];
    let content = content().prop_map(|content| match content {
        Content::Blank => FileContent::Blank,
        data => FileContent::Data(data),
    });
    let size = prop::sample::select(vec![0, 4096, GIB, 2 * GIB]);
    let allocated = prop::sample::select(vec![0, GIB, 2 * GIB]);
    let present = (kind, content, uses(), size, allocated, 0u32..2, 1u64..1000).prop_map(
        |(kind, content, uses, size_bytes, allocated_bytes, uid, inode)| FileFacts {
            kind,
            content,
            uses,
            allocated_bytes,
            uid,
            inode,
            ..blank_file(size_bytes)
        },
    );
    prop_oneof![1 => parent.prop_map(|parent| FileState::Absent { parent }), 4 => present.prop_map(FileState::Present)]
}

fn kernel_state() -> impl Strategy<Value = DeviceState> {
    (content(), uses(), 0u32..1000, any::<bool>()).prop_map(|(content, uses, minor, read_only)| {
        let mut facts = kernel_device("/dev/kernel", minor, GIB);
        (facts.content, facts.uses, facts.read_only) = (content, uses, read_only);
        DeviceState::Kernel(facts)
    })
}

fn nvme_state() -> impl Strategy<Value = NvmeState> {
    let contents = prop::collection::vec(prop::option::of(content()), 0..3);
    (contents, uses()).prop_map(|(contents, uses)| {
        let address = "0000:81:00.0".parse().expect("address");
        let count = u32::try_from(contents.len()).expect("few");
        let mut state = blank_namespaces(controller(address, count, GIB));
        for (namespace, content) in state.contents.iter_mut().zip(contents) {
            namespace.content = content;
        }
        if let Some(namespace) = state.controller.namespaces.last_mut() {
            namespace.uses = uses;
        }
        state
    })
}

fn target(devices: TierDevices) -> BdevTarget {
    BdevTarget {
        engine: 0,
        host: "n1".to_owned(),
        owner: FileOwner { uid: 0, gid: 0 },
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    }
}

fn target_for(state: &DeviceState) -> BdevTarget {
    target(match state {
        DeviceState::File(_) => {
            TierDevices::File { paths: vec![PathBuf::from("/file")], size_gib: 1 }
        }
        DeviceState::Kernel(_) => TierDevices::Kdev { paths: vec![PathBuf::from("/dev/kernel")] },
        DeviceState::Nvme(_) => {
            TierDevices::Nvme { addresses: vec!["0000:81:00.0".parse().expect("address")] }
        }
        DeviceState::Memory => TierDevices::Malloc { count: 1, size_gib: 1 },
    })
}

fn any_state() -> impl Strategy<Value = DeviceState> {
    prop_oneof![
        file_state().prop_map(DeviceState::File),
        kernel_state(),
        nvme_state().prop_map(DeviceState::Nvme),
    ]
}

fn plan_of(state: &DeviceState, intent: Intent) -> BdevPlan {
    let target = target_for(state);
    let device = target.devices().remove(0);
    let observed = [ObservedDevice { device, state: Ok(state.clone()) }];
    plan(&target, &observed, intent).expect("a valid target")
}

fn in_use(state: &DeviceState) -> bool {
    match state {
        DeviceState::File(FileState::Present(facts)) => !facts.uses.is_empty(),
        DeviceState::Kernel(facts) => !facts.uses.is_empty(),
        DeviceState::Nvme(state) => !state.controller.uses().is_empty(),
        DeviceState::File(FileState::Absent { .. }) | DeviceState::Memory => false,
    }
}

fn contents(state: &DeviceState) -> Vec<Option<Content>> {
    match state {
        DeviceState::File(FileState::Present(facts)) => match &facts.content {
            FileContent::Data(content) => vec![Some(content.clone())],
            FileContent::Blank => vec![Some(Content::Blank)],
            FileContent::Unproven { .. } | FileContent::NotLookedAt => vec![None],
        },
        DeviceState::Kernel(facts) => vec![Some(facts.content.clone())],
        DeviceState::Nvme(state) => state.contents.iter().map(|ns| ns.content.clone()).collect(),
        DeviceState::File(FileState::Absent { .. }) | DeviceState::Memory => Vec::new(),
    }
}

/// Anything that is neither blank nor marked as ours throughout.
fn foreign(state: &DeviceState) -> bool {
    contents(state).iter().any(|content| match content {
        Some(Content::Blank) => false,
        Some(Content::Signatures(found)) => {
            found.iter().any(|one| one.kind != SignatureKind::DaosBlockDevice)
        }
        Some(Content::Unrecognised { .. }) | None => true,
    })
}

fn holds_something(state: &DeviceState) -> bool {
    contents(state).iter().any(|content| *content != Some(Content::Blank))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_plain_plan_never_touches_what_is_in_use_or_foreign(state in any_state()) {
        let plan = plan_of(&state, Intent::Plain);
        if in_use(&state) || foreign(&state) {
            let refused = matches!(plan.devices()[0].verdict(), Verdict::Refused(_));
            prop_assert!(refused, "{plan}");
            prop_assert!(plan.rows()[0].steps.is_empty());
        }
    }

    #[test]
    fn no_plan_touches_what_is_in_use(state in any_state()) {
        if in_use(&state) {
            let plan = plan_of(&state, Intent::Reformat);
            let refused = matches!(plan.devices()[0].verdict(), Verdict::Refused(_));
            prop_assert!(refused, "{plan}");
        }
    }

    /// Nothing is lost that the plan does not say is lost, and a loss is never announced for nothing.
    #[test]
    fn a_loss_is_shown_exactly_when_there_is_one(state in any_state(), reformat: bool) {
        let intent = if reformat { Intent::Reformat } else { Intent::Plain };
        let plan = plan_of(&state, intent);
        if let Verdict::Proceed { steps, destroys } = plan.devices()[0].verdict() {
            prop_assert_eq!(*destroys, holds_something(&state), "{}", &plan);
            if *destroys {
                prop_assert!(steps.iter().any(|step| step.is_destructive()), "{plan}");
            }
        }
    }

    #[test]
    fn a_device_that_cannot_be_looked_at_is_refused(state in any_state(), reformat: bool) {
        let intent = if reformat { Intent::Reformat } else { Intent::Plain };
        let target = target_for(&state);
        let device = target.devices().remove(0);
        let error = Arc::new(BdevError::NotFound { device: device.name.clone() });
        let plan = plan(&target, &[ObservedDevice { device, state: Err(error) }], intent);
        let plan = plan.expect("a valid target");
        let refused = matches!(plan.devices()[0].verdict(), Verdict::Refused(_));
        prop_assert!(refused);
    }

    #[test]
    fn equal_observations_make_equal_digests(state in any_state()) {
        let one = plan_of(&state, Intent::Reformat);
        let two = plan_of(&state.clone(), Intent::Reformat);
        prop_assert_eq!(one.digest(), two.digest());
        let digest = one.digest();
        prop_assert_eq!(digest.as_str().len(), 64);
        one.accept(&digest).expect("its own digest");
    }

    /// Unless both are refused for the same reason, when nothing happens to either.
    #[test]
    fn different_observations_make_different_digests(a in any_state(), b in any_state()) {
        let (one, two) = (plan_of(&a, Intent::Reformat), plan_of(&b, Intent::Reformat));
        let both_refused = [&one, &two]
            .iter()
            .all(|plan| matches!(plan.devices()[0].verdict(), Verdict::Refused(_)));
        if a != b && !both_refused {
            prop_assert_ne!(one.digest(), two.digest());
            let shown = one.digest();
            prop_assert_eq!(two.accept(&shown).expect_err("another plan").code(), 1230);
        }
    }
}

/// A part of some facts, and how to make it another one.
type Change<Facts> = (&'static str, fn(&mut Facts));

fn base_kernel() -> DeviceFacts {
    let mut facts = kernel_device("/dev/kernel", 16, GIB);
    facts.content = Content::Unrecognised { first_data: 0 };
    facts
}

#[test]
fn every_part_of_a_devices_identity_and_content_is_in_the_digest() {
    let digest = |facts| plan_of(&DeviceState::Kernel(facts), Intent::Reformat).digest();
    let base = digest(base_kernel());
    let changes: [Change<DeviceFacts>; 9] = [
        ("number", |f| f.identity.number.minor += 1),
        ("size", |f| f.identity.size_bytes += 512),
        ("sector size", |f| f.identity.sector_bytes = 4096),
        ("serial", |f| f.identity.serial = Some("other".to_owned())),
        ("model", |f| f.identity.model = None),
        ("wwn", |f| f.identity.wwn = Some("naa.1".to_owned())),
        ("disk sequence", |f| f.identity.disk_sequence = Some(99)),
        ("name", |f| f.identity.name = "sdz".to_owned()),
        ("content", |f| f.content = Content::Unrecognised { first_data: 1 }),
    ];
    for (what, change) in changes {
        let mut facts = base_kernel();
        change(&mut facts);
        assert_ne!(digest(facts), base, "{what}");
    }
}

#[test]
fn every_part_of_a_files_identity_is_in_the_digest() {
    let digest =
        |facts| plan_of(&DeviceState::File(FileState::Present(facts)), Intent::Reformat).digest();
    let base = digest(blank_file(GIB));
    let changes: [Change<FileFacts>; 6] = [
        ("inode", |f| f.inode += 1),
        ("file system", |f| f.file_system.minor += 1),
        ("size", |f| f.size_bytes -= 1),
        ("time of change", |f| f.modified_ns += 1),
        ("owner", |f| f.uid += 1),
        ("content", |f| f.content = FileContent::Unproven { looked_at: 1 }),
    ];
    for (what, change) in changes {
        let mut facts = blank_file(GIB);
        change(&mut facts);
        assert_ne!(digest(facts), base, "{what}");
    }
}

#[test]
fn target_and_intent_are_in_the_digest() {
    let state = DeviceState::File(FileState::Present(blank_file(GIB)));
    let base = plan_of(&state, Intent::Plain);
    assert_ne!(base.digest(), plan_of(&state, Intent::Reformat).digest());
    let observed = [ObservedDevice { device: base.target().devices().remove(0), state: Ok(state) }];
    for other in [
        BdevTarget { engine: 1, ..base.target().clone() },
        BdevTarget { owner: FileOwner { uid: 7, gid: 7 }, ..base.target().clone() },
    ] {
        let plan = plan(&other, &observed, Intent::Plain).expect("a valid target");
        assert_ne!(plan.digest(), base.digest());
    }
}

#[test]
fn one_device_under_two_names_is_refused_under_both() {
    let devices =
        TierDevices::Kdev { paths: vec!["/dev/a".into(), "/dev/b".into(), "/dev/c".into()] };
    let target = target(devices);
    let minors = [16, 16, 32];
    let observed: Vec<ObservedDevice> = target
        .devices()
        .into_iter()
        .zip(minors)
        .map(|(device, minor)| {
            let state = Ok(DeviceState::Kernel(kernel_device(&device.name, minor, GIB)));
            ObservedDevice { device, state }
        })
        .collect();
    let plan = plan(&target, &observed, Intent::Reformat).expect("a valid target");
    let codes: Vec<Option<i32>> =
        plan.rows().iter().map(|row| row.refusal.as_ref().map(|refusal| refusal.code)).collect();
    assert_eq!(codes, [Some(305), Some(305), None]);
}

#[test]
fn an_observation_of_something_else_makes_no_plan() {
    let state = DeviceState::Memory;
    let target = target_for(&state);
    let error = plan(&target, &[], Intent::Plain).expect_err("nothing observed");
    assert_eq!(error.code(), 1236);
    let device = target.devices().remove(0);
    let wrong = kernel_device("/dev/kernel", 1, GIB);
    let observed = [ObservedDevice { device, state: Ok(DeviceState::Kernel(wrong)) }];
    let plan = plan(&target, &observed, Intent::Reformat).expect("planned");
    assert_eq!(plan.rows()[0].refusal.as_ref().map(|refusal| refusal.code), Some(1230));
}

#[test]
fn a_plan_reads_as_an_administrator_needs_it() {
    let mut facts = base_kernel();
    facts.content = Content::Signatures(vec![Signature {
        kind: SignatureKind::FileSystem,
        name: "xfs".to_owned(),
        label: Some("backup".to_owned()),
        uuid: Some("5f2c".to_owned()),
    }]);
    let plain = plan_of(&DeviceState::Kernel(facts.clone()), Intent::Plain);
    assert_eq!(
        plain.to_string(),
        "/dev/kernel (/dev/kernel (8:16, 1073741824 bytes, model simulated disk, serial SIM0016); \
         xfs file system, label \"backup\", uuid 5f2c): refused: /dev/kernel (8:16, 1073741824 bytes, \
         model simulated disk, serial SIM0016): not blank: xfs file system, label \"backup\", uuid 5f2c\n"
    );
    let row = plan_of(&DeviceState::Kernel(facts), Intent::Reformat).rows().remove(0);
    assert_eq!(row.steps, ["erase its first and last 4 MiB"]);
    assert!(row.destroys);
    assert_eq!(row.content, "xfs file system, label \"backup\", uuid 5f2c");
}
