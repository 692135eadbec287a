//! While this replica leads, brings the replicas to what is wanted: the server's task over the simulated network.
//! What is to be done is decided by `decide::replicas`; this observes and acts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use daos_membership::decide::replicas::{Seen, Step, Taking, next, to_enlist};
use daos_membership::{
    MembershipHandle, Quorum, Replica, ReplicaId, ReplicasError, Replicate, Role, System,
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::message::{Message, host_of};
use super::network::Uplink;

/// A replica that answered within this time is alive.
const LIVE: Duration = Duration::from_secs(2);
/// Entries that may be on their way to a replica that is up to date.
const CAUGHT_UP: u64 = 64;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// What a change of voters may take, and a host that is asked to become a replica.
const CHANGE: Duration = Duration::from_secs(10);
const ENLIST: Duration = Duration::from_secs(2);

/// Runs for as long as the replica.
pub async fn run(quorum: Arc<Quorum>, membership: MembershipHandle, uplink: Uplink, system: Uuid) {
    let mut enlisted = BTreeMap::new();
    loop {
        sleep(PAUSE).await;
        if !matches!(quorum.role().borrow().role, Role::Leader) {
            enlisted.clear();
            continue;
        }
        let mut seen = membership.view().read(|system| seen(&quorum, system));
        for at in to_enlist(&seen) {
            let Some(host) = host_of(at) else { continue };
            let asked = uplink.call(host, Message::Enlist(system));
            if let Ok(Ok(Message::Enlisted(id))) = timeout(ENLIST, asked).await {
                enlisted.insert(at, id);
            }
        }
        seen.enlisted.clone_from(&enlisted);
        for step in next(&seen) {
            // Looked at again soon, and taken again if it is still needed.
            let _refused = take(&quorum, &seen, &step).await;
        }
    }
}

fn seen(quorum: &Quorum, system: &System) -> Seen {
    let status = quorum.replicas();
    let taking_part = status.replicas.set.addresses.iter().map(|(id, address)| {
        let heard = status.progress.get(id).and_then(|progress| progress.heard);
        Taking {
            id: *id,
            address: *address,
            voter: status.replicas.set.is_voter(*id),
            caught_up: status.lag_of(*id).is_some_and(|lag| lag <= CAUGHT_UP),
            live: *id == status.me.id || heard.is_some_and(|since| since <= LIVE),
        }
    });
    Seen {
        wanted: system.wanted_replicas().to_vec(),
        taking_part: taking_part.collect(),
        enlisted: BTreeMap::new(),
    }
}

async fn take(quorum: &Quorum, seen: &Seen, step: &Step) -> Result<(), ReplicasError> {
    match step {
        Step::Learn { id, address } => {
            quorum.add_learner(Replica { id: *id, address: *address }).await
        }
        Step::Drop { id } => quorum.change_voters(&[], &[*id], CHANGE).await,
        Step::Vote { voters } => {
            let present = seen.taking_part.iter().filter(|replica| replica.voter);
            let present: BTreeSet<ReplicaId> = present.map(|replica| replica.id).collect();
            let add: Vec<ReplicaId> = voters.difference(&present).copied().collect();
            let remove: Vec<ReplicaId> = present.difference(voters).copied().collect();
            quorum.change_voters(&add, &remove, CHANGE).await
        }
    }
}
