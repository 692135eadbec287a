//! A stream on which both sides have shown their certificates.
//!
//! Owns the two ways to make one. What a body reports is put into words here, so that both bodies refuse alike.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::body;
use super::credentials::Credentials;
use super::error::TlsError;
use super::trust::{component_of, expect};
use crate::wire::Component;

/// Most that is read before the stream is handed out.
const EARLY: usize = 1024;

/// Bytes that only the two ends can read.
#[derive(Debug)]
pub struct TlsStream<S> {
    body: body::Stream<S>,
    /// What the peer said first, not yet read by the owner.
    early: Vec<u8>,
    taken: usize,
}

/// Calls: shows our certificate and makes sure that the other side is `expected` and has accepted us.
///
/// In TLS 1.3 the handshake of the caller ends before the other side has looked at its certificate. HTTP/2 servers
/// speak first, so their first bytes are waited for: when this returns, nothing was sent yet and we are let in.
///
/// # Errors
/// Why the peer is not trusted, not the expected one, or does not let us in. Has no time limit of its own.
pub async fn connect<S>(
    stream: S,
    credentials: &Credentials,
    expected: Component,
) -> Result<TlsStream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut body = credentials.body.connect(stream).await?;
    let leaf = body::peer_chain(&body).into_iter().next();
    let nobody = || TlsError::PeerUntrusted { problem: "it shows none".to_owned() };
    expect(&leaf.ok_or_else(nobody)?, expected)?;
    let mut early = vec![0; EARLY];
    let count = body.read(&mut early).await.map_err(body::explain)?;
    if count == 0 {
        return Err(TlsError::Broken { source: io::ErrorKind::UnexpectedEof.into() });
    }
    early.truncate(count);
    Ok(TlsStream { body, early, taken: 0 })
}

/// Is called: the stream, and the component the verified caller's certificate is made out to (`None` for a name that
/// is no component).
///
/// # Errors
/// Why the caller is not trusted. Has no time limit of its own.
pub async fn accept<S>(
    stream: S,
    credentials: &Credentials,
) -> Result<(TlsStream<S>, Option<Component>), TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let body = credentials.body.accept(stream).await?;
    let leaf = body::peer_chain(&body).into_iter().next();
    let nobody = || TlsError::PeerUntrusted { problem: "it shows none".to_owned() };
    let component = component_of(&leaf.ok_or_else(nobody)?);
    Ok((TlsStream { body, early: Vec::new(), taken: 0 }, component))
}

impl<S> TlsStream<S> {
    /// What is beneath.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        body::beneath(&self.body)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let waiting = self.early.get(self.taken..).unwrap_or_default();
        if waiting.is_empty() {
            return Pin::new(&mut self.body).poll_read(context, buffer);
        }
        let count = waiting.len().min(buffer.remaining());
        buffer.put_slice(waiting.get(..count).unwrap_or_default());
        self.taken += count;
        if self.taken == self.early.len() {
            self.early = Vec::new();
            self.taken = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.body).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.body).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.body.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.body).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.body).poll_shutdown(context)
    }
}
