//! One connection to the control port. It ends with the server, whatever its peer does (W42): at once when the peer has
//! said nothing yet, otherwise when the last answers have had their time.
//!
//! Made by `accept`. Knows bytes and whose they are, no protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::access::Peer;
use crate::tls::{Accepted, Link};

/// The two moments at which connections end.
#[derive(Debug, Clone, Default)]
pub(super) struct Closing {
    /// Nothing new is begun.
    pub begins: CancellationToken,
    /// What was begun is given up.
    pub ends: CancellationToken,
}

/// Who is at the other end, put into the extensions of every request of the connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Addresses.
    pub tcp: TcpConnectInfo,
    /// What the caller's certificate says; `None` without certificates.
    pub peer: Option<Peer>,
}

/// A stream that looks closed by its peer once it is to end.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Link,
    peer: Option<Peer>,
    has_spoken: bool,
    begins: Pin<Box<WaitForCancellationFutureOwned>>,
    ends: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    pub fn new(accepted: Accepted, closing: &Closing) -> Self {
        let Accepted { link: stream, component } = accepted;
        let peer = match &stream {
            Link::Plain(_) => None,
            Link::Tls(_) => Some(Peer(component)),
        };
        let begins = Box::pin(closing.begins.clone().cancelled_owned());
        let ends = Box::pin(closing.ends.clone().cancelled_owned());
        Self { stream, peer, has_spoken: false, begins, ends }
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        Caller { tcp: self.stream.tcp().connect_info(), peer: self.peer }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.has_spoken |= buffer.filled().len() > before;
            return Poll::Ready(read);
        }
        if !self.has_spoken {
            ready!(self.begins.as_mut().poll(context));
            return Poll::Ready(Ok(()));
        }
        ready!(self.ends.as_mut().poll(context));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
