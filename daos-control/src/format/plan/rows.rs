//! A plan as rows for people.

use daos_storage_nvme::Verdict as DeviceVerdict;
use daos_storage_scm::ScmPlan;

use super::{DevicePlan, EngineWork};
use crate::format::report::StorageMedium;
use crate::format::targets::EngineTarget;
use crate::format::{MetadataPlan, faults};

pub(super) fn rows(target: &EngineTarget, work: &EngineWork) -> Vec<DevicePlan> {
    let mut rows = Vec::new();
    if let Some(metadata) = &work.metadata {
        rows.push(metadata_row(metadata));
    }
    rows.push(scm_row(target, &work.scm));
    if let Some(bdev) = &work.bdev {
        rows.extend(bdev.devices().iter().map(bdev_row));
    }
    rows
}

fn metadata_row(plan: &MetadataPlan) -> DevicePlan {
    let removed = plan.remove_files.iter().chain(&plan.remove_system);
    DevicePlan {
        medium: StorageMedium::Metadata,
        device: plan.directory.display().to_string(),
        identity: String::new(),
        content: plan.content.join(", "),
        steps: plan.steps(),
        losses: removed.map(|path| path.display().to_string()).collect(),
        refused: None,
        role_bits: 0,
    }
}

fn scm_row(target: &EngineTarget, plan: &ScmPlan) -> DevicePlan {
    DevicePlan {
        medium: StorageMedium::Scm,
        device: target.scm.mount_point().display().to_string(),
        identity: plan.identity().to_owned(),
        content: plan.content().to_owned(),
        steps: plan.steps().iter().map(ToString::to_string).collect(),
        losses: plan.destroys().to_vec(),
        refused: None,
        role_bits: 0,
    }
}

fn bdev_row(plan: &daos_storage_nvme::DevicePlan) -> DevicePlan {
    let row = plan.row();
    let refused = match plan.verdict() {
        DeviceVerdict::Refused(error) => Some(faults::of_bdev(error)),
        DeviceVerdict::Proceed { .. } | DeviceVerdict::Skip(_) => None,
    };
    let losses = match row.destroys {
        true => vec![format!("content of {}: {}", row.device, row.content)],
        false => Vec::new(),
    };
    DevicePlan {
        medium: StorageMedium::Nvme,
        device: row.device,
        identity: row.identity,
        content: row.content,
        steps: row.steps,
        losses,
        refused,
        role_bits: row.role_bits,
    }
}
