//! Messages on a TCP connection: a header with mark, version and length, then the message.
//!
//! Must not know what messages say.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Begins every frame.
const MARK: [u8; 4] = *b"dios";
/// Raised with every change of what messages look like. Engines of different versions do not understand each other.
const VERSION: u8 = 1;
const HEADER: usize = 12;
/// Longest message: a map of all the engines that one may have.
pub const LONGEST: usize = 5 << 20;

/// Writes one message.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    if message.len() > LONGEST {
        return Err(invalid(format!("a message of {} bytes is too long to send", message.len())));
    }
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MARK);
    header[4] = VERSION;
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    header[8..].copy_from_slice(&length.to_le_bytes());
    // One packet for what is short.
    if message.len() < 1024 {
        return stream.write_all(&[&header, message].concat()).await;
    }
    stream.write_all(&header).await?;
    stream.write_all(message).await
}

/// Reads one message. The buffer grows with what comes, not with what the header promises.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    let [m0, m1, m2, m3, version, _, _, _, l0, l1, l2, l3] = header;
    if [m0, m1, m2, m3] != MARK {
        return Err(invalid("it does not speak the protocol of stand-in engines".to_owned()));
    }
    if version != VERSION {
        return Err(invalid(format!("it speaks version {version}, this engine {VERSION}")));
    }
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(invalid(format!("it announces a message of {length} bytes")));
    }
    let mut message = Vec::new();
    let got = stream.take(length as u64).read_to_end(&mut message).await?;
    if got < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn round(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut source = bytes;
        read(&mut source).await
    }

    #[tokio::test]
    async fn a_message_comes_as_it_went() {
        for length in [0, 5, 1023, 1024, 300_000] {
            let message = vec![7; length];
            let mut bytes = Vec::new();
            write(&mut bytes, &message).await.unwrap();
            assert_eq!(round(&bytes).await.unwrap(), message);
            bytes.pop();
            assert!(round(&bytes).await.is_err(), "cut short at {length}");
        }
    }

    #[tokio::test]
    async fn other_protocols_versions_and_lengths_are_refused() {
        let mut good = Vec::new();
        write(&mut good, b"hello").await.unwrap();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        for (bytes, why) in [
            (with(0, b'x'), "does not speak"),
            (with(4, 2), "version 2"),
            (with(11, 0xff), "announces a message"),
        ] {
            let error = round(&bytes).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let long = vec![0; LONGEST + 1];
        assert!(write(&mut Vec::new(), &long).await.is_err());
    }
}
