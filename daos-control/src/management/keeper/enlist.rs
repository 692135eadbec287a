//! Becoming a replica and ceasing to be one, on the word of the leader; and the end of a whole system.

use daos_membership::{RedbStore, ReplicaId, Replicate, offline};
use futures_util::future::join_all;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Held, ManagementKeeper, Opening, Waiting};
use crate::fault::{Fault, code};
use crate::management::network::{EnlistCall, Enlistment};
use crate::management::running::{Running, make_empty};
use crate::management::slot::{ManagementState, wanted};

impl ManagementKeeper {
    /// Becomes a replica of a system, at the address under which that knows this host. Asked again, says the same. A
    /// replica that the leader does not know any more is set aside first: it was removed while it could not be told.
    ///
    /// # Errors
    /// When this host belongs to another system, or its database cannot be made.
    pub async fn enlist(&self, call: EnlistCall) -> Result<Enlistment, Fault> {
        let system = call.system;
        if let Some(removed) = self.removed_by(&call) {
            self.dismiss(system, removed).await?;
        }
        let asking = {
            let mut held = self.0.held.lock().await;
            match &mut *held {
                Held::Nothing => {
                    let why = match &*self.0.told.state.borrow() {
                        ManagementState::Failed(fault) => fault.to_string(),
                        _ => {
                            "the storage of its engine 0 is not ready (format required?)".to_owned()
                        }
                    };
                    return Ok(Enlistment::Waits(why));
                }
                Held::Running(running) => return enlisted_already(running, &call),
                Held::Waiting(waiting) => {
                    let expected = waiting.opening.expected.filter(|known| *known != system);
                    if let Some(known) = expected {
                        return Err(foreign(known, system));
                    }
                    waiting.asking.take()
                }
            }
        };
        // Without the lock, which it may be waiting for.
        if let Some((asking, end)) = asking {
            end.cancel();
            let _ended = asking.await;
        }
        let mut held = self.0.held.lock().await;
        let Held::Waiting(waiting) = &*held else {
            return Ok(Enlistment::Waits("it is being opened or closed at this moment".to_owned()));
        };
        let opening = Opening {
            expected: Some(system),
            own_address: call.address,
            ..waiting.opening.clone()
        };
        make_empty(&opening, system).await?;
        self.run(&mut held, opening, None).await?;
        match &*held {
            Held::Running(running) => enlisted_already(running, &call),
            _ => Ok(Enlistment::Waits("it is being closed at this moment".to_owned())),
        }
    }

    /// The id of the replica here, when the leader that calls knows it no more.
    fn removed_by(&self, call: &EnlistCall) -> Option<ReplicaId> {
        let serving = self.serving().filter(|serving| serving.system == call.system)?;
        let status = serving.replica.replicas();
        let unknown = !call.replicas.contains(&status.me.id);
        let took_part = !status.replicas.set.addresses.is_empty();
        (unknown && took_part && call.term > status.info.term).then_some(status.me.id)
    }

    /// Stops being a replica and sets the database aside, when this very replica is meant.
    ///
    /// # Errors
    /// When the database cannot be set aside.
    pub async fn dismiss(&self, system: Uuid, id: ReplicaId) -> Result<bool, Fault> {
        let keeper = self.clone();
        // To its end, also when whoever asked has stopped waiting.
        let dismissed = tokio::spawn(async move { keeper.dismiss_here(system, id).await }).await;
        dismissed.map_err(|broken| unfinished(&broken))?
    }

    async fn dismiss_here(&self, system: Uuid, id: ReplicaId) -> Result<bool, Fault> {
        let mut held = self.0.held.lock().await;
        let meant = match &*held {
            Held::Running(running) => running.serving.system == system && running.id() == id,
            _ => false,
        };
        if !meant {
            return Ok(false);
        }
        let Held::Running(running) = std::mem::take(&mut *held) else { return Ok(false) };
        let waits_for =
            "this host was removed from the replicas of the management service".to_owned();
        let me = running.opening.own_address.socket();
        let wanted = running.serving.membership.view().read(wanted);
        self.learn(wanted.into_iter().filter(|address| me != (*address).into()).collect());
        self.0.told.state.send_replace(match self.0.replicas.own {
            Some(_) => ManagementState::Waiting { waits_for },
            None => ManagementState::Elsewhere,
        });
        self.0.serving.send_replace(None);
        let opening = running.stop().await;
        let directory = opening.directory.clone();
        let aside = tokio::task::spawn_blocking(move || offline::set_aside(&directory)).await;
        let aside = aside.map_err(|broken| unfinished(&broken))??;
        warn!(
            "this host is no replica of the management service any more; its system database was set aside as {}",
            aside.display()
        );
        let opening = Opening { expected: Some(system), may_create: false, ..opening };
        *held = Held::Waiting(Waiting { opening, asking: None });
        Ok(true)
    }

    /// Erases the system: tells the other replicas to remove their databases, then removes the one here. One that
    /// cannot be told has no majority any more.
    ///
    /// # Errors
    /// When the database here cannot be removed.
    pub async fn erase_everywhere(&self) -> Result<(), Fault> {
        if let Some(serving) = self.serving() {
            let status = serving.replica.replicas();
            let others =
                status.replicas.set.addresses.iter().filter(|(id, _)| **id != status.me.id);
            let told = others.map(|(id, at)| async move {
                let answer = self.0.hosts.dismiss(*at, serving.system, *id, true).await;
                (*at, answer)
            });
            for (at, answer) in join_all(told).await {
                if let Err(error) = answer {
                    warn!("the system database of {at} was not erased: {error}");
                }
            }
        }
        self.erase().await
    }

    /// Erases the database here, when this very replica is meant.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn erase_if(&self, system: Uuid, id: ReplicaId) -> Result<bool, Fault> {
        let meant = self
            .serving()
            .is_some_and(|serving| serving.system == system && serving.replica.me().id == id);
        if meant {
            self.erase().await?;
            info!("the system was erased");
        }
        Ok(meant)
    }

    /// Closes the database and removes it: the system is gone as far as this host knows.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn erase(&self) -> Result<(), Fault> {
        let keeper = self.clone();
        let erased = tokio::spawn(async move {
            let Some(opening) = keeper.close_keeping().await else { return Ok(()) };
            RedbStore::remove(&opening.directory).map_err(Fault::from)
        });
        erased.await.map_err(|broken| unfinished(&broken))?
    }
}

fn enlisted_already(running: &Running, call: &EnlistCall) -> Result<Enlistment, Fault> {
    let (known, id) = (running.serving.system, running.id());
    if known != call.system {
        return Err(foreign(known, call.system));
    }
    let took_part = !running.serving.replica.replicas().replicas.set.addresses.is_empty();
    if took_part && !call.replicas.contains(&id) {
        let why = "its replica takes part under a leader that this one does not know of";
        return Ok(Enlistment::Waits(why.to_owned()));
    }
    Ok(Enlistment::Enlisted(id))
}

fn unfinished(broken: &dyn std::error::Error) -> Fault {
    Fault::new(
        "system",
        code::REPLICA_UNREADY,
        "the system database of a removed replica was not set aside",
        "report this with the server's log",
    )
    .with_reason(broken)
}

fn foreign(known: Uuid, asked: Uuid) -> Fault {
    Fault::new(
        "system",
        code::REPLICA_UNREADY,
        format!(
            "this host belongs to system {known} and cannot become a replica of system {asked}"
        ),
        "format the storage of its engine 0 if it is to leave its system, or name another host",
    )
}
