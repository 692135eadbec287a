//! Who listens on the ports that the server and its engines will want.

use crate::network::Network;
use crate::ports::{Listener, listener};
use crate::preflight::{Asked, PortFacts, PortHolder, PortPurpose};

/// A port, what it is for, and the interface on which it is wanted; `None` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    purpose: PortPurpose,
    port: u16,
    interface: Option<String>,
}

/// The control port and the first fabric port of each engine; none without a configuration.
pub(super) fn wanted(asked: Option<Asked<'_>>) -> Vec<Wanted> {
    let Some(Asked { config, .. }) = asked else { return Vec::new() };
    let control = Wanted {
        purpose: PortPurpose::Control,
        port: config.port,
        interface: config.control_iface.clone(),
    };
    let engines = config.engines.iter().map(|engine| Wanted {
        purpose: PortPurpose::Fabric(engine.index),
        port: engine.fabric.port,
        interface: Some(engine.fabric.interface.clone()),
    });
    [control].into_iter().chain(engines).collect()
}

/// Looks at one.
pub(super) fn look(wanted: &Wanted, network: &Network) -> PortFacts {
    let me = std::process::id().cast_signed();
    let interface = wanted.interface.as_deref().and_then(|name| network.interface(name));
    let addresses = interface.map(|interface| interface.addresses.as_slice()).unwrap_or_default();
    let holder = listener(wanted.port, addresses).map(|found| match found {
        Listener::Hidden => PortHolder { process: String::new(), ours: false },
        Listener::Process { pid, parent, name } => {
            PortHolder { process: format!("pid {pid} ({name})"), ours: pid == me || parent == me }
        }
    });
    PortFacts { port: wanted.port, purpose: wanted.purpose, holder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_this_very_process_is_ours_on_its_own_address_alone() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let network = crate::network::observe().unwrap();
        let on = |interface: Option<&str>| {
            let interface = interface.map(str::to_owned);
            look(&Wanted { purpose: PortPurpose::Control, port, interface }, &network).holder
        };
        let holder = on(Some("lo")).unwrap();
        assert!(holder.ours && holder.process.contains(&std::process::id().to_string()));
        assert!(on(None).is_some());
        let other = network
            .interfaces
            .iter()
            .find(|each| each.addresses.first().is_some_and(|address| !address.is_loopback()));
        if let Some(other) = other {
            assert_eq!(on(Some(&other.name)), None);
        }
        drop(taken);
        assert_eq!(on(None), None);
    }
}
