//! The world: moves time, lets hosts run, breaks things while there are faults, and looks after every step whether
//! all rules hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daos_control::superblock::Superblock;
use daos_membership::SystemIdentity;
use uuid::Uuid;

use super::dice::Dice;
use super::disk::{Behaviour, HostDisk};
use super::host::{Ending, Host};
use super::log::CommittedLog;
use super::network::{HostId, Network, Trouble};
use super::plan::{Fault, Plan, Targets};
use super::record::Record;
use super::server::Server;
use super::setting::{OTHER_WINDOW, REPLICA_WINDOW, SPARE_REPLICAS, Setting};
use super::trace::Trace;
use super::{Options, Outcome, Sabotage};

/// Between two judgements of the histories, which look at all of them.
const JUDGEMENT: Duration = Duration::from_secs(1);

/// Between two lost disks at least.
const WIPE_SPACING: Duration = Duration::from_secs(8);

/// Everything that is simulated.
#[derive(Debug)]
pub struct World {
    options: Options,
    setting: Arc<Setting>,
    network: Network,
    trace: Arc<Trace>,
    record: Arc<Record>,
    hosts: Vec<Host>,
    log: CommittedLog,
    now: Duration,
    plan: Plan,
    /// What ends by itself: a host comes back, a disk has room again.
    later: BTreeMap<(Duration, u64), Later>,
    delayed: u64,
    last_wipe: Duration,
}

/// The end of a fault.
#[derive(Debug, Clone, Copy)]
enum Later {
    Start(HostId),
    DiskHasRoom(HostId),
}

impl World {
    /// A world in which no host runs yet and all storage is formatted.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let trace = Arc::new(Trace::new(options.trace));
        let record = Arc::new(Record::new(Arc::clone(&trace)));
        let (hosts, engines) = options.layout();
        let mut dice = Dice::new(options.seed, 0x0004_0575);
        let disks: Vec<HostDisk> = (0..hosts).map(|_| formatted(&mut dice, engines)).collect();
        if options.sabotage == Some(Sabotage::LyingDisks) {
            disks.iter().for_each(|disk| disk.replica().behave(Behaviour::Lies));
        }
        let system = Uuid::from_u64_pair(options.seed, dice.number(1..u64::MAX));
        let setting = Arc::new(Setting {
            seed: options.seed,
            replicas: options.replicas,
            hosts,
            engines,
            system,
            disks,
            record: Arc::clone(&record),
            sabotage: options.sabotage,
        });
        let windows = (0..=hosts).map(|host| setting.window(host)).collect();
        let dice = Dice::new(options.seed, 0x7e7);
        let network = Network::new(dice, windows, Arc::clone(&trace));
        let all = (0..=hosts).map(|host| Host::new(host, &setting, &network)).collect();
        let identity = SystemIdentity { uuid: system, name: "sim".to_owned() };
        Self {
            plan: Plan::new(options.seed, options.quiet_start()),
            setting,
            network,
            trace,
            record,
            hosts: all,
            log: CommittedLog::new(identity),
            now: Duration::ZERO,
            later: BTreeMap::new(),
            delayed: 0,
            last_wipe: Duration::ZERO,
            options,
        }
    }

    /// Runs to the end of the faults and until everything is whole again, or a rule is broken.
    ///
    /// # Errors
    /// When no runtime can be made.
    pub fn run(mut self) -> anyhow::Result<Outcome> {
        for host in &mut self.hosts {
            host.start(self.now)?;
        }
        while self.now < self.options.faults && self.record.broken().is_empty() {
            self.later()?;
            let targets = self.targets();
            if let Some(fault) = self.plan.due(self.now, &targets) {
                self.strike(fault);
            }
            self.step()?;
        }
        self.calm_down()?;
        let deadline = self.now + self.options.heal;
        let mut unhealed = self.unhealed();
        while !unhealed.is_empty() && self.now < deadline && self.record.broken().is_empty() {
            for _ in 0..50 {
                self.step()?;
            }
            self.restart_the_failed()?;
            unhealed = self.unhealed();
        }
        let took = self.now - self.options.faults.min(self.now);
        if !unhealed.is_empty() && self.record.broken().is_empty() {
            self.record.broke(format!("not whole after {took:?}: {}", unhealed.join("; ")));
        }
        if self.record.broken().is_empty() {
            self.look_at_everything();
        }
        let (hash, lines) = self.trace.sum();
        Ok(Outcome {
            seed: self.options.seed,
            hash,
            lines,
            broken: self.record.broken(),
            healed_in: took,
            entries: self.log.entries(),
            terms: self.record.terms_led(),
            counts: self.record.counts(),
        })
    }

    /// One window of the replicas, and of the other hosts when theirs ends.
    fn step(&mut self) -> anyhow::Result<()> {
        let end = self.now + REPLICA_WINDOW;
        for host in &mut self.hosts {
            if end.as_micros().is_multiple_of(host.window.as_micros()) {
                host.run_until(end);
            }
        }
        self.now = end;
        self.record.set_now(end);
        self.network.set_now(end);
        self.look();
        self.bury_the_dead();
        Ok(())
    }

    /// What can be looked at after every step.
    fn look(&mut self) {
        for (id, host) in self.hosts.iter().enumerate().take(self.setting.replicas + SPARE_REPLICAS)
        {
            let Some(server) = host.server() else { continue };
            if let Some(applied) = server.replica().look() {
                self.log.applied(id, &self.setting.disk(id).replica(), applied, &self.record);
            }
        }
        if self.now.as_millis().is_multiple_of(JUDGEMENT.as_millis()) {
            self.log.judge(&self.record);
        }
    }

    /// A disk that died in the middle of a write takes its host with it.
    fn bury_the_dead(&mut self) {
        for id in 0..self.setting.replicas + SPARE_REPLICAS {
            if self.setting.disk(id).replica().died() {
                self.record.note(format_args!("host {id} died in the middle of a write"));
                self.end(id, Ending::PowerLoss, Duration::from_millis(700));
            }
        }
    }

    fn end(&mut self, id: HostId, how: Ending, down: Duration) {
        if let Some(host) = self.hosts.get_mut(id) {
            host.end(how);
            self.in_a_while(down, Later::Start(id));
        }
    }

    fn in_a_while(&mut self, after: Duration, what: Later) {
        self.delayed += 1;
        self.later.insert((self.now + after, self.delayed), what);
    }

    fn later(&mut self) -> anyhow::Result<()> {
        while let Some(first) = self.later.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match first.remove() {
                Later::Start(id) => {
                    self.record.note(format_args!("host {id} starts"));
                    if let Some(host) = self.hosts.get_mut(id) {
                        host.start(self.now)?;
                    }
                }
                Later::DiskHasRoom(id) => {
                    self.behave(id, Behaviour::Honest);
                    // A replica that failed stays so; its server has to be started again.
                    self.end(id, Ending::Killed, Duration::from_millis(200));
                }
            }
        }
        Ok(())
    }

    fn targets(&self) -> Targets {
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
    fn may_wipe(&self) -> bool {
        let replicas = self.setting.replicas;
        let settled = self.setting.disk(0).superblock(0);
        if settled.is_none_or(|superblock| superblock.joined_rank().is_none()) {
            return false;
        }
        let seats = (0..replicas).filter_map(|id| self.hosts.get(id)?.server()?.replica().seat());
        let voting = seats.filter(|(_, votes, voters)| *votes && *voters == replicas).count();
        replicas >= 3 && voting == replicas && self.now >= self.last_wipe + WIPE_SPACING
    }

    fn strike(&mut self, fault: Fault) {
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
    fn behave(&self, host: HostId, behaviour: Behaviour) {
        let disk = self.setting.disk(host).replica();
        if disk.behaviour() != Behaviour::Lies {
            disk.behave(behaviour);
        }
    }

    fn kill_engines(&self, host: HostId, engines: std::ops::Range<u32>) {
        let Some(host) = self.hosts.get(host) else { return };
        let Some(fabric) = host.server().map(|server| Arc::clone(server.fabric())) else { return };
        host.spawn(async move {
            for index in engines {
                fabric.kill(index).await;
            }
        });
    }

    /// Faults are over: links work, disks have room, hosts that are down start.
    fn calm_down(&mut self) -> anyhow::Result<()> {
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
    fn restart_the_failed(&mut self) -> anyhow::Result<()> {
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

    /// Why the system is not whole; nothing when it is.
    fn unhealed(&self) -> Vec<String> {
        let mut why = Vec::new();
        let servers = || self.hosts.iter().filter_map(Host::server);
        let leaders: Vec<_> = servers().filter(|server| server.replica().leads()).collect();
        let [leader] = leaders.as_slice() else {
            return vec![format!("{} leaders", leaders.len())];
        };
        let Some(service) = leader.replica().service() else {
            return vec!["no service".to_owned()];
        };
        let wanted = service.view().read(|system| system.wanted_replicas().len());
        let voters = leader.replica().voters();
        if voters.len() != wanted {
            why.push(format!("{wanted} replicas are wanted, {} vote", voters.len()));
        }
        let votes = |server: &Arc<Server>| {
            server.replica().seat().is_some_and(|(id, _, _)| voters.contains(&id))
        };
        let present = servers().filter(|server| votes(server)).count();
        if present != voters.len() {
            why.push(format!("{present} of {} replicas are there", voters.len()));
        }
        let version = service.data_version();
        for server in servers().filter(|server| votes(server)) {
            if let Some(other) = server.replica().service().map(|other| other.data_version())
                && other != version
            {
                why.push(format!("a replica is at {other}, the leader at {version}"));
            }
        }
        let wanted = self.setting.hosts * self.setting.engines as usize;
        let running: usize = servers().map(|server| server.running()).sum();
        let joined = service.members().iter().filter(|member| member.is_available()).count();
        if running != wanted || joined != wanted {
            why.push(format!("{running} of {wanted} engines run, {joined} are joined"));
        }
        let newest = service.group_map().borrow().version();
        let behind: usize = servers().map(|server| server.fabric().behind(newest)).sum();
        if behind > 0 {
            why.push(format!("{behind} engines have an older map than {newest}"));
        }
        why
    }

    /// What costs too much to look at all the time.
    fn look_at_everything(&mut self) {
        self.log.judge(&self.record);
        let expected = self.log.system().snapshot().encode();
        let leader =
            self.hosts.iter().filter_map(Host::server).find(|server| server.replica().leads());
        let voters = leader.map(|leader| leader.replica().voters()).unwrap_or_default();
        for (id, host) in self.hosts.iter().enumerate() {
            let Some(replica) = host.server().map(|server| server.replica()) else { continue };
            let votes = replica.seat().is_some_and(|(id, _, _)| voters.contains(&id));
            let Some(service) = replica.service().filter(|_| votes) else { continue };
            let state = service.view().read(|system| system.snapshot().encode());
            if state != expected {
                self.record.broke(format!("the state of host {id} is not what the log makes"));
            }
            self.log.compare_again(id, &self.setting.disk(id).replica(), &self.record);
        }
    }
}

/// A host's disk with formatted storage.
fn formatted(dice: &mut Dice, engines: u32) -> HostDisk {
    let disk = HostDisk::default();
    for index in 0..engines {
        let uuid = Uuid::from_u64_pair(dice.number(1..u64::MAX), dice.number(1..u64::MAX));
        disk.store_superblock(index, Superblock::new(uuid, "sim"));
    }
    disk
}

const _: () = assert!(OTHER_WINDOW.as_millis().is_multiple_of(REPLICA_WINDOW.as_millis()));
