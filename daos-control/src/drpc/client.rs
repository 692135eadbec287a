//! The calling side: connect, one call, close (contract 3.3).
//!
//! Called by the supervisor towards engines and by engines towards the server. Must not know what a body means.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::call::{Call, EnvelopeError, Response, Status};
use super::connection::{Connection, ReceiveError};
use super::frame::{DEFAULT_MESSAGE_LIMIT, FrameError};
use super::method::Method;

/// First sequence of a connection to an engine, which aborts on 0 (contract 3.1).
const SERVER_SEQUENCE: i64 = 1;
/// The sequence of every upcall of an engine.
const ENGINE_SEQUENCE: i64 = 0;

/// Calls the listener at one path; every call is a connection of its own, so calls may run side by side.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    sequence: i64,
}

/// Why a call has no answer. The path of the listener is named in every text.
#[derive(Debug, Error)]
pub enum CallError {
    /// Nobody listens there, or not any more.
    #[error("no data plane answers at {path}")]
    Connect {
        /// Path of the listener.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The connection ended before the answer: whether the call was carried out is unknown.
    #[error("{path} closed the connection before it answered {method}")]
    Closed {
        /// Path of the listener.
        path: PathBuf,
        /// The call.
        method: Method,
        /// What the kernel said, if anything.
        #[source]
        source: Option<io::Error>,
    },
    /// The deadline passed: whether the call was carried out is unknown.
    #[error("{path} did not answer {method} within {waited:.1?}")]
    TimedOut {
        /// Path of the listener.
        path: PathBuf,
        /// The call.
        method: Method,
        /// How long this side waited.
        waited: Duration,
    },
    /// The answer breaks the framing.
    #[error("{path} answered {method} with a malformed record")]
    Frame {
        /// Path of the listener.
        path: PathBuf,
        /// The call.
        method: Method,
        /// The broken rule.
        #[source]
        source: FrameError,
    },
    /// The answer is framed but not readable.
    #[error("{path} answered {method} with an unreadable message")]
    Envelope {
        /// Path of the listener.
        path: PathBuf,
        /// The call.
        method: Method,
        /// What is wrong with it.
        #[source]
        source: EnvelopeError,
    },
    /// The answer belongs to another call.
    #[error("{path} answered {method} of sequence {sent} with sequence {got}")]
    Sequence {
        /// Path of the listener.
        path: PathBuf,
        /// The call.
        method: Method,
        /// Sequence of the call.
        sent: i64,
        /// Sequence of the answer.
        got: i64,
    },
    /// The listener refused the call.
    #[error("{path} refused {method}: {status}")]
    Refused {
        /// Path of the listener.
        path: PathBuf,
        /// The call.
        method: Method,
        /// Its reason.
        status: Status,
    },
}

impl CallError {
    /// Stable fault number: 611 where no data plane answers (clients retry on it), else ours.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Connect { .. } | Self::Closed { .. } => 611,
            Self::TimedOut { .. } => 1261,
            Self::Frame { .. } | Self::Envelope { .. } | Self::Sequence { .. } => 1260,
            Self::Refused { .. } => 1262,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Connect { .. } | Self::Closed { .. } => {
                "start the data plane (dmg system start), and see its log if it ends again"
            }
            Self::TimedOut { .. } => {
                "see the engine's log; if it hangs, stop its rank with --force and start it again"
            }
            Self::Frame { .. } | Self::Envelope { .. } | Self::Sequence { .. } => {
                "check that engine and server are of compatible versions"
            }
            Self::Refused { .. } => {
                "see the engine's log; check that it is of a compatible version"
            }
        }
    }

    /// Whether the call certainly was not carried out, so that it may be sent again.
    #[must_use]
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }
}

impl Client {
    /// A client of an engine's listener.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sequence: SERVER_SEQUENCE }
    }

    /// A client of the server's listener that calls as engines do, with sequence 0.
    #[must_use]
    pub fn of_engine(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sequence: ENGINE_SEQUENCE }
    }

    /// Path of the listener.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends the body to the method and returns the body of the answer, which may be empty.
    ///
    /// Dropping the future closes the connection; the other side may carry out the call all the same.
    pub async fn call(
        &self,
        method: Method,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<Vec<u8>, CallError> {
        self.bounded(method, deadline, async {
            let mut connection = self.send(method, body).await?;
            let message = match connection.receive().await {
                Ok(Some(message)) => message,
                Ok(None) => return Err(self.closed(method, None)),
                Err(ReceiveError::Io(error)) => return Err(self.closed(method, Some(error))),
                Err(ReceiveError::Frame(source)) => {
                    return Err(CallError::Frame { path: self.path.clone(), method, source });
                }
            };
            self.open_envelope(method, &message)
        })
        .await
    }

    /// Sends the body to the method and closes without waiting for the answer, as engines send events.
    pub async fn notify(
        &self,
        method: Method,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<(), CallError> {
        self.bounded(method, deadline, async { self.send(method, body).await.map(drop) }).await
    }

    async fn bounded<T>(
        &self,
        method: Method,
        deadline: Instant,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let begun = Instant::now();
        timeout_at(deadline, work).await.unwrap_or_else(|_elapsed| {
            let waited = begun.elapsed();
            Err(CallError::TimedOut { path: self.path.clone(), method, waited })
        })
    }

    async fn send(&self, method: Method, body: Vec<u8>) -> Result<Connection, CallError> {
        let connection = Connection::open(&self.path, DEFAULT_MESSAGE_LIMIT)
            .await
            .map_err(|source| CallError::Connect { path: self.path.clone(), source })?;
        let module = method.module().number();
        let call = Call { module, method: method.number(), sequence: self.sequence, body };
        let sent = connection.send(&call.encode()).await;
        sent.map_err(|error| self.closed(method, Some(error)))?;
        Ok(connection)
    }

    fn open_envelope(&self, method: Method, message: &[u8]) -> Result<Vec<u8>, CallError> {
        let path = || self.path.clone();
        let response = Response::decode(message).map_err(|source| CallError::Envelope {
            path: path(),
            method,
            source,
        })?;
        if response.status != Status::Success {
            return Err(CallError::Refused { path: path(), method, status: response.status });
        }
        if response.sequence != self.sequence {
            let (sent, got) = (self.sequence, response.sequence);
            return Err(CallError::Sequence { path: path(), method, sent, got });
        }
        Ok(response.body)
    }

    fn closed(&self, method: Method, source: Option<io::Error>) -> CallError {
        CallError::Closed { path: self.path.clone(), method, source }
    }
}
