//! Why a host could not be reached: from the causes of a failed connection to the client faults 504-508 and 903
//! (contract 1.5). Used where connections are made and where a status is read.

use std::error::Error;
use std::io;

use tonic::Status;

use crate::fault::{Fault, code};

/// The fault for a host that could not be reached, judged by the cause's kind and, for causes that crossed another
/// process, by the texts of contract 1.5.
#[must_use]
pub fn connection_fault(host: &str, error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut cause = Some(error);
    let mut found = None;
    while let Some(current) = cause {
        let kind = current.downcast_ref::<io::Error>().and_then(|error| by_kind(error.kind()));
        found = found.or(kind).or_else(|| by_text(&current.to_string()));
        cause = current.source();
    }
    let number = found?;
    Some(describe(number, host, error))
}

fn by_kind(kind: io::ErrorKind) -> Option<i32> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some(code::CLIENT_CONNECTION_REFUSED),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(code::CLIENT_CONNECTION_CLOSED),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(code::CLIENT_CONNECTION_NO_ROUTE)
        }
        io::ErrorKind::TimedOut => Some(code::CLIENT_CONNECTION_TIMED_OUT),
        _ => None,
    }
}

fn by_text(text: &str) -> Option<i32> {
    const TEXTS: [(&str, i32); 11] = [
        ("connection refused", code::CLIENT_CONNECTION_REFUSED),
        ("connection closed", code::CLIENT_CONNECTION_CLOSED),
        ("transport is closing", code::CLIENT_CONNECTION_CLOSED),
        ("closed the connection", code::CLIENT_CONNECTION_CLOSED),
        ("connection reset", code::CLIENT_CONNECTION_CLOSED),
        ("no route to host", code::CLIENT_CONNECTION_NO_ROUTE),
        ("no such host", code::CLIENT_CONNECTION_BAD_HOST),
        ("failed to lookup address", code::CLIENT_CONNECTION_BAD_HOST),
        ("certificate has expired", code::SECURITY_INVALID_CERT),
        // What HTTP/2 says of a connection that should have been secured (RFC 9113 7).
        ("security properties do not meet", code::SECURITY_NOT_TLS),
        ("i/o timeout", code::CLIENT_CONNECTION_TIMED_OUT),
    ];
    let text = text.to_ascii_lowercase();
    TEXTS.iter().find(|(part, _)| text.contains(part)).map(|(_, number)| *number)
}

fn describe(number: i32, host: &str, error: &(dyn Error + 'static)) -> Fault {
    let (description, resolution) = match number {
        code::CLIENT_CONNECTION_BAD_HOST => (
            format!("host name {host} could not be resolved"),
            "check the host list for a typing error and that the name resolves on this machine",
        ),
        code::CLIENT_CONNECTION_NO_ROUTE => (
            format!("no route to host {host}"),
            "check that the address is right and that the network between the hosts works",
        ),
        code::CLIENT_CONNECTION_REFUSED => (
            format!("host {host} refused the connection"),
            "check that daos_server runs on the host and that the port is right",
        ),
        code::CLIENT_CONNECTION_CLOSED => (
            format!("host {host} closed the connection"),
            "check that both sides use certificates or neither does, and the server's log",
        ),
        code::SECURITY_NOT_TLS => (
            format!("host {host} requires certificates"),
            "leave -i and allow_insecure out and install certificates (daos_server cert makes them)",
        ),
        code::SECURITY_INVALID_CERT => (
            format!("a certificate in the connection to {host} has expired"),
            "issue a new certificate (daos_server cert issue), or check the clocks of both hosts",
        ),
        _ => (
            format!("host {host} did not answer in time"),
            "check that the host is up and that no firewall drops the port",
        ),
    };
    let of_security = matches!(number, code::SECURITY_INVALID_CERT | code::SECURITY_NOT_TLS);
    let domain = if of_security { "security" } else { "client" };
    Fault::new(domain, number, description, resolution).with_reason(innermost(error))
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.downcast_ref::<Status>().map_or_else(|| current.to_string(), |s| s.message().to_owned())
}
