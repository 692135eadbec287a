//! A provider whose storage exists only in memory: for simulation, embedding and tests of callers.
//!
//! It uses the same planner and passes the same conformance suite as the real bodies, and can be told to fail
//! or to take its time at any step. Knows nothing of the host it runs on.

mod arrange;
mod goals;
mod hardware;
mod pmem;
mod script;
mod view;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::ScmError;
use crate::model::{
    ProcessRef, ProvisionOutcome, ProvisionRequest, ScanRequest, ScmInventory, ScmMounted,
    ScmObserved, ScmTarget, Unmounted,
};
use crate::plan::{AcceptedProvision, AcceptedScmPlan, ProvisionPlan};
use crate::pmem::inventory;
use crate::provider::{ScmProvider, StepObserver};
use script::Script;
use world::World;

/// Simulated storage class memory. Clones share one world.
#[derive(Debug, Clone, Default)]
pub struct SimScm {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    world: World,
    script: Script,
    hardware: hardware::Hardware,
}

impl SimScm {
    /// A host with no devices, one NUMA node, a tmpfs at `/dev/shm` and the right to mount.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a blank persistent memory device.
    pub fn add_device(&self, path: impl AsRef<Path>, size_bytes: u64) {
        self.lock().world.add_device(path.as_ref(), size_bytes);
    }

    /// Puts somebody else's signature on a device, in words.
    pub fn put_signature(&self, device: impl AsRef<Path>, signature: &str) {
        self.lock().world.put_signature(device.as_ref(), signature);
    }

    /// Makes a device used by something, in words, until [`SimScm::release_device`].
    pub fn use_device(&self, device: impl AsRef<Path>, by: &str) {
        self.lock().world.set_users(device.as_ref(), vec![by.to_owned()]);
    }

    /// Ends all uses of a device.
    pub fn release_device(&self, device: impl AsRef<Path>) {
        self.lock().world.set_users(device.as_ref(), Vec::new());
    }

    /// Creates a directory that is no mount point, on a file system of this type, with these files.
    pub fn put_directory(&self, path: impl AsRef<Path>, fs_type: &str, files: &[&str]) {
        self.lock().world.put_directory(path.as_ref(), fs_type, files);
    }

    /// Creates a file in the root of what is reachable at `mount_point`.
    ///
    /// # Errors
    /// [`ScmError::NotFormatted`] when nothing is reachable there.
    pub fn put_file(&self, mount_point: impl AsRef<Path>, name: &str) -> Result<(), ScmError> {
        self.lock().world.put_file(mount_point.as_ref(), name)
    }

    /// Names of the files reachable at `mount_point`, in order.
    #[must_use]
    pub fn files(&self, mount_point: impl AsRef<Path>) -> Vec<String> {
        self.lock().world.files(mount_point.as_ref())
    }

    /// Lets a process hold a mount busy; an empty list lets go.
    pub fn hold_mount(&self, mount_point: impl AsRef<Path>, holders: Vec<ProcessRef>) {
        self.lock().world.hold(mount_point.as_ref(), holders);
    }

    /// Takes the right to mount away, or gives it back.
    pub fn allow_mounts(&self, allowed: bool) {
        self.lock().world.may_mount = allowed;
    }

    /// What the next scans answer, besides mounts of configured RAM, on a host without modules.
    pub fn set_inventory(&self, inventory: ScmInventory) {
        self.lock().world.inventory = inventory;
    }

    /// Restarts the simulated host: mounts and everything in memory are gone, devices stay. Goals take effect, and
    /// what is left of namespaces may get other names.
    pub fn reboot(&self) {
        self.lock().world.reboot();
        self.boot_hardware();
    }

    /// Lets the next step of this name ([`crate::ScmStep::name`], [`crate::model::ProvisionStep::name`]) fail with `error`, before it does anything.
    pub fn fail_next(&self, step: &str, error: ScmError) {
        self.lock().script.fail_next(step, error);
    }

    /// Lets every step of this name take `delay` longer.
    pub fn delay(&self, step: &str, delay: Duration) {
        self.lock().script.delay(step, delay);
    }
}

#[async_trait]
impl ScmProvider for SimScm {
    async fn scan(&self, request: &ScanRequest) -> Result<ScmInventory, ScmError> {
        if self.lock().hardware.is_empty() {
            return Ok(self.lock().world.scan(request, None));
        }
        let found = inventory(&self.pmem_tools().look().await?);
        Ok(self.lock().world.scan(request, Some(found)))
    }

    async fn plan_provision(&self, request: &ProvisionRequest) -> Result<ProvisionPlan, ScmError> {
        self.pmem_tools().plan(request).await
    }

    async fn provision(
        &self,
        plan: AcceptedProvision,
        steps: &dyn StepObserver,
    ) -> Result<ProvisionOutcome, ScmError> {
        self.pmem_tools().provision(plan, steps).await
    }

    async fn observe(&self, target: &ScmTarget) -> Result<ScmObserved, ScmError> {
        Ok(self.lock().world.observe(target))
    }

    async fn format(
        &self,
        accepted: AcceptedScmPlan,
        steps: &dyn StepObserver,
    ) -> Result<ScmMounted, ScmError> {
        let plan = accepted.plan();
        let now = self.lock().world.observe(plan.target());
        accepted.still_holds(&now)?;
        for step in plan.steps() {
            steps.step(&step.to_string());
            let delay = self.lock().script.delay_of(step.name());
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let mut inner = self.lock();
            inner.script.fail(step.name())?;
            inner.world.apply(plan.target(), step)?;
        }
        self.lock().world.mounted(plan.target(), plan.notices())
    }

    async fn mount(&self, target: &ScmTarget) -> Result<ScmMounted, ScmError> {
        let mut inner = self.lock();
        inner.script.fail("mount")?;
        inner.world.mount(target)
    }

    async fn check_unmount(&self, target: &ScmTarget) -> Result<(), ScmError> {
        self.lock().world.check_unmount(target)
    }

    async fn unmount(&self, target: &ScmTarget) -> Result<Unmounted, ScmError> {
        let mut inner = self.lock();
        inner.script.fail("unmount")?;
        inner.world.unmount(target)
    }
}
