//! Class dcpm on a real host: a block device of persistent memory, ext4 with direct access, and the modules below.
//!
//! Observes through `daos-blockdev`, and carries out accepted plans. The device is claimed exclusively from the
//! last check to the last write; `mkfs.ext4` takes the same claim for itself in between. What may be done is
//! decided in `plan`. Modules and namespaces are prepared through libipmctl and ndctl (`pmem`).

mod device;
mod ffi;
mod ipmctl;
mod nd;
mod ndctl;
mod observe;
mod run;
mod uses;

pub use self::ipmctl::BAD_VERSIONS as BAD_IPMCTL_VERSIONS;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::blocking::blocking;
use crate::error::ScmError;
use crate::model::{
    Discovered, MountPointState, ProvisionOutcome, ProvisionRequest, ScanRequest, ScmInventory,
    ScmMounted, ScmObserved, ScmReadiness, ScmTarget, Unmounted,
};
use crate::mountpoint::{self, Expected};
use crate::plan::{self, AcceptedProvision, AcceptedScmPlan, ProvisionPlan, ScmPlan, ScmStep};
use crate::pmem::{PmemTools, ToolVersion, inventory};
use crate::provider::{ScmProvider, StepObserver};
use device::PinnedDevice;
use run::Runner;

/// The provider of class dcpm on a real host.
#[derive(Debug, Clone)]
pub struct LinuxScm {
    runner: Runner,
    sysfs: PathBuf,
    tools: Option<PmemTools>,
}

impl Default for LinuxScm {
    fn default() -> Self {
        Self::new()
    }
}

impl LinuxScm {
    /// Tools from the system's directories and then `PATH`, devices from `/sys`, half an hour for `mkfs.ext4`.
    #[must_use]
    pub fn new() -> Self {
        Self { runner: Runner::new(), sysfs: PathBuf::from("/sys"), tools: None }
    }

    /// Looks for programs in these directories only.
    #[must_use]
    pub fn with_tool_dirs(mut self, dirs: Vec<PathBuf>) -> Self {
        self.runner.dirs = dirs;
        self
    }

    /// Ends a program that takes longer than this, and reports it as failed.
    #[must_use]
    pub fn with_tool_deadline(mut self, deadline: Duration) -> Self {
        self.runner.deadline = deadline;
        self
    }

    /// Reads persistent memory from another tree than `/sys`.
    #[must_use]
    pub fn with_sysfs(mut self, sysfs: impl Into<PathBuf>) -> Self {
        self.sysfs = sysfs.into();
        self
    }

    /// Prepares through other tools than libipmctl and ndctl.
    #[must_use]
    pub fn with_pmem_tools(mut self, tools: PmemTools) -> Self {
        self.tools = Some(tools);
        self
    }

    /// The tools this provider works with, and their versions. Loads the library, and runs `ndctl --version`.
    pub async fn tool_versions(&self) -> Vec<ToolVersion> {
        let tools = self.pmem();
        vec![tools.modules.version().await, tools.namespaces.version().await]
    }

    fn pmem(&self) -> PmemTools {
        self.tools.clone().unwrap_or_else(|| PmemTools {
            modules: Arc::new(ipmctl::Ipmctl),
            namespaces: Arc::new(ndctl::Ndctl {
                runner: self.runner.clone(),
                sysfs: self.sysfs.clone(),
            }),
        })
    }

    /// While another thread starts a process, that one holds a copy of the claim we just gave up, for an
    /// instant: what mkfs found in use and we can claim is tried again.
    async fn make_ext4(
        &self,
        plan: &ScmPlan,
        device: &Path,
        held: &PinnedDevice,
    ) -> Result<(), ScmError> {
        const RETRIES: usize = 3;
        for _ in 0..RETRIES {
            match self.runner.make_ext4(device, &held.path_for_programs()).await {
                Err(error) if run::found_in_use(&error) => {
                    let planned = plan.clone();
                    blocking(move || device::is_free(&planned)).await?;
                }
                done => return done,
            }
        }
        self.runner.make_ext4(device, &held.path_for_programs()).await
    }

    async fn take(
        &self,
        plan: &ScmPlan,
        step: &ScmStep,
        pinned: &mut Option<PinnedDevice>,
    ) -> Result<(), ScmError> {
        if let ScmStep::MakeFilesystem { device } = step {
            let Some(held) = pinned.take() else {
                let what = "a file system is made only on a device just wiped".to_owned();
                return Err(ScmError::Internal { what });
            };
            self.make_ext4(plan, device, &held).await?;
            let planned = plan.clone();
            return blocking(move || device::check_made(&planned, &held)).await;
        }
        let (plan, step) = (plan.clone(), step.clone());
        let held = blocking(move || take_blocking(&plan, &step)).await?;
        if held.is_some() {
            *pinned = held;
        }
        Ok(())
    }
}

#[async_trait]
impl ScmProvider for LinuxScm {
    async fn scan(&self, request: &ScanRequest) -> Result<ScmInventory, ScmError> {
        let mut found = inventory(&self.pmem().look().await?);
        let targets = request.targets.clone();
        blocking(move || {
            if let Discovered::Known(namespaces) = &mut found.namespaces {
                uses::add(namespaces);
                for target in &targets {
                    observe::add_usage(namespaces, target)?;
                }
            }
            Ok(found)
        })
        .await
    }

    async fn plan_provision(&self, request: &ProvisionRequest) -> Result<ProvisionPlan, ScmError> {
        self.pmem().plan(request).await
    }

    async fn provision(
        &self,
        plan: AcceptedProvision,
        steps: &dyn StepObserver,
    ) -> Result<ProvisionOutcome, ScmError> {
        self.pmem().provision(plan, steps).await
    }

    async fn observe(&self, target: &ScmTarget) -> Result<ScmObserved, ScmError> {
        let target = target.clone();
        blocking(move || observe::observe(&target)).await
    }

    async fn format(
        &self,
        accepted: AcceptedScmPlan,
        steps: &dyn StepObserver,
    ) -> Result<ScmMounted, ScmError> {
        let target = accepted.plan().target().clone();
        let now = blocking(move || observe::observe(&target)).await?;
        accepted.still_holds(&now)?;
        let plan = accepted.plan();
        let needs_mkfs =
            plan.steps().iter().any(|step| matches!(step, ScmStep::MakeFilesystem { .. }));
        if needs_mkfs {
            // Found missing only after the wipe, it would leave the device neither old nor new.
            self.runner.find(run::MKFS, plan.target().device().unwrap_or(Path::new("")))?;
        }
        let mut pinned = None;
        for step in plan.steps() {
            tracing::debug!(engine = plan.target().engine_index(), step = step.name(), "{step}");
            steps.step(&step.to_string());
            self.take(plan, step, &mut pinned).await?;
        }
        let plan = plan.clone();
        blocking(move || described(&plan)).await
    }

    async fn mount(&self, target: &ScmTarget) -> Result<ScmMounted, ScmError> {
        let target = target.clone();
        blocking(move || mount(&target)).await
    }

    async fn check_unmount(&self, target: &ScmTarget) -> Result<(), ScmError> {
        let path = target.mount_point().to_owned();
        blocking(move || mountpoint::require_free(&path)).await
    }

    async fn unmount(&self, target: &ScmTarget) -> Result<Unmounted, ScmError> {
        let target = target.clone();
        blocking(move || {
            let observed = observe::observe(&target)?;
            match &observed.at {
                MountPointState::MountPoint(mount) if plan::unmountable(&target, &observed)? => {
                    mountpoint::unmount(target.mount_point(), mount.found)
                }
                _ => plan::unmountable(&target, &observed).map(|_| Unmounted::WasNotMounted),
            }
        })
        .await
    }
}

/// Every step but the one that runs a program. Wiping hands back the device it wiped.
fn take_blocking(plan: &ScmPlan, step: &ScmStep) -> Result<Option<PinnedDevice>, ScmError> {
    match step {
        ScmStep::Unmount { mount_point, .. } => match &plan.observed().at {
            MountPointState::MountPoint(mount) => {
                mountpoint::unmount(mount_point, mount.found).map(|_| None)
            }
            _ => Ok(None),
        },
        ScmStep::CreateDirectory { path } => mountpoint::create_directory(path).map(|()| None),
        ScmStep::WipeSignatures { .. } => device::wipe(plan).map(Some),
        ScmStep::MountExt4 { device, mount_point, options } => {
            let expected = match &plan.observed().at {
                MountPointState::Directory(directory) => Some(directory.found),
                _ => None,
            };
            device::mount(device, mount_point, options, expected).map(|()| None)
        }
        ScmStep::SetOwner { path, owner } => mountpoint::set_owner(path, *owner).map(|()| None),
        ScmStep::Verify { .. } => described(plan).map(|_| None),
        ScmStep::MakeFilesystem { .. }
        | ScmStep::MarkErase { .. }
        | ScmStep::EraseContent { .. }
        | ScmStep::MountTmpfs { .. } => Err(ScmError::Unsupported {
            operation: step.name(),
            why: "not a step of class dcpm".to_owned(),
        }),
    }
}

fn described(plan: &ScmPlan) -> Result<ScmMounted, ScmError> {
    let facts = device::planned(plan)?;
    let fresh = plan.steps().iter().any(|step| matches!(step, ScmStep::MountExt4 { .. }));
    let expected = Expected {
        form: plan.form(),
        device: Some(facts.identity.number),
        size_bytes: None,
        fresh,
        leftovers: Some(&plan.facts().leftovers),
        notices: plan.notices(),
    };
    mountpoint::verify(plan.target(), &expected)
}

/// Makes an earlier format available again (row C6).
fn mount(target: &ScmTarget) -> Result<ScmMounted, ScmError> {
    let observed = observe::observe(target)?;
    let step = plan::remount(target, &observed)?;
    let fresh = step.is_some();
    if let Some(ScmStep::MountExt4 { device, mount_point, options }) = step {
        if matches!(observed.at, MountPointState::Missing { .. }) {
            mountpoint::create_directory(&mount_point)
                .map_err(|error| device::no_directory(&device, &mount_point, error))?;
        }
        let expected = match &observed.at {
            MountPointState::Directory(directory) => Some(directory.found),
            _ => None,
        };
        device::mount(&device, &mount_point, &options, expected)?;
    }
    let now = observe::observe(target)?;
    let ScmReadiness::Reachable { form, .. } = now.readiness(target) else {
        return Err(ScmError::ReadBack {
            subject: target.mount_point().display().to_string(),
            why: "it was mounted and cannot be reached".to_owned(),
        });
    };
    let number = device::number(&observed);
    mountpoint::verify(target, &Expected { fresh, ..Expected::standing(form, number) })
}
