//! Plans in the words an administrator reads, and the order in which a format is refused.

use daos_storage_scm::model::{
    Dax, DeviceContent, DeviceFacts, DeviceIdentity, DeviceKind, DeviceNumber, DeviceState,
    FoundAt, Medium, MountFacts, MountPointState, MountRight, ParentFacts, RamFacts,
};
use daos_storage_scm::{
    Entries, Intent, Owner, PlanFacts, RamSpec, ScmObserved, ScmParams, ScmReadiness, ScmTarget,
    plan,
};
use rstest::rstest;

const OWNER: Option<Owner> = Some(Owner { uid: 988, gid: 987 });
const PMEM0: DeviceNumber = DeviceNumber { major: 259, minor: 0 };

fn ram_target(spec: RamSpec) -> ScmTarget {
    let mount_point = "/mnt/daos0".into();
    ScmTarget::from_params(ScmParams {
        mount_point,
        ram: Some(spec),
        owner: OWNER,
        ..ScmParams::default()
    })
    .expect("valid")
}

fn dcpm_target() -> ScmTarget {
    let (mount_point, devices) = ("/mnt/daos0".into(), Some(vec!["/dev/pmem0".into()]));
    ScmTarget::from_params(ScmParams { mount_point, devices, owner: OWNER, ..ScmParams::default() })
        .expect("valid")
}

fn missing() -> MountPointState {
    let path = "/mnt".to_owned();
    let fs_type = "ext4".to_owned();
    MountPointState::Missing {
        parent: ParentFacts { path, direct: true, fs_type, is_mount_point: false },
    }
}

fn mounted(fs_type: &str, options: &str, entries: &[&str]) -> MountPointState {
    MountPointState::MountPoint(MountFacts {
        found: FoundAt { device: PMEM0, inode: 2, mount_id: 77 },
        path: "/mnt/daos0".to_owned(),
        fs_type: fs_type.to_owned(),
        source: if fs_type == "ext4" { "/dev/pmem0" } else { "tmpfs" }.to_owned(),
        device: PMEM0,
        whole: true,
        options: options.to_owned(),
        size_bytes: 4 << 30,
        stacked: 1,
        entries: Entries::new(entries.iter().copied()),
        erasing: false,
        mounts_below: Vec::new(),
    })
}

fn ram(nodes: &[u32], huge_supported: bool) -> Medium {
    let may_mount = MountRight::Allowed;
    Medium::Ram(RamFacts { may_mount, numa_nodes: nodes.to_vec(), huge_supported })
}

fn pmem(content: DeviceContent) -> DeviceFacts {
    DeviceFacts {
        identity: DeviceIdentity {
            path: "/dev/pmem0".into(),
            name: "pmem0".to_owned(),
            number: PMEM0,
            size_bytes: 137_438_953_472,
            sector_bytes: 512,
            serial: None,
            model: None,
            wwn: None,
            disk_sequence: Some(9),
            kind: DeviceKind::Disk,
        },
        content,
        mounted_elsewhere: Vec::new(),
        used_by: Vec::new(),
        dax: Dax::Offered,
        may_mount: MountRight::Allowed,
    }
}

fn dcpm(facts: DeviceFacts) -> Medium {
    Medium::Dcpm(DeviceState::Present(Box::new(facts)))
}

fn text(target: &ScmTarget, at: MountPointState, medium: Medium, intent: Intent) -> String {
    let facts = PlanFacts { superblock_seen: intent == Intent::Reformat, ..PlanFacts::default() };
    match plan(target, &ScmObserved { at, medium }, intent, &facts) {
        Ok(plan) => plan.to_string(),
        Err(error) => format!("{}: {error}", error.code()),
    }
}

// T3, R65: what a format of each class says it will do; its log has the same lines.
#[test]
fn the_plan_of_a_ram_disk_in_words() {
    let spec = RamSpec {
        size_bytes: Some(16 << 30),
        numa: Some(1),
        hugepages: true,
        ..RamSpec::default()
    };
    let shown = text(&ram_target(spec), missing(), ram(&[0, 1], true), Intent::Plain);
    assert_eq!(
        shown,
        "engine 0 SCM at /mnt/daos0: new tmpfs of 17179869184 bytes\n\
         \x20 now: missing below /mnt\n\
         \x20 step: create directory /mnt/daos0\n\
         \x20 step: mount tmpfs at /mnt/daos0 (mpol=prefer:1,size=16g,huge=always,mode=0700)\n\
         \x20 step: give /mnt/daos0 to 988:987 with mode 0700\n\
         \x20 step: verify /mnt/daos0\n"
    );
}

#[test]
fn the_plan_of_a_reformatted_ram_disk_says_what_is_lost() {
    let at = mounted("tmpfs", "rw", &["superblock", "vos-0"]);
    let shown = text(&ram_target(RamSpec::default()), at, ram(&[0], true), Intent::Reformat);
    assert_eq!(
        shown,
        "engine 0 SCM at /mnt/daos0: tmpfs of 4294967296 bytes mounted there\n\
         \x20 now: tmpfs with superblock, vos-0\n\
         \x20 step: unmount /mnt/daos0, its content is lost\n\
         \x20 step: mount tmpfs at /mnt/daos0 (mode=0700)\n\
         \x20 step: give /mnt/daos0 to 988:987 with mode 0700\n\
         \x20 step: verify /mnt/daos0\n\
         \x20 lost: content of the tmpfs at /mnt/daos0: superblock, vos-0\n"
    );
}

#[test]
fn the_plan_of_a_persistent_memory_device_in_words() {
    let shown = text(&dcpm_target(), missing(), dcpm(pmem(DeviceContent::Blank)), Intent::Plain);
    assert_eq!(
        shown,
        "engine 0 SCM at /mnt/daos0: /dev/pmem0 (259:0, 137438953472 bytes)\n\
         \x20 now: blank\n\
         \x20 step: create directory /mnt/daos0\n\
         \x20 step: wipe all signatures of /dev/pmem0\n\
         \x20 step: make ext4 on /dev/pmem0\n\
         \x20 step: mount /dev/pmem0 at /mnt/daos0 (dax,nodelalloc)\n\
         \x20 step: give /mnt/daos0 to 988:987 with mode 0700\n\
         \x20 step: verify /mnt/daos0\n"
    );
}

#[test]
fn the_plan_of_a_reformatted_device_unmounts_first_r125() {
    let ours = DeviceContent::Ours { uuid: "0c5f".to_owned() };
    let at = mounted("ext4", "rw,dax=always", &["superblock"]);
    let shown = text(&dcpm_target(), at, dcpm(pmem(ours)), Intent::Reformat);
    assert_eq!(
        shown,
        "engine 0 SCM at /mnt/daos0: /dev/pmem0 (259:0, 137438953472 bytes)\n\
         \x20 now: ext4 of DAOS, uuid 0c5f, mounted with superblock\n\
         \x20 step: unmount /mnt/daos0\n\
         \x20 step: wipe all signatures of /dev/pmem0\n\
         \x20 step: make ext4 on /dev/pmem0\n\
         \x20 step: mount /dev/pmem0 at /mnt/daos0 (dax,nodelalloc)\n\
         \x20 step: give /mnt/daos0 to 988:987 with mode 0700\n\
         \x20 step: verify /mnt/daos0\n\
         \x20 lost: ext4 of DAOS, uuid 0c5f, mounted with superblock on /dev/pmem0\n"
    );
}

// R126, contract 7.3: options are asked for only where the kernel can fulfil them.
#[rstest]
#[case::one_node(Some(0), &[0], true, "size=4g,huge=always,mode=0700", 0)]
#[case::two_nodes(Some(0), &[0, 1], true, "mpol=prefer:0,size=4g,huge=always,mode=0700", 0)]
#[case::absent_node(Some(3), &[0, 1], true, "size=4g,huge=always,mode=0700", 1)]
#[case::no_huge_pages(None, &[0, 1], false, "size=4g,mode=0700", 1)]
fn tmpfs_options_fit_the_host(
    #[case] numa: Option<u32>,
    #[case] nodes: &[u32],
    #[case] huge: bool,
    #[case] options: &str,
    #[case] notices: usize,
) {
    let spec = RamSpec { size_bytes: Some(4 << 30), numa, hugepages: true, ..RamSpec::default() };
    let shown = text(&ram_target(spec), missing(), ram(nodes, huge), Intent::Plain);
    assert!(shown.contains(&format!("({options})")), "{shown}");
    assert_eq!(shown.matches("note:").count(), notices, "{shown}");
}

#[test]
fn sizes_below_a_gib_keep_their_bytes() {
    let spec = RamSpec { size_bytes: Some(5000), ..RamSpec::default() };
    let shown = text(&ram_target(spec), missing(), ram(&[0], true), Intent::Plain);
    assert!(shown.contains("(size=5000,mode=0700)") && shown.contains("8192 bytes"), "{shown}");
}

// R127, R128: each refusal has its number, and wins over those that come after it.
#[test]
fn a_device_is_refused_in_the_order_of_r127() {
    let other_mount = mounted("xfs", "rw", &[]);
    let foreign = DeviceContent::Foreign { signature: "xfs file system".to_owned() };
    let mut worst = pmem(foreign);
    worst.mounted_elsewhere = vec!["/data".to_owned()];
    worst.used_by = vec!["active swap space".to_owned()];
    worst.dax = Dax::Missing;
    worst.may_mount = MountRight::Refused { why: "EPERM".to_owned() };
    let mut elsewhere = other_mount.clone();
    if let MountPointState::MountPoint(mount) = &mut elsewhere {
        mount.device = DeviceNumber { major: 8, minor: 1 };
    }
    let code = |at: &MountPointState, facts: &DeviceFacts, intent| {
        let observed = ScmObserved { at: at.clone(), medium: dcpm(facts.clone()) };
        let planned = plan(&dcpm_target(), &observed, intent, &PlanFacts::default());
        planned.map_err(|error| error.code()).err()
    };
    assert_eq!(code(&elsewhere, &worst, Intent::Plain), Some(104));
    assert_eq!(code(&missing(), &worst, Intent::Plain), Some(103));
    worst.mounted_elsewhere.clear();
    assert_eq!(code(&missing(), &worst, Intent::Plain), Some(1201));
    worst.used_by.clear();
    assert_eq!(code(&missing(), &worst, Intent::Plain), Some(101));
    // What a reformat would take is still refused where it could not be mounted afterwards.
    assert_eq!(code(&missing(), &worst, Intent::Reformat), Some(1208));
    worst.dax = Dax::Offered;
    assert_eq!(code(&missing(), &worst, Intent::Reformat), Some(1205));
    worst.may_mount = MountRight::Allowed;
    assert_eq!(code(&missing(), &worst, Intent::Reformat), None);
}

#[test]
fn our_file_system_mounted_without_dax_is_not_adopted() {
    let ours = || pmem(DeviceContent::Ours { uuid: "0c5f".to_owned() });
    let without = text(&dcpm_target(), mounted("ext4", "rw", &[]), dcpm(ours()), Intent::Plain);
    assert!(without.starts_with("1208:"), "{without}");
    let with = mounted("ext4", "rw,noatime,dax=always", &[]);
    let shown = text(&dcpm_target(), with, dcpm(ours()), Intent::Plain);
    assert!(!shown.contains("wipe") && shown.contains("verify"), "{shown}");
}

#[test]
fn a_foreign_file_system_mounted_by_hand_is_not_adopted_w10() {
    let foreign = DeviceContent::Foreign { signature: "ext4 file system".to_owned() };
    let at = mounted("ext4", "rw,dax=always", &[]);
    let shown = text(&dcpm_target(), at.clone(), dcpm(pmem(foreign.clone())), Intent::Plain);
    assert!(shown.starts_with("101:"), "{shown}");
    // It can be started from, if somebody put a superblock there (row C1), and it is shown before it is lost.
    let observed = ScmObserved { at: at.clone(), medium: dcpm(pmem(foreign.clone())) };
    let readiness = observed.readiness(&dcpm_target());
    assert!(matches!(readiness, ScmReadiness::Reachable { .. }), "{readiness:?}");
    let shown = text(&dcpm_target(), at, dcpm(pmem(foreign)), Intent::Reformat);
    assert!(shown.contains("lost: ext4 file system"), "{shown}");
}

#[test]
fn a_plan_that_no_longer_holds_says_what_changed() {
    let blank = ScmObserved { at: missing(), medium: dcpm(pmem(DeviceContent::Blank)) };
    let planned = plan(&dcpm_target(), &blank, Intent::Plain, &PlanFacts::default()).expect("plan");
    let digest = planned.digest().clone();
    let accepted = planned.accept(&digest).expect("accept");
    let mut other = pmem(DeviceContent::Blank);
    other.identity.disk_sequence = Some(10);
    let replugged = ScmObserved { at: missing(), medium: dcpm(other) };
    let error = accepted.still_holds(&replugged).expect_err("another device");
    assert_eq!(error.code(), 1207);
    assert!(error.to_string().contains("another one or was set up anew"), "{error}");
    let foreign = DeviceContent::Foreign { signature: "xfs file system".to_owned() };
    let written = ScmObserved { at: missing(), medium: dcpm(pmem(foreign)) };
    let error = accepted.still_holds(&written).expect_err("written since").to_string();
    assert!(error.contains("blank") && error.contains("xfs file system"), "{error}");
}
