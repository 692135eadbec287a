//! Serves the routes on the control port until told to stop, and says when it cannot (contract 1.1).
//!
//! Started and stopped by `server`. Knows connections, nothing of what is answered.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::warn;

use super::accept;
use super::access::Trust;
use super::connection::Closing;
use super::layers::GuardLayer;
use crate::fault::{Fault, code};
use crate::tls::{Acceptor, Security};

/// Requests of one connection that are worked on at once; a client that sends more waits.
const IN_FLIGHT: usize = 256;
/// A silent connection is probed after this time.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Connections that were cut have to notice it.
const LAST_CUT: Duration = Duration::from_secs(1);

/// The running listener.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    closing: Closing,
    task: JoinHandle<()>,
    ended: watch::Receiver<Option<Fault>>,
}

impl Listening {
    /// Serves until [`Listening::stop`].
    ///
    /// # Errors
    /// When the listener has no address, which does not happen to one that is bound.
    pub fn serve(listener: TcpListener, routes: Routes, security: Security) -> Result<Self, Fault> {
        Self::serve_with(listener, routes, Acceptor::new(security))
    }

    /// As [`Listening::serve`], with an acceptor of its own.
    ///
    /// # Errors
    /// As [`Listening::serve`].
    pub fn serve_with(
        listener: TcpListener,
        routes: Routes,
        acceptor: Acceptor,
    ) -> Result<Self, Fault> {
        let trust = if acceptor.is_insecure() { Trust::Insecure } else { Trust::Certificates };
        let guard = GuardLayer::new(trust);
        let address = listener.local_addr().map_err(|error| broken(&error))?;
        let closing = Closing::default();
        let (tell, ended) = watch::channel(None);
        let end = closing.clone();
        let (incoming, accepting) = accept::incoming(listener, acceptor, closing.clone());
        let task = tokio::spawn(async move {
            let served = Server::builder()
                .concurrency_limit_per_connection(IN_FLIGHT)
                .http2_keepalive_interval(Some(KEEPALIVE))
                .layer(guard)
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, end.begins.cancelled())
                .await;
            // Ends by itself once nobody takes its connections.
            let _ended = accepting.await;
            if let Err(error) = served {
                tell.send_replace(Some(broken(&error)));
            }
        });
        Ok(Self { address, closing, task, ended })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes when it cannot serve any more; while it serves, and after a stop, it does not complete.
    pub async fn ended(&self) -> Fault {
        let mut ended = self.ended.clone();
        let fault = ended.wait_for(Option::is_some).await.map(|fault| fault.clone());
        match fault {
            Ok(Some(fault)) => fault,
            _ => std::future::pending().await,
        }
    }

    /// Takes no more requests; those that are being answered may end within the bound. Their connections end with it.
    pub async fn stop(self, within: Duration) {
        let Self { closing, mut task, .. } = self;
        closing.begins.cancel();
        if timeout(within, &mut task).await.is_err() {
            warn!("some requests did not end in time and were dropped");
            closing.ends.cancel();
            if timeout(LAST_CUT, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

fn broken(error: &dyn std::error::Error) -> Fault {
    Fault::new(
        "server",
        code::CONTROL_PORT_BROKEN,
        "the control port cannot be served any more",
        "start the server again",
    )
    .with_reason(error)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Pending, pending};
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use daos_proto::ctl::StorageScanReq;
    use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
    use http::{Request, Response};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tonic::body::Body;
    use tonic::server::NamedService;
    use tonic::service::Routes;

    use super::{Listening, timeout};
    use crate::rpc::listen;
    use crate::tls::Security;

    const LONG: Duration = Duration::from_secs(60);

    /// Takes calls and never answers. Tells when it has one.
    #[derive(Debug, Clone, Default)]
    struct Silent(Arc<Notify>);

    impl NamedService for Silent {
        const NAME: &'static str = "ctl.CtlSvc";
    }

    impl tower::Service<Request<Body>> for Silent {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pending<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            self.0.notify_one();
            pending()
        }
    }

    async fn serving(service: Silent) -> Listening {
        let listener = listen::bind(Ipv4Addr::LOCALHOST, 0).await.expect("a free port");
        Listening::serve(listener, Routes::new(service), Security::Insecure).expect("bound")
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_does_not_hold_up_the_end() {
        let listening = serving(Silent::default()).await;
        let mut peer = TcpStream::connect(listening.address()).await.expect("listening");
        // The server speaks first: from here on it knows the connection.
        assert_ne!(peer.read(&mut [0; 1]).await.expect("its settings"), 0);
        timeout(LONG, listening.stop(LONG * 10)).await.expect("ended by itself");
        peer.read_to_end(&mut Vec::new()).await.expect("closed in good order");
    }

    #[tokio::test]
    async fn a_call_that_does_not_end_is_cut_off_when_its_time_is_over() {
        let service = Silent::default();
        let (held, begun) = (Arc::downgrade(&service.0), Arc::clone(&service.0));
        let listening = serving(service).await;
        let address = format!("http://{}", listening.address());
        let mut client = CtlSvcClient::connect(address).await.expect("listening");
        let call =
            tokio::spawn(async move { client.storage_scan(StorageScanReq::default()).await });
        begun.notified().await;
        drop(begun);
        listening.stop(Duration::from_millis(10)).await;
        timeout(LONG, call).await.expect("ended").expect("no panic").expect_err("cut off");
        // Nothing of the server is kept by a connection any more.
        let gone = async {
            while held.upgrade().is_some() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, gone).await.expect("let go");
    }
}
