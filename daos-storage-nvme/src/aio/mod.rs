//! Class file: block devices that are files of a fixed size, for hosts without NVMe. Needs no rights beyond the
//! directory. Called through the trait; knows nothing of the other classes.

mod create;
mod execute;
mod observe;
mod room;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{
    BdevInventory, BdevTarget, DeviceState, EmulatedDevice, FileState, ObservedDevice,
};
use crate::plan::{AcceptedBdevPlan, DevicePlan, Verdict};
use crate::provider::{blocking, unsupported};
use crate::{
    BdevClass, BdevError, BdevProvider, DeviceOutcome, FormatResult, PrepareOutcome,
    PrepareRequest, Recovered, ResetOutcome, ResetRequest, ScanRequest, StepObserver,
};

/// Provider of file-backed devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct AioBdev;

#[async_trait]
impl BdevProvider for AioBdev {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let devices: Vec<_> = request
            .targets
            .iter()
            .flat_map(|target| target.only(BdevClass::File).devices())
            .collect();
        let size = |path: &Path| {
            let metadata = std::fs::symlink_metadata(path).ok()?;
            metadata.is_file().then_some(metadata.len())
        };
        blocking("scan of files", move || {
            let emulated = devices
                .into_iter()
                .map(|device| EmulatedDevice { size_bytes: size(Path::new(&device.name)), device })
                .collect();
            Ok(BdevInventory { emulated, ..BdevInventory::default() })
        })
        .await
    }

    async fn prepare(&self, _request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        unsupported("prepare", BdevClass::File)
    }

    async fn reset(&self, _request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        unsupported("reset", BdevClass::File)
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        Ok(Vec::new())
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let mut observed = Vec::new();
        for device in target.devices() {
            let state = if device.class == BdevClass::File {
                observe(&device.name).await.map(DeviceState::File)
            } else {
                unsupported("observe by the body for files", device.class)
            };
            observed.push(ObservedDevice { device, state: state.map_err(Arc::new) });
        }
        room::look(target, &mut observed);
        observed
    }

    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome> {
        let mut outcomes = Vec::new();
        for device in plan.devices() {
            let result = match format_one(device, steps).await {
                Ok(result) => result,
                Err(error) => FormatResult::Failed(Arc::new(error)),
            };
            let (device, roles) = (device.device().clone(), device.roles());
            outcomes.push(DeviceOutcome { device, roles, result });
        }
        outcomes
    }
}

async fn observe(name: &str) -> Result<FileState, BdevError> {
    let path = PathBuf::from(name);
    blocking(name, move || observe::observe(&path)).await
}

async fn format_one(
    plan: &DevicePlan,
    observer: &dyn StepObserver,
) -> Result<FormatResult, BdevError> {
    let device = plan.device();
    let (steps, planned) = match (plan.verdict(), plan.state()) {
        (Verdict::Proceed { steps, .. }, Some(DeviceState::File(planned))) => (steps, planned),
        (Verdict::Skip(why), _) => return Ok(FormatResult::Skipped((*why).to_owned())),
        (Verdict::Refused(error), _) => return Ok(FormatResult::Failed(Arc::clone(error))),
        (Verdict::Proceed { .. }, _) => {
            return unsupported("format by the body for files", device.class);
        }
    };
    let now = observe(&device.name).await?;
    if let FileState::Present(facts) = &now
        && !facts.uses.is_empty()
    {
        return Err(BdevError::InUse { device: device.name.clone(), uses: facts.uses.clone() });
    }
    if now != *planned {
        return Err(BdevError::changed(device, execute::difference(planned, &now)));
    }
    if steps.is_empty() {
        return Ok(FormatResult::AlreadyFormatted);
    }
    let mut work = execute::FileWork::start(device, planned);
    for step in steps {
        observer.step(&format!("{device}: {step}"));
        let step = step.clone();
        work = blocking(&device.name, move || work.take(&step)).await?;
    }
    let size_bytes = plan_size(steps);
    let path = PathBuf::from(&device.name);
    let now = blocking(&device.name, move || observe::observe_without_uses(&path)).await?;
    execute::prove(device, &now, size_bytes)?;
    Ok(FormatResult::Formatted)
}

/// The size the file has to have in the end, if the plan sets one.
fn plan_size(steps: &[crate::plan::DeviceStep]) -> Option<u64> {
    use crate::plan::DeviceStep::{CreateFile, ReserveSpace};
    steps.iter().find_map(|step| match step {
        CreateFile { size_bytes, .. } | ReserveSpace { size_bytes } => Some(*size_bytes),
        _ => None,
    })
}
