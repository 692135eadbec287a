//! Properties of the planner over every kind of observation, however odd.

use daos_storage_scm::model::{
    Dax, DeviceContent, DeviceFacts, DeviceIdentity, DeviceKind, DeviceNumber, DeviceState,
    DirectoryFacts, FoundAt, Medium, MountFacts, MountPointState, MountRight, ParentFacts,
    RamFacts,
};
use daos_storage_scm::{
    Entries, Intent, PlanFacts, RamForm, RamSpec, ScmObserved, ScmParams, ScmPlan, ScmStep,
    ScmTarget, plan,
};
use proptest::prelude::*;
use proptest::sample::select;

const MOUNT_POINT: &str = "/mnt/daos0";
const DEVICE: &str = "/dev/pmem0";

fn numbers() -> impl Strategy<Value = DeviceNumber> {
    select(vec![0u32, 1]).prop_map(|minor| DeviceNumber { major: 259, minor })
}

fn entries() -> impl Strategy<Value = Entries> {
    let names = select(vec!["superblock", "daos_nvme.conf", "thesis.tex", "vos-0"]);
    proptest::collection::btree_set(names, 0..4).prop_map(Entries::new)
}

fn below() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![6 => Just(Vec::new()), 1 => Just(vec![format!("{MOUNT_POINT}/below")])]
}

fn fs_types() -> impl Strategy<Value = String> {
    select(vec!["tmpfs", "ext4", "xfs"]).prop_map(str::to_owned)
}

fn found() -> FoundAt {
    FoundAt { device: DeviceNumber { major: 0, minor: 40 }, inode: 1, mount_id: 7 }
}

prop_compose! {
    fn directories()(
        fs_type in fs_types(), entries in entries(), erasing: bool, mounts_below in below()
    ) -> MountPointState {
        let path = MOUNT_POINT.to_owned();
        let found = found();
        MountPointState::Directory(
            DirectoryFacts { found, path, fs_type, entries, erasing, mounts_below })
    }
}

prop_compose! {
    fn mounts()(
        fs_type in fs_types(), device in numbers(), whole: bool, dax: bool, stacked in 1usize..3,
        entries in entries(), erasing: bool, mounts_below in below(),
        size_bytes in select(vec![1u64 << 30, 8 << 30]),
    ) -> MountPointState {
        MountPointState::MountPoint(MountFacts {
            found: found(), path: MOUNT_POINT.to_owned(), fs_type, source: "source".to_owned(),
            device, whole, options: if dax { "rw,dax=always" } else { "rw" }.to_owned(), size_bytes,
            stacked, entries, erasing, mounts_below,
        })
    }
}

prop_compose! {
    fn missing()(direct: bool, fs_type in fs_types(), is_mount_point: bool) -> MountPointState {
        let path = "/mnt".to_owned();
        MountPointState::Missing { parent: ParentFacts { path, direct, fs_type, is_mount_point } }
    }
}

fn places() -> impl Strategy<Value = MountPointState> {
    prop_oneof![
        4 => mounts(),
        4 => directories(),
        2 => missing(),
        1 => Just(MountPointState::Symlink { to: "/etc".to_owned() }),
        1 => Just(MountPointState::NotADirectory { kind: "a regular file".to_owned() }),
        1 => Just(MountPointState::Unreadable { why: "open".to_owned(), errno: 13 }),
    ]
}

fn rights() -> impl Strategy<Value = MountRight> {
    prop_oneof![
        3 => Just(MountRight::Allowed),
        1 => Just(MountRight::Refused { why: "EPERM".to_owned() }),
    ]
}

fn contents() -> impl Strategy<Value = DeviceContent> {
    prop_oneof![
        Just(DeviceContent::Blank),
        Just(DeviceContent::Ours { uuid: "u".to_owned() }),
        Just(DeviceContent::Foreign { signature: "xfs".to_owned() }),
    ]
}

prop_compose! {
    fn devices()(
        number in numbers(), content in contents(), elsewhere in proptest::bool::weighted(0.2),
        used in proptest::bool::weighted(0.2), may_mount in rights(),
        dax in select(vec![Dax::Offered, Dax::Missing, Dax::LoopStandIn]),
    ) -> DeviceState {
        DeviceState::Present(Box::new(DeviceFacts {
            identity: DeviceIdentity {
                path: DEVICE.into(), name: "pmem0".to_owned(), number, size_bytes: 1 << 37,
                sector_bytes: 4096, serial: None, model: None, wwn: None, disk_sequence: Some(1),
                kind: DeviceKind::Disk,
            },
            content,
            mounted_elsewhere: if elsewhere { vec!["/elsewhere".to_owned()] } else { vec![] },
            used_by: if used { vec!["active swap space".to_owned()] } else { vec![] },
            dax,
            may_mount,
        }))
    }
}

prop_compose! {
    fn ram()(may_mount in rights(), huge_supported: bool) -> Medium {
        Medium::Ram(RamFacts { may_mount, numa_nodes: vec![0, 1], huge_supported })
    }
}

fn media() -> impl Strategy<Value = Medium> {
    prop_oneof![
        8 => ram(),
        8 => devices().prop_map(Medium::Dcpm),
        1 => Just(Medium::Dcpm(DeviceState::Missing)),
    ]
}

fn forms() -> impl Strategy<Value = RamForm> {
    select(vec![RamForm::Auto, RamForm::Auto, RamForm::Tmpfs, RamForm::Directory])
}

prop_compose! {
    fn facts()(
        engine_running in proptest::bool::weighted(0.1), superblock_seen: bool, left: bool
    ) -> PlanFacts {
        let leftovers = if left { vec!["daos_nvme.conf".to_owned()] } else { Vec::new() };
        PlanFacts { engine_running, superblock_seen, leftovers }
    }
}

prop_compose! {
    fn cases()(
        at in places(), medium in media(), form in forms(), facts in facts(), reformat: bool
    ) -> (ScmTarget, ScmObserved, Intent, PlanFacts) {
        let is_ram = matches!(medium, Medium::Ram(_));
        let size_bytes = Some(4 << 30);
        let target = ScmTarget::from_params(ScmParams {
            mount_point: MOUNT_POINT.into(),
            ram: is_ram.then_some(RamSpec { size_bytes, numa: Some(1), hugepages: true, form }),
            devices: (!is_ram).then(|| vec![DEVICE.into()]),
            ..ScmParams::default()
        }).expect("valid");
        let intent = if reformat { Intent::Reformat } else { Intent::Plain };
        (target, ScmObserved { at, medium }, intent, facts)
    }
}

fn entries_of(observed: &ScmObserved) -> Entries {
    match &observed.at {
        MountPointState::Directory(directory) => directory.entries.clone(),
        MountPointState::MountPoint(mount) => mount.entries.clone(),
        _ => Entries::default(),
    }
}

fn mounts_below(observed: &ScmObserved) -> bool {
    match &observed.at {
        MountPointState::Directory(directory) => !directory.mounts_below.is_empty(),
        MountPointState::MountPoint(mount) => !mount.mounts_below.is_empty(),
        _ => false,
    }
}

fn in_use(observed: &ScmObserved) -> bool {
    match &observed.medium {
        Medium::Dcpm(DeviceState::Present(device)) => {
            !device.used_by.is_empty() || !device.mounted_elsewhere.is_empty()
        }
        _ => false,
    }
}

fn blank_device(observed: &ScmObserved) -> bool {
    match &observed.medium {
        Medium::Dcpm(DeviceState::Present(device)) => device.content == DeviceContent::Blank,
        _ => true,
    }
}

fn has(plan: &ScmPlan, wanted: impl Fn(&ScmStep) -> bool) -> bool {
    plan.steps().iter().any(wanted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    // In use is refused whatever flags are given (R128, E3).
    #[test]
    fn in_use_never_has_a_plan((target, observed, intent, facts) in cases()) {
        let planned = plan(&target, &observed, intent, &facts);
        if in_use(&observed) || mounts_below(&observed) || facts.engine_running {
            prop_assert!(planned.is_err(), "{planned:?}");
        }
    }

    // A plain format takes nothing from anybody (W14, W46).
    #[test]
    fn plain_never_destroys((target, observed, _, facts) in cases()) {
        let Ok(plan) = plan(&target, &observed, Intent::Plain, &facts) else { return Ok(()) };
        prop_assert!(plan.destroys().is_empty());
        let takes_away = has(&plan, |step| {
            matches!(step, ScmStep::Unmount { .. } | ScmStep::MarkErase { .. })
        });
        prop_assert!(!takes_away, "{plan}");
        prop_assert!(entries_of(&observed).only(&facts.leftovers));
        if has(&plan, |step| matches!(
            step, ScmStep::WipeSignatures { .. } | ScmStep::MakeFilesystem { .. })) {
            prop_assert!(blank_device(&observed), "wipes what holds something");
            prop_assert!(!matches!(observed.at, MountPointState::MountPoint(_)));
        }
        if has(&plan, |step| matches!(step, ScmStep::EraseContent { .. })) {
            prop_assert!(entries_of(&observed).is_empty() || entries_of(&observed).only(&facts.leftovers));
        }
    }

    // Nothing is lost that the plan does not say (promise 1).
    #[test]
    fn every_loss_is_shown((target, observed, intent, facts) in cases()) {
        let Ok(plan) = plan(&target, &observed, intent, &facts) else { return Ok(()) };
        let holds = !entries_of(&observed).is_empty() || !blank_device(&observed);
        if holds && has(&plan, ScmStep::is_destructive) {
            let only_mark = entries_of(&observed).only(&facts.leftovers)
                && has(&plan, |step| matches!(step, ScmStep::EraseContent { .. }))
                && intent == Intent::Plain;
            prop_assert!(!plan.destroys().is_empty() || only_mark, "{plan}");
        }
        if !plan.destroys().is_empty() {
            prop_assert!(has(&plan, ScmStep::is_destructive), "{plan}");
        }
    }

    // A populated directory on which nothing is mounted is emptied only when it is known to be ours (W1).
    #[test]
    fn unknown_directories_are_never_emptied((target, observed, intent, facts) in cases()) {
        let MountPointState::Directory(directory) = &observed.at else { return Ok(()) };
        let Ok(plan) = plan(&target, &observed, intent, &facts) else { return Ok(()) };
        if !directory.entries.only(&facts.leftovers) {
            prop_assert!(facts.superblock_seen || directory.erasing, "{plan}");
            prop_assert!(directory.fs_type == "tmpfs" && intent == Intent::Reformat, "{plan}");
            prop_assert!(!has(&plan, |step| matches!(
                step, ScmStep::MountTmpfs { .. } | ScmStep::MountExt4 { .. })), "{plan}");
        }
    }

    // What is there already is refused, never mounted over or taken for another (R128).
    #[test]
    fn another_mount_is_never_touched((target, observed, intent, facts) in cases()) {
        let MountPointState::MountPoint(mount) = &observed.at else { return Ok(()) };
        let Ok(plan) = plan(&target, &observed, intent, &facts) else { return Ok(()) };
        prop_assert_eq!(mount.stacked, 1);
        match &observed.medium {
            Medium::Ram(_) => prop_assert_eq!(&mount.fs_type, "tmpfs"),
            Medium::Dcpm(DeviceState::Present(device)) => {
                prop_assert_eq!(mount.device, device.identity.number);
                prop_assert!(mount.whole);
            }
            Medium::Dcpm(_) => prop_assert!(false, "a plan without a device"),
        }
        if has(&plan, |step| matches!(
            step, ScmStep::MountTmpfs { .. } | ScmStep::MountExt4 { .. })) {
            let first = plan.steps().first();
            prop_assert!(first.is_some_and(|step| step.name() == "unmount"), "{plan}");
        }
    }

    #[test]
    fn plans_are_repeatable_verified_and_told_apart_by_digest(
        (target, observed, intent, facts) in cases(), (_, other, _, _) in cases()
    ) {
        let Ok(first) = plan(&target, &observed, intent, &facts) else { return Ok(()) };
        let again = plan(&target, &observed, intent, &facts).expect("same input");
        prop_assert_eq!(first.digest(), again.digest());
        prop_assert_eq!(first.digest().as_str().len(), 64);
        let last: Vec<_> = first.steps().iter().rev().take(2).map(ScmStep::name).collect();
        prop_assert_eq!(last, ["verify", "set-owner"]);
        if let Ok(changed) = plan(&target, &other, intent, &facts) {
            prop_assert_eq!(changed.digest() == first.digest(), changed == first);
        }
        let accepted = again.accept(first.digest()).expect("its own digest");
        prop_assert_eq!(accepted.still_holds(&other).is_ok(), other == observed);
        prop_assert!(accepted.still_holds(&observed).is_ok());
    }
}

/// The properties above say something only if plans of every kind are among the cases.
#[test]
fn the_cases_reach_every_step() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..4000 {
        let (target, observed, intent, facts) =
            cases().new_tree(&mut runner).expect("a case").current();
        if let Ok(plan) = plan(&target, &observed, intent, &facts) {
            reached.extend(plan.steps().iter().map(ScmStep::name));
        }
    }
    let all = [
        "create-directory",
        "erase-content",
        "make-filesystem",
        "mark-erase",
        "mount-ext4",
        "mount-tmpfs",
        "set-owner",
        "unmount",
        "verify",
        "wipe-signatures",
    ];
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), all);
}
