//! Every row of the start table by name.

use std::path::PathBuf;

use proptest::prelude::*;
use rstest::rstest;
use uuid::Uuid;

use super::*;
use crate::format::{Mark, MarkState, MetadataState, RefusedMetadata};
use crate::superblock::{Superblock, SuperblockError, SuperblockState};

const OURS: Uuid = Uuid::from_u128(5);

#[derive(Debug, Clone, Copy)]
enum Block {
    Readable,
    Missing,
    Unreadable,
}
use Block::{Missing, Readable, Unreadable};

impl Block {
    fn state(self) -> SuperblockState {
        match self {
            Missing => SuperblockState::Missing,
            Readable => SuperblockState::Readable(Superblock::new(OURS, "daos_server")),
            Unreadable => SuperblockState::Unreadable(SuperblockError::Truncated),
        }
    }
}

fn facts(may_mount: bool, scm: ScmAtStart, superblock: Block) -> StartFacts {
    StartFacts {
        index: 3,
        scm_mount: PathBuf::from("/mnt/daos"),
        may_mount,
        scm,
        superblock_path: PathBuf::from("/mnt/daos/superblock"),
        superblock: superblock.state(),
        was_reset: false,
        mark: MarkState::Clear,
        metadata: None,
        recreate_superblocks: false,
        roles: ReplicaRoles { create: true, bootstrap: false },
    }
}

fn holds() -> Contents {
    Contents::Holds(vec!["notes.txt".into()])
}
fn mounted() -> ScmAtStart {
    ScmAtStart::Mounted(Contents::Empty)
}
fn mounted_full() -> ScmAtStart {
    ScmAtStart::Mounted(holds())
}
fn absent(parent_is_tmpfs: bool) -> ScmAtStart {
    ScmAtStart::RamAbsent { parent_is_tmpfs }
}
fn directory(on_tmpfs: bool, contents: Contents) -> ScmAtStart {
    ScmAtStart::RamDirectory { on_tmpfs, contents }
}
fn foreign() -> ScmAtStart {
    ScmAtStart::DeviceForeign { found: "xfs".into() }
}

fn other() -> ScmAtStart {
    ScmAtStart::OtherMounted {
        found: "/mnt/daos already is a mount point: ext4 from /dev/a".into(),
    }
}

/// Short text of a decision, so that a row reads as one line.
fn outcome(decision: &StartDecision) -> String {
    match decision {
        StartDecision::Start { clear_mark: false } => "start".into(),
        StartDecision::Start { clear_mark: true } => "start, clear mark".into(),
        StartDecision::MountThenDecide(what) => format!("mount {what:?}"),
        StartDecision::CreateSuperblockThenStart => "create".into(),
        StartDecision::WaitForFormat { why } => {
            let text = format!("{why:?}");
            format!("wait {}", text.split([' ', '{', '(']).next().unwrap_or_default())
        }
        StartDecision::Refuse { fault } => format!("refuse {}", fault.code),
    }
}

#[rstest]
// The seed's rows. "root" is who may mount.
#[case::d1_root_superblock_mounted(true, mounted_full(), Readable, "start")]
#[case::d2_root_no_superblock_mounted(true, mounted(), Missing, "wait NoSuperblock")]
#[case::d3_root_no_superblock_not_mounted(true, absent(false), Missing, "wait NotMounted")]
#[case::d4_user_superblock_mounted(false, mounted_full(), Readable, "start")]
#[case::d5_user_not_mounted(false, absent(false), Missing, "refuse 1247")]
#[case::d5_user_device_not_mounted(false, ScmAtStart::DeviceOurs, Missing, "refuse 1247")]
#[case::d5_user_directory_elsewhere(
    false,
    directory(false, Contents::Empty),
    Missing,
    "refuse 1247"
)]
#[case::d6_user_mounted_no_superblock(false, mounted(), Missing, "create")]
// The directory form of class ram.
#[case::directory_absent_below_a_tmpfs(false, absent(true), Missing, "wait NotMounted")]
#[case::directory_empty_on_a_tmpfs_is_d6(
    false,
    directory(true, Contents::Empty),
    Missing,
    "create"
)]
#[case::directory_full_on_a_tmpfs(false, directory(true, holds()), Missing, "refuse 1248")]
#[case::directory_full_elsewhere(false, directory(false, holds()), Missing, "refuse 1247")]
#[case::directory_with_superblock(false, directory(true, holds()), Readable, "start")]
#[case::directory_with_superblock_for_root(true, directory(true, holds()), Readable, "start")]
#[case::directory_with_bad_superblock(
    false,
    directory(true, holds()),
    Unreadable,
    "wait SuperblockUnreadable"
)]
#[case::copied_superblock_elsewhere_does_not_count(
    false,
    directory(false, holds()),
    Readable,
    "refuse 1247"
)]
#[case::copied_superblock_elsewhere_for_root(
    true,
    directory(false, holds()),
    Readable,
    "wait NotMounted"
)]
#[case::directory_for_root_is_a_mount_point(
    true,
    directory(true, Contents::Empty),
    Missing,
    "wait NotMounted"
)]
#[case::user_mount_with_other_contents(false, mounted_full(), Missing, "refuse 1248")]
// Where the seed is silent.
#[case::c1_mounted_readable(true, mounted(), Readable, "start")]
#[case::c2_mounted_absent_not_empty(
    true,
    mounted_full(),
    Missing,
    "wait ContentsWithoutSuperblock"
)]
#[case::c4_mounted_unreadable(true, mounted_full(), Unreadable, "wait SuperblockUnreadable")]
#[case::c4_mounted_unreadable_for_a_user(
    false,
    mounted_full(),
    Unreadable,
    "wait SuperblockUnreadable"
)]
#[case::c6_device_ours(true, ScmAtStart::DeviceOurs, Missing, "mount Device")]
#[case::c8_device_blank(true, ScmAtStart::DeviceBlank, Missing, "wait NotMounted")]
#[case::c9_device_foreign(true, foreign(), Missing, "wait DeviceForeign")]
#[case::c10_device_missing(true, ScmAtStart::DeviceMissing, Missing, "wait DeviceMissing")]
#[case::c11_ram_not_mounted(true, absent(true), Missing, "wait NotMounted")]
#[case::other_mounted(true, other(), Readable, "refuse 1515")]
#[case::other_mounted_for_a_user(false, other(), Readable, "refuse 1515")]
#[case::other_mounted_and_unreadable(true, other(), Unreadable, "refuse 1515")]
#[case::check_failed(true, ScmAtStart::Unknown { why: "EIO".into() }, Missing, "wait CheckFailed")]
fn row(
    #[case] may_mount: bool,
    #[case] scm: ScmAtStart,
    #[case] superblock: Block,
    #[case] expected: &str,
) {
    assert_eq!(outcome(&decide_start(&facts(may_mount, scm, superblock))), expected);
}

#[rstest]
#[case::c3_mounted_absent(true, mounted_full(), Missing, "create")]
#[case::c3_for_a_user(false, mounted_full(), Missing, "create")]
#[case::c5_unreadable_is_never_replaced(
    true,
    mounted_full(),
    Unreadable,
    "wait SuperblockUnreadable"
)]
#[case::c5_for_a_user(false, directory(true, holds()), Unreadable, "wait SuperblockUnreadable")]
#[case::c7_device_is_mounted_first(true, ScmAtStart::DeviceOurs, Missing, "mount Device")]
#[case::c12_blank_device(true, ScmAtStart::DeviceBlank, Missing, "refuse 601")]
#[case::c12_foreign_device(true, foreign(), Missing, "refuse 601")]
#[case::c12_missing_device(true, ScmAtStart::DeviceMissing, Missing, "refuse 601")]
#[case::c12_ram_not_mounted(true, absent(false), Missing, "refuse 601")]
#[case::other_mounted_is_not_taken(true, other(), Missing, "refuse 1515")]
#[case::readable_is_left_alone(true, mounted(), Readable, "start")]
fn row_with_recreate_superblocks(
    #[case] may_mount: bool,
    #[case] scm: ScmAtStart,
    #[case] superblock: Block,
    #[case] expected: &str,
) {
    let facts = StartFacts { recreate_superblocks: true, ..facts(may_mount, scm, superblock) };
    assert_eq!(outcome(&decide_start(&facts)), expected);
}

#[rstest]
#[case::mounted(true, mounted(), Readable, "start")]
#[case::ram_gone_after_reboot(true, absent(false), Readable, "mount FreshRam")]
#[case::empty_mount_point(true, directory(false, Contents::Empty), Readable, "mount FreshRam")]
#[case::directory_gone_after_reboot(false, absent(true), Readable, "mount FreshDirectory")]
#[case::directory_kept(false, directory(true, holds()), Readable, "start")]
#[case::directory_kept_for_root(true, directory(true, holds()), Readable, "start")]
#[case::other_mounted(true, other(), Readable, "refuse 1515")]
#[case::user_without_a_place(false, absent(false), Readable, "refuse 1247")]
#[case::no_superblock(true, mounted(), Missing, "wait NoSuperblock")]
#[case::no_superblock_for_a_user(false, mounted(), Missing, "wait NoSuperblock")]
#[case::unreadable(true, mounted(), Unreadable, "wait SuperblockUnreadable")]
#[case::check_failed(true, ScmAtStart::Unknown { why: "EIO".into() }, Readable, "wait CheckFailed")]
fn row_with_metadata_on_disk(
    #[case] may_mount: bool,
    #[case] scm: ScmAtStart,
    #[case] superblock: Block,
    #[case] expected: &str,
) {
    let metadata = Some(MetadataState::Ready);
    let facts = StartFacts { metadata, ..facts(may_mount, scm, superblock) };
    assert_eq!(outcome(&decide_start(&facts)), expected);
}

#[test]
fn metadata_that_is_missing_or_refused_comes_first() {
    let mut facts = facts(true, mounted(), Readable);
    facts.metadata = Some(MetadataState::NeedsFormat { why: "no daos_control".into() });
    assert_eq!(outcome(&decide_start(&facts)), "wait MetadataMissing");
    let nfs = RefusedMetadata::BadFileSystem { path: "/nfs".into(), why: "nfs".into() };
    facts.metadata = Some(MetadataState::Refused(nfs));
    assert_eq!(outcome(&decide_start(&facts)), "refuse 1001");
}

fn format_mark(superblock: Uuid) -> MarkState {
    MarkState::Marked(Mark::new(3, "digest", superblock, Vec::new()))
}

#[rstest]
#[case::interrupted(format_mark(Uuid::from_u128(9)), mounted(), Missing, "wait Interrupted")]
#[case::other_superblock(format_mark(Uuid::from_u128(9)), mounted(), Readable, "wait Interrupted")]
#[case::came_to_its_end(format_mark(OURS), mounted_full(), Readable, "start, clear mark")]
#[case::may_have_come_to_its_end(
    format_mark(OURS),
    ScmAtStart::DeviceOurs,
    Missing,
    "mount Device"
)]
#[case::ram_is_gone(format_mark(OURS), absent(true), Missing, "wait Interrupted")]
fn mark_makes_the_state_unknown(
    #[case] mark: MarkState,
    #[case] scm: ScmAtStart,
    #[case] superblock: Block,
    #[case] expected: &str,
    #[values(true, false)] recreate_superblocks: bool,
) {
    let facts = StartFacts { mark, recreate_superblocks, ..facts(true, scm, superblock) };
    assert_eq!(outcome(&decide_start(&facts)), expected);
}

#[rstest]
#[case::mounted(true, mounted_full(), None)]
#[case::mounted_for_a_user(false, mounted_full(), None)]
#[case::directory(false, directory(true, holds()), None)]
#[case::metadata_on_disk(true, mounted_full(), Some(MetadataState::Ready))]
fn reset_engine_waits_whatever_the_flags(
    #[case] may_mount: bool,
    #[case] scm: ScmAtStart,
    #[case] metadata: Option<MetadataState>,
    #[values(true, false)] recreate_superblocks: bool,
) {
    let facts = facts(may_mount, scm, Missing);
    let facts = StartFacts { was_reset: true, metadata, recreate_superblocks, ..facts };
    assert_eq!(outcome(&decide_start(&facts)), "wait Reset");
}

#[test]
fn log_lines_have_the_key_words_of_the_seed() {
    let line = |facts: StartFacts| decide_start(&facts).log_line(&facts);
    assert_eq!(line(facts(true, mounted(), Readable)), "server 3 has already been formatted");
    assert_eq!(
        line(facts(true, mounted(), Missing)),
        "waiting for storage format on server 3: SCM is mounted, empty, and has no superblock"
    );
    assert_eq!(
        line(facts(false, mounted(), Missing)),
        "format server /mnt/daos (createMS=true bootstrapMS=false)"
    );
    assert!(
        line(facts(false, absent(false), Missing))
            .starts_with("server 3 scm mount path /mnt/daos not mounted")
    );
}

fn any_scm() -> impl Strategy<Value = ScmAtStart> {
    prop::sample::select(vec![
        mounted(),
        mounted_full(),
        absent(true),
        absent(false),
        directory(true, Contents::Empty),
        directory(true, holds()),
        directory(false, Contents::Empty),
        directory(false, holds()),
        ScmAtStart::DeviceOurs,
        ScmAtStart::DeviceBlank,
        foreign(),
        ScmAtStart::DeviceMissing,
        other(),
        ScmAtStart::Unknown { why: "EIO".into() },
    ])
}

proptest! {
    /// Whatever the facts: no start without a superblock or on another mount than the configured one, no superblock is made
    /// over an existing one, and a mark of an operation that did not end never lets an engine start.
    #[test]
    fn decision_never_takes_unknown_for_formatted(
        may_mount: bool, recreate_superblocks: bool, scm in any_scm(),
        block in prop::sample::select(vec![Readable, Missing, Unreadable]),
        mark in 0..3, metadata in 0..3,
    ) {
        let facts = StartFacts {
            recreate_superblocks,
            mark: match mark {
                0 => MarkState::Clear,
                1 => format_mark(OURS),
                _ => format_mark(Uuid::from_u128(9)),
            },
            metadata: match metadata {
                0 => None,
                1 => Some(MetadataState::Ready),
                _ => Some(MetadataState::NeedsFormat { why: "x".into() }),
            },
            ..facts(may_mount, scm, block)
        };
        let is_other = matches!(facts.scm, ScmAtStart::OtherMounted { .. });
        match decide_start(&facts) {
            StartDecision::Start { clear_mark } => {
                prop_assert!(!is_other && matches!(block, Readable));
                prop_assert_eq!(clear_mark, mark != 0);
                prop_assert!(mark != 2);
            }
            StartDecision::CreateSuperblockThenStart => {
                prop_assert!(!is_other && matches!(block, Missing));
                prop_assert_eq!(mark, 0);
            }
            StartDecision::MountThenDecide(_) => prop_assert!(may_mount || metadata == 1),
            StartDecision::WaitForFormat { .. } | StartDecision::Refuse { .. } => {}
        }
    }
}
