//! How a replica reaches the others. Implemented by the server over its own service; tests have one in memory.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

use super::message::ReplicaMessage;
use crate::replica::Replica;

/// Carries messages between replicas.
///
/// A message may be lost, delayed or arrive twice; nothing but speed suffers. It must not be altered, and it
/// must go to the address named and to no other. Calls are dropped when their time has run out, so a body needs
/// no deadline of its own, but it should notice a dead connection and make a new one.
#[async_trait]
pub trait ReplicaNetwork: Send + Sync + fmt::Debug {
    /// Hands a message over and waits for the answer.
    ///
    /// # Errors
    /// When it did not arrive, was refused, or the answer did not come back. Which of these is not told apart.
    async fn call(
        &self,
        to: &Replica,
        message: ReplicaMessage,
    ) -> Result<ReplicaMessage, ReplicaUnreachable>;
}

/// A replica did not answer.
#[derive(Debug, Error)]
#[error("replica {to} does not answer: {reason}")]
pub struct ReplicaUnreachable {
    /// Which one.
    pub to: Replica,
    /// What went wrong, in words.
    pub reason: String,
}
