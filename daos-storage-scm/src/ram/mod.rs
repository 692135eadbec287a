//! Class ram: a tmpfs that this process mounts, or a directory on one that is there, where it may not mount.
//!
//! Observes, and carries out accepted plans step by step on a blocking thread. What may be done is decided in
//! `plan`; this module only does it.

mod erase;
mod memory;

use std::ffi::CString;

use async_trait::async_trait;
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::error::ScmError;
use crate::model::{
    Discovered, Medium, MountPointState, NamespaceMode, ProvisionOutcome, ProvisionRequest,
    RamFacts, ScanRequest, ScmForm, ScmInventory, ScmMounted, ScmNamespace, ScmObserved,
    ScmReadiness, ScmTarget, Unmounted,
};
use crate::mountpoint::{self, Expected};
use crate::plan::{self, AcceptedProvision, AcceptedScmPlan, ProvisionPlan, ScmPlan, ScmStep};
use crate::provider::{ScmProvider, StepObserver};

pub use memory::check_memory;

/// The provider of class ram on a real host.
#[derive(Debug, Clone, Copy, Default)]
pub struct RamScm;

impl RamScm {
    /// It has no settings.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl ScmProvider for RamScm {
    async fn scan(&self, request: &ScanRequest) -> Result<ScmInventory, ScmError> {
        let targets = request.targets.clone();
        blocking(move || {
            let namespaces = targets.iter().filter_map(|target| namespace(target).transpose());
            let namespaces = Discovered::Known(namespaces.collect::<Result<_, _>>()?);
            Ok(ScmInventory { namespaces, ..ScmInventory::default() })
        })
        .await
    }

    async fn plan_provision(&self, _request: &ProvisionRequest) -> Result<ProvisionPlan, ScmError> {
        Err(no_hardware("provision"))
    }

    async fn provision(
        &self,
        _plan: AcceptedProvision,
        _steps: &dyn StepObserver,
    ) -> Result<ProvisionOutcome, ScmError> {
        Err(no_hardware("provision"))
    }

    async fn observe(&self, target: &ScmTarget) -> Result<ScmObserved, ScmError> {
        let target = target.clone();
        blocking(move || observe(&target)).await
    }

    async fn format(
        &self,
        accepted: AcceptedScmPlan,
        steps: &dyn StepObserver,
    ) -> Result<ScmMounted, ScmError> {
        let target = accepted.plan().target().clone();
        let now = blocking(move || observe(&target)).await?;
        accepted.still_holds(&now)?;
        let plan = accepted.plan();
        for step in plan.steps() {
            tracing::debug!(engine = plan.target().engine_index(), step = step.name(), "{step}");
            steps.step(&step.to_string());
            let (plan, step) = (plan.clone(), step.clone());
            blocking(move || take(&plan, &step)).await?;
        }
        let plan = plan.clone();
        blocking(move || described(&plan)).await
    }

    async fn mount(&self, target: &ScmTarget) -> Result<ScmMounted, ScmError> {
        let target = target.clone();
        blocking(move || {
            let observed = observe(&target)?;
            // RAM that is gone cannot be mounted again, so there never is a step to take.
            plan::remount(&target, &observed)?;
            let ScmReadiness::Reachable { form, .. } = observed.readiness(&target) else {
                return Err(ScmError::Internal { what: "neither there nor refused".to_owned() });
            };
            mountpoint::verify(&target, &Expected::standing(form, None))
        })
        .await
    }

    async fn check_unmount(&self, target: &ScmTarget) -> Result<(), ScmError> {
        let path = target.mount_point().to_owned();
        blocking(move || mountpoint::require_free(&path)).await
    }

    async fn unmount(&self, target: &ScmTarget) -> Result<Unmounted, ScmError> {
        let target = target.clone();
        blocking(move || {
            let observed = observe(&target)?;
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

fn observe(target: &ScmTarget) -> Result<ScmObserved, ScmError> {
    let at = mountpoint::look(target.mount_point())?;
    let facts = RamFacts {
        may_mount: mountpoint::may_mount_tmpfs(),
        numa_nodes: memory::numa_nodes(),
        huge_supported: memory::huge_supported(),
    };
    Ok(ScmObserved { at, medium: Medium::Ram(facts) })
}

fn take(plan: &ScmPlan, step: &ScmStep) -> Result<(), ScmError> {
    match step {
        ScmStep::Unmount { mount_point, .. } => match &plan.observed().at {
            MountPointState::MountPoint(mount) => {
                mountpoint::unmount(mount_point, mount.found).map(drop)
            }
            _ => Ok(()),
        },
        ScmStep::CreateDirectory { path } => mountpoint::create_directory(path),
        ScmStep::MarkErase { path } => erase::mark(path, planned_directory(plan)),
        ScmStep::EraseContent { path } => erase::content(path, planned_directory(plan)),
        ScmStep::MountTmpfs { mount_point, options } => {
            let data = CString::new(options.as_str())
                .map_err(|_| ScmError::system("mount tmpfs on", mount_point, Errno::INVAL))?;
            let expected = match &plan.observed().at {
                MountPointState::Directory(directory) => Some(directory.found),
                _ => None,
            };
            mountpoint::mount_on(mount_point, expected, |held| {
                rustix::mount::mount("tmpfs", held, "tmpfs", mountpoint::MOUNT_FLAGS, Some(&*data))
            })?
            .map_err(|errno| match errno {
                Errno::PERM | Errno::ACCESS => ScmError::MayNotMount {
                    mount_point: mount_point.clone(),
                    why: format!("mounting a tmpfs: {errno}"),
                },
                _ => ScmError::system("mount tmpfs on", mount_point, errno),
            })
        }
        ScmStep::SetOwner { path, owner } => mountpoint::set_owner(path, *owner),
        ScmStep::Verify { .. } => described(plan).map(drop),
        ScmStep::WipeSignatures { .. }
        | ScmStep::MakeFilesystem { .. }
        | ScmStep::MountExt4 { .. } => Err(ScmError::Unsupported {
            operation: step.name(),
            why: "class ram has no device".to_owned(),
        }),
    }
}

/// The directory that was planned for; the root of the mount when something is mounted there.
fn planned_directory(plan: &ScmPlan) -> Option<crate::model::FoundAt> {
    match &plan.observed().at {
        MountPointState::Directory(directory) => Some(directory.found),
        MountPointState::MountPoint(mount) => Some(mount.found),
        _ => None,
    }
}

fn described(plan: &ScmPlan) -> Result<ScmMounted, ScmError> {
    let target = plan.target();
    let fresh = plan.steps().iter().any(|step| matches!(step, ScmStep::MountTmpfs { .. }));
    let configured = target.ram().and_then(|ram| ram.size_bytes).map(plan::whole_pages);
    let expected = Expected {
        form: plan.form(),
        device: None,
        size_bytes: configured.filter(|_| fresh),
        fresh,
        leftovers: Some(&plan.facts().leftovers),
        notices: plan.notices(),
    };
    mountpoint::verify(target, &expected)
}

/// RAM that serves as SCM, shown as a namespace (contract 7.5). A directory shares its tmpfs with others, so it counts
/// with what was configured.
fn namespace(target: &ScmTarget) -> Result<Option<ScmNamespace>, ScmError> {
    let Some(ram) = target.ram() else { return Ok(None) };
    let ScmReadiness::Reachable { form, .. } =
        plan::ram_readiness(&mountpoint::look(target.mount_point())?)
    else {
        return Ok(None);
    };
    let usage = mountpoint::usage(target.mount_point())?;
    let shared = ram.size_bytes.filter(|_| form == ScmForm::Directory);
    Ok(Some(ScmNamespace {
        uuid: String::new(),
        blockdev: "ramdisk".to_owned(),
        dev: "tmpfs".to_owned(),
        numa_node: ram.numa.unwrap_or_default(),
        size: shared.map_or(usage.total_bytes, |size| size.min(usage.total_bytes)),
        mode: NamespaceMode::Unknown,
        uses: Vec::new(),
        mount: Some(usage),
    }))
}

fn no_hardware(operation: &'static str) -> ScmError {
    ScmError::Unsupported { operation, why: "class ram has no modules".to_owned() }
}
