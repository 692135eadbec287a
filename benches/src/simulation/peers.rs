//! How the leader's operations reach the hosts of ranks.

use async_trait::async_trait;
use daos_control::system_ops::{Peers, RankReply, RanksCall};
use daos_control::wire::CallError;
use daos_membership::{ControlAddress, Rank};
use tokio::time::{Instant, timeout_at};

use super::message::{Message, host_of, unanswered};
use super::network::{NoAnswer, Uplink};

/// Asks hosts over the simulated network.
#[derive(Debug)]
pub struct SimPeers {
    /// The network of the leader's host.
    pub uplink: Uplink,
}

#[async_trait]
impl Peers for SimPeers {
    async fn ranks(
        &self,
        host: ControlAddress,
        call: &RanksCall,
        deadline: Instant,
    ) -> Result<Vec<RankReply>, CallError> {
        let Some(to) = host_of(host) else {
            return Err(CallError::text(format!("no such host: {host}")));
        };
        let asked = self.uplink.call(to, Message::Ranks(call.clone()));
        match timeout_at(deadline, asked).await {
            Err(_late) => Err(CallError::DeadlineExceeded("no answer in time".to_owned())),
            Ok(Err(why)) => Err(unanswered(to, why)),
            Ok(Ok(Message::RanksDone(replies))) => Ok(replies),
            Ok(Ok(Message::Refused(error))) => Err(*error),
            Ok(Ok(other)) => Err(CallError::text(format!("answered with {other}"))),
        }
    }

    async fn serves(&self, host: ControlAddress, rank: Rank, deadline: Instant) -> bool {
        let Some(to) = host_of(host) else { return false };
        match timeout_at(deadline, self.uplink.call(to, Message::HasRank(rank))).await {
            Ok(Ok(Message::Truth(has))) => has,
            Ok(Err(NoAnswer::Refused)) => false,
            _ => true,
        }
    }
}
