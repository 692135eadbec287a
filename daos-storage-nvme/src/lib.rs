//! Block devices of a DAOS engine: NVMe, and the files, kernel devices and memory that stand in for it.
//!
//! Table of contents. [`provider`] has the trait and what an implementer owes, [`model`] the values it speaks in,
//! [`mod@plan`] the pure rules of what may be formatted, [`engine_config`] what an engine is told about its devices,
//! [`error`] every refusal with its fault number. Bodies of the trait: [`linux`] (NVMe controllers), [`aio`] (files), [`kdev`],
//! [`malloc`], [`sim`] (in memory, scripted), `spdk` (feature `spdk`), and [`ByClass`], which gives each tier to its body. This crate knows no engine, no superblock
//! and no wire format.
//!
//! Observe, plan, accept, format:
//!
//! ```
//! use daos_storage_nvme::{
//!     BdevProvider, BdevTarget, BdevTier, ByClass, FileOwner, FormatResult, Intent, Roles,
//!     SilentObserver, TierDevices, plan,
//! };
//!
//! # async fn show() -> Result<(), daos_storage_nvme::BdevError> {
//! let provider = ByClass::emulated();
//! let target = BdevTarget {
//!     engine: 0,
//!     host: "n1".to_owned(),
//!     owner: FileOwner::current(),
//!     tiers: vec![BdevTier {
//!         tier: 1,
//!         roles: Roles::NONE,
//!         devices: TierDevices::Malloc { count: 1, size_gib: 4 },
//!     }],
//! };
//! let observed = provider.observe(&target).await;
//! let plan = plan(&target, &observed, Intent::Plain)?;
//! println!("{plan}"); // which device, what is on it, what will be done
//! let digest = plan.digest(); // travels to the administrator and back
//! for outcome in provider.format(plan.accept(&digest)?, &SilentObserver).await {
//!     assert!(matches!(outcome.result, FormatResult::Skipped(_)), "memory needs no format");
//! }
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(show()).unwrap();
//! ```
//!
//! A new backend implements [`BdevProvider`] and runs `conformance::run` (feature `testing`) over it.

pub mod aio;
mod by_class;
#[cfg(feature = "testing")]
pub mod conformance;
mod durable;
pub mod engine_config;
pub mod error;
pub mod kdev;
pub mod linux;
pub mod malloc;
pub mod model;
pub mod plan;
pub mod provider;
pub mod sim;
#[cfg(feature = "spdk")]
pub mod spdk;

pub use by_class::ByClass;

pub use engine_config::{ConfigFile, ConfigForm, EngineDeviceConfig, EngineOptions};
pub use error::BdevError;
pub use model::{
    BdevClass, BdevInventory, BdevTarget, BdevTier, DeviceRef, DeviceState, FileOwner,
    FormatAbility, NvmeController, NvmeHealth, ObservedDevice, Obstacle, PciAddress, PciAddressSet,
    Role, Roles, TierDevices,
};
pub use plan::{
    AcceptedBdevPlan, BdevPlan, DevicePlan, Intent, PlanDigest, PlanRow, Verdict, plan,
};
pub use provider::{
    BdevProvider, DeviceOutcome, FormatResult, NodeHugepages, PrepareOutcome, PrepareRequest,
    Recovered, ResetOutcome, ResetRequest, ScanRequest, SilentObserver, StepObserver,
};
// Uses and contents of devices appear in this crate's own types.
pub use daos_blockdev as blockdev;
