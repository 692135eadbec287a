//! The one place where a connection to a server is made, with certificates or without.
//!
//! One connection per call, as stock clients do, or one that is kept. Knows hosts, headers and deadlines, no request.

use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status};

use super::dial::Dial;
use super::host_list::HostAddr;
use crate::fault::{Fault, code};
use crate::tls::{Security, TlsError};
use crate::wire::{CallError, Component, connection_fault, sign};

/// A host that has not taken the connection after this time is not there.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A kept connection whose peer has said nothing for this long is probed, and given up when that is not answered either.
#[cfg(feature = "server")]
const KEPT_SILENCE: Duration = Duration::from_secs(1);
/// Largest answer taken: a query of a system of 100,000 members has a third of it. gRPC's own limit of 4 MiB is met
/// near 20,000 members.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// What a peer may send before it has to wait for this side: large answers come in few rounds.
const WINDOW: u32 = 4 << 20;

/// Makes connections in the name of one component; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    component: Component,
    security: Security,
}

impl Connector {
    /// Signs requests as `component`; with certificates they must be those of the same component.
    pub(crate) fn new(component: Component, security: Security) -> Self {
        Self { component, security }
    }

    /// Whether peers are believed without proof.
    pub(crate) fn is_insecure(&self) -> bool {
        self.security.is_insecure()
    }

    /// Connects to a host for calls that end by `deadline`.
    pub(crate) async fn open(
        &self,
        host: &HostAddr,
        deadline: Instant,
    ) -> Result<Connection, CallError> {
        let endpoint = self.endpoint(host)?;
        let limit = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        let connecting = endpoint.connect_with_connector(Dial::new(self.security.clone()));
        match tokio::time::timeout_at(limit, connecting).await {
            Ok(Ok(channel)) => {
                Ok(Connection { channel, host: host.clone(), component: self.component, deadline })
            }
            Ok(Err(error)) => Err(unusable(host, &error)),
            Err(_) => {
                let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Err(unusable(host, &late))
            }
        }
    }

    /// Over certificates the scheme is `https`, as peers expect it; that the connection is secured is up to [`Dial`].
    fn endpoint(&self, host: &HostAddr) -> Result<Endpoint, CallError> {
        let address = address(host);
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| unusable(host, &error))?
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        if self.security.is_insecure() {
            return Ok(endpoint);
        }
        let origin: Uri =
            format!("https://{address}").parse().map_err(|error| unusable(host, &error))?;
        Ok(endpoint.origin(origin))
    }
}

#[cfg(feature = "server")]
impl Connector {
    /// A connection that is kept between calls: made with the first one, and made anew after it broke or the peer fell silent.
    /// For the replicas of the management service, which call each other many times a second.
    pub(crate) fn keep(&self, host: &HostAddr) -> Result<KeptConnection, CallError> {
        let channel = self
            .endpoint(host)?
            .connect_timeout(KEPT_SILENCE)
            .http2_keep_alive_interval(KEPT_SILENCE)
            .keep_alive_timeout(KEPT_SILENCE)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(Dial::new(self.security.clone()));
        Ok(KeptConnection { channel, host: host.clone(), component: self.component })
    }
}

/// See [`Connector::keep`].
#[cfg(feature = "server")]
#[derive(Debug, Clone)]
pub(crate) struct KeptConnection {
    channel: Channel,
    host: HostAddr,
    component: Component,
}

#[cfg(feature = "server")]
impl KeptConnection {
    /// For one call that ends by `deadline`.
    pub(crate) fn until(&self, deadline: Instant) -> Connection {
        let Self { channel, host, component } = self.clone();
        Connection { channel, host, component, deadline }
    }
}

/// Why there is no connection. What the handshake found is said as it is, the rest by its kind.
fn unusable(host: &HostAddr, error: &(dyn std::error::Error + 'static)) -> CallError {
    if let Some(insecure) = handshake_error(error) {
        let mut fault = Fault::from(insecure);
        fault.description = format!("host {host}: {}", fault.description);
        return CallError::Fault(fault);
    }
    connection_fault(&host.to_string(), error)
        .map_or_else(|| bad_host(host, error), CallError::Fault)
}

/// The handshake's own error, unless the connection broke by itself.
fn handshake_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a TlsError> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        match current.downcast_ref::<TlsError>() {
            Some(TlsError::Broken { .. } | TlsError::Late) => return None,
            Some(found) => return Some(found),
            None => cause = current.source(),
        }
    }
    None
}

/// Servers listen on IPv4 only, so `localhost` needs no resolver.
fn address(host: &HostAddr) -> String {
    let name = if host.host() == "localhost" { "127.0.0.1" } else { host.host() };
    match host.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

fn bad_host(host: &HostAddr, error: &dyn std::error::Error) -> CallError {
    let fault = Fault::new(
        "client",
        code::CLIENT_CONNECTION_CLOSED,
        format!("no connection to host {host}"),
        "check that the host runs daos_server and that both sides use certificates or neither does",
    );
    CallError::Fault(fault.with_reason(error))
}

/// A connection to one host, for one call.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    channel: Channel,
    host: HostAddr,
    component: Component,
    deadline: Instant,
}

impl Connection {
    /// Who is at the other end.
    pub(crate) fn host(&self) -> &HostAddr {
        &self.host
    }

    /// Sends one message: signs it, passes on the time that is left, and reads a refusal.
    pub(crate) async fn call<Q, A, F, Fut>(self, message: Q, method: F) -> Result<A, CallError>
    where
        F: FnOnce(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut request = Request::new(message);
        sign(request.metadata_mut(), self.component);
        request.set_timeout(left);
        let host = self.host.to_string();
        let late = || CallError::DeadlineExceeded(format!("host {host} did not answer in time"));
        match tokio::time::timeout_at(self.deadline, method(self.channel, request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(match said_by(&status, &self.host, &host) {
                CallError::Unimplemented(_) => {
                    CallError::Unimplemented(format!("host {host} does not have this request"))
                }
                // The channel cancels a call whose time is over by itself, a moment before this does.
                CallError::Cancelled(_) if Instant::now() >= self.deadline => late(),
                error => error,
            }),
            Err(_) => Err(late()),
        }
    }
}

/// The error that a status means. On a kept connection the handshake is part of the call.
fn said_by(status: &Status, address: &HostAddr, host: &str) -> CallError {
    match handshake_error(status) {
        Some(_) => unusable(address, status),
        None => CallError::from_status(status, host),
    }
}
