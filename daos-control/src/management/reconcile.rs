//! While this host leads, brings the replicas to what is wanted: asks hosts to become replicas, lets them catch up,
//! gives them votes, and tells those that left.
//!
//! One task, run by `keeper`. What is to be done is decided by `decide::replicas`; this observes and acts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use daos_membership::decide::replicas::{Seen, Step, Taking, next, to_enlist};
use daos_membership::{
    ControlAddress, MembershipHandle, Replica, ReplicaId, ReplicasError, Replicate, Role,
};
use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::network::{EnlistCall, Enlistment, ReplicaHosts};

/// A replica that answered within this time is alive.
const LIVE: Duration = Duration::from_secs(2);
/// Entries that may be on their way to a replica that is up to date.
const CAUGHT_UP: u64 = 64;
/// A look after something was done, or while something is missing.
const SOON: Duration = Duration::from_millis(250);
/// A look when all is as wanted.
const LATER: Duration = Duration::from_secs(2);
/// A change of voters takes a few round trips.
const CHANGE: Duration = Duration::from_secs(10);
/// Times that a host is told that its replica left; later it learns it from the others.
const FAREWELLS: u32 = 20;

/// What the task works with.
#[derive(Debug, Clone)]
pub(super) struct Reconciler {
    pub replica: Arc<dyn Replicate>,
    pub membership: MembershipHandle,
    pub hosts: ReplicaHosts,
    pub system: Uuid,
    /// Told when the wanted replicas changed.
    pub nudge: Arc<Notify>,
    /// What wanted hosts wait for that are no replicas yet; told anew after every look.
    pub waits: watch::Sender<BTreeMap<ControlAddress, String>>,
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
struct Memory {
    enlisted: BTreeMap<ControlAddress, ReplicaId>,
    present: BTreeSet<Replica>,
    leaving: BTreeMap<Replica, u32>,
}

/// What the leader knows about replicas now, but for what hosts say when they are asked.
pub(super) fn seen(replica: &dyn Replicate) -> Seen {
    let status = replica.replicas();
    let wanted = replica.view().read(|system| system.wanted_replicas().to_vec());
    let taking_part = status.replicas.set.addresses.iter().map(|(id, address)| {
        let me = *id == status.me.id;
        let heard = status.progress.get(id).and_then(|progress| progress.heard);
        Taking {
            id: *id,
            address: *address,
            voter: status.replicas.set.is_voter(*id),
            caught_up: status.lag_of(*id).is_some_and(|lag| lag <= CAUGHT_UP),
            live: me || heard.is_some_and(|since| since <= LIVE),
        }
    });
    Seen { wanted, taking_part: taking_part.collect(), enlisted: BTreeMap::new() }
}

impl Reconciler {
    /// Works whenever this replica leads; ends when the replica does.
    pub async fn run(self) {
        let mut role = self.replica.role();
        loop {
            let leads = matches!(role.borrow_and_update().role, Role::Leader);
            if leads {
                tokio::select! {
                    () = self.lead() => {}
                    changed = role.wait_for(|info| !matches!(info.role, Role::Leader)) => {
                        if changed.is_err() { return }
                    }
                }
                self.waits.send_replace(BTreeMap::new());
            } else if role.changed().await.is_err() {
                return;
            }
        }
    }

    async fn lead(&self) {
        let mut memory = Memory::default();
        loop {
            let settled = self.look(&mut memory).await;
            self.waits.send_modify(|_| ());
            let pause = if settled { LATER } else { SOON };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.nudge.notified() => {}
            }
        }
    }

    /// One look and what follows from it. Says whether all is as wanted.
    async fn look(&self, memory: &mut Memory) -> bool {
        let status = self.replica.replicas();
        if status.changing || status.replicas.at > status.applied {
            // The newest set is not committed: the one before may still be what counts.
            return false;
        }
        let mut seen = seen(&*self.replica);
        if seen.wanted.is_empty() {
            // Written by a version that knew one replica only.
            self.want_what_is(&seen).await;
            return false;
        }
        let me = status.me.id;
        if !seen.taking_part.iter().any(|replica| replica.id == me) {
            // It has removed itself; the others elect one of theirs.
            let _led_by_another = self.replica.give_way("it is no replica any more");
            return false;
        }
        self.remember_who_left(&seen, memory);
        memory.enlisted.retain(|address, _| seen.wanted.contains(address));
        let asked = to_enlist(&seen);
        self.enlist(&asked, &seen, memory).await;
        seen.enlisted.clone_from(&memory.enlisted);
        let steps = next(&seen);
        for step in &steps {
            if let Err(refused) = self.take(&seen, step).await {
                debug!("the replicas are not changed yet: {refused}");
                return false;
            }
        }
        self.say_farewell(memory).await;
        steps.is_empty() && asked.is_empty() && memory.leaving.is_empty()
    }

    async fn want_what_is(&self, seen: &Seen) {
        let voters = seen.taking_part.iter().filter(|replica| replica.voter);
        let present: Vec<ControlAddress> = voters.map(|replica| replica.address).collect();
        if let Err(refused) = self.membership.want_replicas(move |_| Ok(present)).await {
            debug!("the present replicas are not recorded as wanted yet: {refused}");
        }
    }

    /// Asks hosts side by side; one that does not answer holds up the others no longer than its deadline.
    async fn enlist(&self, hosts: &[ControlAddress], seen: &Seen, memory: &mut Memory) {
        let term = self.replica.role().borrow().term;
        let replicas: Vec<ReplicaId> = seen.taking_part.iter().map(|replica| replica.id).collect();
        let calls = hosts.iter().map(|at| {
            let call =
                EnlistCall { system: self.system, address: *at, term, replicas: replicas.clone() };
            async move { (*at, self.hosts.enlist(call).await) }
        });
        let mut waits = BTreeMap::new();
        for (at, answer) in join_all(calls).await {
            match answer {
                Ok(Enlistment::Enlisted(id)) => {
                    memory.enlisted.insert(at, id);
                }
                Ok(Enlistment::Waits(why)) => {
                    waits.insert(at, why);
                }
                Err(error) => {
                    waits.insert(at, error.to_string());
                }
            }
        }
        self.waits.send_if_modified(|shown| {
            let news = *shown != waits;
            if news {
                for (at, why) in waits.iter().filter(|(at, why)| shown.get(*at) != Some(*why)) {
                    warn!(
                        "{at} is to be a replica of the management service and is none yet: {why}"
                    );
                }
                *shown = waits;
            }
            news
        });
    }

    async fn take(&self, seen: &Seen, step: &Step) -> Result<(), ReplicasError> {
        match step {
            Step::Learn { id, address } => {
                info!("{address} becomes a replica of the management service (id {id})");
                self.replica.add_learner(Replica { id: *id, address: *address }).await
            }
            Step::Drop { id } => self.replica.change_voters(&[], &[*id], CHANGE).await,
            Step::Vote { voters } => {
                let present: BTreeSet<ReplicaId> = seen
                    .taking_part
                    .iter()
                    .filter(|replica| replica.voter)
                    .map(|replica| replica.id)
                    .collect();
                let add: Vec<ReplicaId> = voters.difference(&present).copied().collect();
                let remove: Vec<ReplicaId> = present.difference(voters).copied().collect();
                info!(
                    "replicas of the management service: {} begin to vote, {} leave",
                    add.len(),
                    remove.len()
                );
                self.replica.change_voters(&add, &remove, CHANGE).await
            }
        }
    }

    fn remember_who_left(&self, seen: &Seen, memory: &mut Memory) {
        let present: BTreeSet<Replica> = seen
            .taking_part
            .iter()
            .map(|replica| Replica { id: replica.id, address: replica.address })
            .collect();
        for gone in memory.present.difference(&present) {
            memory.leaving.insert(*gone, 0);
        }
        memory.leaving.retain(|replica, _| !present.contains(replica));
        memory.present = present;
    }

    async fn say_farewell(&self, memory: &mut Memory) {
        let calls = memory.leaving.keys().map(|replica| async move {
            (*replica, self.hosts.dismiss(replica.address, self.system, replica.id, false).await)
        });
        for (replica, told) in join_all(calls).await {
            match told {
                Ok(_) => {
                    memory.leaving.remove(&replica);
                }
                Err(error) => {
                    debug!("{replica} was not told that it is no replica any more: {error}");
                    let tries = memory.leaving.entry(replica).or_default();
                    *tries += 1;
                    if *tries >= FAREWELLS {
                        memory.leaving.remove(&replica);
                    }
                }
            }
        }
    }
}
