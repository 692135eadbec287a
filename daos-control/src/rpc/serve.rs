//! Serves the routes on the control port until told to stop, and says when it cannot (contract 1.1).
//!
//! Started and stopped by `server`. Knows connections, nothing of what is answered.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::warn;

use super::layers::GuardLayer;
use crate::fault::{Fault, code};

/// Requests of one connection that are worked on at once; a client that sends more waits.
const IN_FLIGHT: usize = 256;
/// A silent connection is probed after this time.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The running listener.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    end: CancellationToken,
    task: JoinHandle<()>,
    ended: watch::Receiver<Option<Fault>>,
}

impl Listening {
    /// Serves until [`Listening::stop`].
    ///
    /// # Errors
    /// When the listener has no address, which does not happen to one that is bound.
    pub fn serve(listener: TcpListener, routes: Routes, guard: GuardLayer) -> Result<Self, Fault> {
        let address = listener.local_addr().map_err(|error| broken(&error))?;
        let end = CancellationToken::new();
        let (tell, ended) = watch::channel(None);
        let stop = end.clone();
        let task = tokio::spawn(async move {
            let served = Server::builder()
                .concurrency_limit_per_connection(IN_FLIGHT)
                .http2_keepalive_interval(Some(KEEPALIVE))
                .tcp_nodelay(true)
                .layer(guard)
                .add_routes(routes)
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled())
                .await;
            if let Err(error) = served {
                tell.send_replace(Some(broken(&error)));
            }
        });
        Ok(Self { address, end, task, ended })
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

    /// Takes no more requests; those that are being answered may end within the bound.
    pub async fn stop(self, within: Duration) {
        let Self { end, mut task, .. } = self;
        end.cancel();
        if timeout(within, &mut task).await.is_err() {
            warn!("some requests did not end in time and were dropped");
            task.abort();
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
