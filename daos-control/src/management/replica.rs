//! Which replica of the management service this host is, and under which address others reach it (contract 1.1, 6.1).
//!
//! Used by the server's start. Pure but for name resolution; must not know how the service works.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs, UdpSocket};

use crate::config::Replica;
use crate::fault::{Fault, code};

/// Where the management service is, as seen from this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// Resolved addresses, in the order of the configuration.
    pub addresses: Vec<SocketAddrV4>,
    /// Index of this host among them.
    pub own: Option<usize>,
}

impl Replicas {
    /// Resolves the configured replicas; this host is one when IP **and** port are its own.
    ///
    /// # Errors
    /// Fault 705 for a name without an IPv4 address.
    pub fn resolve(configured: &[Replica], port: u16) -> Result<Self, Fault> {
        let addresses = configured.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        let own =
            addresses.iter().position(|address| address.port() == port && is_local(*address.ip()));
        Ok(Self { addresses, own })
    }

    /// Whether this host makes the system when its first engine is formatted: entry 0 of the list does.
    #[must_use]
    pub fn is_bootstrap(&self) -> bool {
        self.own == Some(0)
    }

    /// Address of this host's own replica.
    #[must_use]
    pub fn own_address(&self) -> Option<SocketAddrV4> {
        self.own.and_then(|own| self.addresses.get(own)).copied()
    }

    /// The address this host announces: its replica address, else one that asks the peer to use the sender's (contract 1.1).
    #[must_use]
    pub fn announced(&self, port: u16, control_interface: Option<Ipv4Addr>) -> SocketAddrV4 {
        match (control_interface, self.own_address()) {
            (Some(ip), _) => SocketAddrV4::new(ip, port),
            (None, Some(own)) => own,
            (None, None) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port),
        }
    }
}

/// What to tell an administrator about a configuration that lists other replicas than the system has; the order is
/// no difference, and neither is a list that is not known.
#[must_use]
pub fn difference(configured: &[SocketAddrV4], replicated: &[SocketAddrV4]) -> Option<String> {
    let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
        (configured.iter().collect(), replicated.iter().collect());
    if replicated.is_empty() || ours == theirs {
        return None;
    }
    let list = |addresses: BTreeSet<&&SocketAddrV4>| {
        addresses.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let (more, less) =
        (list(ours.difference(&theirs).collect()), list(theirs.difference(&ours).collect()));
    let mut text = "mgmt_svc_replicas in the configuration is not what the system has".to_owned();
    if !more.is_empty() {
        text += &format!(
            "; no replicas yet: {more} ('dmg system ms add {more}', or take them off the list)"
        );
    }
    if !less.is_empty() {
        text += &format!("; not listed: {less} (list them, or 'dmg system ms remove {less}')");
    }
    Some(text)
}

/// First IPv4 address of a replica, sorted, so that every host sees the same text.
fn resolve(replica: &Replica) -> Result<SocketAddrV4, Fault> {
    let found = (replica.host.as_str(), replica.port).to_socket_addrs();
    let refused = |reason: String| {
        Fault::new(
            "serverconfig",
            code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS,
            format!("the management service replica '{replica}' has no IPv4 address"),
            "correct mgmt_svc_replicas (access_points), or make the name resolvable on this host",
        )
        .with_reason(reason)
    };
    let addresses = found.map_err(|error| refused(error.to_string()))?;
    let mut ipv4: Vec<_> = addresses
        .filter_map(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        })
        .collect();
    ipv4.sort();
    ipv4.first().copied().ok_or_else(|| refused("only IPv6 addresses".to_owned()))
}

/// Whether an address belongs to this host: only such an address can be bound.
#[must_use]
pub fn is_local(ip: Ipv4Addr) -> bool {
    !ip.is_unspecified() && UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{Replicas, code, difference};
    use crate::config::Replica;

    fn replica(host: &str, port: u16) -> Replica {
        Replica { host: host.to_owned(), port }
    }

    #[test]
    fn a_host_is_a_replica_by_address_and_port() {
        let listed = [replica("192.0.2.7", 10001), replica("127.0.0.1", 10002)];
        let found = Replicas::resolve(&listed, 10002).unwrap();
        assert_eq!(found.own, Some(1));
        assert!(!found.is_bootstrap());
        let other_port = Replicas::resolve(&listed, 10003).unwrap();
        assert_eq!(other_port.own, None);
    }

    #[test]
    fn a_list_that_differs_is_told_with_both_remedies() {
        let at = |host: u8| std::net::SocketAddrV4::new([10, 0, 0, host].into(), 10001);
        assert_eq!(difference(&[at(1), at(2)], &[at(2), at(1)]), None);
        assert_eq!(difference(&[at(1)], &[]), None);
        let text = difference(&[at(1), at(3)], &[at(1), at(2)]).unwrap();
        assert!(text.contains("dmg system ms add 10.0.0.3:10001"), "{text}");
        assert!(text.contains("dmg system ms remove 10.0.0.2:10001"), "{text}");
    }

    #[test]
    fn the_first_replica_makes_the_system() {
        let found = Replicas::resolve(&[replica("localhost", 10001)], 10001).unwrap();
        assert!(found.is_bootstrap());
        assert_eq!(found.announced(10001, None).ip(), &Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn others_let_the_leader_take_the_sender_address() {
        let found = Replicas::resolve(&[replica("192.0.2.7", 10001)], 10001).unwrap();
        assert_eq!(found.announced(10001, None).to_string(), "0.0.0.0:10001");
        let interface = Ipv4Addr::new(192, 0, 2, 9);
        assert_eq!(found.announced(10001, Some(interface)).to_string(), "192.0.2.9:10001");
    }

    #[test]
    fn a_name_that_does_not_resolve_is_named() {
        let refused = Replicas::resolve(&[replica("no-such-host.invalid", 1)], 1).unwrap_err();
        assert_eq!(refused.code, code::SERVER_CONFIG_BAD_MGMT_SVC_REPLICAS);
        assert!(refused.description.contains("no-such-host.invalid"));
    }
}
