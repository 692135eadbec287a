//! `system ms`: the replicas of the management service.

use daos_control::client::{HostSet, ReplicaSetStatus};

use crate::cli::{ChangeReplicas, ManagementCommand};
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn run(session: &Session, command: ManagementCommand) -> Result<Outcome, Failure> {
    let client = session.client()?;
    let set = match &command {
        ManagementCommand::Status => client.replica_set().await?,
        ManagementCommand::Add(change) => {
            client.add_replicas(&hosts(change)?, change.force_even).await?
        }
        ManagementCommand::Remove(change) => {
            client.remove_replicas(&hosts(change)?, change.force_even).await?
        }
    };
    Ok(shown(&set))
}

fn hosts(change: &ChangeReplicas) -> Result<HostSet, Failure> {
    HostSet::parse(&change.hosts)
        .map_err(|error| Failure::from(daos_control::client::ClientError::from(error)))
}

fn shown(set: &ReplicaSetStatus) -> Outcome {
    Outcome {
        stdout: print::replica_set(set),
        response: json::replica_set(set).into(),
        ..Outcome::default()
    }
}
