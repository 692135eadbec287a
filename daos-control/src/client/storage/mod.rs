//! Storage of many hosts: what is there, making it ready, what a format would do, and doing it.
//!
//! Values and requests in the words of administrators. Called by `dmg` and by embedders; the wire forms are in
//! `client::wire`.

mod format;
mod plan;
mod prepare;
mod scan;

pub use format::{DeviceOutcome, DeviceReport, FormatReport};
pub use plan::{
    AcceptedFormat, Consent, DevicePlan, EnginePlan, EngineVerdict, FormatMode, FormatPlan,
    FormatPreview, FormatPreviews, Medium,
};
pub use prepare::{NvmePrepare, NvmeReset, PreparedController, PreparedNode, PreparedNvme};
pub use scan::{
    ControllerState, DeviceHealth, HostStorage, MemoryInfo, NumaMemory, NvmeController,
    NvmeNamespace, Roles, ScanDetail, ScmModule, ScmMount, ScmNamespace, ScmRegion, SmdDevice,
};
