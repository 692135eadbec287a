//! Who listens on a TCP port of this host, and what is said of one that is taken (R15).
//!
//! Asked by the gRPC edge when it cannot have its port, and by preflight beforehand. Reads `/proc`, changes nothing.

use std::net::{IpAddr, Ipv4Addr};

/// What is said of a port that is taken, and what to do.
pub(crate) fn in_use(port: u16, holder: Option<&str>) -> (String, &'static str) {
    let by = holder.map_or(String::new(), |holder| format!(" by {holder}"));
    let remedy = "stop that process, or set another port in the configuration";
    (format!("port {port} is in use{by}"), remedy)
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listener {
    /// A process that this user may look into.
    Process {
        /// Its id.
        pid: i32,
        /// Id of the process that started it; 0 when nobody knows.
        parent: i32,
        /// Its name, as far as the kernel keeps it.
        name: String,
    },
    /// Somebody else's.
    Hidden,
}

/// Who listens on a TCP port of this network namespace, where that keeps others from one of these addresses; none given means
/// any. `None` when nobody does.
pub(crate) fn listener(port: u16, addresses: &[Ipv4Addr]) -> Option<Listener> {
    let collides = |held: IpAddr| {
        addresses.is_empty()
            || held.is_unspecified()
            || addresses.iter().any(|address| IpAddr::V4(*address) == held)
    };
    let listening = procfs::net::tcp()
        .into_iter()
        .chain(procfs::net::tcp6())
        .flatten()
        .find(|entry| {
            entry.state == procfs::net::TcpState::Listen
                && entry.local_address.port() == port
                && collides(entry.local_address.ip())
        })?
        .inode;
    let holds = |process: procfs::process::Process| {
        let mut open = process.fd().ok()?.flatten();
        open.any(|fd| matches!(fd.target, procfs::process::FDTarget::Socket(inode) if inode == listening))
            .then(|| described(&process))
    };
    let processes = procfs::process::all_processes().into_iter().flatten().flatten();
    Some(processes.into_iter().find_map(holds).unwrap_or(Listener::Hidden))
}

fn described(process: &procfs::process::Process) -> Listener {
    let (parent, name) =
        process.stat().map_or_else(|_| (0, "unknown".to_owned()), |stat| (stat.ppid, stat.comm));
    Listener::Process { pid: process.pid, parent, name }
}
