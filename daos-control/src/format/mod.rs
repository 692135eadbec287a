//! The format of one host's storage: observe, plan, execute, report (R3, R5, R6, R116-R132, R144-R151).

mod journal;
pub mod metadata;
mod report;
mod request;
mod steps;

pub use journal::{Journal, JournalError, Mark, MarkKind, MarkState, MarkTarget};
pub use metadata::{MetadataObserved, MetadataPlan, MetadataState, RefusedMetadata};
pub use report::{
    DeviceOutcome, DeviceReport, EngineReport, FormatReport, NO_DEVICE, Skip, StorageMedium,
};
pub use request::{FormatError, FormatRequest, StorageReady};
pub use steps::{FormatWatcher, NobodyWatches};
