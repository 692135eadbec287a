//! Class malloc: memory that the engine takes when it starts. There is nothing to look at and nothing to format.

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{
    BdevInventory, BdevTarget, DeviceState, EmulatedDevice, ObservedDevice, TierDevices,
};
use crate::plan::{AcceptedBdevPlan, Verdict};
use crate::provider::unsupported;
use crate::{
    BdevClass, BdevError, BdevProvider, DeviceOutcome, FormatResult, PrepareOutcome,
    PrepareRequest, Recovered, ResetOutcome, ResetRequest, ScanRequest, StepObserver,
};

/// Provider of memory-backed devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct MallocBdev;

#[async_trait]
impl BdevProvider for MallocBdev {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let mut emulated = Vec::new();
        for target in &request.targets {
            for device in target.only(BdevClass::Malloc).devices() {
                let size_bytes = match target.tier_of(&device).map(|tier| &tier.devices) {
                    Some(TierDevices::Malloc { size_gib, .. }) => size_gib.checked_mul(1 << 30),
                    _ => None,
                };
                emulated.push(EmulatedDevice { device, size_bytes });
            }
        }
        Ok(BdevInventory { emulated, ..BdevInventory::default() })
    }

    async fn prepare(&self, _request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        unsupported("prepare", BdevClass::Malloc)
    }

    async fn reset(&self, _request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        unsupported("reset", BdevClass::Malloc)
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        Ok(Vec::new())
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let look = |class| match class {
            BdevClass::Malloc => Ok(DeviceState::Memory),
            other => unsupported("observe by the body for memory", other).map_err(Arc::new),
        };
        let devices = target.devices().into_iter();
        devices.map(|device| ObservedDevice { state: look(device.class), device }).collect()
    }

    async fn format(
        &self,
        plan: AcceptedBdevPlan,
        _steps: &dyn StepObserver,
    ) -> Vec<DeviceOutcome> {
        let result = |verdict: &Verdict| match verdict {
            Verdict::Skip(why) => FormatResult::Skipped((*why).to_owned()),
            Verdict::Refused(error) => FormatResult::Failed(Arc::clone(error)),
            Verdict::Proceed { .. } => FormatResult::Failed(Arc::new(BdevError::Unsupported {
                operation: "format by the body for memory",
                class: BdevClass::Malloc,
            })),
        };
        let outcome = |plan: &crate::DevicePlan| DeviceOutcome {
            device: plan.device().clone(),
            roles: plan.roles(),
            result: result(plan.verdict()),
        };
        plan.devices().iter().map(outcome).collect()
    }
}
