//! Storage class memory of a DAOS engine: persistent memory modules, or RAM that stands in for them.
//!
//! Table of contents. [`provider`] has the trait and what an implementer owes, [`model`] the values it
//! speaks in, [`mod@plan`] the pure rules of what may be formatted, [`error`] every refusal with its fault
//! number. [`pmem`] prepares modules and namespaces. Bodies of the trait: [`linux`] (ext4 on a device), [`ram`] (tmpfs, or a
//! directory on one), [`sim`] (in memory, scripted); [`by_class`] routes to one per class.
//! This crate knows no engine, no superblock contents and no wire format.
//!
//! Observe, plan, accept, format:
//!
//! ```
//! use daos_storage_scm::{Intent, PlanFacts, RamSpec, ScmParams, ScmProvider, ScmTarget, SilentObserver};
//! use daos_storage_scm::sim::SimScm;
//!
//! # async fn show() -> Result<(), daos_storage_scm::ScmError> {
//! let provider = SimScm::new();
//! let target = ScmTarget::from_params(ScmParams {
//!     mount_point: "/mnt/daos0".into(),
//!     ram: Some(RamSpec { size_bytes: Some(4 << 30), ..RamSpec::default() }),
//!     ..ScmParams::default()
//! })?;
//! let observed = provider.observe(&target).await?;
//! let plan = daos_storage_scm::plan(&target, &observed, Intent::Plain, &PlanFacts::default())?;
//! println!("{plan}"); // what is there, what will be done, what will be lost
//! let digest = plan.digest().clone(); // travels to the administrator and back
//! let mounted = provider.format(plan.accept(&digest)?, &SilentObserver).await?;
//! assert_eq!(mounted.mount_point, std::path::Path::new("/mnt/daos0"));
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(show()).unwrap();
//! ```
//!
//! A new backend implements [`ScmProvider`] and runs `conformance::run` (feature `testing`) over it.

mod blocking;
pub mod by_class;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod error;
pub mod linux;
pub mod model;
mod mountpoint;
pub mod plan;
pub mod pmem;
pub mod provider;
pub mod ram;
pub mod sim;

pub use by_class::ByClass;
pub use error::{FAULT_CODES, ScmError};
pub use model::{
    AppDirectRegion, DcpmSpec, DeviceContent, DeviceState, Discovered, Entries, Medium, MountFacts,
    MountPointState, MountRight, Owner, ProcessRef, ProvisionOutcome, ProvisionRequest,
    ProvisionVerdict, RamForm, RamSpec, ScanRequest, ScmClass, ScmForm, ScmInventory, ScmModule,
    ScmMounted, ScmNamespace, ScmObserved, ScmParams, ScmReadiness, ScmTarget, Unmounted,
};
pub use plan::{
    AcceptedProvision, AcceptedScmPlan, Intent, PlanDigest, PlanFacts, ProvisionPlan, ScmPlan,
    ScmStep, plan,
};
pub use provider::{ScmProvider, SilentObserver, StepObserver};
