//! The world: moves time, lets hosts run, breaks things while there are faults (`breaking`), looks after every step
//! whether all rules hold, and in the end whether all is whole again (`whole`).

mod breaking;
mod whole;

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
use super::network::{HostId, Network};
use super::plan::Plan;
use super::record::Record;
use super::setting::{OTHER_WINDOW, REPLICA_WINDOW, SPARE_REPLICAS, Setting};
use super::trace::Trace;
use super::{Options, Outcome, Sabotage};

/// Between two judgements of the histories, which look at all of them.
const JUDGEMENT: Duration = Duration::from_secs(1);

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
