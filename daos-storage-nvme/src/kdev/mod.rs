//! Class kdev: block devices of the kernel, handed to the engine as they are. Called through the trait; looks and
//! erases only through `daos-blockdev`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use daos_blockdev::{Content, DeviceFacts, DeviceUse, ExclusiveClaim};

use crate::model::{BdevInventory, BdevTarget, DeviceState, EmulatedDevice, ObservedDevice};
use crate::plan::{AcceptedBdevPlan, DevicePlan, DeviceStep, Verdict};
use crate::provider::{blocking, unsupported};
use crate::{
    BdevClass, BdevError, BdevProvider, DeviceOutcome, DeviceRef, FormatResult, PrepareOutcome,
    PrepareRequest, Recovered, ResetOutcome, ResetRequest, ScanRequest, StepObserver,
};

/// Provider of kernel block devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct KdevBdev;

#[async_trait]
impl BdevProvider for KdevBdev {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let devices: Vec<_> = request
            .targets
            .iter()
            .flat_map(|target| target.only(BdevClass::Kdev).devices())
            .collect();
        let look = |device: DeviceRef| {
            let identity = daos_blockdev::identify(device.name.as_ref());
            let size_bytes = identity.ok().map(|identity| identity.size_bytes);
            EmulatedDevice { device, size_bytes }
        };
        blocking("scan of kernel devices", move || {
            let emulated = devices.into_iter().map(look).collect();
            Ok(BdevInventory { emulated, ..BdevInventory::default() })
        })
        .await
    }

    async fn prepare(&self, _request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        unsupported("prepare", BdevClass::Kdev)
    }

    async fn reset(&self, _request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        unsupported("reset", BdevClass::Kdev)
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        Ok(Vec::new())
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let mut observed = Vec::new();
        for device in target.devices() {
            let state = if device.class == BdevClass::Kdev {
                inspect(&device).await.map(DeviceState::Kernel)
            } else {
                unsupported("observe by the body for kernel devices", device.class)
            };
            observed.push(ObservedDevice { device, state: state.map_err(Arc::new) });
        }
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

async fn inspect(device: &DeviceRef) -> Result<DeviceFacts, BdevError> {
    let path = PathBuf::from(&device.name);
    blocking(&device.name, move || Ok(daos_blockdev::inspect(&path)?)).await
}

async fn format_one(
    plan: &DevicePlan,
    observer: &dyn StepObserver,
) -> Result<FormatResult, BdevError> {
    let device = plan.device();
    let (steps, planned) = match (plan.verdict(), plan.state()) {
        (Verdict::Proceed { steps, .. }, Some(DeviceState::Kernel(planned))) => (steps, planned),
        (Verdict::Skip(why), _) => return Ok(FormatResult::Skipped((*why).to_owned())),
        (Verdict::Refused(error), _) => return Ok(FormatResult::Failed(Arc::clone(error))),
        (Verdict::Proceed { .. }, _) => {
            return unsupported("format by the body for kernel devices", device.class);
        }
    };
    if steps.is_empty() {
        let now = inspect(device).await?;
        require_planned(device, planned, &now, &now.uses)?;
        return Ok(FormatResult::AlreadyFormatted);
    }
    for step in steps {
        if *step != DeviceStep::EraseSignatures {
            let detail = format!("{device}: no step for a kernel device: {step}");
            return Err(BdevError::BadTarget { detail });
        }
        observer.step(&format!("{device}: {step}"));
        let (device, planned) = (device.clone(), planned.clone());
        blocking(&plan.device().name, move || erase(&device, &planned)).await?;
    }
    let now = inspect(device).await?;
    if now.content == Content::Blank {
        return Ok(FormatResult::Formatted);
    }
    Err(BdevError::ReadBack { device: device.name.clone(), detail: now.content.to_string() })
}

/// Claims the device, looks at it again under the claim, and only then erases it.
fn erase(device: &DeviceRef, planned: &DeviceFacts) -> Result<(), BdevError> {
    let claim = match ExclusiveClaim::take(&planned.identity) {
        Err(error @ daos_blockdev::BlockdevError::IdentityChanged { .. }) => {
            return Err(BdevError::changed(device, error.to_string()));
        }
        other => other?,
    };
    let now = daos_blockdev::inspect(&planned.identity.path)?;
    // The claim itself keeps others out, and looks from outside like a use.
    let others: Vec<DeviceUse> =
        now.uses.iter().filter(|used| **used != DeviceUse::BusyExclusive).cloned().collect();
    require_planned(device, planned, &now, &others)?;
    Ok(claim.erase()?)
}

fn require_planned(
    device: &DeviceRef,
    planned: &DeviceFacts,
    now: &DeviceFacts,
    uses: &[DeviceUse],
) -> Result<(), BdevError> {
    if !uses.is_empty() {
        return Err(BdevError::InUse { device: device.name.clone(), uses: uses.to_vec() });
    }
    if let Err(error) = planned.identity.require_same(&now.identity) {
        return Err(BdevError::changed(device, error.to_string()));
    }
    if planned.content != now.content {
        let detail = format!("content was {}, is {}", planned.content, now.content);
        return Err(BdevError::changed(device, detail));
    }
    if now.read_only {
        return Err(BdevError::ReadOnly { device: device.name.clone() });
    }
    Ok(())
}
