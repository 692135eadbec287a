//! The bytes beneath a connection: TCP, and TLS on it where certificates are used.
//!
//! Called by gRPC's channel whenever it needs a connection; so a kept one that breaks is made anew with the
//! certificates of that moment.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tonic::transport::Uri;
use tower::Service;

use crate::tls::{Link, Security, connect};
use crate::wire::Component;

/// A silent connection is probed after this time, so that a host that died during a long call is noticed.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 3;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Dials hosts.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
    security: Security,
}

impl Dial {
    pub fn new(security: Security) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE_AFTER));
        tcp.set_keepalive_interval(Some(KEEPALIVE_EVERY));
        tcp.set_keepalive_retries(Some(KEEPALIVE_TRIES));
        Self { tcp, security }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Link>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        let connecting = self.tcp.call(host);
        let security = self.security.clone();
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let link = match security.credentials().await {
                None => Link::Plain(stream),
                Some(own) => Link::Tls(Box::new(connect(stream, &own, Component::Server).await?)),
            };
            Ok(TokioIo::new(link))
        })
    }
}
