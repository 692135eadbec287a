//! The first moments of a connection that was taken: the handshake, within its time.
//!
//! Used by `rpc::accept`, which bounds how many there are at once. Knows no request.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::TlsError;
use super::link::Link;
use super::refuse_plain;
use super::store::Security;
use super::stream::accept;
use crate::wire::Component;

/// Time for a handshake: a fraction of a second on a busy host, seconds over a bad line.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Takes connections in the way this server is secured.
#[derive(Debug, Clone)]
pub struct Acceptor {
    security: Security,
    within: Duration,
}

/// A connection that may be served.
#[derive(Debug)]
pub struct Accepted {
    /// Its bytes.
    pub link: Link,
    /// To whom the caller's certificate is made out; `None` without one, and for a name that is no component.
    pub component: Option<Component>,
}

impl Acceptor {
    /// For a server that is secured in this way.
    #[must_use]
    pub fn new(security: Security) -> Self {
        Self { security, within: HANDSHAKE }
    }

    /// The same with another time limit for a handshake.
    #[must_use]
    pub fn with_limit(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Whether there is no handshake.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.security.is_insecure()
    }

    /// Does the handshake, if there is one.
    ///
    /// # Errors
    /// Why the caller is not let in; it was told as far as the protocol has words for it.
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, TlsError> {
        let handshake = async {
            let Some(credentials) = self.security.credentials().await else {
                return Ok(Accepted { link: Link::Plain(stream), component: None });
            };
            let stream = refuse_plain::unless_tls(stream).await?;
            let (stream, component) = accept(stream, &credentials).await?;
            Ok(Accepted { link: Link::Tls(Box::new(stream)), component })
        };
        timeout(self.within, handshake).await.unwrap_or(Err(TlsError::Late))
    }
}
