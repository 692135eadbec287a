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
use super::connection::Caller;

/// Messages between replicas.
const MESSAGES: &str = "/daosx.v1.Replica/Raft";

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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(Caller { tcp, peer }) = request.extensions_mut().remove::<Caller>() {
            request.extensions_mut().insert(tcp);
            // Handlers find here what the certificate says, whatever the headers say.
            peer.map(|peer| request.extensions_mut().insert(peer));
        }
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
        // With its query: no method has one, so what has one is no method.
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        Self { path, from, begun: Instant::now() }
    }

    /// A failed call has its status in the headers; one that succeeded has none there yet.
    fn log(&self, response: &Response<Body>) {
        let Self { path, from, begun } = self;
        let took = begun.elapsed();
        match Status::from_header_map(response.headers()) {
            // Replicas try again many times a second; they log what matters themselves.
            Some(status) if status.code() != Code::Ok && path != MESSAGES => {
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use tonic::body::Body;
    use tonic::{Code, Status};
    use tower::{Layer, ServiceExt, service_fn};

    use super::GuardLayer;
    use crate::rpc::access::{Peer, Trust};
    use crate::wire::Component;

    async fn code(trust: Trust, peer: Option<Peer>, path: &str) -> Code {
        let inner = service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Status::already_exists("reached").into_http::<Body>())
        });
        let mut request =
            Request::builder().uri(format!("http://h{path}")).body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let answer: Result<Response<Body>, _> =
            GuardLayer::new(trust).layer(inner).oneshot(request).await;
        let Ok(answer) = answer;
        Status::from_header_map(answer.headers()).map_or(Code::Ok, |status| status.code())
    }

    /// A call that passes the guard is answered by the service behind it, here with `AlreadyExists`.
    #[tokio::test]
    async fn with_certificates_only_listed_pairs_reach_the_service() {
        let format = "/ctl.CtlSvc/StorageFormat";
        let peer = |component| Some(Peer(Some(component)));
        assert_eq!(code(Trust::Insecure, None, format).await, Code::AlreadyExists);
        assert_eq!(
            code(Trust::Certificates, peer(Component::Admin), format).await,
            Code::AlreadyExists
        );
        assert_eq!(
            code(Trust::Certificates, peer(Component::Agent), format).await,
            Code::PermissionDenied
        );
        assert_eq!(code(Trust::Certificates, None, format).await, Code::Unauthenticated);
        assert_eq!(
            code(Trust::Certificates, peer(Component::Admin), "/ctl.CtlSvc/Nope").await,
            Code::PermissionDenied
        );
    }
}
