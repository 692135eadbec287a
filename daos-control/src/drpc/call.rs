//! The envelope of dRPC: `Call` there, `Response` back, and the status of the transport (contract 3.2).
//!
//! Turns envelopes into bytes and back. Called by the client and the listener; must not know what a body means.

use daos_proto::drpc as wire;
use prost::Message;
use thiserror::Error;

/// Sequence of the answer to a call that could not be read (E29).
pub const UNREADABLE_SEQUENCE: i64 = -1;

/// One request. Numbers are as they came: the listener decides what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Module number.
    pub module: i32,
    /// Method number.
    pub method: i32,
    /// Echoed in the answer. Calls to an engine carry 1 or more: an engine cannot send the empty message that a
    /// sequence of 0 with an empty answer makes.
    pub sequence: i64,
    /// Message of the method; empty for methods without one.
    pub body: Vec<u8>,
}

/// How the transport fared; what the method itself has to say is in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[repr(i32)]
pub enum Status {
    /// The handler answered.
    #[error("success")]
    Success = 0,
    /// Taken, not yet answered.
    #[error("submitted")]
    Submitted = 1,
    /// The handler failed.
    #[error("failure")]
    Failure = 2,
    /// No such module here.
    #[error("unknown module")]
    UnknownModule = 3,
    /// No such method in that module.
    #[error("unknown method")]
    UnknownMethod = 4,
    /// The envelope is not readable.
    #[error("call not readable")]
    UnreadableCall = 5,
    /// The body is not readable.
    #[error("body not readable")]
    UnreadableBody = 6,
    /// The answer could not be written.
    #[error("answer could not be encoded")]
    UnwritableAnswer = 7,
}

impl Status {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    fn from_number(number: i32) -> Option<Self> {
        [
            Self::Success,
            Self::Submitted,
            Self::Failure,
            Self::UnknownModule,
            Self::UnknownMethod,
            Self::UnreadableCall,
            Self::UnreadableBody,
            Self::UnwritableAnswer,
        ]
        .into_iter()
        .find(|status| status.number() == number)
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// That of the call, or [`UNREADABLE_SEQUENCE`].
    pub sequence: i64,
    /// How the transport fared.
    pub status: Status,
    /// Answer of the method; empty unless the status is success.
    pub body: Vec<u8>,
}

/// The bytes are no envelope, or one with a status that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// Not the expected protobuf message.
    #[error("not a dRPC message: {0}")]
    Undecodable(#[from] prost::DecodeError),
    /// A status that contract 3.2 does not list.
    #[error("unknown dRPC status {0}")]
    UnknownStatus(i32),
}

impl Call {
    /// The message to frame.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let Self { module, method, sequence, body } = self;
        wire::Call { module, method, sequence, body }.encode_to_vec()
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, EnvelopeError> {
        let wire::Call { module, method, sequence, body } = wire::Call::decode(message)?;
        Ok(Self { module, method, sequence, body })
    }
}

impl Response {
    /// The answer to the call of that sequence; the body is dropped unless the status is success.
    #[must_use]
    pub fn new(sequence: i64, outcome: Result<Vec<u8>, Status>) -> Self {
        match outcome {
            Ok(body) => Self { sequence, status: Status::Success, body },
            Err(status) => Self { sequence, status, body: Vec::new() },
        }
    }

    /// The message to frame. A success of sequence 0 without body is the empty message.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let Self { sequence, status, body } = self;
        wire::Response { sequence, status: status.number(), body }.encode_to_vec()
    }

    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, EnvelopeError> {
        let wire::Response { sequence, status, body } = wire::Response::decode(message)?;
        let status = Status::from_number(status).ok_or(EnvelopeError::UnknownStatus(status))?;
        Ok(Self { sequence, status, body })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn success_of_sequence_zero_without_body_is_the_empty_message() {
        assert_eq!(Response::new(0, Ok(Vec::new())).encode(), Vec::<u8>::new());
        assert_eq!(Response::new(1, Ok(Vec::new())).encode(), vec![0x08, 0x01]);
    }

    #[test]
    fn body_is_dropped_with_a_failure() {
        let response = Response::new(3, Err(Status::UnknownMethod));
        assert_eq!(response.encode(), vec![0x08, 0x03, 0x10, 0x04]);
    }

    #[test]
    fn call_has_the_fields_of_the_contract() {
        let call = Call { module: 2, method: 209, sequence: 1, body: vec![9] };
        let bytes = vec![0x08, 2, 0x10, 0xd1, 0x01, 0x18, 1, 0x22, 1, 9];
        assert_eq!(call.clone().encode(), bytes);
        assert_eq!(Call::decode(&bytes), Ok(call));
    }

    #[test]
    fn status_out_of_range_is_refused() {
        assert_eq!(Response::decode(&[0x10, 8]), Err(EnvelopeError::UnknownStatus(8)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(call) = Call::decode(&bytes) {
                prop_assert_eq!(Call::decode(&call.clone().encode()), Ok(call));
            }
            if let Ok(response) = Response::decode(&bytes) {
                prop_assert_eq!(Response::decode(&response.clone().encode()), Ok(response));
            }
        }
    }
}
