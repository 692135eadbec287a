//! The rules for file-backed devices.
//!
//! A file that a plain format may touch is absent, empty, blank and of the right size, or one of our own block
//! files of the right size. Anything else waits for a reformat; what is in use, and what is no regular file,
//! waits for the administrator.

use std::io;
use std::path::Path;

use daos_blockdev::SignatureKind;

use super::{DeviceStep, Intent, Verdict};
use crate::BdevError;
use crate::model::{
    DeviceRef, FileContent, FileFacts, FileKind, FileOwner, FileState, ParentState,
};

/// Permission bits of a block file: owner and group only (contract 5.3).
const MODE: u32 = 0o660;

pub(super) fn decide(
    device: &DeviceRef,
    state: &FileState,
    size_gib: u64,
    owner: FileOwner,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    let bad_path = |detail| BdevError::BadPath { device: device.name.clone(), detail };
    if !Path::new(&device.name).is_absolute() {
        return Err(bad_path("the path is not absolute"));
    }
    let size_bytes = size_gib.checked_mul(1 << 30).ok_or_else(|| BdevError::BadTarget {
        detail: format!("{device}: bdev_size {size_gib} GiB is too large"),
    })?;
    match state {
        FileState::Absent { parent: ParentState::Missing } => {
            Err(bad_path("its directory does not exist"))
        }
        FileState::Absent { parent: ParentState::NotADirectory } => {
            Err(bad_path("what should be its directory is none"))
        }
        FileState::Absent { parent: ParentState::ReadOnly } => {
            Err(BdevError::ReadOnly { device: format!("the file system of {}", device.name) })
        }
        FileState::Absent { parent: ParentState::Full } => Err(BdevError::NoSpace {
            device: device.name.clone(),
            wanted: size_bytes,
            source: io::ErrorKind::StorageFull.into(),
        }),
        FileState::Absent { parent: ParentState::Directory } => Ok(Verdict::Proceed {
            steps: vec![DeviceStep::CreateFile { size_bytes, owner, mode: MODE }],
            destroys: false,
        }),
        FileState::Present(facts) => existing(device, facts, size_bytes, owner, intent),
    }
}

fn existing(
    device: &DeviceRef,
    facts: &FileFacts,
    size_bytes: u64,
    owner: FileOwner,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    let name = || device.name.clone();
    if facts.kind != FileKind::Regular {
        return Err(BdevError::NotARegularFile { device: name(), found: facts.kind.to_string() });
    }
    if !facts.uses.is_empty() {
        return Err(BdevError::InUse { device: name(), uses: facts.uses.clone() });
    }
    let right_size = facts.size_bytes == size_bytes;
    let empty = facts.size_bytes == 0;
    if intent == Intent::Plain && !right_size && !empty {
        let (found, wanted) = (facts.size_bytes, size_bytes);
        return Err(BdevError::WrongSize { device: name(), found, wanted });
    }
    let blank = facts.content == FileContent::Blank;
    if intent == Intent::Plain && !blank && !is_ours(&facts.content) {
        return Err(BdevError::NotBlank { device: name(), content: facts.content.to_string() });
    }
    let discard = !blank || !(right_size || empty);
    let mut steps = Vec::new();
    if discard {
        steps.push(DeviceStep::DiscardContents);
    }
    if discard || empty || facts.allocated_bytes < size_bytes {
        steps.push(DeviceStep::ReserveSpace { size_bytes });
    }
    if (facts.uid, facts.gid, facts.mode) != (owner.uid, owner.gid, MODE) {
        steps.push(DeviceStep::SetOwner { owner, mode: MODE });
    }
    Ok(Verdict::Proceed { steps, destroys: !blank })
}

/// Our stand-in engine marks its block files. The block store of a real engine is not recognised as ours: nothing
/// on it tells whose it is.
fn is_ours(content: &FileContent) -> bool {
    let FileContent::Data(content) = content else { return false };
    let signatures = content.signatures();
    !signatures.is_empty()
        && signatures.iter().all(|found| found.kind == SignatureKind::DaosBlockDevice)
}

#[cfg(test)]
mod tests {
    use daos_blockdev::{Content, DeviceNumber, DeviceUse, Signature};

    use super::*;
    use crate::BdevClass;

    const GIB: u64 = 1 << 30;
    const OWNER: FileOwner = FileOwner { uid: 10, gid: 20 };

    fn device(name: &str) -> DeviceRef {
        DeviceRef { tier: 1, index: 0, class: BdevClass::File, name: name.to_owned() }
    }

    fn facts() -> FileFacts {
        FileFacts {
            kind: FileKind::Regular,
            file_system: DeviceNumber { major: 8, minor: 1 },
            inode: 12,
            size_bytes: 2 * GIB,
            allocated_bytes: 2 * GIB,
            uid: OWNER.uid,
            gid: OWNER.gid,
            mode: MODE,
            modified_ns: 5,
            uses: Vec::new(),
            content: FileContent::Blank,
        }
    }

    fn signed(kind: SignatureKind) -> FileContent {
        let signature = Signature { kind, name: "x".to_owned(), label: None, uuid: None };
        FileContent::Data(Content::Signatures(vec![signature]))
    }

    fn verdict(facts: FileFacts, intent: Intent) -> Result<Verdict, i32> {
        decide(&device("/f"), &FileState::Present(facts), 2, OWNER, intent).map_err(|e| e.code())
    }

    #[track_caller]
    fn proceeds(facts: FileFacts, intent: Intent, expected: &[&str], loses: bool) {
        let Ok(Verdict::Proceed { steps, destroys }) = verdict(facts, intent) else {
            panic!("refused")
        };
        assert_eq!(steps.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        assert_eq!(destroys, loses);
    }

    #[test]
    fn an_absent_file_is_created_in_gib() {
        let state = FileState::Absent { parent: ParentState::Directory };
        let Ok(Verdict::Proceed { steps, destroys }) =
            decide(&device("/f"), &state, 2, OWNER, Intent::Plain)
        else {
            panic!("refused")
        };
        assert_eq!(steps[0].to_string(), "create file of 2147483648 bytes, owner 10:20, mode 0660");
        assert!(!destroys);
    }

    #[test]
    fn impossible_paths_are_refused() {
        for (name, parent) in [
            ("f", ParentState::Directory),
            ("/f", ParentState::Missing),
            ("/f", ParentState::NotADirectory),
        ] {
            let error =
                decide(&device(name), &FileState::Absent { parent }, 2, OWNER, Intent::Reformat)
                    .expect_err("refused");
            assert_eq!(error.code(), 1229);
        }
        for (parent, code) in [(ParentState::ReadOnly, 1237), (ParentState::Full, 1234)] {
            let absent = FileState::Absent { parent };
            let error = decide(&device("/f"), &absent, 2, OWNER, Intent::Reformat);
            assert_eq!(error.expect_err("refused").code(), code);
        }
        let absent = FileState::Absent { parent: ParentState::Directory };
        let error = decide(&device("/f"), &absent, u64::MAX, OWNER, Intent::Plain)
            .expect_err("does not fit into 64 bits");
        assert_eq!(error.code(), 1236);
    }

    #[test]
    fn a_blank_file_of_the_right_size_loses_nothing() {
        proceeds(facts(), Intent::Plain, &[], false);
        proceeds(facts(), Intent::Reformat, &[], false);
        let sparse = FileFacts { allocated_bytes: 0, mode: 0o644, ..facts() };
        let steps = ["reserve 2147483648 bytes", "set owner 10:20, mode 0660"];
        proceeds(sparse, Intent::Plain, &steps, false);
        let empty = FileFacts { size_bytes: 0, allocated_bytes: 0, ..facts() };
        proceeds(empty, Intent::Plain, &["reserve 2147483648 bytes"], false);
    }

    #[test]
    fn our_own_block_file_is_renewed_and_said_to_be_lost() {
        let ours = FileFacts { content: signed(SignatureKind::DaosBlockDevice), ..facts() };
        let steps = ["discard its contents", "reserve 2147483648 bytes"];
        proceeds(ours, Intent::Plain, &steps, true);
    }

    #[test]
    fn what_is_not_ours_waits_for_a_reformat() {
        for content in [
            signed(SignatureKind::FileSystem),
            signed(SignatureKind::Blobstore),
            FileContent::Data(Content::Unrecognised { first_data: 7 }),
            FileContent::Unproven { looked_at: GIB },
        ] {
            let file = FileFacts { content, ..facts() };
            assert_eq!(verdict(file.clone(), Intent::Plain).err(), Some(1226));
            let steps = ["discard its contents", "reserve 2147483648 bytes"];
            proceeds(file, Intent::Reformat, &steps, true);
        }
    }

    /// W15
    #[test]
    fn a_wrong_size_is_refused_and_made_anew_by_a_reformat() {
        for content in [FileContent::Blank, signed(SignatureKind::DaosBlockDevice)] {
            let blank = content == FileContent::Blank;
            let file = FileFacts { size_bytes: GIB, content, ..facts() };
            assert_eq!(verdict(file.clone(), Intent::Plain).err(), Some(1227));
            let steps = ["discard its contents", "reserve 2147483648 bytes"];
            proceeds(file, Intent::Reformat, &steps, !blank);
        }
    }

    #[test]
    fn what_is_in_use_or_no_file_is_refused_in_any_case() {
        for intent in [Intent::Plain, Intent::Reformat] {
            let used = FileFacts { uses: vec![DeviceUse::Swap], ..facts() };
            assert_eq!(verdict(used, intent).err(), Some(1225));
            for kind in [FileKind::Directory, FileKind::SymbolicLink, FileKind::BlockDevice] {
                assert_eq!(verdict(FileFacts { kind, ..facts() }, intent).err(), Some(1228));
            }
        }
    }
}
