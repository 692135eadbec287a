//! Whether the first replica may make the system, from what the other listed replicas say of themselves. Pure.
//!
//! A system is made once: only after every other listed replica has said that it has none. A first replica that was
//! wiped finds the system at the others and waits until their leader enlists it. Asked by `keeper`.

use std::net::SocketAddrV4;

use uuid::Uuid;

/// What a host says about its part of the management service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is a replica and has no system.
    NoSystem {
        /// The replicas it is configured with, resolved, in order.
        configured: Vec<SocketAddrV4>,
    },
    /// It does not take itself for a replica.
    NoReplica {
        /// As above.
        configured: Vec<SocketAddrV4>,
    },
    /// It serves a system.
    Serves {
        /// Which one.
        system: Uuid,
    },
    /// It has storage or a database of a system and does not serve it.
    Remembers {
        /// Which one, if it can tell.
        system: Option<Uuid>,
        /// Why it does not serve.
        why: String,
    },
    /// It could not be asked.
    Silent {
        /// Why not.
        why: String,
    },
}

/// What follows for the first replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Founding {
    /// Nobody has a system: it makes one.
    Make,
    /// There is one already, and it waits to be enlisted there.
    Join {
        /// Which one.
        system: Uuid,
        /// A host that serves it.
        at: SocketAddrV4,
    },
    /// It asks again; the text names each host that is waited for and why.
    Wait(String),
}

/// Decides from what every other listed replica said.
#[must_use]
pub fn founding(configured: &[SocketAddrV4], said: &[(SocketAddrV4, Said)]) -> Founding {
    let serving = said.iter().find_map(|(at, said)| match said {
        Said::Serves { system } => Some((*system, *at)),
        _ => None,
    });
    if let Some((system, at)) = serving {
        return Founding::Join { system, at };
    }
    let reasons = said
        .iter()
        .filter_map(|(at, said)| obstacle(configured, said).map(|why| format!("{at} ({why})")));
    let reasons: Vec<String> = reasons.collect();
    match reasons.is_empty() {
        true => Founding::Make,
        false => Founding::Wait(format!("waits for the other replicas: {}", reasons.join(", "))),
    }
}

/// Why a system cannot be made yet, as far as one host is concerned.
fn obstacle(mine: &[SocketAddrV4], said: &Said) -> Option<String> {
    match said {
        Said::Silent { why } => Some(why.clone()),
        Said::Remembers { system: Some(system), why } => {
            Some(format!("it has storage of system {system}, {why}"))
        }
        Said::Remembers { system: None, why } => Some(why.clone()),
        Said::NoSystem { configured } | Said::NoReplica { configured } if configured != mine => {
            Some(format!("it is configured with the replicas {}", listed(configured)))
        }
        Said::NoReplica { .. } => {
            Some("it listens at another address or port than the list says".to_owned())
        }
        Said::NoSystem { .. } | Said::Serves { .. } => None,
    }
}

fn listed(addresses: &[SocketAddrV4]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{Founding, Said, SocketAddrV4, Uuid, founding};

    fn at(host: u8) -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, host].into(), 10001)
    }

    fn list() -> Vec<SocketAddrV4> {
        vec![at(1), at(2), at(3)]
    }

    fn none() -> Said {
        Said::NoSystem { configured: list() }
    }

    fn waits(second: Said) -> String {
        match founding(&list(), &[(at(2), second), (at(3), none())]) {
            Founding::Wait(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_system_is_made_when_nobody_has_one() {
        assert_eq!(founding(&[at(1)], &[]), Founding::Make);
        assert_eq!(founding(&list(), &[(at(2), none()), (at(3), none())]), Founding::Make);
    }

    #[test]
    fn who_cannot_be_asked_is_waited_for_by_name() {
        let silent = Said::Silent { why: "connection refused".into() };
        assert_eq!(
            waits(silent),
            "waits for the other replicas: 10.0.0.2:10001 (connection refused)"
        );
    }

    #[test]
    fn a_wiped_first_replica_makes_no_second_system() {
        let system = Uuid::from_u128(7);
        let silent = Said::Silent { why: "down".into() };
        let said = [(at(2), silent), (at(3), Said::Serves { system })];
        assert_eq!(founding(&list(), &said), Founding::Join { system, at: at(3) });
        // The others have not elected a leader yet, or cannot.
        let remembers = Said::Remembers { system: Some(system), why: "it starts".into() };
        assert!(waits(remembers).contains(&system.to_string()));
        let broken = Said::Remembers { system: None, why: "its database is damaged".into() };
        assert!(waits(broken).contains("its database is damaged"));
    }

    #[test]
    fn hosts_that_disagree_about_the_list_make_no_system() {
        let other = Said::NoSystem { configured: vec![at(2), at(1), at(3)] };
        assert!(waits(other).contains("10.0.0.2:10001,10.0.0.1:10001,10.0.0.3:10001"));
        let elsewhere = Said::NoReplica { configured: list() };
        assert!(waits(elsewhere).contains("another address or port"));
    }
}
