//! Clients at work during a scenario: writes, reads, joins and queries, each recorded with its outcome.
//!
//! Every request is asked once, of one host; who leads is learned from answers. The pace is bounded, so that a history stays
//! small and a busy machine is not the fault that is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use daos_benches::history::Moment;
use daos_benches::history::members::{Join, Outcome, Version, View};
use daos_benches::history::register::{Action, Operation};
use daos_control::join::JoinAsk;
use daos_control::supervisor::EngineReady;
use daos_membership::Incarnation;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::clients::{Clients, Ended, PROPERTY};
use crate::cluster::{Cluster, HOSTS, identities, nowhere};
use crate::recorder::Recorder;
use crate::timeline::Timeline;

const WRITERS: u64 = 3;
const READERS: u64 = 2;
/// Keys of a scenario beside the property.
const KEYS: usize = 2;
const BETWEEN_WRITES: Duration = Duration::from_millis(40);
const BETWEEN_READS: Duration = Duration::from_millis(60);
const BETWEEN_JOINS: Duration = Duration::from_millis(200);
const BETWEEN_QUERIES: Duration = Duration::from_millis(400);
/// Nobody leads: asking again at once would only heat the machine.
const NOBODY_LEADS: Duration = Duration::from_millis(50);
/// Most engines that join in one scenario.
const MOST_JOINS: u32 = 60;

/// What the clients share.
#[derive(Debug)]
struct Shared {
    clients: Clients,
    recorder: Arc<Recorder>,
    timeline: Arc<Timeline>,
    sessions: Arc<[AtomicU64]>,
    replicas: usize,
    /// The host that is asked next by those who want the leader.
    leader: AtomicUsize,
    over: AtomicBool,
    keys: Vec<String>,
    values: Arc<AtomicU64>,
}

/// Numbers that are used once in a run.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    values: Arc<AtomicU64>,
    engines: Arc<AtomicU64>,
}

/// The clients of one scenario.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Lets them begin. The property keeps its value from scenario to scenario; `property` is what it holds.
    pub fn begin(
        system: &Cluster,
        label: &str,
        numbers: &Numbers,
        property: u64,
        seed: u64,
    ) -> Self {
        let mut keys: Vec<String> = (0..KEYS).map(|key| format!("{label}.{key}")).collect();
        keys.push(PROPERTY.to_owned());
        system.recorder.starts_with(PROPERTY, property);
        let shared = Arc::new(Shared {
            clients: system.clients.clone(),
            recorder: Arc::clone(&system.recorder),
            timeline: Arc::clone(&system.timeline),
            sessions: Arc::clone(&system.sessions),
            replicas: system.replicas,
            leader: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            keys,
            values: Arc::clone(&numbers.values),
        });
        let mut tasks = JoinSet::new();
        let dice = |number: u64| StdRng::seed_from_u64(seed ^ (number << 32));
        for number in 0..WRITERS {
            tasks.spawn(write(Arc::clone(&shared), dice(number)));
        }
        for number in 0..READERS {
            tasks.spawn(read(Arc::clone(&shared), dice(100 + number)));
        }
        tasks.spawn(query(Arc::clone(&shared), dice(200)));
        tasks.spawn(join(Arc::clone(&shared), Arc::clone(&numbers.engines), seed));
        Self { shared, tasks }
    }

    /// Lets requests in progress end, and no new ones begin.
    pub async fn end(mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }

    /// The keys that are written.
    pub fn keys(&self) -> &[String] {
        &self.shared.keys
    }
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn asked(&self) -> usize {
        self.leader.load(Ordering::Relaxed)
    }

    /// Draws the consequence of an answer by `host` for the next request. Whether it is worth asking at once.
    fn learn<T>(&self, host: usize, ended: &Ended<T>) -> bool {
        let next = match ended {
            Ended::Answered(_) => return true,
            Ended::Refused { leader: Some(leader), .. } => *leader,
            Ended::Refused { leader: None, .. } | Ended::Unknown(_) => (host + 1) % self.replicas,
        };
        self.leader.store(next, Ordering::Relaxed);
        matches!(ended, Ended::Refused { leader: Some(_), .. })
    }

    fn some_key(&self, dice: &mut StdRng) -> &str {
        &self.keys[dice.random_range(0..self.keys.len())]
    }

    fn session(&self, host: usize) -> u64 {
        // Hosts and starts both are small.
        self.sessions[host].load(Ordering::Relaxed) * 100 + host as u64
    }

    /// One write, recorded. Whether it is worth asking again at once.
    async fn write_once(&self, key: &str) -> bool {
        let value = 1 + self.values.fetch_add(1, Ordering::Relaxed);
        let host = self.asked();
        let invoked = self.timeline.now();
        let ended = self.clients.write(host, key, value).await;
        match &ended {
            Ended::Answered(()) => {
                let action = Action::Write(value);
                let operation = Operation::acknowledged(action, invoked, self.timeline.now());
                self.recorder.operation(key, operation);
            }
            Ended::Unknown(_) => self.recorder.operation(key, Operation::unknown(value, invoked)),
            Ended::Refused { .. } => self.recorder.refused(),
        }
        self.learn(host, &ended)
    }
}

async fn write(shared: Arc<Shared>, mut dice: StdRng) {
    while shared.goes_on() {
        let key = shared.some_key(&mut dice).to_owned();
        let at_once = shared.write_once(&key).await;
        sleep(if at_once { BETWEEN_WRITES } else { NOBODY_LEADS }).await;
    }
}

async fn read(shared: Arc<Shared>, mut dice: StdRng) {
    while shared.goes_on() {
        let key = shared.some_key(&mut dice).to_owned();
        let host = dice.random_range(0..shared.replicas);
        let session = shared.session(host);
        let invoked = shared.timeline.now();
        let ended = shared.clients.read(host, &key).await;
        // Started again meanwhile: which of the two answered is not known.
        if let Ended::Answered(value) = ended
            && session == shared.session(host)
        {
            let returned = shared.timeline.now();
            let operation = Operation::acknowledged(Action::Read(value), invoked, returned);
            shared.recorder.operation(&key, operation.in_session(session));
        }
        sleep(BETWEEN_READS).await;
    }
}

async fn query(shared: Arc<Shared>, mut dice: StdRng) {
    while shared.goes_on() {
        let host = dice.random_range(0..HOSTS.min(shared.replicas));
        let session = shared.session(host);
        let invoked = shared.timeline.now();
        if let Ok(status) = shared.clients.members(host).await {
            let returned = shared.timeline.now();
            if let Some(answered_by) = &status.answered_by
                && session == shared.session(host)
            {
                // A replica that starts may begin with less than it had, and catches up.
                let shown_by = format!("{} (session {session})", crate::network::name(host));
                let version = answered_by.replica.data_version;
                shared.recorder.version(Version { shown_by, invoked, returned, version });
            }
            let shown_by = crate::network::name(host);
            let members = identities(&status);
            shared.recorder.view(View { shown_by, invoked, returned, members, current: false });
        }
        sleep(BETWEEN_QUERIES).await;
    }
}

/// Engines that exist only in their joins, one after the other, each asked for until it has its rank or the load ends.
async fn join(shared: Arc<Shared>, engines: Arc<AtomicU64>, seed: u64) {
    for _ in 0..MOST_JOINS {
        let number = engines.fetch_add(1, Ordering::Relaxed);
        let Ok(ask) = engine(number, seed) else { return };
        while shared.goes_on() {
            let host = shared.asked();
            let invoked = shared.timeline.now();
            let ended = shared.clients.join(host, &ask).await;
            let at_once = shared.learn(host, &ended);
            let done = record(&shared, ask.uuid, invoked, &ended);
            sleep(if done {
                BETWEEN_JOINS
            } else if at_once {
                Duration::ZERO
            } else {
                NOBODY_LEADS
            })
            .await;
            if done {
                break;
            }
        }
    }
}

fn record(
    shared: &Shared,
    uuid: Uuid,
    invoked: Moment,
    ended: &Ended<daos_control::join::JoinAnswer>,
) -> bool {
    let outcome = match ended {
        Ended::Answered(answer) => {
            Outcome::Joined { rank: answer.rank.get(), map_version: answer.map_version }
        }
        Ended::Refused { .. } => Outcome::Refused,
        Ended::Unknown(_) => Outcome::Unknown,
    };
    shared.recorder.join(Join { uuid, invoked, returned: shared.timeline.now(), outcome });
    matches!(ended, Ended::Answered(_))
}

/// Engine `number` of a run: uuid, address and URI are its own.
fn engine(number: u64, seed: u64) -> anyhow::Result<JoinAsk> {
    Ok(JoinAsk {
        uuid: Uuid::from_u64_pair(seed, number + 1),
        rank: None,
        index: 0,
        address: nowhere(u32::try_from(number)?).parse()?,
        ready: EngineReady {
            // No IP address: other engines do not look whether it lives.
            uri: format!("ofi+tcp://n{number}:31416"),
            contexts: 1,
            targets: 1,
            incarnation: Incarnation(1),
            secondary_uris: Vec::new(),
            secondary_contexts: Vec::new(),
            check_mode: false,
        },
        fault_domain: format!("/n{number}"),
        replace: false,
    })
}
