//! The serving side: one socket, a bounded number of sessions, a handler that answers.
//!
//! Called by the supervisor (for engines) and by engines (for the server). Must not know what a body means.
//! A peer may send anything, stop half-way or never read: it costs one session for a bounded time.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::net::sockopt;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_seqpacket::{UnixSeqpacket, UnixSeqpacketListener};
use tokio_util::sync::CancellationToken;

use super::bind::{BindError, SocketFile, bind};
use super::call::{Call, Response, Status, UNREADABLE_SEQUENCE};
use super::connection::{Connection, ReceiveError, peer_is_gone};
use super::frame::DEFAULT_MESSAGE_LIMIT;
use super::method::{Method, Module};

/// How long calls that are being handled may take to finish once the listener stops.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Pause after accept failed, e.g. for want of descriptors, unless a session ends before.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers calls.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Modules with a handler; calls to others are answered `unknown module`.
    fn modules(&self) -> &[Module];

    /// Answers one call of one of these modules. `peer` is the process that connected.
    ///
    /// Sessions run side by side, so calls do. A status other than success drops the body; say
    /// [`Status::UnknownMethod`] for what is not served and [`Status::UnreadableBody`] for what cannot be decoded.
    async fn handle(&self, method: Method, body: Vec<u8>, peer: Peer) -> Result<Reply, Status>;
}

/// The process at the other end, as the kernel vouches for it at the time of its connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process; 0 when it is not visible from here (another pid namespace).
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// A successful answer, and what may happen only once it is on its way.
pub struct Reply {
    body: Vec<u8>,
    after: Option<Box<dyn FnOnce() + Send>>,
}

impl Reply {
    /// An answer with that body, which may be empty.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self { body, after: None }
    }

    /// The body, dropping what follows it.
    #[cfg(test)]
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Does what follows the answer, as when it was sent.
    #[cfg(test)]
    pub(crate) fn answered(self) {
        if let Some(after) = self.after {
            after();
        }
    }

    /// Runs `after` when the answer was sent or the peer did not wait for it.
    #[must_use]
    pub fn then(self, after: impl FnOnce() + Send + 'static) -> Self {
        Self { after: Some(Box::new(after)), ..self }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("body", &self.body).finish_non_exhaustive()
    }
}

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct ListenerLimits {
    /// Sessions at a time; further peers wait in the kernel's queue. Default 64.
    pub sessions: usize,
    /// Longest message accepted. Default 16 MiB.
    pub message_bytes: usize,
    /// How long a session may send nothing, or not read its answer. Default 60 s.
    pub idle: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self { sessions: 64, message_bytes: DEFAULT_MESSAGE_LIMIT, idle: Duration::from_secs(60) }
    }
}

/// A bound socket that is not served yet: peers can connect and wait.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    file: SocketFile,
    limits: ListenerLimits,
}

impl Listener {
    /// Binds `path` with mode 0600. A stale socket there is replaced; a live one is fault 6.
    pub fn bind(path: &Path, limits: ListenerLimits) -> Result<Self, BindError> {
        let (socket, file) = bind(path)?;
        Ok(Self { socket, file, limits })
    }

    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Starts to serve. Ends, and removes the path, when the handle is shut down or dropped.
    ///
    /// # Errors
    /// When the socket cannot be registered with the runtime.
    pub fn serve(self, handler: Arc<dyn Handler>) -> std::io::Result<ListenerHandle> {
        let Self { socket, file, limits } = self;
        let socket = UnixSeqpacketListener::try_from(socket)?;
        let path = file.path().to_owned();
        let stop = CancellationToken::new();
        let context = Context { handler, limits, stop: stop.clone() };
        let mut task = JoinSet::new();
        task.spawn(accept_until_stopped(socket, file, context));
        Ok(ListenerHandle { path, stop, task })
    }
}

/// A running listener.
#[derive(Debug)]
pub struct ListenerHandle {
    path: PathBuf,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl ListenerHandle {
    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stops accepting, removes the path, gives calls in progress two seconds to be answered, ends all sessions.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.task.join_next().await {
            if let Err(error) = ended {
                tracing::error!(path = %self.path.display(), %error, "dRPC listener ended badly");
            }
        }
    }
}

#[derive(Clone)]
struct Context {
    handler: Arc<dyn Handler>,
    limits: ListenerLimits,
    stop: CancellationToken,
}

async fn accept_until_stopped(
    mut socket: UnixSeqpacketListener,
    file: SocketFile,
    context: Context,
) {
    let mut sessions = JoinSet::new();
    loop {
        let full = sessions.len() >= context.limits.sessions;
        tokio::select! {
            () = context.stop.cancelled() => break,
            Some(ended) = sessions.join_next() => report(ended),
            accepted = socket.accept(), if !full => match accepted {
                Ok(peer) => {
                    sessions.spawn(serve_session(peer, context.clone()));
                }
                Err(error) => {
                    tracing::warn!(path = %file.path().display(), %error, "cannot accept a dRPC connection");
                    pause(&mut sessions, &context.stop).await;
                }
            },
        }
    }
    drop((socket, file));
    let drained = async {
        while let Some(ended) = sessions.join_next().await {
            report(ended);
        }
    };
    if timeout(STOP_GRACE, drained).await.is_err() {
        sessions.shutdown().await;
    }
}

async fn pause(sessions: &mut JoinSet<()>, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        Some(ended) = sessions.join_next() => report(ended),
        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a dRPC session ended badly");
    }
}

async fn serve_session(socket: UnixSeqpacket, context: Context) {
    let peer = match sockopt::socket_peercred(&socket) {
        Ok(found) => Peer {
            pid: found.pid.as_raw_nonzero().get().unsigned_abs(),
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
        },
        Err(error) => {
            tracing::warn!(%error, "refused a dRPC peer without credentials");
            return;
        }
    };
    let mut connection = Connection::accepted(socket, context.limits.message_bytes);
    while let Some(message) = next_message(&mut connection, peer, &context).await {
        let (response, after) = answer(&message, peer, context.handler.as_ref()).await;
        let sent = send(&connection, response, peer, &context).await;
        if let Some(after) = after {
            after();
        }
        if !sent {
            return;
        }
    }
}

/// The next call; `None` when the session is over, for whatever reason.
async fn next_message(
    connection: &mut Connection,
    peer: Peer,
    context: &Context,
) -> Option<Vec<u8>> {
    let received = tokio::select! {
        () = context.stop.cancelled() => return None,
        received = timeout(context.limits.idle, connection.receive()) => received,
    };
    match received {
        Ok(Ok(message)) => message,
        Ok(Err(ReceiveError::Io(error))) => {
            if !peer_is_gone(&error) {
                tracing::warn!(pid = peer.pid, %error, "lost a dRPC connection");
            }
            None
        }
        Ok(Err(ReceiveError::Frame(error))) => {
            tracing::warn!(pid = peer.pid, %error, "refused a malformed dRPC record");
            let refusal = Response::new(UNREADABLE_SEQUENCE, Err(Status::UnreadableCall));
            send(connection, refusal, peer, context).await;
            None
        }
        Err(_elapsed) => {
            tracing::warn!(pid = peer.pid, "closed a silent dRPC connection");
            None
        }
    }
}

async fn answer(
    message: &[u8],
    peer: Peer,
    handler: &dyn Handler,
) -> (Response, Option<Box<dyn FnOnce() + Send>>) {
    let call = match Call::decode(message) {
        Ok(call) => call,
        Err(error) => {
            tracing::warn!(pid = peer.pid, %error, "refused an unreadable dRPC call");
            return (Response::new(UNREADABLE_SEQUENCE, Err(Status::UnreadableCall)), None);
        }
    };
    let sequence = call.sequence;
    match dispatch(call, peer, handler).await {
        Ok(reply) => (Response::new(sequence, Ok(reply.body)), reply.after),
        Err(status) => (Response::new(sequence, Err(status)), None),
    }
}

async fn dispatch(call: Call, peer: Peer, handler: &dyn Handler) -> Result<Reply, Status> {
    let served = |module: &Module| handler.modules().contains(module);
    let module = Module::from_number(call.module).filter(served).ok_or_else(|| {
        tracing::warn!(pid = peer.pid, module = call.module, "refused an unknown dRPC module");
        Status::UnknownModule
    })?;
    let method = Method::from_numbers(module, call.method).ok_or_else(|| {
        tracing::warn!(pid = peer.pid, method = call.method, "refused an unknown dRPC method");
        Status::UnknownMethod
    })?;
    handler.handle(method, call.body, peer).await
}

/// Whether the session may go on.
async fn send(connection: &Connection, response: Response, peer: Peer, context: &Context) -> bool {
    match timeout(context.limits.idle, connection.send(&response.encode())).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            if !peer_is_gone(&error) {
                tracing::warn!(pid = peer.pid, %error, "cannot answer a dRPC call");
            }
            false
        }
        Err(_elapsed) => {
            tracing::warn!(pid = peer.pid, "closed a dRPC connection that is not read");
            false
        }
    }
}
