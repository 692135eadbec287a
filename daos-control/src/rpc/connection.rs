//! One connection to the control port. It ends with the server, whatever its peer does (W42): at once when the peer has
//! said nothing yet, otherwise when the last answers have had their time.
//!
//! Made by `serve`. Knows bytes, no protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The two moments at which connections end.
#[derive(Debug, Clone, Default)]
pub(super) struct Closing {
    /// Nothing new is begun.
    pub begins: CancellationToken,
    /// What was begun is given up.
    pub ends: CancellationToken,
}

/// A TCP stream that looks closed by its peer once it is to end.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    has_spoken: bool,
    begins: Pin<Box<WaitForCancellationFutureOwned>>,
    ends: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    pub fn new(stream: TcpStream, closing: &Closing) -> Self {
        let begins = Box::pin(closing.begins.clone().cancelled_owned());
        let ends = Box::pin(closing.ends.clone().cancelled_owned());
        Self { stream, has_spoken: false, begins, ends }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
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
