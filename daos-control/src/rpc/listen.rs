//! The control port: binds it, and names who has it when it is taken (R15, contract 1.1).
//!
//! Called once by the server's start. Knows sockets, nothing of what is served.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::net::{TcpListener, TcpSocket};

use crate::fault::{Fault, code};
use crate::ports::{Listener, in_use, listener};

/// Connections that may wait to be taken. All hosts of a system that was powered on connect in the same moment, and each
/// that finds no place tries again only after a second.
const WAITING: u32 = 4096;

/// Binds the control port; port 0 takes any free one. TCP over IPv4 only, as stock peers do.
///
/// # Errors
/// Fault 1361 when the port is taken, naming the process that has it where that can be seen; 1362 for anything
/// else.
pub async fn bind(address: Ipv4Addr, port: u16) -> Result<TcpListener, Fault> {
    let wanted = SocketAddrV4::new(address, port);
    listen(wanted).map_err(|error| refused(wanted, &error))
}

fn listen(wanted: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(wanted.into())?;
    socket.listen(WAITING)
}

fn refused(wanted: SocketAddrV4, error: &io::Error) -> Fault {
    if error.kind() != io::ErrorKind::AddrInUse {
        return Fault::new(
            "server",
            code::CONTROL_PORT_UNUSABLE,
            format!("cannot listen on {wanted}"),
            "set port and control_iface in the configuration to what this host has",
        )
        .with_reason(error);
    }
    let (description, resolution) = in_use(wanted.port(), holder(wanted.port()).as_deref());
    Fault::new("server", code::CONTROL_PORT_IN_USE, description, resolution).with_reason(error)
}

fn holder(port: u16) -> Option<String> {
    match listener(port, &[])? {
        Listener::Process { pid, name, .. } => Some(format!("pid {pid} ({name})")),
        Listener::Hidden => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::bind;

    #[tokio::test]
    async fn a_taken_port_names_its_holder() {
        let first = bind(Ipv4Addr::LOCALHOST, 0).await.expect("a free port");
        let port = first.local_addr().expect("bound").port();
        let fault = bind(Ipv4Addr::LOCALHOST, port).await.expect_err("taken");
        assert_eq!(fault.code, 1361);
        assert!(fault.description.contains(&port.to_string()), "{fault}");
        assert!(fault.description.contains(&format!("pid {}", std::process::id())), "{fault}");
        assert!(fault.has_resolution());
    }

    #[tokio::test]
    async fn an_address_of_another_host_is_refused() {
        let fault = bind(Ipv4Addr::new(192, 0, 2, 1), 0).await.expect_err("not ours");
        assert_eq!(fault.code, 1362);
        assert!(fault.description.contains("192.0.2.1"), "{fault}");
    }
}
