//! Whether this host can answer for the system, and what to tell who asks the wrong one (contract 1.4).
//!
//! Used by every handler that speaks for the system.

use std::time::Duration;

use daos_membership::MembershipHandle;

use super::slot::{Management, ManagementState};
use crate::wire::{CallError, NotReady};

/// A leader makes sure of it before it answers as one, within this time.
const CONFIRM: Duration = Duration::from_secs(5);

impl Management {
    /// The service on this replica.
    ///
    /// # Errors
    /// That this host is no replica, or is one that cannot answer yet.
    pub fn replica(&self) -> Result<MembershipHandle, CallError> {
        match self.state() {
            ManagementState::Running(membership) if membership.is_settled() => Ok(membership),
            ManagementState::Running(_) => Err(NotReady::RaftUnavailable.into()),
            ManagementState::Uninitialized { .. } => Err(NotReady::Uninitialized.into()),
            ManagementState::Failed(fault) => Err(fault.into()),
            ManagementState::Elsewhere => {
                Err(CallError::NotReplica { replicas: self.replica_texts() })
            }
            ManagementState::Waiting { .. } => {
                let own = self.configured().own_address().map(|own| own.to_string());
                let mut replicas = self.replica_texts();
                replicas.retain(|replica| own.as_ref() != Some(replica));
                Err(CallError::NotReplica { replicas })
            }
        }
    }

    /// The service, when this replica leads and has just made sure of it.
    ///
    /// # Errors
    /// As [`Management::replica`], or that another replica leads, or that none can tell in time.
    pub async fn leader(&self) -> Result<MembershipHandle, CallError> {
        let membership = self.replica()?;
        membership.confirm_leadership(CONFIRM).await?;
        Ok(membership)
    }

    /// Addresses of the replicas, as clients are told.
    #[must_use]
    pub fn replica_texts(&self) -> Vec<String> {
        self.replicas().iter().map(ToString::to_string).collect()
    }
}
