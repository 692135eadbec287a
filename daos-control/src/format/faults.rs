//! The faults of this room: those of the storage libraries in the common form, and the rules that span devices.

use std::path::Path;

use daos_storage_nvme::BdevError;
use daos_storage_scm::ScmError;
use uuid::Uuid;

use crate::fault::Fault;

/// An error of the SCM library.
pub(crate) fn of_scm(error: &ScmError) -> Fault {
    Fault::new(error.domain(), error.code(), error.to_string(), error.resolution())
        .with_causes_of(error)
}

/// An error of the block device library.
pub(crate) fn of_bdev(error: &BdevError) -> Fault {
    // Numbers that 2.8 has outside its `bdev` domain (contract 10.2).
    let domain = match error.code() {
        105 | 304 | 308 | 309 | 804 => "storage",
        _ => "bdev",
    };
    Fault::new(domain, error.code(), error.to_string(), error.resolution()).with_causes_of(error)
}

/// The engine was formatted before (R5, R130).
pub(super) fn already_formatted(index: u32, mount: &Path, uuid: Uuid) -> Fault {
    Fault::new(
        "scm",
        101,
        format!("instance {index}: {} is already formatted, superblock {uuid}", mount.display()),
        "format with --reformat to give up what is on it",
    )
}

/// The engine runs, or is being started (R6, E25, contract 7.4).
pub(super) fn running(index: u32, doing: &str) -> Fault {
    Fault::new(
        "storage",
        1246,
        format!("instance {index}: can't format storage of running instance ({doing})"),
        "stop it with 'dmg system stop', then format again",
    )
}

/// An earlier format did not come to its end and what it left is not blank.
pub(super) fn unknown_state(index: u32) -> Fault {
    Fault::new(
        "storage",
        1243,
        format!(
            "instance {index}: an earlier format did not end, so the state of its storage is unknown"
        ),
        "format with --reformat to give up what is on it",
    )
}

/// A formatted engine would be lost without a new one in its place.
pub(super) fn would_not_complete(index: u32, device: &str, because: &Fault) -> Fault {
    Fault::new(
        "storage",
        1249,
        format!(
            "instance {index}: it is formatted and stays so, since a format could not be completed because \
             of {device}: {}",
            because.description
        ),
        because.resolution.clone(),
    )
}

/// The system database cannot be closed.
pub(super) fn system_database(index: u32, why: &Fault) -> Fault {
    Fault::new(
        "storage",
        1253,
        format!("instance {index}: the system database on its storage cannot be closed"),
        why.resolution.clone(),
    )
    .with_reason(why)
}

/// A defect of ours, told as what it is.
pub(super) fn broken(what: &str) -> Fault {
    (&super::FormatError::Broken { what: what.to_owned() }).into()
}
