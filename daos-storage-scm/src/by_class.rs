//! One provider for a whole host: hands each target to the body of its class.
//!
//! The control plane holds this as its `Arc<dyn ScmProvider>`; hardware questions go to the dcpm body.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::ScmError;
use crate::linux::LinuxScm;
use crate::model::{
    Discovered, ProvisionOutcome, ProvisionRequest, ScanRequest, ScmClass, ScmInventory,
    ScmMounted, ScmObserved, ScmTarget, Unmounted,
};
use crate::plan::{AcceptedProvision, AcceptedScmPlan, ProvisionPlan};
use crate::provider::{ScmProvider, StepObserver};
use crate::ram::RamScm;

/// Routes by [`ScmClass`].
#[derive(Debug, Clone)]
pub struct ByClass {
    ram: Arc<dyn ScmProvider>,
    dcpm: Arc<dyn ScmProvider>,
}

impl ByClass {
    /// A provider over these two bodies.
    #[must_use]
    pub fn new(ram: Arc<dyn ScmProvider>, dcpm: Arc<dyn ScmProvider>) -> Self {
        Self { ram, dcpm }
    }

    /// The bodies for real hosts: tmpfs and directories, and block devices.
    #[must_use]
    pub fn for_this_host() -> Self {
        Self::new(Arc::new(RamScm::new()), Arc::new(LinuxScm::new()))
    }

    fn body(&self, target: &ScmTarget) -> &dyn ScmProvider {
        match target.class() {
            ScmClass::Ram(_) => self.ram.as_ref(),
            ScmClass::Dcpm(_) => self.dcpm.as_ref(),
        }
    }
}

#[async_trait]
impl ScmProvider for ByClass {
    async fn scan(&self, request: &ScanRequest) -> Result<ScmInventory, ScmError> {
        let (ram, dcpm): (Vec<_>, Vec<_>) =
            request.targets.iter().cloned().partition(|target| target.ram().is_some());
        let mut inventory = self.dcpm.scan(&ScanRequest { targets: dcpm }).await?;
        let memory = self.ram.scan(&ScanRequest { targets: ram }).await?;
        if let Discovered::Known(namespaces) = &mut inventory.namespaces {
            namespaces.extend(memory.namespaces.known().iter().cloned());
        } else if !memory.namespaces.known().is_empty() {
            // What is in use must be shown even where the hardware cannot be described.
            inventory.namespaces = memory.namespaces;
        }
        Ok(inventory)
    }

    async fn plan_provision(&self, request: &ProvisionRequest) -> Result<ProvisionPlan, ScmError> {
        self.dcpm.plan_provision(request).await
    }

    async fn provision(
        &self,
        plan: AcceptedProvision,
        steps: &dyn StepObserver,
    ) -> Result<ProvisionOutcome, ScmError> {
        self.dcpm.provision(plan, steps).await
    }

    async fn observe(&self, target: &ScmTarget) -> Result<ScmObserved, ScmError> {
        self.body(target).observe(target).await
    }

    async fn format(
        &self,
        plan: AcceptedScmPlan,
        steps: &dyn StepObserver,
    ) -> Result<ScmMounted, ScmError> {
        let body = self.body(plan.plan().target());
        body.format(plan, steps).await
    }

    async fn mount(&self, target: &ScmTarget) -> Result<ScmMounted, ScmError> {
        self.body(target).mount(target).await
    }

    async fn check_unmount(&self, target: &ScmTarget) -> Result<(), ScmError> {
        self.body(target).check_unmount(target).await
    }

    async fn unmount(&self, target: &ScmTarget) -> Result<Unmounted, ScmError> {
        self.body(target).unmount(target).await
    }
}
