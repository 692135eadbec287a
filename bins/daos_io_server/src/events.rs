//! RAS events on their way to the server (contract 9.2).

use std::time::Duration;

use daos_control::drpc::{
    CallError, Client, Method, RasEvent, RasId, RasSeverity, RasType, encode_cluster_event,
};
use tokio::time::Instant;

/// How long the server may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Reports as this process on this host.
#[derive(Debug)]
pub struct Reporter {
    /// The server.
    pub server: Client,
}

impl Reporter {
    /// Says that this engine ends itself because it was excluded; the incarnation is the one of its next start.
    pub async fn self_terminated(
        &self,
        rank: u32,
        incarnation: u64,
        why: &str,
    ) -> Result<(), CallError> {
        let event = RasEvent {
            id: RasId::ENGINE_SELF_TERMINATED,
            message: why.to_owned(),
            kind: RasType::Info,
            severity: RasSeverity::Notice,
            rank: Some(rank),
            incarnation,
            ..RasEvent::raised_here()
        };
        self.send(event).await
    }

    /// Says that a peer was given up, or answers again; the incarnation is the one of the group map.
    pub async fn peer(&self, rank: u32, incarnation: u64, dead: bool) -> Result<(), CallError> {
        let (id, message) = match dead {
            true => (RasId::SWIM_RANK_DEAD, "the rank does not answer its peers"),
            false => (RasId::SWIM_RANK_ALIVE, "the rank answers its peers again"),
        };
        let event = RasEvent {
            id,
            message: message.to_owned(),
            kind: RasType::StateChange,
            severity: RasSeverity::Notice,
            rank: Some(rank),
            incarnation,
            ..RasEvent::raised_here()
        };
        self.send(event).await
    }

    async fn send(&self, event: RasEvent) -> Result<(), CallError> {
        let body = encode_cluster_event(0, event);
        self.server.call(Method::ClusterEvent, body, Instant::now() + DEADLINE).await?;
        Ok(())
    }
}
