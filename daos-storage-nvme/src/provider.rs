//! The trait that every way of providing block devices implements. Callers hold it as `Arc<dyn BdevProvider>`;
//! the conformance suite (feature `testing`) states in code what the documentation here states in words.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::engine_config::{ConfigFile, EngineDeviceConfig};
use crate::model::{BdevInventory, BdevTarget, DeviceRef, ObservedDevice, PciAddress};
use crate::plan::AcceptedBdevPlan;
use crate::{BdevClass, BdevError, Roles, engine_config};

/// Told of each step before it is taken.
///
/// For logs, progress and tests that cut work off in the middle. It must not block for long.
pub trait StepObserver: Send + Sync {
    /// `step` names the device and is the text that the plan shows, e.g. `/dev/sdb: erase signatures`.
    fn step(&self, step: &str);
}

/// A [`StepObserver`] that keeps quiet.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentObserver;

impl StepObserver for SilentObserver {
    fn step(&self, _step: &str) {}
}

/// What a scan should look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRequest {
    /// Configured engines, whose emulated devices are listed too.
    pub targets: Vec<BdevTarget>,
    /// Read the health of NVMe controllers, which takes longer.
    pub health: bool,
}

/// What to make ready for user-space drivers (R72-R87).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareRequest {
    /// Huge pages per NUMA node, by node; empty leaves them alone.
    pub hugepages: Vec<NodeHugepages>,
    /// Controllers to bind; `None` means all, and an empty list none (R80).
    pub include: Option<Vec<PciAddress>>,
    /// Controllers never touched.
    pub exclude: Vec<PciAddress>,
    /// User that will run the engines.
    pub user: Option<String>,
    /// Bind to uio instead of vfio.
    pub disable_vfio: bool,
    /// Leave volume management devices alone.
    pub disable_vmd: bool,
}

/// Huge pages of one NUMA node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHugepages {
    /// NUMA node.
    pub node: u32,
    /// Pages of the default size.
    pub pages: u64,
}

/// What a prepare did, device by device.
#[derive(Debug, Default)]
pub struct PrepareOutcome {
    /// Huge pages as read back: as many as asked for, or more when some of more were in use.
    pub hugepages: Vec<NodeHugepages>,
    /// Driver each controller is bound to now, or why it was left alone.
    pub controllers: Vec<(PciAddress, Result<String, Arc<BdevError>>)>,
    /// What the administrator should know besides, in sentences.
    pub notices: Vec<String>,
}

/// What to give back to the kernel (R86).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetRequest {
    /// Controllers to bind back; `None` means all that a prepare bound.
    pub include: Option<Vec<PciAddress>>,
    /// Controllers never touched.
    pub exclude: Vec<PciAddress>,
}

/// What a reset did, device by device.
#[derive(Debug, Default)]
pub struct ResetOutcome {
    /// Driver each controller is bound to now, or why it was left alone.
    pub controllers: Vec<(PciAddress, Result<String, Arc<BdevError>>)>,
    /// What the administrator should know besides, in sentences.
    pub notices: Vec<String>,
}

/// What an operation that was cut off had left behind, and what became of it.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Which device.
    pub device: String,
    /// What was put right, in a sentence, or why it could not be.
    pub result: Result<String, Arc<BdevError>>,
}

/// What became of one device of a plan.
#[derive(Debug, Clone)]
pub struct DeviceOutcome {
    /// Which device.
    pub device: DeviceRef,
    /// Roles of its tier, for the reply to clients.
    pub roles: Roles,
    /// What happened.
    pub result: FormatResult,
}

/// How the format of one device ended.
#[derive(Debug, Clone)]
pub enum FormatResult {
    /// Everything the plan showed was done and read back.
    Formatted,
    /// The device already was as a format leaves it; nothing was written.
    AlreadyFormatted,
    /// There is nothing to format, and why.
    Skipped(String),
    /// Refused or failed. When it failed midway the device may hold anything, and a new plan shows what.
    Failed(Arc<BdevError>),
}

impl FormatResult {
    /// The error, if it failed.
    #[must_use]
    pub fn error(&self) -> Option<&BdevError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

/// Block devices of a host.
///
/// # What an implementer owes
/// - `scan` and `observe` change nothing and give equal answers while nothing changes.
/// - A device that cannot be looked at, is refused or fails stays alone: every other device of the call gets its
///   own answer (R147). One outcome per device of the plan, in the plan's order.
/// - `format` does what the accepted plan says for each device, in its order, and nothing else. It tells the
///   [`StepObserver`] before each step. Immediately before the first write to a device it looks again, at the
///   open descriptor where there is one: another identity, other contents or a new user end that device with
///   [`BdevError::PlanChanged`] or [`BdevError::InUse`], and nothing is written to it.
/// - A format that ends anywhere in the middle (error, crash, dropped future) leaves a device that a new plan can
///   start from.
/// - Every call can run beside calls for other targets. Calls for one target are serialised by the caller (W2).
///
/// # What will come here
/// Burn-in of new SSDs and updates of their firmware (R140) are not there yet. Each will be two methods: one that plans, and
/// one that takes the accepted plan as `format` does. Both will have a default body that answers [`BdevError::Unsupported`],
/// so providers outside this repository stay as they are.
#[async_trait]
pub trait BdevProvider: Send + Sync + Debug {
    /// Finds controllers, and the emulated devices of the targets in the request.
    ///
    /// # Errors
    /// Looking itself fails; no hardware is not an error.
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError>;

    /// Makes controllers ready for user-space drivers. Repeating it is safe.
    ///
    /// # Errors
    /// [`BdevError::Unsupported`] from bodies without such hardware.
    async fn prepare(&self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError>;

    /// Undoes what prepare did.
    ///
    /// # Errors
    /// [`BdevError::Unsupported`] from bodies without such hardware.
    async fn reset(&self, request: &ResetRequest) -> Result<ResetOutcome, BdevError>;

    /// Puts right what an operation that was cut off by a crash left behind: drivers and owners of devices, never contents.
    /// Called at start, before anything else looks. An empty list from bodies that leave nothing behind; one that stands before
    /// another body passes the call on.
    ///
    /// # Errors
    /// What there is to put right cannot be told.
    async fn recover(&self) -> Result<Vec<Recovered>, BdevError>;

    /// Looks at every device of a target, in its order.
    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice>;

    /// Carries out an accepted plan.
    ///
    /// Dropping the future lets the step under way end and takes no further one.
    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome>;

    /// Writes the engine's device configuration durably, or removes a stale one when the engine has no devices
    /// (R61). One step for the observer.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`] or [`BdevError::ConfigInexpressible`]; an earlier file is then untouched.
    async fn write_config(
        &self,
        file: &ConfigFile,
        config: &EngineDeviceConfig,
        steps: &dyn StepObserver,
    ) -> Result<(), BdevError> {
        steps.step(&config_step(file, config));
        let (file, config) = (file.clone(), config.clone());
        blocking(&file.path.display().to_string(), {
            let file = file.clone();
            move || engine_config::write(&file, &config)
        })
        .await
    }

    /// Reads the engine's device configuration; `None` when there is none.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`], or [`BdevError::ConfigInvalid`] (804) when it is not understood.
    async fn read_config(
        &self,
        file: &ConfigFile,
    ) -> Result<Option<EngineDeviceConfig>, BdevError> {
        let path: PathBuf = file.path.clone();
        let form = file.form;
        blocking(&path.display().to_string(), {
            let path = path.clone();
            move || engine_config::read(&path, form)
        })
        .await
    }
}

/// What [`BdevProvider::write_config`] is about to do, in words.
pub(crate) fn config_step(file: &ConfigFile, config: &EngineDeviceConfig) -> String {
    let path = file.path.display();
    if config.is_empty() {
        format!("{path}: not needed without devices")
    } else {
        format!("{path}: write the device configuration")
    }
}

/// Runs work that blocks on a thread for it, and tells a panic there from an answer.
pub(crate) async fn blocking<T: Send + 'static>(
    subject: &str,
    work: impl FnOnce() -> Result<T, BdevError> + Send + 'static,
) -> Result<T, BdevError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(BdevError::CutOff { subject: subject.to_owned(), detail: error.to_string() })
        }
    }
}

/// The answer of bodies without hardware to prepare and reset.
pub(crate) fn unsupported<T>(operation: &'static str, class: BdevClass) -> Result<T, BdevError> {
    Err(BdevError::Unsupported { operation, class })
}
