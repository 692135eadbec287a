//! A caller in insecure mode on a port with certificates is told so in its own language (RFC 9113 6.8), instead of
//! being cut off with bytes it cannot read.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::error::TlsError;

/// First byte of a TLS handshake (RFC 8446 5.1).
const HANDSHAKE: u8 = 22;
/// First byte of the preface of HTTP/2: `PRI * HTTP/2.0`.
const PREFACE: u8 = b'P';
/// `INADEQUATE_SECURITY`.
const REASON: u8 = 12;
/// What a client may show.
const WORDS: &[u8] = b"this server requires certificates";

/// The stream, if its peer begins as TLS does.
pub(super) async fn unless_tls(mut stream: TcpStream) -> Result<TcpStream, TlsError> {
    let broken = |source: io::Error| TlsError::Broken { source };
    let mut first = [0];
    if stream.peek(&mut first).await.map_err(broken)? == 0 {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    match first[0] {
        HANDSHAKE => Ok(stream),
        PREFACE => {
            stream.write_all(&goodbye()).await.map_err(broken)?;
            // Ends our side only: a reset would overtake the words.
            stream.shutdown().await.map_err(broken)?;
            read_out(&mut stream).await;
            Err(TlsError::NotTls)
        }
        _ => Err(TlsError::NotTls),
    }
}

/// Empty SETTINGS, then GOAWAY for stream 0.
fn goodbye() -> Vec<u8> {
    let length = u8::try_from(8 + WORDS.len()).unwrap_or(8);
    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    bytes.extend([0, 0, length, 7, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, REASON]);
    bytes.extend(WORDS.iter().take(usize::from(length) - 8));
    bytes
}

/// Reads until the peer has closed, within the time that the handshake has.
async fn read_out(stream: &mut TcpStream) {
    use tokio::io::AsyncReadExt;
    let mut rest = [0; 256];
    while let Ok(count) = stream.read(&mut rest).await {
        if count == 0 {
            return;
        }
    }
}
