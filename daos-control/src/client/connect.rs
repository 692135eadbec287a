//! The one place where a connection to a server is made.
//!
//! Insecure connections now; the certificate layer takes its place in [`Connector::open`]. One connection per call,
//! as stock clients do. Knows hosts, headers and deadlines, no request.

use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::host_list::HostAddr;
use crate::fault::{Fault, code};
use crate::wire::{CallError, Component, connection_fault, sign};

/// A host that has not taken the connection after this time is not there.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is probed after this time, so that a host that died during a long call is noticed.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 3;
/// Largest answer taken: a query of a system of 100,000 members has a third of it. gRPC's own limit of 4 MiB is met
/// near 20,000 members.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// Makes connections in the name of one component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connector {
    component: Component,
}

impl Connector {
    pub(crate) fn insecure(component: Component) -> Self {
        Self { component }
    }

    /// Connects to a host for calls that end by `deadline`.
    pub(crate) async fn open(
        &self,
        host: &HostAddr,
        deadline: Instant,
    ) -> Result<Connection, CallError> {
        let address = address(host);
        let unusable = |error: &(dyn std::error::Error + 'static)| {
            connection_fault(&host.to_string(), error)
                .map_or_else(|| bad_host(host, error), CallError::Fault)
        };
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| unusable(&error))?
            .tcp_keepalive(Some(KEEPALIVE_AFTER))
            .tcp_keepalive_interval(Some(KEEPALIVE_EVERY))
            .tcp_keepalive_retries(Some(KEEPALIVE_TRIES));
        let limit = deadline.min(Instant::now() + CONNECT_TIMEOUT);
        match tokio::time::timeout_at(limit, endpoint.connect()).await {
            Ok(Ok(channel)) => {
                Ok(Connection { channel, host: host.clone(), component: self.component, deadline })
            }
            Ok(Err(error)) => Err(unusable(&error)),
            Err(_) => {
                let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Err(unusable(&late))
            }
        }
    }
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
            Ok(Err(status)) => Err(match CallError::from_status(&status, &host) {
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
