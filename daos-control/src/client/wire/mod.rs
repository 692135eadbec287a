//! The wire forms of the client's requests: domain value to message, message to domain value.
//!
//! The only part of the client that names generated types. Must not decide anything.

pub(super) mod members;
pub(super) mod network;
#[cfg(feature = "server")]
pub(super) mod peer;
pub(super) mod preflight;
pub(crate) mod replicas;
pub(super) mod server;
pub(super) mod storage;
pub(super) mod system;

use super::connect::MAX_ANSWER;
use crate::Fault;
use crate::fault::code;
use crate::wire::CallError;

/// Number that stands for no rank (contract 10.5).
const NIL_RANK: u32 = u32::MAX;

fn rank(number: u32) -> Option<u32> {
    (number != NIL_RANK).then_some(number)
}

/// An answer that cannot be what a server of any version sends.
fn malformed(host: &super::HostAddr, what: impl std::fmt::Display) -> CallError {
    CallError::Fault(Fault::new(
        "client",
        code::CLIENT_MALFORMED_ANSWER,
        format!("answer of host {host} cannot be understood: {what}"),
        "check that the host runs a supported version of daos_server",
    ))
}

/// One of the generated clients, made to take large answers.
macro_rules! stub {
    ($client:path, $channel:expr) => {{
        use $client as Stub;
        Stub::new($channel).max_decoding_message_size($crate::client::wire::max_answer())
    }};
}
use stub;

fn max_answer() -> usize {
    MAX_ANSWER
}
