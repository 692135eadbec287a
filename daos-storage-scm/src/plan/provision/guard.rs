//! What keeps a namespace from being given up: somebody uses it, or nobody can see whether somebody does.
//!
//! Asked by `decide` and `reset` before a loss is planned, and by `pmem::act` again before it happens.

use crate::ScmError;
use crate::model::{NamespaceFacts, NamespaceMode, NamespaceUse};

/// In use is refused whatever is agreed to (E3, R128), and so is what cannot be looked at.
///
/// # Errors
/// 103 and 1201 for what is used; 1501 for what is disabled, a character device, or cannot be looked at.
pub(super) fn require_unused(space: &NamespaceFacts) -> Result<(), ScmError> {
    let name = &space.name;
    let unseen = |why: &str, resolution: String| {
        let (namespace, why) = (name.clone(), why.to_owned());
        Err(ScmError::NamespaceUnseen { namespace, why, resolution })
    };
    if space.disabled {
        let how = format!("enable it with ndctl enable-namespace {name} and ask again");
        return unseen("it is disabled", how);
    }
    if space.mode == NamespaceMode::Devdax {
        let how = format!(
            "when nothing uses its character device, give it up with ndctl destroy-namespace -f {name}"
        );
        return unseen("it is of mode devdax, a character device", how);
    }
    match &space.blockdev {
        Some(device) => require_unused_device(name, device, &space.used),
        None => unseen("it has no block device", format!("look at ndctl list -n {name}")),
    }
}

/// The same for the block device of a namespace that was just looked at.
///
/// # Errors
/// As [`require_unused`].
pub(crate) fn require_unused_device(
    namespace: &str,
    blockdev: &str,
    used: &NamespaceUse,
) -> Result<(), ScmError> {
    let device = std::path::PathBuf::from(format!("/dev/{blockdev}"));
    if !used.mounted.is_empty() {
        return Err(ScmError::DeviceMounted { device, at: used.mounted.join(", ") });
    }
    if !used.held.is_empty() {
        return Err(ScmError::InUse { device, users: used.held.clone() });
    }
    match &used.unseen {
        None => Ok(()),
        Some(why) => Err(ScmError::NamespaceUnseen {
            namespace: namespace.to_owned(),
            why: why.clone(),
            resolution: format!("run as root, and look at {} and the kernel log", device.display()),
        }),
    }
}
