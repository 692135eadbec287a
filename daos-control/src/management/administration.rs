//! What an administrator asks about the replicas: all of them as the leader sees them, and changes of who is wanted.
//!
//! Called by the gRPC edge. The changes themselves are made by `reconcile`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daos_membership::decide::replicas::{Even, Seen, Taking, add, next, remove};
use daos_membership::{ControlAddress, ReplicaId, ReplicasStatus, Replicate};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use super::reconcile::seen;
use super::running::Serving;
use crate::client::{ReplicaEntry, ReplicaSetStatus};
use crate::wire::CallError;

/// A leader makes sure of it before it answers as one, within this time.
const CONFIRM: Duration = Duration::from_secs(5);
/// A change is answered when it has happened, or after this time with what it waits for.
const SETTLE: Duration = Duration::from_secs(15);

/// A change of the wanted replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// These hosts as well.
    Add,
    /// These hosts no longer.
    Remove,
}

impl Serving {
    /// All replicas, as this leader sees them.
    ///
    /// # Errors
    /// When this replica does not lead.
    pub async fn replica_set(&self) -> Result<ReplicaSetStatus, CallError> {
        self.membership.confirm_leadership(CONFIRM).await?;
        Ok(self.shown())
    }

    /// Changes the wanted replicas and waits a while for the change to happen.
    ///
    /// # Errors
    /// When this replica does not lead, faults 1390-1393 when the change would do harm.
    pub async fn change_replicas(
        &self,
        change: Change,
        hosts: Vec<ControlAddress>,
        even: Even,
    ) -> Result<ReplicaSetStatus, CallError> {
        self.membership.confirm_leadership(CONFIRM).await?;
        let mut now = seen(&*self.replica);
        if change == Change::Remove {
            self.probe(&mut now).await;
        }
        let named = hosts.clone();
        let decide = move |wanted: &[ControlAddress]| match change {
            Change::Add => add(wanted, &named, even),
            Change::Remove => remove(&Seen { wanted: wanted.to_vec(), ..now }, &named, even),
        };
        self.membership.want_replicas(decide).await?;
        info!(
            "replicas of the management service: {change:?} {hosts:?}, as an administrator asked"
        );
        let looked = self.waits.clone();
        self.nudge.notify_one();
        let _late = timeout(SETTLE, self.settle(looked)).await;
        // What was asked for is durable, whoever leads by now.
        Ok(self.shown())
    }

    /// Asks the others now: one that died a moment ago still counts as alive in what this leader remembers.
    async fn probe(&self, now: &mut Seen) {
        let me = self.replica.me().id;
        let asked = now.taking_part.iter().map(|one| async move {
            let status = self.hosts.status(one.address).await;
            one.id == me || status.is_ok_and(|status| status.id == one.id.to_string())
        });
        let live = join_all(asked).await;
        for (one, live) in now.taking_part.iter_mut().zip(live) {
            one.live &= live;
        }
    }

    /// Until the change has happened or this replica leads no more; after every look of `reconcile` it may have.
    async fn settle(&self, mut looked: watch::Receiver<BTreeMap<ControlAddress, String>>) {
        let mut role = self.replica.role();
        while !self.settled() {
            let told = tokio::select! {
                told = looked.changed() => told,
                told = role.changed() => told,
            };
            if told.is_err() {
                return;
            }
        }
    }

    fn settled(&self) -> bool {
        let now = seen(&*self.replica);
        let leads = self.replica.role().borrow().check_leader().is_ok();
        let voting: BTreeSet<ControlAddress> =
            now.taking_part.iter().filter(|one| one.voter).map(|one| one.address).collect();
        let wanted: BTreeSet<ControlAddress> = now.wanted.iter().copied().collect();
        !leads || (voting == wanted && next(&now).is_empty())
    }

    fn shown(&self) -> ReplicaSetStatus {
        let now = seen(&*self.replica);
        shown(&now, &self.replica.replicas(), &self.waits.borrow())
    }
}

fn shown(
    now: &Seen,
    status: &ReplicasStatus,
    waits: &BTreeMap<ControlAddress, String>,
) -> ReplicaSetStatus {
    let mut replicas: Vec<ReplicaEntry> =
        now.taking_part.iter().map(|replica| entry(replica, now, status)).collect();
    let present = |address: &ControlAddress| {
        now.taking_part.iter().any(|replica| replica.address == *address)
    };
    replicas.extend(now.wanted.iter().filter(|address| !present(address)).map(|address| {
        ReplicaEntry {
            address: address.to_string(),
            role: "wanted".to_owned(),
            note: waits.get(address).cloned().unwrap_or_default(),
            ..ReplicaEntry::default()
        }
    }));
    replicas.sort_by(|left, right| (&left.address, &left.id).cmp(&(&right.address, &right.id)));
    ReplicaSetStatus {
        replicas,
        term: status.info.term,
        committed: status.applied.map_or(0, |id| id.index),
        notes: notes(now),
    }
}

fn entry(replica: &Taking, now: &Seen, status: &ReplicasStatus) -> ReplicaEntry {
    let me = replica.id == status.me.id;
    let progress = status.progress.get(&replica.id);
    let last = status.last_log.map_or(0, |id| id.index);
    let stored = match me {
        true => last,
        false => progress.and_then(|one| one.matched).map_or(0, |id| id.index),
    };
    let heard = progress.and_then(|one| one.heard);
    let note = match (replica.live, heard) {
        (true, _) => String::new(),
        (false, Some(since)) => format!("has not answered for {} s", since.as_secs()),
        (false, None) => "has not answered this leader".to_owned(),
    };
    ReplicaEntry {
        address: replica.address.to_string(),
        id: replica.id.to_string(),
        role: role(replica, now, status.leader.map(|leader| leader.id)).to_owned(),
        voter: replica.voter,
        stored,
        lag: last.saturating_sub(stored),
        last_contact: if me { Some(Duration::ZERO) } else { heard },
        note,
    }
}

fn role(replica: &Taking, now: &Seen, leader: Option<ReplicaId>) -> &'static str {
    match replica {
        _ if leader == Some(replica.id) => "leader",
        _ if !now.wanted.contains(&replica.address) => "leaving",
        Taking { voter: true, .. } => "follower",
        Taking { voter: false, .. } => "learner",
    }
}

/// What makes the service weaker than it should be.
fn notes(now: &Seen) -> Vec<String> {
    let voters: Vec<&Taking> = now.taking_part.iter().filter(|replica| replica.voter).collect();
    let (count, live) = (voters.len(), voters.iter().filter(|replica| replica.live).count());
    let mut notes = Vec::new();
    if count > 0 && count.is_multiple_of(2) {
        notes.push(format!(
            "{count} replicas vote; an even number survives no more losses than {}",
            count - 1
        ));
    }
    if live < count {
        let spare = live.saturating_sub(count / 2 + 1);
        notes.push(format!("{live} of {count} replicas answer; {spare} more may be lost"));
    }
    let missing: Vec<String> = now
        .wanted
        .iter()
        .filter(|address| !voters.iter().any(|replica| replica.address == **address))
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        notes.push(format!("no vote yet: {}", missing.join(", ")));
    }
    notes
}
