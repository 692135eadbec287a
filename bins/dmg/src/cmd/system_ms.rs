//! `system ms`: the replicas of the management service.

use daos_control::Fault;
use daos_control::client::{Client, ClientError, HostSet, ReplicaEntry, ReplicaSetStatus};
use daos_control::fault::code;

use crate::cli::{ChangeReplicas, ManagementCommand};
use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::print;
use crate::session::Session;

pub async fn run(session: &Session, command: ManagementCommand) -> Result<Outcome, Failure> {
    let client = session.client()?;
    match &command {
        ManagementCommand::Status => status(session, &client).await,
        ManagementCommand::Add(change) => {
            let hosts = hosts(session, change)?;
            let set = client.add_replicas(&hosts, change.force_even).await?;
            Ok(Outcome { failure: pending(&set, &hosts), ..shown(&set) })
        }
        ManagementCommand::Remove(change) => {
            let hosts = hosts(session, change)?;
            Ok(shown(&client.remove_replicas(&hosts, change.force_even).await?))
        }
    }
}

/// All replicas as the leader sees them; without a leader, each as it sees itself, which is a failure all the same.
async fn status(session: &Session, client: &Client) -> Result<Outcome, Failure> {
    match client.replica_set().await {
        Ok(set) => Ok(shown(&set)),
        Err(error @ ClientError::NoLeader { .. }) => {
            let said = client.replica_statuses().await;
            Ok(Outcome {
                stdout: print::replica_statuses(&said, session.host_names()),
                response: json::replica_statuses(&said).into(),
                ..Outcome::failed(error)
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn hosts(session: &Session, change: &ChangeReplicas) -> Result<HostSet, Failure> {
    let hosts = HostSet::parse(&change.hosts).map_err(ClientError::from)?;
    Ok(hosts.with_ports(session.host_names().port))
}

fn shown(set: &ReplicaSetStatus) -> Outcome {
    Outcome {
        stdout: print::replica_set(set),
        response: json::replica_set(set).into(),
        ..Outcome::default()
    }
}

/// What was asked for is recorded, but has not happened: that is no success, and what each host waits for is said.
fn pending(set: &ReplicaSetStatus, hosts: &HostSet) -> Option<Failure> {
    let pending = set.pending(hosts);
    let said = |entry: &&ReplicaEntry| match entry.note.as_str() {
        "" => format!("{} is {}", entry.address, entry.role),
        note => format!("{} is {}: {note}", entry.address, entry.role),
    };
    let each: Vec<String> = pending.iter().map(said).collect();
    let fault = Fault::new(
        "client",
        code::CLIENT_REPLICAS_PENDING,
        format!("wanted, but without a vote yet: {}; the leader goes on trying", each.join("; ")),
        "mend what they wait for and look again (dmg system ms status), or give them up (dmg system ms remove)",
    );
    (!pending.is_empty())
        .then(|| Failure::text(fault.description.clone()).with_remedy_of(Some(fault)))
}
