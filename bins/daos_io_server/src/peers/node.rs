//! The owner of everything about peers: the map, the failure detector, and what is under way with others.
//!
//! One task on the engine's only thread. It is told by `life` (rank, maps) and tells it (who died, newer maps, that this
//! engine is excluded).

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::exchange::{Asked, ask, send, serve};
use super::map::PeerMap;
use super::message::{Answer, Greeting, Question, encode_question};
use super::passing::{Parcel, pass_on};
use super::swim::{Order, Swim, Times};

/// Connections of others at a time; the rest wait in the backlog of the listener.
const GUESTS: usize = 64;
/// Questions that were read and not yet looked at.
const QUESTIONS: usize = 32;
/// One step of passing a map on, or getting one.
pub(super) const MAP_PATIENCE: Duration = Duration::from_secs(5);
/// Engines that left the group and are told so, at most.
const MOST_FAREWELLS: usize = 64;
/// No rank: whoever gets a map with this root passes it on to nobody.
const NO_TREE: u32 = u32::MAX;
/// A listener without descriptors is left alone for so long.
const NO_DESCRIPTORS: Duration = Duration::from_millis(500);

/// What a node is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the system; others are not listened to.
    pub system: String,
    /// This start of the engine.
    pub incarnation: u64,
    /// Times of the failure detector.
    pub times: Times,
}

/// What the node tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A peer was given up, or answered after that.
    Peer {
        /// Its rank.
        rank: u32,
        /// Its start.
        incarnation: u64,
        /// Whether it was given up.
        dead: bool,
    },
    /// A peer passed on a newer map.
    Map {
        /// Its version.
        version: u32,
        /// How many engines it has.
        size: usize,
    },
    /// The group goes on without this engine: the reason, in words.
    Excluded(String),
}

#[derive(Debug)]
enum Told {
    Rank { rank: u32, map_version: u32 },
    Map(Arc<PeerMap>),
}

/// Tells the node.
#[derive(Debug, Clone)]
pub struct Handle(mpsc::UnboundedSender<Told>);

impl Handle {
    /// The rank of this engine, and the version of the map that first has it. Once.
    pub fn rank(&self, rank: u32, map_version: u32) {
        self.put(Told::Rank { rank, map_version });
    }

    /// A map that the server told.
    pub fn map(&self, map: PeerMap) {
        self.put(Told::Map(Arc::new(map)));
    }

    fn put(&self, told: Told) {
        if self.0.send(told).is_err() {
            tracing::debug!("the engine is ending");
        }
    }
}

/// What came of something that was begun.
#[derive(Debug)]
enum Done {
    Order {
        number: u64,
        answer: std::io::Result<(Greeting, Answer)>,
    },
    /// A ping on behalf of another.
    Relay {
        target: u32,
        answer: Option<Greeting>,
        reply: oneshot::Sender<(Greeting, Answer)>,
    },
    Fetched(Option<(Greeting, Answer)>),
    PushedBack,
    Farewell,
}

/// See the module.
#[derive(Debug)]
pub struct Node {
    settings: Settings,
    listener: TcpListener,
    told: mpsc::UnboundedReceiver<Told>,
    news: mpsc::UnboundedSender<News>,
    begun: Instant,
    /// Once this engine has a rank.
    swim: Option<Swim>,
    joined: u32,
    map: Arc<PeerMap>,
    /// The newest map that came before the rank.
    early: Option<Arc<PeerMap>>,
    excluded: bool,
    work: JoinSet<Done>,
    fetching: bool,
    pushing: bool,
    spread: watch::Sender<Option<Arc<Parcel>>>,
}

impl Node {
    /// A node that listens, what tells it, and what it tells.
    pub fn new(
        listener: TcpListener,
        settings: Settings,
    ) -> (Self, Handle, mpsc::UnboundedReceiver<News>) {
        let (to_node, told) = mpsc::unbounded_channel();
        let (news, heard) = mpsc::unbounded_channel();
        let node = Self {
            settings,
            listener,
            told,
            news,
            begun: Instant::now(),
            swim: None,
            joined: 0,
            map: Arc::default(),
            early: None,
            excluded: false,
            work: JoinSet::new(),
            fetching: false,
            pushing: false,
            spread: watch::Sender::new(None),
        };
        (node, Handle(to_node), heard)
    }

    /// Runs until the handle is gone.
    pub async fn run(mut self) {
        let (to_asked, mut asked) = mpsc::channel(QUESTIONS);
        let mut guests = JoinSet::new();
        let mut spreading = JoinSet::new();
        spreading.spawn(pass_on(self.spread.subscribe()));
        let mut no_descriptors_until = Instant::now();
        loop {
            let due = self.swim.as_ref().map(|swim| self.begun + swim.due());
            let may_accept = guests.len() < GUESTS && no_descriptors_until <= Instant::now();
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => self.take(told),
                    None => break,
                },
                Some(asked) = asked.recv() => self.answer(asked),
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.done(done),
                    Err(error) => tracing::error!(%error, "an exchange with a peer broke"),
                },
                () = until(due) => self.tick(),
                Some(_) = guests.join_next() => {}
                () = tokio::time::sleep_until(no_descriptors_until), if !may_accept && guests.len() < GUESTS => {}
                connected = self.listener.accept(), if may_accept => match connected {
                    Ok((stream, _)) => {
                        let limit = self.settings.times.ping + MAP_PATIENCE;
                        guests.spawn(serve(stream, to_asked.clone(), limit));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections of peers");
                        no_descriptors_until = Instant::now() + NO_DESCRIPTORS;
                    }
                },
            }
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Rank { rank, map_version } => {
                let Settings { system, incarnation, times } = &self.settings;
                let seed = incarnation ^ u64::from(rank).rotate_left(40);
                self.swim = Some(Swim::new(*times, system, rank, *incarnation, seed));
                self.joined = map_version;
                if let Some(early) = self.early.take() {
                    self.learn(early);
                }
            }
            Told::Map(map) => {
                let before = Arc::clone(&self.map);
                if let Some(own) = self.adopt(map) {
                    self.pass(own, own);
                    self.bid_farewell(&before);
                }
            }
        }
    }

    /// Takes a map that a peer sent; this engine's rank if it was newer.
    fn learn(&mut self, map: Arc<PeerMap>) -> Option<u32> {
        let (version, size) = (map.version(), map.members().len());
        let own = self.adopt(map)?;
        self.tell(News::Map { version, size });
        Some(own)
    }

    /// Tells those who are not in the group any more: the tree does not reach them, and one that never got a map knows nobody
    /// whom it could ask.
    fn bid_farewell(&mut self, before: &PeerMap) {
        let Some(swim) = &mut self.swim else { return };
        let gone = before.members().iter().filter(|member| self.map.member(member.rank).is_none());
        let gone: Vec<_> = gone.filter_map(|member| member.address).take(MOST_FAREWELLS).collect();
        if gone.is_empty() {
            return;
        }
        let question = Question::Push { root: NO_TREE, map: Arc::clone(&self.map) };
        let (message, limit) =
            (encode_question(&swim.greeting(None), &question), self.settings.times.ping);
        self.work.spawn(async move {
            for address in gone {
                if let Err(error) = send(address, &message, limit).await {
                    tracing::debug!(%error, %address, "an engine that left the group was not told");
                }
            }
            Done::Farewell
        });
    }

    /// Takes a map if it is newer; this engine's rank if it was and this engine belongs to the group.
    fn adopt(&mut self, map: Arc<PeerMap>) -> Option<u32> {
        let now = self.now();
        let swim = self.swim.as_mut()?;
        let own = swim.rank();
        if map.version() <= self.map.version() || map.version() < self.joined || self.excluded {
            return None;
        }
        let version = map.version();
        let out = match map.member(own) {
            None => format!(
                "excluded from the system: group map version {version} is without rank {own}"
            ),
            Some(member) if member.incarnation > self.settings.incarnation => {
                format!(
                    "excluded from the system: rank {own} belongs to a newer start in group map version {version}"
                )
            }
            Some(_) => {
                swim.adopt(&map, now);
                self.map = map;
                return Some(own);
            }
        };
        self.excluded = true;
        self.tell(News::Excluded(out));
        None
    }

    fn pass(&mut self, own: u32, root: u32) {
        let Some(swim) = &mut self.swim else { return };
        let greeting = swim.greeting(None);
        let map = Arc::clone(&self.map);
        let question = Question::Push { root, map: Arc::clone(&map) };
        let message = encode_question(&greeting, &question);
        self.spread.send_replace(Some(Arc::new(Parcel { map, own, root, message })));
    }

    fn tell(&self, news: News) {
        if self.news.send(news).is_err() {
            tracing::debug!("nobody hears about peers any more");
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        let orders = self.swim.as_mut().map(|swim| swim.tick(now));
        self.carry_out(orders.unwrap_or_default());
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            let Some(swim) = &mut self.swim else { return };
            let ping = self.settings.times.ping;
            let (number, to, address, question, limit) = match order {
                Order::Ping { number, rank, address } => {
                    (number, rank, address, Question::Ping, ping)
                }
                Order::Relay { number, helper, address, target } => {
                    // The helper needs its own time to ask.
                    (number, helper, address, Question::Relay { target }, ping * 2)
                }
                Order::Tell { rank, incarnation, dead } => {
                    self.tell(News::Peer { rank, incarnation, dead });
                    continue;
                }
            };
            let greeting = swim.greeting(Some(to));
            self.work.spawn(async move {
                let answer = ask(address, &greeting, &question, limit).await;
                Done::Order { number, answer }
            });
        }
    }

    fn answer(&mut self, asked: Asked) {
        let Asked { greeting, question, reply } = asked;
        if greeting.system != self.settings.system || self.excluded {
            return;
        }
        let Some(swim) = &mut self.swim else {
            // Peers may know of this engine before it does.
            if let Question::Push { map, .. } = question
                && self.early.as_ref().is_none_or(|early| map.version() > early.version())
            {
                self.early = Some(map);
            }
            return;
        };
        let (from, own, ping) = (greeting.rank, swim.rank(), self.settings.times.ping);
        let orders = swim.heard(&greeting);
        let answer = match question {
            Question::Ping => Answer::Here,
            Question::Fetch => Answer::Map(Arc::clone(&self.map)),
            Question::Relay { target } => {
                if target != own
                    && let Some(address) = swim.address(target)
                {
                    let greeting = swim.greeting(Some(target));
                    self.work.spawn(async move {
                        let answer = ask(address, &greeting, &Question::Ping, ping).await.ok();
                        let answer = answer.map(|(greeting, _)| greeting);
                        Done::Relay { target, answer, reply }
                    });
                    self.carry_out(orders);
                    return;
                }
                Answer::Relayed { reached: None }
            }
            Question::Push { root, map } => {
                if let Some(own) = self.learn(map) {
                    self.pass(own, root);
                }
                Answer::Here
            }
        };
        if let Some(swim) = &mut self.swim {
            let own = swim.greeting(Some(from));
            // Whoever asked may have left.
            let _left = reply.send((own, answer));
        }
        self.carry_out(orders);
        self.catch_up(&greeting);
    }

    fn done(&mut self, done: Done) {
        let Some(swim) = &mut self.swim else { return };
        match done {
            Done::Order { number, answer } => {
                let of_this_system = |greeting: &Greeting| greeting.system == self.settings.system;
                let orders = match answer {
                    Ok((greeting, Answer::Relayed { reached })) if of_this_system(&greeting) => {
                        let orders = swim.relayed(number, &greeting, reached);
                        self.catch_up(&greeting);
                        orders
                    }
                    Ok((greeting, Answer::Here)) if of_this_system(&greeting) => {
                        let orders = swim.answered(number, &greeting);
                        self.catch_up(&greeting);
                        self.push_back(&greeting);
                        orders
                    }
                    Ok(_) => swim.failed(number),
                    Err(error) => {
                        tracing::debug!(%error, number, "a probe failed");
                        swim.failed(number)
                    }
                };
                self.carry_out(orders);
            }
            Done::Relay { target, answer, reply } => {
                let answer = answer.filter(|greeting| {
                    greeting.system == self.settings.system && greeting.rank == target
                });
                let orders = answer.as_ref().map(|greeting| swim.heard(greeting));
                let reached = answer.map(|greeting| (greeting.incarnation, greeting.pulse));
                // Whoever asked may have left.
                let _left = reply.send((swim.greeting(None), Answer::Relayed { reached }));
                self.carry_out(orders.unwrap_or_default());
            }
            Done::PushedBack => self.pushing = false,
            Done::Farewell => {}
            Done::Fetched(answer) => {
                self.fetching = false;
                if let Some((_, Answer::Map(map))) = answer {
                    self.learn(map);
                }
            }
        }
    }

    /// Asks for the map of a peer that has a newer one: the tree did not reach this engine.
    fn catch_up(&mut self, from: &Greeting) {
        let Some(swim) = &mut self.swim else { return };
        let behind = from.map_version > self.map.version() && from.map_version >= self.joined;
        if !behind || self.fetching || self.excluded {
            return;
        }
        let Some(address) = swim.address(from.rank) else { return };
        let greeting = swim.greeting(Some(from.rank));
        self.fetching = true;
        self.work.spawn(async move {
            Done::Fetched(ask(address, &greeting, &Question::Fetch, MAP_PATIENCE).await.ok())
        });
    }

    /// Gives a peer the map that it missed: it may not know whom to ask.
    fn push_back(&mut self, to: &Greeting) {
        let Some(swim) = &mut self.swim else { return };
        if to.map_version >= self.map.version() || self.pushing || self.excluded {
            return;
        }
        let Some(address) = swim.address(to.rank) else { return };
        let greeting = swim.greeting(Some(to.rank));
        let question = Question::Push { root: NO_TREE, map: Arc::clone(&self.map) };
        self.pushing = true;
        self.work.spawn(async move {
            if let Err(error) = ask(address, &greeting, &question, MAP_PATIENCE).await {
                tracing::debug!(%error, "a peer that is behind did not take the map");
            }
            Done::PushedBack
        });
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
