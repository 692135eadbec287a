//! A join as the leader serves it: whose address it is, whether it makes the system, and whether an engine that
//! comes from another host has moved (contract 6.4, R157-R162).

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use daos_membership::{
    ControlAddress, EventKind, EventNote, FaultDomain, Incarnation, JoinPurpose, JoinRefused,
    JoinReply, JoinRequest, MembershipError, MembershipHandle, Rank,
};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::peer::Peers;
use super::run::SystemOps;
use super::select::resolve;
use crate::drpc::{RasEvent, RasId, RasSeverity, RasType};
use crate::fault::{Fault, code};
use crate::wire::CallError;

/// A server that has not taken a connection after this time is gone.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// A join as it arrived, its texts not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinMessage {
    /// The engine.
    pub uuid: Uuid,
    /// The rank it asks for.
    pub rank: Option<Rank>,
    /// Its index on its host.
    pub index: u32,
    /// `host:port` of its control server; an unspecified IP stands for the sender's.
    pub address: String,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Where it is reached over the fabric.
    pub fabric_uri: String,
    /// The same for further providers.
    pub secondary_fabric_uris: Vec<String>,
    /// Number of fabric contexts.
    pub fabric_contexts: u32,
    /// The same for further providers.
    pub secondary_fabric_contexts: Vec<u32>,
    /// Where it fails with others.
    pub fault_domain: String,
    /// Whether it runs as a checker.
    pub check_mode: bool,
    /// Whether it takes the place of a lost engine.
    pub replace: bool,
}

/// Serves joins; cheap to clone.
#[derive(Debug, Clone)]
pub struct AdmitJoin {
    first_replica: Option<SocketAddrV4>,
    peers: Arc<dyn Peers>,
}

impl AdmitJoin {
    /// For a system whose first replica is there: rank 0 is kept for its engine 0. Asks `operations`' peers about engines
    /// that come from another host.
    #[must_use]
    pub fn new(first_replica: Option<SocketAddrV4>, operations: &SystemOps) -> Self {
        Self { first_replica, peers: Arc::clone(operations.peers()) }
    }

    /// Lets an engine join, or says why not.
    ///
    /// # Errors
    /// The refusals of the membership service; fault 1297 for an address that means nothing, 717 and 724 for a
    /// fault domain.
    pub async fn join(
        &self,
        membership: &MembershipHandle,
        message: JoinMessage,
        from: Option<SocketAddr>,
    ) -> Result<JoinReply, CallError> {
        let mut request = self.request(message, from).await?;
        let mut joined = membership.join(request.clone()).await;
        if let Err(MembershipError::Join(JoinRefused::AddressChanged { known, rank, .. })) = &joined
            && !self.peers.serves(*known, *rank, Instant::now() + ANSWERS_WITHIN).await
        {
            info!("engine {} (rank {rank}) moved from {known}, which has it no more", request.uuid);
            request.old_address_answers = Some(false);
            joined = membership.join(request.clone()).await;
        }
        if let Err(MembershipError::Join(refused)) = &joined {
            report(membership, &request, refused).await;
        }
        Ok(joined?)
    }

    async fn request(
        &self,
        message: JoinMessage,
        from: Option<SocketAddr>,
    ) -> Result<JoinRequest, CallError> {
        let address = address_of(&message.address, from).await?;
        let fault_domain: FaultDomain = message.fault_domain.parse().map_err(Fault::from)?;
        let first = self.first_replica.map(|first| ControlAddress::new(first.into()));
        // Pools come later; until then no rank is enabled in any.
        let purpose = match message.replace {
            true => JoinPurpose::Replace { enabled_in_pool: false },
            false => JoinPurpose::Join,
        };
        Ok(JoinRequest {
            uuid: message.uuid,
            rank: message.rank,
            incarnation: message.incarnation,
            address,
            fabric_uri: message.fabric_uri,
            secondary_fabric_uris: message.secondary_fabric_uris,
            fabric_contexts: message.fabric_contexts,
            secondary_fabric_contexts: message.secondary_fabric_contexts,
            fault_domain,
            check_mode: message.check_mode,
            bootstrap: message.index == 0 && first == Some(address),
            purpose,
            old_address_answers: None,
        })
    }
}

/// The address in a join: an unspecified IP is replaced by the sender's, a name is resolved.
async fn address_of(text: &str, from: Option<SocketAddr>) -> Result<ControlAddress, CallError> {
    let refused = |why: &str| {
        let shown: String = text.escape_debug().take(128).collect();
        CallError::Fault(Fault::new(
            "system",
            code::JOIN_INCOMPLETE,
            format!("control address \"{shown}\" of a joining engine {why}"),
            "set mgmt_svc_replicas and control_iface so that the host announces an address others can reach",
        ))
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(|| refused("has no port"))?;
    let port: u16 =
        port.parse().ok().filter(|port| *port != 0).ok_or_else(|| refused("has no port"))?;
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => {
            let source =
                from.ok_or_else(|| refused("stands for the sender's, which is not known"))?;
            Ok(ControlAddress::new(SocketAddr::new(source.ip(), port)))
        }
        Ok(ip) => Ok(ControlAddress::new(SocketAddr::new(ip, port))),
        Err(_) if host.len() > 253 => Err(refused("is no host name")),
        Err(_) => resolve(host, port).await.ok_or_else(|| refused("does not resolve")),
    }
}

/// A refused join is an event that an administrator should see, in the log of this server and in that of the system.
async fn report(membership: &MembershipHandle, request: &JoinRequest, refused: &JoinRefused) {
    let event = RasEvent {
        id: RasId::ENGINE_JOIN_FAILED,
        kind: RasType::Info,
        severity: RasSeverity::Error,
        message: refused.to_string(),
        ..RasEvent::default()
    };
    warn!("&&& RAS {event}");
    let ranks = request.rank.into_iter().collect();
    let note = EventNote::new(EventKind::JoinRefused, ranks, refused.to_string());
    if let Err(lost) = membership.record_event(note.on(request.address)).await {
        warn!("a refused join is not recorded: {lost}");
    }
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[tokio::test]
    async fn an_unspecified_address_is_the_senders() {
        let from = Some("192.0.2.7:40000".parse().expect("an address"));
        let of =
            |text| async move { address_of(text, from).await.map(|address| address.to_string()) };
        assert_eq!(of("0.0.0.0:10001").await.as_deref(), Ok("192.0.2.7:10001"));
        assert_eq!(of("10.0.0.1:7").await.as_deref(), Ok("10.0.0.1:7"));
        assert_eq!(of("localhost:7").await.as_deref(), Ok("127.0.0.1:7"));
        assert!(address_of("0.0.0.0:10001", None).await.is_err());
    }

    #[tokio::test]
    async fn nonsense_is_refused_in_few_words() {
        let long = "x".repeat(1 << 20) + ":1";
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.1:0",
            "10.0.0.1:65536",
            ":",
            "a b:1",
            "no-such-host.invalid:1",
            long.as_str(),
        ] {
            let error = address_of(text, None).await.expect_err("refused");
            assert_eq!(error.fault_code(), Some(1297), "{text}");
            assert!(error.to_string().len() < 400);
        }
    }
}
