//! One client of each host, each request asked once, and what an answer means for the record: it happened, it did not, or
//! nobody knows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use daos_control::client::{
    Client, ClientConfig, ClientError, HostSet, Leader, ReplicaSetStatus, SystemQuery, SystemStatus,
};
use daos_control::fault::code;
use daos_control::join::{JoinAnswer, JoinAsk};
use daos_control::wire::{CallError, Component};

use crate::host::PORT;
use crate::network::address;
use crate::security::Security;

/// What one request may take. Longer than an election, so that a slow answer is not taken for none too easily.
const LIMIT: Duration = Duration::from_secs(2);
/// Name of the system.
pub const SYSTEM: &str = "daos_cluster";
/// The property that serves as a register: the only one that takes any number.
pub const PROPERTY: &str = "pool_scrub_thresh";

/// How a request ended.
#[derive(Debug)]
pub enum Ended<T> {
    /// With an answer.
    Answered(T),
    /// It certainly had no effect. The host that leads, when the answer named one.
    Refused {
        /// Index of the leader's host.
        leader: Option<usize>,
        /// In words.
        why: String,
    },
    /// It may have had its effect, may still have it, or never.
    Unknown(String),
}

/// Clients of each host, as an administrator and as a server.
#[derive(Debug, Clone)]
pub struct Clients {
    admin: Vec<Client>,
    server: Vec<Client>,
}

impl Clients {
    /// Clients of this many hosts.
    pub fn new(hosts: usize, security: &Security) -> Result<Self> {
        let of = |component| {
            (0..hosts).map(|host| client(host, component, security)).collect::<Result<Vec<_>>>()
        };
        Ok(Self { admin: of(Component::Admin)?, server: of(Component::Server)? })
    }

    /// Sets a key to a number.
    pub async fn write(&self, host: usize, key: &str, value: u64) -> Ended<()> {
        let values = BTreeMap::from([(key.to_owned(), value.to_string())]);
        let client = &self.admin[host];
        let ended = if key == PROPERTY {
            client.set_properties(&values).await
        } else {
            client.set_attributes(&values).await
        };
        judged(ended)
    }

    /// Sets an attribute to a text.
    pub async fn write_text(&self, host: usize, key: &str, text: &str) -> Ended<()> {
        let values = BTreeMap::from([(key.to_owned(), text.to_owned())]);
        judged(self.admin[host].set_attributes(&values).await)
    }

    /// Reads a key; `None` when it was never set.
    pub async fn read(&self, host: usize, key: &str) -> Ended<Option<u64>> {
        let client = &self.admin[host];
        let names = [key.to_owned()];
        let found = if key == PROPERTY {
            client.properties(&names).await
        } else {
            client.attributes(&names).await
        };
        let found = match found {
            Err(error) if is_absent(&error) => return Ended::Answered(None),
            found => judged(found),
        };
        match found {
            Ended::Answered(values) => match values.get(key).map(|text| text.parse()) {
                Some(Ok(number)) => Ended::Answered(Some(number)),
                Some(Err(_)) => Ended::Unknown(format!("{key} holds no number")),
                None => Ended::Answered(None),
            },
            Ended::Refused { leader, why } => Ended::Refused { leader, why },
            Ended::Unknown(why) => Ended::Unknown(why),
        }
    }

    /// Joins an engine.
    pub async fn join(&self, host: usize, ask: &JoinAsk) -> Ended<JoinAnswer> {
        judged(self.server[host].join(ask, LIMIT, &|_| {}).await)
    }

    /// Who leads, as this host knows.
    pub async fn leader(&self, host: usize) -> Result<Leader, ClientError> {
        self.admin[host].leader_query().await
    }

    /// The replicas, as this host sees them when it leads.
    pub async fn replicas(&self, host: usize) -> Result<ReplicaSetStatus, ClientError> {
        self.admin[host].replica_set().await
    }

    /// The members, as this host shows them.
    pub async fn members(&self, host: usize) -> Result<SystemStatus, ClientError> {
        self.admin[host].system_query(&SystemQuery::default()).await
    }
}

fn client(host: usize, component: Component, security: &Security) -> Result<Client> {
    let config = ClientConfig {
        system_name: SYSTEM.to_owned(),
        port: PORT,
        hosts: HostSet::parse(&format!("{}:{PORT}", address(host)))?,
        transport: security.transport(component),
        ..ClientConfig::default()
    };
    Ok(Client::for_component(&config, component)?.with_timeout(LIMIT).asking_once())
}

/// The index of the host with this control address.
pub fn host_at(control_address: &str) -> Option<usize> {
    let (ip, _) = control_address.split_once(':')?;
    (0..usize::from(u8::MAX)).find(|host| address(*host).to_string() == ip)
}

fn is_absent(error: &ClientError) -> bool {
    matches!(error.call(), Some(CallError::Fault(fault)) if fault.description.contains("not found"))
}

fn judged<T>(ended: Result<T, ClientError>) -> Ended<T> {
    let error = match ended {
        Ok(answer) => return Ended::Answered(answer),
        Err(error) => error,
    };
    let why = error.to_string();
    match error.call() {
        Some(CallError::NotLeader { hint, .. }) => Ended::Refused { leader: host_at(hint), why },
        Some(call) if refuses(call) => Ended::Refused { leader: None, why },
        _ => Ended::Unknown(why),
    }
}

/// Whether a host said, or its kernel did, that the request was not carried out. Everything else may have been.
fn refuses(call: &CallError) -> bool {
    match call {
        CallError::NotReplica { .. }
        | CallError::NotReady(_)
        | CallError::PermissionDenied(_)
        | CallError::Unauthenticated(_)
        | CallError::Unimplemented(_) => true,
        CallError::Fault(fault) => {
            [code::CLIENT_CONNECTION_REFUSED, code::CLIENT_CONNECTION_NO_ROUTE]
                .contains(&fault.code)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use daos_control::client::ClientError;
    use daos_control::fault::{Fault, code};
    use daos_control::wire::CallError;

    use super::{Ended, host_at, judged};

    #[test]
    fn only_what_certainly_did_not_happen_is_refused() {
        let ended = |call| judged::<()>(Err(ClientError::Call(call)));
        let fault = |number| CallError::Fault(Fault::new("client", number, "d", "r"));
        let hint = CallError::NotLeader { hint: "10.77.0.2:10001".into(), replicas: Vec::new() };
        assert!(matches!(ended(hint), Ended::Refused { leader: Some(1), .. }));
        let refused = fault(code::CLIENT_CONNECTION_REFUSED);
        assert!(matches!(ended(refused), Ended::Refused { leader: None, .. }));
        for doubtful in [
            fault(code::CLIENT_CONNECTION_CLOSED),
            fault(code::CLIENT_CONNECTION_TIMED_OUT),
            CallError::DeadlineExceeded("late".into()),
            CallError::text("anything"),
        ] {
            assert!(matches!(ended(doubtful), Ended::Unknown(_)));
        }
    }

    #[test]
    fn addresses_name_hosts() {
        assert_eq!(host_at("10.77.0.5:10001"), Some(4));
        assert_eq!(host_at(""), None);
        assert_eq!(host_at("192.0.2.1:10001"), None);
    }
}
