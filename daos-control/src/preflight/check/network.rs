//! The control interface and the engines' fabric interfaces (R47, contract 5.5).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::super::facts::HostFacts;
use super::super::keys::Asked;
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::{EngineConfig, INVALID};
use crate::fault::code;
use crate::network::{Interface, domain_of};

const INTERFACES: &str = "/sys/class/net";

fn names(facts: &HostFacts) -> String {
    let names: Vec<&str> = facts.network.interfaces.iter().map(|each| each.name.as_str()).collect();
    names.join(", ")
}

/// The address of `control_iface`, where that is given.
pub(super) fn control_interface(
    findings: &mut Findings<'_>,
    facts: &HostFacts,
) -> Option<Ipv4Addr> {
    let asked = findings.asked()?;
    let name = asked.config.control_iface.as_deref()?;
    let found = facts.network.interface(name);
    let address = found.and_then(|interface| interface.addresses.first().copied());
    let Some(address) = address else {
        let text = match found {
            Some(_) => format!("interface `{name}` has no IPv4 address"),
            None => format!("there is no interface `{name}`"),
        };
        findings.require(
            Problem::new(
                Rule::ControlInterface,
                code::SERVER_CONFIG_BAD_CONTROL_INTERFACE,
                text,
                "name an interface with an IPv4 address, or remove `control_iface`",
            )
            .at("control_iface")
            .seen(INTERFACES, names(facts)),
        );
        return None;
    };
    replica_elsewhere(findings, asked, facts, address);
    let text = format!("`{name}` has an address");
    findings.passed_so_far(Rule::ControlInterface, text, "getifaddrs", address);
    Some(address)
}

/// A replica of this host must be reached where the server listens. Replicas given by name are not looked up.
fn replica_elsewhere(
    findings: &mut Findings<'_>,
    asked: Asked<'_>,
    facts: &HostFacts,
    listening: Ipv4Addr,
) {
    let config = asked.config;
    let is_ours = |address: &Ipv4Addr| {
        facts.network.interfaces.iter().any(|interface| interface.addresses.contains(address))
    };
    for replica in config.replicas.iter().filter(|replica| replica.port == config.port) {
        let Some(address) = replica.host.parse::<Ipv4Addr>().ok().filter(is_ours) else { continue };
        if address != listening {
            findings.require(
                Problem::new(
                    Rule::ControlInterface,
                    code::SERVER_CONFIG_CONTROL_INTERFACE_MISMATCH,
                    format!("this host is replica {address}, and the server listens on {listening}"),
                    "name the interface with the replica's address, or list the replica by this one's",
                )
                .at("control_iface")
                .seen("getifaddrs", listening),
            );
        }
    }
}

/// Every engine has an interface that carries its provider, and all are of one kind.
pub(super) fn fabric(findings: &mut Findings<'_>, facts: &HostFacts) {
    let Some(asked) = findings.asked() else { return };
    if asked.config.engines.is_empty() {
        return;
    }
    let mut classes: BTreeMap<u32, u32> = BTreeMap::new();
    for engine in &asked.config.engines {
        let name = &engine.fabric.interface;
        match facts.network.interface(name) {
            Some(interface) => {
                classes.insert(engine.index, interface.class.0);
                of_engine(findings, asked, facts, engine, interface);
            }
            None => unusable(
                findings,
                asked,
                facts,
                engine,
                &format!("there is no interface `{name}`"),
                "see `daos_server network scan` for those there are",
            ),
        }
    }
    let (first, class) =
        classes.first_key_value().map_or((0, 0), |(first, class)| (*first, *class));
    for (index, other) in classes.iter().filter(|(_, other)| **other != class) {
        findings.protect(
            Problem::new(
                Rule::FabricInterface,
                code::SERVER_CONFIG_INVALID_NET_DEV_CLASS,
                format!("engines {first} and {index} use interfaces of different kinds"),
                "use interfaces of one kind for all engines",
            )
            .at(asked.engine_key(*index, "fabric_iface"))
            .seen(&format!("{INTERFACES}/*/type"), format!("{class} and {other}")),
        );
    }
    let text = "every engine's interface carries its provider";
    findings.passed_so_far(Rule::FabricInterface, text, INTERFACES, names(facts));
}

fn of_engine(
    findings: &mut Findings<'_>,
    asked: Asked<'_>,
    facts: &HostFacts,
    engine: &EngineConfig,
    interface: &Interface,
) {
    let (name, provider) = (&interface.name, engine.fabric.provider.as_str());
    if interface.addresses.is_empty() {
        let text = format!("interface `{name}` has no IPv4 address");
        return unusable(findings, asked, facts, engine, &text, "give the interface an address");
    }
    match domain_of(&facts.network, name, provider) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let text = format!("`{name}` does not carry provider {provider}");
            unusable(findings, asked, facts, engine, &text, "see `daos_server network scan -a`");
        }
        Err(error) => findings.notice(
            Problem::new(
                Rule::FabricInterface,
                error.code(),
                format!("{error}; the engine may know it"),
                error.resolution(),
            )
            .about(format!("engine {}", engine.index))
            .at(asked.engine_key(engine.index, "provider")),
        ),
    }
}

fn unusable(
    findings: &mut Findings<'_>,
    asked: Asked<'_>,
    facts: &HostFacts,
    engine: &EngineConfig,
    text: &str,
    fix: &str,
) {
    let text = format!("engine {}: {text}", engine.index);
    findings.protect(
        Problem::new(Rule::FabricInterface, INVALID, text, fix)
            .at(asked.engine_key(engine.index, "fabric_iface"))
            .seen(INTERFACES, names(facts)),
    );
}
