//! Paths that are almost those of a method, sent as raw HTTP/2 so that no library corrects them (CVE-2026-33186).

use daos_control::tls::connect;
use daos_control::wire::Component;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Certs, LONG, Served};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header that is put into no table, with no compression (RFC 7541 6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("short").min(126));
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// Asks for one path on stream 1; whether it was answered there, rather than by ending the connection.
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, path: &str) -> bool {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "server"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-daos-component", "server"),
        ("x-daos-version", "2.8.0"),
    ] {
        block.extend(header(name, value));
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    stream.write_all(&bytes).await.expect("written");
    stream.flush().await.expect("flushed");
    timeout(LONG, async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return false;
            }
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            stream.read_exact(&mut payload).await.expect("the whole frame");
            match (head[3], head[4]) {
                (SETTINGS, flags) if flags & ACK == 0 => {
                    stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await.expect("written");
                    stream.flush().await.expect("flushed");
                }
                (HEADERS, _) => return true,
                (RST_STREAM | GOAWAY, _) => return false,
                _ => {}
            }
        }
    })
    .await
    .expect("an answer")
}

#[tokio::test]
async fn only_the_exact_path_reaches_a_method() {
    let certs = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    let admin = certs.credentials(Component::Admin);
    let good = "/ctl.CtlSvc/StorageFormat";
    let odd = [
        "ctl.CtlSvc/StorageFormat",
        "//ctl.CtlSvc/StorageFormat",
        "/ctl.CtlSvc//StorageFormat",
        "/ctl.CtlSvc/StorageFormat/",
        "/ctl.CtlSvc/StorageFormat/x",
        "/ctl.CtlSvc/StorageForma%74",
        "/ctl%2eCtlSvc/StorageFormat",
        "/ctl.CtlSvc%2FStorageFormat",
        "/CTL.CtlSvc/StorageFormat",
        "/ctl.CtlSvc/storageformat",
        "/ctl.CtlSvc/StorageFormat?x=1",
        "/ctl.CtlSvc/StorageFormat?",
        "/ctl.CtlSvc/./StorageFormat",
        "/ctl.CtlSvc/x/../StorageFormat",
        "/ctl.CtlSvc/StorageFormat ",
        "http://server/ctl.CtlSvc/StorageFormat",
        "https://server/ctl.CtlSvc/StorageFormat",
        "/ctl.CtlSvc/",
        "/ctl.CtlSvc",
        "/StorageFormat",
        "/",
        "*",
        "",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
        "/RaftTransport/AppendEntries",
    ];
    let dial = || async {
        let stream = TcpStream::connect(served.listening.address()).await.expect("listening");
        connect(stream, &admin, Component::Server).await.expect("trusted")
    };
    for path in odd {
        let _answered_or_cut = ask(dial().await, path).await;
        assert_eq!(served.reached.count(), 0, "{path:?}");
    }
    // The same bytes with the right path get through: the test tests something.
    assert!(ask(dial().await, good).await);
    assert_eq!(served.reached.count(), 1);
    // A role that may not is kept out on the same way.
    assert!(ask(dial().await, "/ctl.CtlSvc/StopRanks").await);
    assert_eq!(served.reached.count(), 1);
    // A fragment is dropped before anybody looks: guard and routes then see the same path, with the same rights.
    assert!(ask(dial().await, "/ctl.CtlSvc/StopRanks#/ctl.CtlSvc/StorageFormat").await);
    assert_eq!(served.reached.count(), 1);
    served.end().await;
}
