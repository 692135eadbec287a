//! Sample values for tests: engine number `n` of a made-up system, always the same for the same `n`.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::command::{Change, Command};
use crate::decide::join::{JoinPurpose, JoinRequest};
use crate::fault_domain::FaultDomain;
use crate::member::Member;
use crate::rank::{Incarnation, Rank};
use crate::state::MemberState;
use crate::system::{System, SystemIdentity};

/// The fabric provider of the samples.
pub const PROVIDER: &str = "ofi+tcp";

/// The made-up system.
#[must_use]
pub fn identity() -> SystemIdentity {
    SystemIdentity { uuid: Uuid::from_u128(0xD405), name: "daos_server".to_owned() }
}

/// A system that has a provider and nothing else.
#[must_use]
pub fn system() -> System {
    let mut system = System::new(identity());
    let providers = vec![PROVIDER.to_owned()];
    system.apply(&command(vec![Change::SetFabricProviders { providers }]));
    system
}

/// A command of these changes, at time 0.
#[must_use]
pub fn command(changes: Vec<Change>) -> Command {
    Command::new(Timestamp::default(), changes)
}

/// Engine `n` asks to join for the first time. Each has a host of its own.
#[must_use]
pub fn join_request(n: u32) -> JoinRequest {
    let member = member(n);
    JoinRequest {
        uuid: member.uuid,
        rank: None,
        incarnation: member.incarnation,
        address: member.address,
        fabric_uri: member.fabric_uri,
        secondary_fabric_uris: Vec::new(),
        fabric_contexts: member.fabric_contexts,
        secondary_fabric_contexts: Vec::new(),
        fault_domain: member.fault_domain,
        check_mode: false,
        bootstrap: false,
        purpose: JoinPurpose::Join,
        old_address_answers: None,
    }
}

/// Engine `n` as a joined member with rank `n`.
///
/// # Panics
/// For the number that is no rank.
#[must_use]
pub fn member(n: u32) -> Member {
    let [_, a, b, c] = n.to_be_bytes();
    let ip = std::net::Ipv4Addr::new(10, a, b, c);
    let rank = Rank::new(n).expect("a rank");
    Member {
        rank,
        incarnation: Incarnation(100),
        uuid: uuid(n),
        address: std::net::SocketAddr::from((ip, 10001)).into(),
        fabric_uri: format!("{PROVIDER}://{ip}:31416"),
        secondary_fabric_uris: Vec::new(),
        fabric_contexts: 3,
        secondary_fabric_contexts: Vec::new(),
        state: MemberState::Joined,
        info: String::new(),
        fault_domain: FaultDomain::of_host(&format!("host{n}")).expect("a host name"),
        last_update: Timestamp::default(),
    }
}

/// The uuid of engine `n`.
#[must_use]
pub fn uuid(n: u32) -> Uuid {
    Uuid::from_u128(0xE000_0000_0000_0000 + u128::from(n))
}

/// The change that admits engine `n` with rank `n`.
#[must_use]
pub fn admit(n: u32) -> Change {
    Change::AdmitMember { member: Arc::new(member(n)) }
}
