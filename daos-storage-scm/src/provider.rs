//! The trait that every way of providing storage class memory implements.
//!
//! Callers hold it as `Arc<dyn ScmProvider>`; the conformance suite (feature `testing`) states in code what
//! the documentation here states in words.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::ScmError;
use crate::model::{
    ProvisionOutcome, ProvisionRequest, ScanRequest, ScmInventory, ScmMounted, ScmObserved,
    ScmTarget, Unmounted,
};
use crate::plan::{AcceptedProvision, AcceptedScmPlan, ProvisionPlan};

/// Told of each step of a format before it is taken.
///
/// For logs, progress and tests that cut a format off in the middle. It must not block for long.
pub trait StepObserver: Send + Sync {
    /// `step` is the text that the plan shows for it, e.g. `mount tmpfs at /mnt/daos0 (size=4g)`.
    fn step(&self, step: &str);
}

/// A [`StepObserver`] that keeps quiet.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentObserver;

impl StepObserver for SilentObserver {
    fn step(&self, _step: &str) {}
}

/// Storage class memory of a host.
///
/// # What an implementer owes
/// - `scan` and `observe` change nothing and give equal answers while nothing changes.
/// - `format` does what the accepted plan says, in its order, and nothing else. Before the first step it looks
///   again and refuses with [`ScmError::PlanChanged`] when the world is no longer what was planned for, and it
///   makes sure of the identity of a device immediately before writing to it. It tells the [`StepObserver`]
///   before each step. It reads back what it set up before it answers `Ok`.
/// - A format that ends anywhere in the middle (error, crash, dropped future) has either destroyed nothing, or
///   leaves no superblock behind that can be reached; and a new plan can start from there.
/// - What is in use is refused, whatever was accepted. Unmounting is plain, never lazy or forced.
/// - Every call can run beside calls for other targets. Calls for one target are serialised by the caller (W4).
///
/// # What will come here
/// Burn-in of new modules and updates of their firmware (R112) are not there yet. Each will be two methods, one that plans
/// and one that takes the accepted plan, as `plan_provision` and `provision` are. Both will have a default body that
/// answers [`ScmError::Unsupported`], so providers outside this repository stay as they are.
#[async_trait]
pub trait ScmProvider: Send + Sync + Debug {
    /// Finds modules, regions and namespaces, and the mounts of the targets in the request. Always looks anew
    /// (W12).
    ///
    /// # Errors
    /// [`ScmError::DiscoveryFailed`] when looking itself fails; no hardware is not an error.
    async fn scan(&self, request: &ScanRequest) -> Result<ScmInventory, ScmError>;

    /// Looks at the modules and plans how to make them usable, or to undo that. Changes nothing.
    ///
    /// # Errors
    /// [`ScmError::Unsupported`] from bodies without such hardware.
    async fn plan_provision(&self, request: &ProvisionRequest) -> Result<ProvisionPlan, ScmError>;

    /// Takes provisioning as far as it goes before a reboot (R133, R137). Repeating both calls after it is safe
    /// and goes on from there.
    ///
    /// # Errors
    /// [`ScmError::Unsupported`] from bodies without such hardware.
    async fn provision(
        &self,
        plan: AcceptedProvision,
        steps: &dyn StepObserver,
    ) -> Result<ProvisionOutcome, ScmError>;

    /// Looks at one target: its mount point and what stands behind it.
    ///
    /// # Errors
    /// Only when it cannot look at all. A missing device, a symbolic link or a foreign file system is an
    /// observation, not an error.
    async fn observe(&self, target: &ScmTarget) -> Result<ScmObserved, ScmError>;

    /// Carries out an accepted plan; afterwards the SCM is mounted, owned by the target's owner with mode
    /// 0700 (R129), and empty but for what the plan adopted.
    ///
    /// Dropping the future lets the step under way end and takes no further one.
    ///
    /// # Errors
    /// Any [`ScmError`]; the steps told to `steps` so far were at least begun.
    async fn format(
        &self,
        plan: AcceptedScmPlan,
        steps: &dyn StepObserver,
    ) -> Result<ScmMounted, ScmError>;

    /// Makes what was formatted earlier available again, e.g. after a reboot (row C6). What already is
    /// available is only described.
    ///
    /// # Errors
    /// [`ScmError::NotFormatted`] for a blank medium and for RAM that is gone, [`ScmError::ForeignSignature`]
    /// for a device of somebody else, and the refusals of R128.
    async fn mount(&self, target: &ScmTarget) -> Result<ScmMounted, ScmError>;

    /// Whether something would keep the target from being unmounted now. Changes nothing; for asking before
    /// anything else is given up for a format that unmounts.
    ///
    /// # Errors
    /// [`ScmError::Busy`] naming the processes.
    async fn check_unmount(&self, target: &ScmTarget) -> Result<(), ScmError>;

    /// Takes the target's own file system off its mount point. Plain: data is written back, a busy mount stays.
    ///
    /// # Errors
    /// [`ScmError::Busy`] naming the processes; [`ScmError::TargetMounted`] when something else is mounted
    /// there.
    async fn unmount(&self, target: &ScmTarget) -> Result<Unmounted, ScmError>;
}
