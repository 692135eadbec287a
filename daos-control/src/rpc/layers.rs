//! What happens around every call: access by certificate, and one log line for each call that failed.
//!
//! Wraps all services at once, so that no handler can forget it. Knows paths and statuses, no messages.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{debug, info};

use super::access::{Peer, Trust, authorize};

/// The layer; put it around the whole server.
#[derive(Debug, Clone, Copy)]
pub struct GuardLayer {
    trust: Trust,
}

impl GuardLayer {
    /// For a server that trusts its callers in this way.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, trust: self.trust }
    }
}

/// A service with the guard around it.
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    trust: Trust,
}

impl<S, B> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::of(&request);
        let peer = request.extensions().get::<Peer>().copied();
        if let Err(refused) = authorize(self.trust, peer, &call.path) {
            let response = refused.to_status().into_http();
            call.log(&response);
            return Box::pin(std::future::ready(Ok(response)));
        }
        let answered = self.inner.call(request);
        Box::pin(async move {
            let response = answered.await?;
            call.log(&response);
            Ok(response)
        })
    }
}

/// What a log line says of a call.
struct Call {
    path: String,
    from: String,
    begun: Instant,
}

impl Call {
    fn of<B>(request: &Request<B>) -> Self {
        let from = request
            .extensions()
            .get::<TcpConnectInfo>()
            .and_then(TcpConnectInfo::remote_addr)
            .map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        Self { path: request.uri().path().to_owned(), from, begun: Instant::now() }
    }

    /// A failed call has its status in the headers; one that succeeded has none there yet.
    fn log(&self, response: &Response<Body>) {
        let Self { path, from, begun } = self;
        let took = begun.elapsed();
        match Status::from_header_map(response.headers()) {
            Some(status) if status.code() != Code::Ok => {
                info!(
                    "{path} from {from} failed after {took:?}: {:?}: {}",
                    status.code(),
                    status.message()
                );
            }
            _ => debug!("{path} from {from} took {took:?}"),
        }
    }
}
