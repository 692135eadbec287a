//! What a request to the management service meets on this host: the service, or what to tell who asks the wrong host or
//! too early (contract 1.4). Used by the gRPC edge.

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
    /// That there is none here, none yet, or why it failed.
    pub fn replica(&self) -> Result<MembershipHandle, CallError> {
        match self.state() {
            ManagementState::Running(membership) => Ok(membership),
            ManagementState::Uninitialized => Err(NotReady::Uninitialized.into()),
            ManagementState::Failed(fault) => Err(fault.into()),
            ManagementState::Elsewhere => {
                Err(CallError::NotReplica { replicas: self.replica_texts() })
            }
        }
    }

    /// The service, when this replica leads.
    ///
    /// # Errors
    /// As [`Management::replica`], and who leads instead.
    pub async fn leader(&self) -> Result<MembershipHandle, CallError> {
        let membership = self.replica()?;
        membership.confirm_leadership(CONFIRM).await?;
        Ok(membership)
    }

    /// Where the replicas are, as clients are told.
    #[must_use]
    pub fn replica_texts(&self) -> Vec<String> {
        self.replicas().addresses.iter().map(ToString::to_string).collect()
    }
}
