//! What engines do among themselves over the fabric, one task for the engines of a host: pass a new group map on,
//! probe ranks of other hosts, and report the ones that stay silent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daos_control::drpc::{RasEvent, RasId};
use daos_membership::{GroupMap, Incarnation, Rank};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::deeds::Asker;
use super::dice::Dice;
use super::fabric::Fabric;
use super::message::{Message, host_at};
use super::network::HostId;

/// Between two rounds of probes, and how long one may take.
const ROUND: Duration = Duration::from_millis(1500);
/// Rounds of silence after which a rank is given up.
const SILENT_ROUNDS: u32 = 4;
/// Ranks probed in a round, beside those that were silent.
const PROBES: usize = 2;
/// Hosts that a host passes a new map on to.
const FORWARD_TO: usize = 3;

/// The chances of one host's fabric.
#[derive(Debug, Clone)]
pub struct Gossip(Arc<Mutex<Dice>>);

impl Gossip {
    /// Those of one life of a host.
    #[must_use]
    pub fn new(seed: u64, host: HostId, life: u64) -> Self {
        Self(Arc::new(Mutex::new(Dice::new(seed, 0x6055_0000 + host as u64 * 0x100 + life))))
    }

    fn some<T: Clone>(&self, among: &[T], count: usize) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).some(among, count)
    }
}

type Start = (Rank, Incarnation);

/// Runs for as long as the host's server.
pub async fn gossip(fabric: Arc<Fabric>, asker: Asker, dice: Gossip) {
    let mut maps = fabric.group_map();
    let mut rounds = interval(ROUND);
    let mut silent: BTreeMap<Start, u32> = BTreeMap::new();
    let mut passing = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            changed = maps.changed() => {
                if changed.is_err() {
                    return;
                }
                let map = maps.borrow_and_update().clone();
                for to in dice.some(&hosts_of(&map, asker.uplink.host), FORWARD_TO) {
                    let (uplink, map) = (asker.uplink.clone(), map.clone());
                    passing.spawn(async move {
                        // A probe makes up for a message that does not arrive.
                        let _lost = timeout(ROUND, uplink.call(to, Message::Group(map))).await;
                    });
                }
            }
            _ = rounds.tick() => {
                if fabric.serves() {
                    let map = fabric.group_map().borrow().clone();
                    round(&fabric, &asker, &dice, &map, &mut silent).await;
                }
            }
            Some(_passed) = passing.join_next() => {}
        }
    }
}

fn hosts_of(map: &GroupMap, own: HostId) -> Vec<HostId> {
    let mut hosts: Vec<HostId> =
        map.engines().filter_map(|engine| host_of_uri(&engine.uri)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.retain(|host| *host != own);
    hosts
}

fn host_of_uri(uri: &str) -> Option<HostId> {
    let (_, address) = uri.split_once("://")?;
    let (ip, _) = address.split_once(':')?;
    host_at(ip.parse().ok()?)
}

/// Probes some ranks of other hosts, and those that were silent before.
async fn round(
    fabric: &Arc<Fabric>,
    asker: &Asker,
    dice: &Gossip,
    map: &GroupMap,
    silent: &mut BTreeMap<Start, u32>,
) {
    let own = asker.uplink.host;
    let others: Vec<(Start, HostId)> = map
        .engines()
        .filter_map(|engine| {
            let host = host_of_uri(&engine.uri).filter(|host| *host != own)?;
            Some(((engine.rank, engine.incarnation), host))
        })
        .collect();
    let chosen = dice.some(&others, PROBES);
    let known = |start: &Start| others.iter().find(|(other, _)| other == start).copied();
    silent.retain(|start, _| known(start).is_some());
    let again = silent.keys().filter_map(known).filter(|probe| !chosen.contains(probe));
    let mut probes = JoinSet::new();
    for (start, host) in chosen.iter().copied().chain(again).collect::<Vec<_>>() {
        let (uplink, version) = (asker.uplink.clone(), map.version());
        probes.spawn(async move {
            let (rank, incarnation) = start;
            let probe = Message::Probe { rank, incarnation, version };
            (start, host, timeout(ROUND / 2, uplink.call(host, probe)).await)
        });
    }
    while let Some(Ok((start, host, answer))) = probes.join_next().await {
        let mut alive = false;
        if let Ok(Ok(Message::Alive { alive: lives, version, newer })) = answer {
            alive = lives;
            if let Some(newer) = newer {
                fabric.hear_map(&newer).await;
            } else if version < map.version() {
                let (uplink, map) = (asker.uplink.clone(), map.clone());
                // As above: not waited for longer than a round.
                let _lost = timeout(ROUND / 2, uplink.call(host, Message::Group(map))).await;
            }
        }
        if alive {
            silent.remove(&start);
            continue;
        }
        let rounds = silent.entry(start).or_default();
        *rounds += 1;
        if *rounds == SILENT_ROUNDS {
            let (rank, incarnation) = start;
            let event = RasEvent {
                id: RasId::SWIM_RANK_DEAD,
                rank: Some(rank.get()),
                incarnation: incarnation.0,
                ..RasEvent::default()
            };
            let asker = asker.clone();
            tokio::spawn(async move { asker.forward(event).await });
        }
    }
}

/// Answers a probe.
#[must_use]
pub fn answer(fabric: &Fabric, rank: Rank, incarnation: Incarnation, version: u32) -> Message {
    let map = fabric.group_map().borrow().clone();
    let newer = (map.version() > version).then(|| map.clone());
    Message::Alive { alive: fabric.is_alive(rank, incarnation), version: map.version(), newer }
}
