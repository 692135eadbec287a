//! One connected socket: whole messages out, whole messages in.
//!
//! Owns socket options, record truncation and the difference between an end and an error. Called by the client and
//! the listener; must not know envelopes nor methods.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use thiserror::Error;
use tokio_seqpacket::UnixSeqpacket;

use super::frame::{Assembler, FrameError, MAX_RECORD_BYTES, records};

/// The kernel needs room for one whole record and its own bookkeeping.
const SEND_BUFFER_BYTES: usize = 2 * MAX_RECORD_BYTES;
/// First and longest pause while the peer's queue of new connections is full: the kernel offers nothing to wait on.
const QUEUE_FULL_PAUSE: (Duration, Duration) =
    (Duration::from_millis(1), Duration::from_millis(50));

/// Why no message came.
#[derive(Debug, Error)]
pub(super) enum ReceiveError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A socket of the right kind, close-on-exec and non-blocking, with room for a whole record.
pub(super) fn new_socket() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    widen(&socket);
    Ok(socket)
}

/// Best effort: stock kernels fit a record without it.
fn widen(socket: &impl std::os::fd::AsFd) {
    if let Err(error) = sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES) {
        tracing::debug!(%error, "send buffer of a dRPC socket stays as it is");
    }
}

pub(super) struct Connection {
    socket: UnixSeqpacket,
    buffer: Vec<u8>,
    assembler: Assembler,
}

impl Connection {
    /// Connects; waits while the peer's queue is full, which the caller bounds by a deadline.
    pub async fn open(path: &Path, message_limit: usize) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let socket = new_socket()?;
        let mut pause = QUEUE_FULL_PAUSE.0;
        loop {
            match rustix::net::connect(&socket, &address) {
                Ok(()) => break,
                Err(Errno::AGAIN) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(QUEUE_FULL_PAUSE.1);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::over(UnixSeqpacket::try_from(socket)?, message_limit))
    }

    /// Takes a socket that the listener accepted.
    pub fn accepted(socket: UnixSeqpacket, message_limit: usize) -> Self {
        widen(&socket);
        Self::over(socket, message_limit)
    }

    fn over(socket: UnixSeqpacket, message_limit: usize) -> Self {
        let buffer = vec![0; MAX_RECORD_BYTES];
        Self { socket, buffer, assembler: Assembler::new(message_limit) }
    }

    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        for (header, piece) in records(message) {
            let header = header.encode();
            self.socket.send_vectored(&[IoSlice::new(&header), IoSlice::new(piece)]).await?;
        }
        Ok(())
    }

    /// The next message; `None` when the peer ended the connection between two messages.
    ///
    /// Cancel safe: what has arrived of a message is kept for the next call.
    pub async fn receive(&mut self) -> Result<Option<Vec<u8>>, ReceiveError> {
        loop {
            let info = self.socket.recv(&mut self.buffer).await?;
            if info.truncated() {
                return Err(FrameError::RecordTooLong.into());
            }
            if info.bytes_read() == 0 {
                if self.assembler.is_mid_message() {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                return Ok(None);
            }
            let record = self.buffer.get(..info.bytes_read()).unwrap_or(&self.buffer);
            if let Some(message) = self.assembler.push(record)? {
                return Ok(Some(message));
            }
        }
    }
}

/// Whether the peer had simply gone away: normal for events that an engine sends without waiting for the answer.
pub(super) fn peer_is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof
    )
}
