//! Storage that is in order and in the wrong place: that of another system, or of another engine of this configuration.
//!
//! Asked by `bring_up` before anything is done with an engine's storage, and by `plan` for what would be lost. Pure.

use std::path::Path;

use super::targets::{EngineTarget, FormatTargets};
use crate::fault::{Fault, code};
use crate::superblock::Superblock;

/// In words whose storage it is, when it is of a system of another name than the configuration's.
pub(super) fn other_system(superblock: &Superblock, configured: &str) -> Option<String> {
    if superblock.system == configured {
        return None;
    }
    let rank = superblock.joined_rank().map_or_else(String::new, |rank| format!(", rank {rank}"));
    Some(format!("system '{}'{rank}", superblock.system))
}

/// Why the engine of `target` may not start on storage with this superblock; `mounted_now` when it was this start that mounted it.
///
/// # Errors
/// [`code::SERVER_WRONG_SYSTEM`], [`code::STORAGE_OF_OTHER_ENGINE`].
pub(super) fn check(
    targets: &FormatTargets,
    target: &EngineTarget,
    superblock: &Superblock,
    mounted_now: bool,
) -> Result<(), Fault> {
    let index = target.index();
    let mounted = match mounted_now {
        true => format!("; it stays mounted at {}", target.scm.mount_point().display()),
        false => String::new(),
    };
    if let Some(owner) = other_system(superblock, &targets.system) {
        return Err(Fault::new(
            "server",
            code::SERVER_WRONG_SYSTEM,
            format!(
                "the storage of engine {index} belongs to {owner}, the configuration names '{}'{mounted}",
                targets.system
            ),
            "correct name in the configuration, or give the engine other storage; only if that system is given up: \
             'dmg storage format --reformat' shows what is lost, and asks",
        ));
    }
    match other_engine(targets, target, superblock) {
        Some((other, device)) => Err(of_other_engine(target, other, superblock, &device, &mounted)),
        None => Ok(()),
    }
}

/// The engine whose block device this superblock knows, while it knows none of the engine that it was found for.
fn other_engine<'a>(
    targets: &'a FormatTargets,
    target: &EngineTarget,
    superblock: &Superblock,
) -> Option<(&'a EngineTarget, String)> {
    let has = |engine: &EngineTarget, name: &str| {
        engine.bdev.devices().iter().any(|device| device.name == name)
    };
    let known: Vec<&str> = superblock
        .devices
        .iter()
        .filter(|device| !device.removed)
        .map(|device| device.name.as_str())
        .collect();
    if known.iter().any(|name| has(target, name)) {
        return None;
    }
    let others = targets.engines.iter().filter(|other| other.index() != target.index());
    others
        .filter_map(|other| {
            known.iter().find(|name| has(other, name)).map(|name| (other, (*name).to_owned()))
        })
        .next()
}

fn of_other_engine(
    target: &EngineTarget,
    other: &EngineTarget,
    superblock: &Superblock,
    device: &str,
    mounted: &str,
) -> Fault {
    let (index, theirs) = (target.index(), other.index());
    let rank = match superblock.joined_rank() {
        Some(rank) => format!("rank {rank}, superblock {}", superblock.uuid),
        None => format!("superblock {}", superblock.uuid),
    };
    Fault::new(
        "storage",
        code::STORAGE_OF_OTHER_ENGINE,
        format!(
            "engine {index} is not started: the SCM at {} ({}; {rank}) was formatted with block device {device}, which the \
             configuration gives to engine {theirs}{mounted}",
            target.scm.mount_point().display(),
            place(target),
        ),
        format!(
            "the storage of engines {index} and {theirs} has changed places: correct scm_list or bdev_list of both (a reboot may give \
             devices other names), unmount what is at the wrong place and restart the server; nothing is lost, and nothing has to be \
             formatted"
        ),
    )
}

fn place(target: &EngineTarget) -> String {
    target
        .scm
        .device()
        .map_or_else(|| "RAM".to_owned(), |device: &Path| device.display().to_string())
}
