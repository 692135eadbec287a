//! The format of one host's storage: observe, plan, execute, report (R3, R5, R6, R116-R132, R144-R151).
//!
//! [`FormatService`] is the way in: `plan` shows what would be done, `apply` does it, one format at a time.
//! [`targets`] says what may be formatted, [`observe`] looks, [`plan`] decides (pure), `execute` acts in a fixed
//! order, [`report`] tells what became of each device. `journal` keeps the marks that turn a crash into
//! *unknown*, `metadata` owns control metadata on disk, `bring_up` acts on the start table, `given` says which devices
//! are new to an engine and may not be, `elsewhere` whose storage it is when it is not the engine's. Must not know gRPC, protobuf, nor how engines run.

mod bring_up;
mod elsewhere;
mod execute;
mod faults;
mod foresee;
mod given;
mod journal;
pub mod metadata;
pub mod observe;
pub mod plan;
pub mod report;
mod request;
mod service;
mod steps;
pub mod targets;

pub use bring_up::BroughtUp;
pub(crate) use faults::of_bdev;
pub use foresee::{Foreseen, Refusal, foresee};
pub use journal::{Journal, JournalError, Mark, MarkState, MarkTarget};
pub use metadata::{MetadataObserved, MetadataPlan, MetadataState, RefusedMetadata};
pub use observe::{EngineObserved, FilesObserved};
pub use plan::{
    AcceptedFormat, DevicePlan, EnginePlan, EngineWork, FormatPlan, HostObserved, Verdict,
};
pub use report::{
    DeviceOutcome, DeviceReport, EngineReport, FormatReport, NO_DEVICE, Skip, StorageMedium,
};
pub use request::{FormatError, FormatRequest, StorageReady};
pub use service::{
    FormatParts, FormatService, NoSystemDatabase, NobodyUses, StorageHold, StorageUse,
    SystemDatabase,
};
pub use steps::{FormatWatcher, NobodyWatches};
pub use targets::{EngineTarget, FormatTargets};
