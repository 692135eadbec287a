//! The rules for block devices of the kernel.
//!
//! A blank device needs nothing: the engine writes its own format. Our own marks are erased in any format; what
//! is foreign only in a reformat; what is in use never.

use std::path::Path;

use daos_blockdev::{Content, DeviceFacts, SignatureKind};

use super::{DeviceStep, Intent, Verdict};
use crate::BdevError;
use crate::model::DeviceRef;

pub(super) fn decide(
    device: &DeviceRef,
    facts: &DeviceFacts,
    intent: Intent,
) -> Result<Verdict, BdevError> {
    let name = || device.name.clone();
    if !Path::new(&device.name).is_absolute() {
        return Err(BdevError::BadPath { device: name(), detail: "the path is not absolute" });
    }
    if !facts.uses.is_empty() {
        return Err(BdevError::InUse { device: name(), uses: facts.uses.clone() });
    }
    if facts.read_only {
        return Err(BdevError::ReadOnly { device: name() });
    }
    if facts.content.is_blank() {
        return Ok(Verdict::Proceed { steps: Vec::new(), destroys: false });
    }
    if intent == Intent::Plain && !is_ours(&facts.content) {
        return Err(BdevError::NotBlank {
            device: facts.identity.to_string(),
            content: facts.content.to_string(),
        });
    }
    Ok(Verdict::Proceed { steps: vec![DeviceStep::EraseSignatures], destroys: true })
}

/// Only the mark of our stand-in engine. An ext4 file system labelled `daos` is SCM, which a bdev list names by
/// mistake.
pub(crate) fn is_ours(content: &Content) -> bool {
    let signatures = content.signatures();
    !signatures.is_empty()
        && signatures.iter().all(|found| found.kind == SignatureKind::DaosBlockDevice)
}
