//! Wire forms of storage scan, prepare, plan and format.

mod format;
mod prepare;
mod scan;

pub(in crate::client) use format::{apply_format, plan_format, stock_format};
pub(in crate::client) use prepare::{prepare_nvme, reset_nvme};
pub(in crate::client) use scan::scan;

use daos_proto::ctl;

/// The text of a part that failed; `None` when it went well.
fn failure(state: Option<&ctl::ResponseState>) -> Option<String> {
    let state = state?;
    if state.status == ctl::ResponseStatus::CtlSuccess as i32 {
        return None;
    }
    if state.error.is_empty() {
        return Some(format!("status {}", state.status));
    }
    Some(state.error.clone())
}
