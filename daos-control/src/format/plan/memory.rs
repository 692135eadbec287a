//! Whether the RAM disks that would be mounted fit into the memory of the host (contract 5.7, fault 214).

use daos_storage_scm::ScmStep;
use daos_storage_scm::ram::check_memory;

use super::{EnginePlan, Verdict};
use crate::format::faults;

/// Refuses the engines whose new RAM disks do not fit together, or only says so when the rule protects nobody.
/// Returns what should be said. A RAM disk that is mounted again takes the place of the old one and is not
/// counted.
pub(super) fn check(
    engines: &mut [EnginePlan],
    available: Option<u64>,
    refuses: bool,
) -> Vec<String> {
    let Some(available) = available else { return Vec::new() };
    let sizes: Vec<u64> = engines.iter().filter_map(new_ram_disk).collect();
    let Err(error) = check_memory(sizes, available) else { return Vec::new() };
    let fault = faults::of_scm(&error);
    if !refuses {
        return vec![fault.description];
    }
    for engine in engines.iter_mut().filter(|engine| new_ram_disk(engine).is_some()) {
        engine.verdict = Verdict::Refused(fault.clone());
    }
    Vec::new()
}

/// Size in bytes of the tmpfs that an engine gets where there was none.
fn new_ram_disk(engine: &EnginePlan) -> Option<u64> {
    let Verdict::Format(work) = &engine.verdict else { return None };
    let mounts = work.scm.steps().iter().any(|step| matches!(step, ScmStep::MountTmpfs { .. }));
    let replaces = work.scm.steps().iter().any(|step| matches!(step, ScmStep::Unmount { .. }));
    work.scm.target().ram().filter(|_| mounts && !replaces)?.size_bytes
}
