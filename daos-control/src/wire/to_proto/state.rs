//! `ResponseState`: the outcome of one part of a request (contract 2.1).

use daos_proto::ctl::{ResponseState, ResponseStatus};

use crate::fault::Fault;

/// Success, with a remark that may be empty.
#[must_use]
pub fn succeeded(info: impl Into<String>) -> ResponseState {
    ResponseState {
        status: ResponseStatus::CtlSuccess.into(),
        error: String::new(),
        info: info.into(),
    }
}

/// Failure: what happened, and what to do as the remark.
#[must_use]
pub fn failed(status: ResponseStatus, fault: &Fault) -> ResponseState {
    ResponseState {
        status: status.into(),
        error: fault.to_string(),
        info: fault.resolution.clone(),
    }
}
