//! `ByClass`: one provider made of one body per class. The server holds this one; it only deals out and collects.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::aio::AioBdev;
use crate::kdev::KdevBdev;
use crate::malloc::MallocBdev;
use crate::model::{BdevInventory, BdevTarget, ObservedDevice, ScanProblem};
use crate::plan::AcceptedBdevPlan;
use crate::provider::unsupported;
use crate::{
    BdevClass, BdevError, BdevProvider, DeviceOutcome, DeviceRef, FormatResult, PrepareOutcome,
    PrepareRequest, Recovered, ResetOutcome, ResetRequest, ScanRequest, StepObserver,
};

/// Gives each tier to the body for its class. A class without a body is refused device by device.
#[derive(Debug, Clone, Default)]
pub struct ByClass {
    bodies: BTreeMap<BdevClass, Arc<dyn BdevProvider>>,
}

impl ByClass {
    /// Bodies for the classes that need no NVMe: file, kdev and malloc.
    #[must_use]
    pub fn emulated() -> Self {
        Self::default()
            .with(BdevClass::File, Arc::new(AioBdev))
            .with(BdevClass::Kdev, Arc::new(KdevBdev))
            .with(BdevClass::Malloc, Arc::new(MallocBdev))
    }

    /// Adds a body, or replaces the one there was.
    #[must_use]
    pub fn with(mut self, class: BdevClass, body: Arc<dyn BdevProvider>) -> Self {
        self.bodies.insert(class, body);
        self
    }

    fn body(&self, class: BdevClass) -> Option<&Arc<dyn BdevProvider>> {
        self.bodies.get(&class)
    }
}

/// The classes of some devices, each once, in ascending order.
fn classes<'a>(devices: impl Iterator<Item = &'a DeviceRef>) -> Vec<BdevClass> {
    let mut classes: Vec<BdevClass> = devices.map(|device| device.class).collect();
    classes.sort();
    classes.dedup();
    classes
}

fn no_body(class: BdevClass) -> Arc<BdevError> {
    Arc::new(BdevError::Unsupported { operation: "use by this release", class })
}

fn no_answer(device: &DeviceRef) -> Arc<BdevError> {
    let detail = format!("the body for class {} gave no answer", device.class);
    Arc::new(BdevError::CutOff { subject: device.name.clone(), detail })
}

#[async_trait]
impl BdevProvider for ByClass {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let mut all = BdevInventory::default();
        for (class, body) in &self.bodies {
            match body.scan(request).await {
                Ok(found) => {
                    all.controllers.extend(found.controllers);
                    all.emulated.extend(found.emulated);
                    all.problems.extend(found.problems);
                }
                Err(error) => all.problems.push(ScanProblem {
                    class: *class,
                    code: error.code(),
                    text: error.to_string(),
                    resolution: error.resolution().to_owned(),
                }),
            }
        }
        all.controllers.sort_by_key(|controller| controller.address);
        all.emulated.sort_by(|a, b| a.device.cmp(&b.device));
        Ok(all)
    }

    async fn prepare(&self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        match self.body(BdevClass::Nvme) {
            Some(body) => body.prepare(request).await,
            None => unsupported("prepare", BdevClass::Nvme),
        }
    }

    async fn reset(&self, request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        match self.body(BdevClass::Nvme) {
            Some(body) => body.reset(request).await,
            None => unsupported("reset", BdevClass::Nvme),
        }
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        let mut recovered = Vec::new();
        for body in self.bodies.values() {
            recovered.extend(body.recover().await?);
        }
        Ok(recovered)
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let devices = target.devices();
        let mut states = BTreeMap::new();
        for class in classes(devices.iter()) {
            let Some(body) = self.body(class) else { continue };
            let observed = body.observe(&target.only(class)).await;
            states.extend(observed.into_iter().map(|seen| (seen.device, seen.state)));
        }
        let mut state = |device: &DeviceRef| match states.remove(device) {
            Some(state) => state,
            None if self.body(device.class).is_none() => Err(no_body(device.class)),
            None => Err(no_answer(device)),
        };
        devices.into_iter().map(|device| ObservedDevice { state: state(&device), device }).collect()
    }

    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome> {
        let mut results = BTreeMap::new();
        for class in classes(plan.devices().iter().map(crate::DevicePlan::device)) {
            let Some(body) = self.body(class) else { continue };
            let outcomes = body.format(plan.only(class), steps).await;
            results.extend(outcomes.into_iter().map(|outcome| (outcome.device, outcome.result)));
        }
        let mut result = |device: &DeviceRef| match results.remove(device) {
            Some(result) => result,
            None if self.body(device.class).is_none() => {
                FormatResult::Failed(no_body(device.class))
            }
            None => FormatResult::Failed(no_answer(device)),
        };
        let outcome = |plan: &crate::DevicePlan| DeviceOutcome {
            device: plan.device().clone(),
            roles: plan.roles(),
            result: result(plan.device()),
        };
        plan.devices().iter().map(outcome).collect()
    }
}
