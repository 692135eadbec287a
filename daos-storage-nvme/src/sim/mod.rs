//! A provider without a system behind it: every class, in memory, with scripted faults and delays. For tests and
//! for embedding; obeys the same trait and passes the same suite as the real bodies.

mod script;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::engine_config::{ConfigFile, ConfigForm, EngineDeviceConfig};
use crate::model::{BdevInventory, BdevTarget, DeviceState, EmulatedDevice, ObservedDevice};
use crate::plan::{AcceptedBdevPlan, DevicePlan, Verdict};
use crate::provider::config_step;
use crate::{
    BdevError, BdevProvider, DeviceOutcome, DeviceRef, FormatResult, PrepareOutcome,
    PrepareRequest, Recovered, ResetOutcome, ResetRequest, ScanRequest, StepObserver,
};

pub use script::{Script, SimPoint};
pub use world::{World, blank_file, blank_namespaces, controller, kernel_device};

/// Provider over a [`World`] in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimBdev {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    world: World,
    script: Script,
    configs: BTreeMap<PathBuf, String>,
    prepares: Vec<PrepareRequest>,
}

impl SimBdev {
    /// A provider over a world, with a script of what goes wrong.
    #[must_use]
    pub fn new(world: World, script: Script) -> Self {
        let inner = Inner { world, script, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Changes the world behind the provider's back, as an administrator or a fault would.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.lock().world)
    }

    /// Changes the script.
    pub fn rewrite(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.lock().script);
    }

    /// The text of a device configuration that was written.
    #[must_use]
    pub fn config_text(&self, path: &Path) -> Option<String> {
        self.lock().configs.get(path).cloned()
    }

    /// Every prepare that was asked for, in its order.
    #[must_use]
    pub fn prepares(&self) -> Vec<PrepareRequest> {
        self.lock().prepares.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic of a test in the middle leaves values that are still whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as the script says, then fails if it says so.
    async fn reach(&self, name: &str, point: SimPoint) -> Result<(), BdevError> {
        let (delay, failure) = {
            let inner = self.lock();
            (inner.script.delay_of(name, point), inner.script.failure(name, point))
        };
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        failure.map_or(Ok(()), Err)
    }

    async fn format_one(
        &self,
        plan: &DevicePlan,
        observer: &dyn StepObserver,
    ) -> Result<FormatResult, BdevError> {
        let device = plan.device();
        let (steps, planned) = match (plan.verdict(), plan.state()) {
            (Verdict::Proceed { steps, .. }, Some(planned)) => (steps, planned),
            (Verdict::Skip(why), _) => return Ok(FormatResult::Skipped((*why).to_owned())),
            (Verdict::Refused(error), _) => return Ok(FormatResult::Failed(Arc::clone(error))),
            (Verdict::Proceed { .. }, None) => {
                return Err(BdevError::changed(device, "not observed"));
            }
        };
        self.require_planned(device, planned)?;
        for (number, step) in steps.iter().enumerate() {
            observer.step(&format!("{device}: {step}"));
            self.reach(&device.name, SimPoint::Step(number)).await?;
            if number == 0 {
                self.require_planned(device, planned)?;
            }
            self.lock().world.take_step(device, step)?;
        }
        if steps.is_empty() {
            return Ok(FormatResult::AlreadyFormatted);
        }
        Ok(FormatResult::Formatted)
    }

    fn require_planned(&self, device: &DeviceRef, planned: &DeviceState) -> Result<(), BdevError> {
        let now = self.lock().world.state(device)?;
        let uses = world::uses(&now);
        if !uses.is_empty() {
            return Err(BdevError::InUse { device: device.name.clone(), uses });
        }
        if now == *planned {
            Ok(())
        } else {
            Err(BdevError::changed(device, "it is another state"))
        }
    }
}

#[async_trait]
impl BdevProvider for SimBdev {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        self.reach("", SimPoint::Scan).await?;
        let inner = self.lock();
        let mut controllers = inner.world.controllers();
        if !request.health {
            controllers.iter_mut().for_each(|controller| controller.health = None);
        }
        let devices = request.targets.iter().flat_map(BdevTarget::devices);
        let emulated = devices
            .filter(|device| device.class != crate::BdevClass::Nvme)
            .map(|device| EmulatedDevice { size_bytes: inner.world.size(&device), device })
            .collect();
        Ok(BdevInventory { controllers, emulated, problems: Vec::new() })
    }

    async fn prepare(&self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        self.reach("", SimPoint::Prepare).await?;
        self.lock().prepares.push(request.clone());
        Ok(self.lock().world.prepare(request))
    }

    async fn reset(&self, request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        self.reach("", SimPoint::Reset).await?;
        Ok(self.lock().world.reset(request))
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        Ok(Vec::new())
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let mut observed = Vec::new();
        for device in target.devices() {
            let state = match self.reach(&device.name, SimPoint::Observe).await {
                Ok(()) => self.lock().world.state(&device),
                Err(error) => Err(error),
            };
            observed.push(ObservedDevice { device, state: state.map_err(Arc::new) });
        }
        observed
    }

    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome> {
        let mut outcomes = Vec::new();
        for device in plan.devices() {
            let result = match self.format_one(device, steps).await {
                Ok(result) => result,
                Err(error) => FormatResult::Failed(Arc::new(error)),
            };
            let (device, roles) = (device.device().clone(), device.roles());
            outcomes.push(DeviceOutcome { device, roles, result });
        }
        outcomes
    }

    async fn write_config(
        &self,
        file: &ConfigFile,
        config: &EngineDeviceConfig,
        steps: &dyn StepObserver,
    ) -> Result<(), BdevError> {
        steps.step(&config_step(file, config));
        self.reach("", SimPoint::WriteConfig).await?;
        if config.is_empty() {
            self.lock().configs.remove(&file.path);
            return Ok(());
        }
        let text = config.render(file.form)?;
        self.lock().configs.insert(file.path.clone(), text);
        Ok(())
    }

    async fn read_config(
        &self,
        file: &ConfigFile,
    ) -> Result<Option<EngineDeviceConfig>, BdevError> {
        let form: ConfigForm = file.form;
        let text = self.config_text(&file.path);
        text.map(|text| EngineDeviceConfig::parse(&text, form, &file.path)).transpose()
    }
}
