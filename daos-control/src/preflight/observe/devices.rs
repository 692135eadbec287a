//! NVMe controllers as the provider lists them, with the files through which programs use them; PMem from sysfs.

use std::path::PathBuf;

use daos_storage_nvme::blockdev::DeviceUse;
use daos_storage_nvme::{BdevClass, BdevProvider, NvmeController, ScanRequest};
use rustix::fs::{Access, access};

use super::{Roots, names, numa_node};
use crate::config::{EngineConfig, ScmTier};
use crate::fault::{Fault, code};
use crate::format::of_bdev;
use crate::preflight::{Asked, ControllerFacts, PmemFacts};

/// All controllers, or why they cannot be listed.
pub(super) async fn controllers(bdev: &dyn BdevProvider) -> Result<Vec<ControllerFacts>, Fault> {
    let found = bdev.scan(&ScanRequest::default()).await.map_err(|error| of_bdev(&error))?;
    if let Some(problem) = found.problems.iter().find(|each| each.class == BdevClass::Nvme) {
        return Err(Fault::new(
            "storage",
            code::BDEV_NOT_FOUND,
            problem.text.clone(),
            "see that /sys is mounted and readable for the user of daos_server",
        ));
    }
    Ok(found.controllers.iter().map(facts).collect())
}

fn facts(controller: &NvmeController) -> ControllerFacts {
    ControllerFacts {
        address: controller.address.to_string(),
        numa_node: u32::try_from(controller.socket).ok(),
        driver: controller.driver.clone(),
        device: controller.device_files.first().map(|file| {
            let may = access(file, Access::READ_OK | Access::WRITE_OK).is_ok();
            (file.clone(), may)
        }),
        uses: controller
            .uses()
            .into_iter()
            .filter(|by| by_the_host(by))
            .map(ToString::to_string)
            .collect(),
    }
}

/// What the host does with a device. A process that has it open may be an engine of ours, so that is left to the format, which
/// refuses it.
fn by_the_host(by: &DeviceUse) -> bool {
    !matches!(by, DeviceUse::OpenBy(_) | DeviceUse::BusyExclusive)
}

/// The devices of class dcpm that engines are to have.
pub(super) fn configured_scm(asked: Option<Asked<'_>>) -> Vec<PathBuf> {
    let engines = asked.map(|asked| asked.config.engines.iter()).into_iter().flatten();
    let device = |engine: &EngineConfig| match &engine.scm {
        ScmTier::Dcpm { device, .. } => Some(device.clone()),
        ScmTier::Ram { .. } => None,
    };
    engines.filter_map(device).collect()
}

/// Whole persistent memory block devices: `pmem0`, `pmem1.1`, not their partitions.
pub(super) fn pmem(roots: &Roots) -> Vec<PmemFacts> {
    let block = roots.sys.join("class/block");
    let whole =
        |name: &String| name.starts_with("pmem") && !block.join(name).join("partition").exists();
    let found = names(&block).into_iter().filter(whole);
    found
        .map(|name| PmemFacts { numa_node: numa_node(&block.join(&name).join("device")), name })
        .collect()
}
