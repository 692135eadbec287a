//! The fabric address: a real TCP port on the configured interface, so that two engines cannot share one. Peers
//! connect to it (see `peers`).

use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::{Context, bail};

use crate::sys;

/// A bound fabric endpoint.
#[derive(Debug)]
pub struct Fabric {
    /// Listens without blocking.
    pub listener: TcpListener,
    /// `<provider>://<address>:<port>`.
    pub uri: String,
}

/// Binds `port` (0: any) on the first address of the interface, IPv4 before IPv6.
pub fn bind(provider: &str, interface: &str, port: u16) -> anyhow::Result<Fabric> {
    let found = sys::addresses_of(interface)
        .with_context(|| format!("cannot read the addresses of interface {interface}"))?;
    let Some(address) = choose(&found) else {
        bail!(
            "interface {interface} does not exist or has no address; set fabric_iface to one that has"
        );
    };
    let wanted = SocketAddr::new(address, port);
    let listener = TcpListener::bind(wanted).with_context(|| {
        format!("cannot use fabric address {wanted}: choose another fabric_iface_port for this engine, or end what uses it")
    })?;
    listener.set_nonblocking(true)?;
    let uri = format!("{provider}://{}", listener.local_addr()?);
    Ok(Fabric { listener, uri })
}

fn choose(found: &[IpAddr]) -> Option<IpAddr> {
    let usable = |address: &&IpAddr| match address {
        IpAddr::V4(_) => true,
        // An address of the link alone would need its interface beside it.
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    };
    found.iter().filter(usable).min_by_key(|address| address.is_ipv6()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_owner() {
        let first = bind("ofi+tcp", "lo", 0).unwrap();
        let port = first.listener.local_addr().unwrap().port();
        assert_eq!(first.uri, format!("ofi+tcp://127.0.0.1:{port}"));
        let error = format!("{:#}", bind("ofi+tcp", "lo", port).unwrap_err());
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        assert!(error.contains("fabric_iface_port"), "{error}");
    }

    #[test]
    fn an_interface_without_address_is_named() {
        let error = bind("ofi+tcp", "nonesuch0", 0).unwrap_err().to_string();
        assert!(error.contains("nonesuch0"), "{error}");
    }

    #[test]
    fn ipv4_comes_first_and_link_local_never() {
        let addresses: Vec<IpAddr> =
            ["fe80::1", "fd00::1", "10.0.0.1"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(choose(&addresses), Some(addresses[2]));
        assert_eq!(choose(&addresses[..2]), Some(addresses[1]));
        assert_eq!(choose(&addresses[..1]), None);
    }
}
