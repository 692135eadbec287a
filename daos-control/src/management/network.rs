//! How this host's replica reaches the others: messages over gRPC, one kept connection to each host.
//!
//! The body of `ReplicaNetwork`, and the other questions that replicas' hosts ask each other. Must not know what is in
//! a message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use daos_membership::{
    ControlAddress, Replica, ReplicaId, ReplicaMessage, ReplicaNetwork, ReplicaUnreachable,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::connect::{Connection, Connector, KeptConnection};
use crate::client::wire::replicas as wire;
use crate::client::{Client, HostAddr, ReplicaStatus};
use crate::wire::{CallError, address_system};

/// A message that has not been answered by then is lost. The replication gives up earlier by itself.
const MESSAGE: Duration = Duration::from_secs(10);
/// A question about a host's replica is answered from memory.
const QUESTION: Duration = Duration::from_secs(5);
/// Making a database takes a few syncs of a disk that may be busy.
const ENLIST: Duration = Duration::from_secs(20);

/// What a leader says when it asks a host to become a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnlistCall {
    /// The system.
    pub system: Uuid,
    /// The address under which the system knows the host.
    pub address: ControlAddress,
    /// The leader's term.
    pub term: u64,
    /// All replicas that the leader knows.
    pub replicas: Vec<ReplicaId>,
}

/// What a host answers to being asked to become a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enlistment {
    /// It is one, with this id.
    Enlisted(ReplicaId),
    /// It cannot be one yet, in words.
    Waits(String),
}

/// The hosts of the other replicas; cheap to clone.
#[derive(Debug, Clone)]
pub struct ReplicaHosts {
    connector: Connector,
    /// Name of the system as it travels.
    system: String,
    name: String,
    kept: Arc<Mutex<HashMap<ControlAddress, KeptConnection>>>,
}

impl ReplicaHosts {
    /// For the system of this name, over connections as this client makes them.
    #[must_use]
    pub fn new(client: &Client, system: &str) -> Self {
        Self {
            connector: client.connector(),
            system: address_system(system),
            name: system.to_owned(),
            kept: Arc::default(),
        }
    }

    /// Name of the system.
    pub(crate) fn system_name(&self) -> &str {
        &self.name
    }

    /// What a host says of its part of the management service.
    pub(crate) async fn status(&self, at: ControlAddress) -> Result<ReplicaStatus, CallError> {
        wire::status(self.connect(at, QUESTION).await?, self.system.clone()).await
    }

    /// Asks a host to become a replica.
    pub(crate) async fn enlist(&self, call: EnlistCall) -> Result<Enlistment, CallError> {
        let connection = self.connect(call.address, ENLIST).await?;
        wire::enlist(connection, self.system.clone(), call).await
    }

    /// Tells a host that its replica is none any more, or that the whole system is erased.
    pub(crate) async fn dismiss(
        &self,
        at: ControlAddress,
        system: Uuid,
        replica: ReplicaId,
        erase: bool,
    ) -> Result<bool, CallError> {
        let connection = self.connect(at, QUESTION).await?;
        wire::dismiss(connection, self.system.clone(), system, replica, erase).await
    }

    async fn connect(&self, at: ControlAddress, within: Duration) -> Result<Connection, CallError> {
        self.connector.open(&host(at)?, Instant::now() + within).await
    }

    fn kept(&self, at: ControlAddress) -> Result<KeptConnection, CallError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = kept.get(&at) {
            return Ok(connection.clone());
        }
        let connection = self.connector.keep(&host(at)?)?;
        kept.insert(at, connection.clone());
        Ok(connection)
    }

    async fn carry(
        &self,
        to: &Replica,
        message: &ReplicaMessage,
    ) -> Result<ReplicaMessage, String> {
        let text = |error: CallError| error.to_string();
        let connection = self.kept(to.address).map_err(text)?.until(Instant::now() + MESSAGE);
        let answer = wire::raft(connection, message.encode()).await.map_err(text)?;
        ReplicaMessage::decode(&answer).map_err(|error| error.to_string())
    }
}

fn host(at: ControlAddress) -> Result<HostAddr, CallError> {
    HostAddr::parse(&at.to_string()).map_err(|error| CallError::text(error.to_string()))
}

#[async_trait]
impl ReplicaNetwork for ReplicaHosts {
    async fn call(
        &self,
        to: &Replica,
        message: ReplicaMessage,
    ) -> Result<ReplicaMessage, ReplicaUnreachable> {
        let answer = self.carry(to, &message).await;
        answer.map_err(|reason| ReplicaUnreachable { to: *to, reason })
    }
}
