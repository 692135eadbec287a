//! The start table itself, one function per kind of place. Pure.

use super::decision::{holds_something_else, not_mounted, nothing_to_recreate_on, other_mounted};
use super::{Contents, Mountable, ScmAtStart, StartDecision, StartFacts, WaitReason};
use crate::format::{MarkState, MetadataState};
use crate::superblock::SuperblockState;

/// Decides what to do with one engine's storage at start.
///
/// Rows D1-D6 of the seed hold; where they are silent rows C1-C12, contract 7.3 for control metadata, and two
/// rules of ours: a superblock that cannot be read is never replaced, whatever the flags (W13), a journal mark
/// means that the state is unknown, unless the superblock that ends the marked format is there, and what is
/// mounted has to be what is configured.
#[must_use]
pub fn decide_start(facts: &StartFacts) -> StartDecision {
    // Before anything is concluded from files on it.
    if let ScmAtStart::OtherMounted { found } = &facts.scm {
        return other_mounted(facts.index, found);
    }
    match unsettled(facts) {
        Some(why) if !may_tell_after_mount(facts) => wait(why),
        Some(_) => StartDecision::MountThenDecide(Mountable::Device),
        None => match &facts.metadata {
            Some(metadata) => with_metadata(facts, metadata),
            None => without_metadata(facts),
        },
    }
}

/// Why the journal forbids to trust the storage, if it does.
fn unsettled(facts: &StartFacts) -> Option<WaitReason> {
    match &facts.mark {
        MarkState::Clear => None,
        MarkState::Unreadable(_) => Some(WaitReason::Interrupted { mark: None }),
        MarkState::Marked(mark) if mark.is_settled_by(facts.superblock.readable()) => None,
        MarkState::Marked(mark) => Some(WaitReason::Interrupted { mark: Some(mark.clone()) }),
    }
}

/// Whether the superblock that would settle a format mark may lie on a device that is only not mounted.
fn may_tell_after_mount(facts: &StartFacts) -> bool {
    facts.may_mount
        && facts.scm == ScmAtStart::DeviceOurs
        && facts.metadata.is_none()
        && matches!(&facts.mark, MarkState::Marked(_))
}

fn without_metadata(facts: &StartFacts) -> StartDecision {
    let (index, mount) = (facts.index, &facts.scm_mount);
    match &facts.scm {
        ScmAtStart::Mounted(contents) => mounted(facts, contents),
        // A directory on a tmpfs stands for a tmpfs when it carries a superblock, or when we may not mount.
        ScmAtStart::RamDirectory { on_tmpfs: true, contents }
            if !facts.may_mount || !matches!(facts.superblock, SuperblockState::Missing) =>
        {
            mounted(facts, contents)
        }
        ScmAtStart::RamDirectory { .. } if facts.may_mount => {
            unmounted(facts, WaitReason::NotMounted)
        }
        ScmAtStart::RamDirectory { .. } => {
            not_mounted(index, mount, ", and the directory does not lie on a tmpfs")
        }
        ScmAtStart::RamAbsent { parent_is_tmpfs } if facts.may_mount || *parent_is_tmpfs => {
            unmounted(facts, WaitReason::NotMounted)
        }
        ScmAtStart::RamAbsent { .. } => {
            not_mounted(index, mount, ", and its parent is not a tmpfs mount point")
        }
        ScmAtStart::OtherMounted { found } => other_mounted(index, found),
        ScmAtStart::Unknown { why } => wait(WaitReason::CheckFailed { why: why.clone() }),
        _ if !facts.may_mount => not_mounted(index, mount, ""),
        ScmAtStart::DeviceOurs => StartDecision::MountThenDecide(Mountable::Device),
        ScmAtStart::DeviceBlank => unmounted(facts, WaitReason::NotMounted),
        ScmAtStart::DeviceForeign { found } => {
            unmounted(facts, WaitReason::DeviceForeign { found: found.clone() })
        }
        ScmAtStart::DeviceMissing => unmounted(facts, WaitReason::DeviceMissing),
    }
}

/// Something is mounted, or a directory stands for it: D1, D2, D4, D6, C1-C5, C7.
fn mounted(facts: &StartFacts, contents: &Contents) -> StartDecision {
    if let Some(decision) = by_superblock(facts) {
        return decision;
    }
    match contents {
        _ if facts.recreate_superblocks => StartDecision::CreateSuperblockThenStart,
        Contents::Empty if facts.may_mount => wait(WaitReason::NoSuperblock),
        Contents::Empty => StartDecision::CreateSuperblockThenStart,
        Contents::Holds(entries) if facts.may_mount => {
            wait(WaitReason::ContentsWithoutSuperblock { entries: entries.clone() })
        }
        Contents::Holds(entries) => holds_something_else(facts.index, &facts.scm_mount, entries),
    }
}

/// A superblock settles it, readable or not; `None` when there is none.
fn by_superblock(facts: &StartFacts) -> Option<StartDecision> {
    match &facts.superblock {
        SuperblockState::Readable(_) => {
            Some(StartDecision::Start { clear_mark: facts.mark.is_set() })
        }
        SuperblockState::Unreadable(error) => Some(wait(WaitReason::SuperblockUnreadable {
            fault: error.to_fault(&facts.superblock_path),
        })),
        // An administrator erased the system: not even --recreate-superblocks brings it back.
        SuperblockState::Missing if facts.was_reset => Some(wait(WaitReason::Reset)),
        SuperblockState::Missing => None,
    }
}

/// Nothing is mounted and nothing can be: D3, C8-C12.
fn unmounted(facts: &StartFacts, why: WaitReason) -> StartDecision {
    if facts.recreate_superblocks {
        nothing_to_recreate_on(facts.index, &facts.scm_mount)
    } else {
        wait(why)
    }
}

/// The superblock lies on disk and RAM is made anew when it is gone (contract 7.3).
fn with_metadata(facts: &StartFacts, metadata: &MetadataState) -> StartDecision {
    match metadata {
        MetadataState::Refused(refused) => {
            return StartDecision::Refuse { fault: refused.into() };
        }
        MetadataState::NeedsFormat { why } => {
            return wait(WaitReason::MetadataMissing { why: why.clone() });
        }
        MetadataState::Ready => {}
    }
    if !matches!(facts.superblock, SuperblockState::Readable(_)) {
        return by_superblock(facts).unwrap_or_else(|| match facts.scm {
            ScmAtStart::Mounted(_) if facts.recreate_superblocks => {
                StartDecision::CreateSuperblockThenStart
            }
            _ => wait(WaitReason::NoSuperblock),
        });
    }
    let (index, mount) = (facts.index, &facts.scm_mount);
    match &facts.scm {
        // An engine's files in a directory on a tmpfs: a plain user's server ran here before.
        ScmAtStart::Mounted(_)
        | ScmAtStart::RamDirectory { on_tmpfs: true, contents: Contents::Holds(_) } => {
            StartDecision::Start { clear_mark: facts.mark.is_set() }
        }
        ScmAtStart::RamAbsent { .. } | ScmAtStart::RamDirectory { .. } if facts.may_mount => {
            StartDecision::MountThenDecide(Mountable::FreshRam)
        }
        ScmAtStart::RamDirectory { on_tmpfs: true, .. } => {
            StartDecision::Start { clear_mark: facts.mark.is_set() }
        }
        ScmAtStart::RamAbsent { parent_is_tmpfs: true } => {
            StartDecision::MountThenDecide(Mountable::FreshDirectory)
        }
        ScmAtStart::Unknown { why } => wait(WaitReason::CheckFailed { why: why.clone() }),
        _ => not_mounted(index, mount, ""),
    }
}

fn wait(why: WaitReason) -> StartDecision {
    StartDecision::WaitForFormat { why }
}
