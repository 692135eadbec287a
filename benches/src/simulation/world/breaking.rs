//! How the world breaks things, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use super::{Later, World};
use crate::simulation::disk::Behaviour;
use crate::simulation::host::{Ending, Host};
use crate::simulation::network::{HostId, Trouble};
use crate::simulation::plan::{Fault, Targets};
use crate::simulation::setting::SPARE_REPLICAS;

/// Between two lost disks at least.
const WIPE_SPACING: Duration = Duration::from_secs(8);

impl World {
    pub(super) fn targets(&self) -> Targets {
        let has_replica = |id: &HostId| {
            let server = self.hosts.get(*id).and_then(Host::server);
            *id < self.setting.replicas
                || server.is_some_and(|server| server.replica().seat().is_some())
        };
        let possible = 0..self.setting.replicas + SPARE_REPLICAS;
        let replicas: Vec<HostId> = possible.filter(has_replica).collect();
        let leads = |id: &&HostId| {
            let server = self.hosts.get(**id).and_then(Host::server);
            server.is_some_and(|server| server.replica().leads())
        };
        Targets {
            hosts: (0..self.setting.hosts).collect(),
            leader: replicas.iter().find(leads).copied(),
            replicas,
            engines: self.setting.engines,
            may_wipe: self.may_wipe(),
        }
    }

    /// A replica may lose its disk only while all others that were wanted vote and answer: a majority that is lost
    /// is lost.
    pub(super) fn may_wipe(&self) -> bool {
        let replicas = self.setting.replicas;
        let settled = self.setting.disk(0).superblock(0);
        if settled.is_none_or(|superblock| superblock.joined_rank().is_none()) {
            return false;
        }
        let seats = (0..replicas).filter_map(|id| self.hosts.get(id)?.server()?.replica().seat());
        let voting = seats.filter(|(_, votes, voters)| *votes && *voters == replicas).count();
        replicas >= 3 && voting == replicas && self.now >= self.last_wipe + WIPE_SPACING
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        self.record.count("faults");
        self.record.note(format_args!("FAULT {fault:?}"));
        let everybody = 0..=self.setting.hosts;
        match fault {
            Fault::Kill(host, down) => self.end(host, Ending::Killed, down),
            Fault::PowerLoss(host, down) => self.end(host, Ending::PowerLoss, down),
            Fault::Blackout(down) => {
                for host in 0..self.setting.hosts {
                    self.end(
                        host,
                        Ending::PowerLoss,
                        down + Duration::from_millis(host as u64 * 7),
                    );
                }
            }
            Fault::Pause(host, time) => {
                let until = self.now + time;
                if let Some(host) = self.hosts.get_mut(host) {
                    host.pause(until);
                }
            }
            Fault::Cut(from, to) => self.network.cut(from, to),
            Fault::Isolate { host, out, back } => {
                for other in everybody.filter(|other| *other != host) {
                    if out {
                        self.network.cut(host, other);
                    }
                    if back {
                        self.network.cut(other, host);
                    }
                }
            }
            Fault::Split(half) => {
                for inside in &half {
                    for outside in everybody.clone().filter(|other| !half.contains(other)) {
                        self.network.cut(*inside, outside);
                        self.network.cut(outside, *inside);
                    }
                }
            }
            Fault::Disturb(from, to) => {
                let (loss, slow) = self.plan.disturbance();
                self.network.disturb(from, to, Trouble { loss, slow });
            }
            Fault::Mend => self.network.mend(),
            Fault::DiskFull(host, time) => {
                self.behave(host, Behaviour::Full);
                self.in_a_while(time, Later::DiskHasRoom(host));
            }
            Fault::DiesWriting(host, writes) => {
                self.behave(host, Behaviour::DiesAt(writes));
            }
            Fault::Wipe(host) => {
                self.last_wipe = self.now;
                self.end(host, Ending::PowerLoss, Duration::from_secs(1));
                self.setting.disk(host).replace_replica_disk();
                self.log.forget(host);
            }
            Fault::KillEngine(host, index) => self.kill_engines(host, index..index + 1),
            Fault::MassDeath(hosts) => {
                for host in hosts {
                    self.kill_engines(host, 0..self.setting.engines);
                }
            }
        }
    }

    /// Disks that lie do nothing else.
    pub(super) fn behave(&self, host: HostId, behaviour: Behaviour) {
        let disk = self.setting.disk(host).replica();
        if disk.behaviour() != Behaviour::Lies {
            disk.behave(behaviour);
        }
    }

    pub(super) fn kill_engines(&self, host: HostId, engines: std::ops::Range<u32>) {
        let Some(host) = self.hosts.get(host) else { return };
        let Some(fabric) = host.server().map(|server| Arc::clone(server.fabric())) else { return };
        host.spawn(async move {
            for index in engines {
                fabric.kill(index).await;
            }
        });
    }

    /// Faults are over: links work, disks have room, hosts that are down start.
    pub(super) fn calm_down(&mut self) -> anyhow::Result<()> {
        self.record.note(format_args!("faults are over"));
        self.later.clear();
        self.network.mend();
        for id in 0..self.hosts.len() {
            let disk = self.setting.disk(id).replica();
            let full = disk.behaviour() == Behaviour::Full;
            self.behave(id, Behaviour::Honest);
            let Some(host) = self.hosts.get_mut(id) else { continue };
            host.resume();
            let failed = host.server().is_some_and(|server| server.replica().has_failed());
            if full || failed {
                host.end(Ending::Killed);
            }
            host.start(self.now)?;
            if let Some(clients) = host.clients() {
                clients.calm_down();
            }
        }
        Ok(())
    }

    /// What an operator does beside `dmg`: a server whose replica failed, or whose engine never got a rank, is
    /// started again.
    pub(super) fn restart_the_failed(&mut self) -> anyhow::Result<()> {
        for host in &mut self.hosts {
            let Some(server) = host.server() else { continue };
            if server.replica().has_failed() {
                host.end(Ending::Killed);
                host.start(self.now)?;
            } else {
                let server = Arc::clone(server);
                host.spawn(async move { server.start_rankless().await });
            }
        }
        Ok(())
    }
}
