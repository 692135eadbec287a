//! Administrators: they write attributes, read them, exclude, stop and start ranks, each request as a client sends it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daos_control::client::{ClientError, HostAddr};
use daos_control::wire::CallError;
use daos_membership::{ControlAddress, ExcludeAction, Member, MemberState, Rank, RankSet};
use tokio::time::sleep;

use super::deeds::Asker;
use super::dice::Dice;
use super::message::{Admin, Message, address_of};
use super::network::Uplink;
use super::record::Record;
use super::setting::{SPARE_REPLICAS, Setting};

/// Administrators that write and read, each a key of its own.
const WRITERS: u64 = 3;
/// How long one of their requests may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// The administrators of one run.
#[derive(Debug)]
pub struct Clients {
    asker: Asker,
    record: Arc<Record>,
    seed: u64,
    /// Replicas that the configuration names.
    replicas: usize,
    seen: Mutex<BTreeMap<Rank, MemberState>>,
    /// Once faults are over, nobody makes trouble any more.
    calm: Mutex<bool>,
}

impl Clients {
    /// Puts them to work. Must be called within the runtime of their host.
    pub fn start(setting: &Arc<Setting>, uplink: Uplink) -> Arc<Self> {
        let asker = Asker { uplink, replicas: setting.replica_addresses() };
        let (record, seed) = (Arc::clone(&setting.record), setting.seed);
        let (seen, calm) = (Mutex::default(), Mutex::default());
        let replicas = setting.replicas;
        let clients = Arc::new(Self { asker, record, seed, replicas, seen, calm });
        for writer in 0..WRITERS {
            tokio::spawn(Arc::clone(&clients).write(writer));
        }
        tokio::spawn(Arc::clone(&clients).operate());
        clients
    }

    /// From now on they mend instead of breaking.
    pub fn calm_down(&self) {
        *self.calm.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn is_calm(&self) -> bool {
        *self.calm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes numbers and reads them back.
    async fn write(self: Arc<Self>, writer: u64) {
        let mut dice = Dice::new(self.seed, 0xc11e_0000 + writer);
        let key = format!("writer{writer}");
        let mut leader: Option<HostAddr> = None;
        loop {
            sleep(dice.millis(50..1500)).await;
            if dice.chance(400) {
                let reading = self.record.writes(|writes| writes.begin_read(&key));
                let read = self.ask(Admin::Get { key: key.clone() }).await;
                if let Ok(Message::Value(value)) = read {
                    let number = value.and_then(|value| value.parse().ok()).unwrap_or(0);
                    self.record.count("reads answered");
                    self.record.writes(|writes| writes.end_read(reading, number));
                }
                continue;
            }
            let number = self.record.writes(|writes| writes.send(&key));
            let set = Admin::Set { key: key.clone(), value: number.to_string() };
            if self.write_once(&mut leader, &mut dice, set).await {
                self.record.count("writes answered");
                self.record.writes(|writes| writes.acknowledge(&key, number));
            }
        }
    }

    /// Sends a write until a leader takes it on; from then on it is never sent again. Whether it was acknowledged.
    async fn write_once(&self, leader: &mut Option<HostAddr>, dice: &mut Dice, set: Admin) -> bool {
        for _ in 0..8 {
            let any = || self.asker.replicas.first().cloned();
            let Some(to) =
                leader.clone().or_else(|| dice.pick(&self.asker.replicas).cloned()).or_else(any)
            else {
                return false;
            };
            match self.asker.once(&to, Message::Admin(set.clone())).await {
                Ok(Message::Done) => {
                    *leader = Some(to);
                    return true;
                }
                Err(CallError::NotLeader { hint, .. }) => *leader = HostAddr::parse(&hint).ok(),
                Err(error)
                    if error.is_not_ready() || matches!(error, CallError::NotReplica { .. }) =>
                {
                    *leader = None;
                }
                _ => {
                    *leader = None;
                    return false;
                }
            }
            sleep(dice.millis(20..200)).await;
        }
        false
    }

    async fn ask(&self, admin: Admin) -> Result<Message, ClientError> {
        self.asker.ask(PATIENCE, Message::Admin(admin)).await
    }

    /// Looks at the system and operates on its ranks: any while there are faults, those that need it afterwards.
    async fn operate(self: Arc<Self>) {
        let mut dice = Dice::new(self.seed, 0x09e7_a704);
        loop {
            sleep(dice.millis(500..3000)).await;
            let Ok(Message::Members(members)) = self.ask(Admin::Query).await else { continue };
            let states = members.iter().map(|member| (member.rank, member.state));
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = states.collect();
            let done = match self.is_calm() {
                true => self.mend(&members).await,
                false => self.trouble(&members, &mut dice).await,
            };
            if done {
                self.record.count("operations answered");
            }
        }
    }

    async fn mend(&self, members: &[Arc<Member>]) -> bool {
        let of = |wanted: fn(&Member) -> bool| -> RankSet {
            members.iter().filter(|member| wanted(member)).map(|member| member.rank).collect()
        };
        let out = of(|member| member.state == MemberState::AdminExcluded);
        if !out.is_empty() {
            return self.ask(Admin::Exclude(out, ExcludeAction::Clear)).await.is_ok();
        }
        let down = of(|member| member.state != MemberState::Joined);
        !down.is_empty() && self.ask(Admin::Start(down)).await.is_ok()
    }

    /// One of the replicas moves to a host that was none, or back.
    fn other_replicas(&self, dice: &mut Dice) -> Admin {
        let hosts = self.replicas + SPARE_REPLICAS;
        let at = |host| ControlAddress::new(address_of(host).into());
        let mut two = dice.some(&(0..hosts).collect::<Vec<_>>(), 2).into_iter().map(at);
        Admin::Replicas { add: two.next().into_iter().collect(), remove: two.collect() }
    }

    async fn trouble(&self, members: &[Arc<Member>], dice: &mut Dice) -> bool {
        let all: Vec<Rank> = members.iter().map(|member| member.rank).collect();
        let some: RankSet = dice.some(&all, 2).into_iter().collect();
        if some.is_empty() || !dice.chance(300) {
            return false;
        }
        let admin = match dice.number(0..7) {
            6 => self.other_replicas(dice),
            0 => Admin::Exclude(some, ExcludeAction::Exclude),
            1 => Admin::Exclude(all.into_iter().collect(), ExcludeAction::Clear),
            2 => Admin::Stop { ranks: some, force: true },
            3 => Admin::Stop { ranks: some, force: false },
            _ => Admin::Start(all.into_iter().collect()),
        };
        self.ask(admin).await.is_ok()
    }
}
