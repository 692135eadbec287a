//! Takes connections from the control port and brings them through their handshakes.
//!
//! One caller's handshake never holds up another's, and nothing a caller does ends the loop: half-open ones are
//! bounded, the oldest of them give way, and a shortage of descriptors is waited out. Started by `serve`.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tracing::{debug, info, warn};

use super::connection::{Closing, Connection};
use crate::fault::Fault;
use crate::tls::{Acceptor, TlsError};

/// Handshakes at once. A good one takes milliseconds, so what is pushed out by this many newer ones is none.
const HALF_OPEN: usize = 256;
/// Connections that passed and were not taken over yet.
const READY: usize = 64;
/// Without descriptors or memory the next try is made after this time: the connection stays queued and would make
/// the listener ready again at once.
const SHORTAGE: Duration = Duration::from_millis(50);
/// A shortage is said no more often than this.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Connections that passed their handshakes, until the server closes.
pub(super) fn incoming(
    listener: TcpListener,
    acceptor: Acceptor,
    closing: Closing,
) -> (ReceiverStream<io::Result<Connection>>, JoinHandle<()>) {
    let (passed, ready) = mpsc::channel(READY);
    let accepting = Accepting { acceptor, closing, passed };
    (ReceiverStream::new(ready), tokio::spawn(accepting.run(listener)))
}

#[derive(Debug, Clone)]
struct Accepting {
    acceptor: Acceptor,
    closing: Closing,
    passed: mpsc::Sender<io::Result<Connection>>,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let mut handshakes = JoinSet::new();
        let mut half_open: VecDeque<AbortHandle> = VecDeque::new();
        let mut said = None;
        loop {
            let taken = tokio::select! {
                () = self.closing.begins.cancelled() => return,
                () = self.passed.closed() => return,
                Some(_ended) = handshakes.join_next(), if !handshakes.is_empty() => continue,
                taken = listener.accept() => taken,
            };
            match taken {
                Ok((stream, _)) => {
                    half_open.retain(|handshake| !handshake.is_finished());
                    if half_open.len() >= HALF_OPEN
                        && let Some(oldest) = half_open.pop_front()
                    {
                        oldest.abort();
                    }
                    half_open.push_back(handshakes.spawn(self.clone().handshake(stream)));
                }
                Err(error) => self.wait_out(&error, &mut said).await,
            }
        }
    }

    async fn handshake(self, stream: TcpStream) {
        // Answers are small writes one after another: without this each waits 40 ms for the peer's delayed acknowledgement.
        let _works_without = stream.set_nodelay(true);
        let from = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |at| at.to_string());
        match self.acceptor.accept(stream).await {
            Ok(accepted) => {
                let connection = Connection::new(accepted, &self.closing);
                // Nobody takes it once the server closes.
                let _closing = self.passed.send(Ok(connection)).await;
            }
            // Port scanners and health checks do this all day.
            Err(error @ (TlsError::Broken { .. } | TlsError::Late)) => {
                debug!("connection from {from}: {error}");
            }
            Err(error) => info!("connection from {from} refused: {}", Fault::from(error)),
        }
    }

    async fn wait_out(&self, error: &io::Error, said: &mut Option<Instant>) {
        // These belong to the one connection, which is gone.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        ) {
            return;
        }
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            warn!("no connection can be taken now: {error}");
            *said = Some(Instant::now());
        }
        tokio::select! {
            () = self.closing.begins.cancelled() => {}
            () = tokio::time::sleep(SHORTAGE) => {}
        }
    }
}
