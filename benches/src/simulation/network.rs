//! The simulated network: messages between hosts, each with a delay of its own, and links that can be cut.
//!
//! A host runs for a *window* of time before any other host sees what it did, so no message arrives before the
//! window it was sent in has ended. `world` moves messages; hosts hold an [`Uplink`]. Knows no meaning of messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::dice::Dice;
use super::message::Message;
use super::trace::Trace;

/// A host, by its place in the list of hosts.
pub type HostId = usize;

/// Why a call had no answer. A message that is lost has none at all: the caller's own deadline ends its wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nobody listens there.
    Refused,
    /// The other side ended before it answered.
    Reset,
}

/// A message under way.
#[derive(Debug)]
pub struct Packet {
    /// When it arrives.
    pub at: Duration,
    /// The host it is for.
    pub to: HostId,
    /// The host that sent it.
    pub from: HostId,
    /// What it is.
    pub content: Content,
}

/// What a packet is.
#[derive(Debug)]
pub enum Content {
    /// Something is asked; the answer goes back under the same number.
    Request { call: u64, message: Message },
    /// The answer to a call.
    Answer { call: u64, answer: Result<Message, NoAnswer> },
}

/// How one direction between two hosts misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Of a thousand packets so many are lost.
    pub loss: u32,
    /// Further delay of up to so many milliseconds.
    pub slow: u64,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    /// Least delay of what each host sends: the length of its window.
    windows: Vec<Duration>,
    cut: BTreeSet<(HostId, HostId)>,
    trouble: BTreeMap<(HostId, HostId), Trouble>,
    flying: BTreeMap<(Duration, u64), Packet>,
    sent: u64,
    calls: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Message, NoAnswer>>>,
    now: Duration,
    /// Hosts that cannot send.
    dark: BTreeSet<HostId>,
}

/// The network of one run; copies are the same network.
#[derive(Debug, Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
    trace: Arc<Trace>,
}

impl Network {
    /// A network without trouble. `windows` holds the window of every host.
    #[must_use]
    pub fn new(dice: Dice, windows: Vec<Duration>, trace: Arc<Trace>) -> Self {
        let state = State {
            dice,
            windows,
            cut: BTreeSet::new(),
            trouble: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            calls: 0,
            waiting: BTreeMap::new(),
            now: Duration::ZERO,
            dark: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), trace }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of the world moves on.
    pub fn set_now(&self, now: Duration) {
        self.state().now = now;
    }

    /// Makes a host unable to send, or able again.
    pub fn darken(&self, host: HostId, dark: bool) {
        let mut state = self.state();
        if dark {
            state.dark.insert(host)
        } else {
            state.dark.remove(&host)
        };
    }

    /// Cuts one direction between two hosts.
    pub fn cut(&self, from: HostId, to: HostId) {
        self.state().cut.insert((from, to));
    }

    /// Makes one direction between two hosts lose or delay packets.
    pub fn disturb(&self, from: HostId, to: HostId, trouble: Trouble) {
        self.state().trouble.insert((from, to), trouble);
    }

    /// Every link works again.
    pub fn mend(&self) {
        let mut state = self.state();
        state.cut.clear();
        state.trouble.clear();
    }

    /// What arrives at a host before `end`, in order.
    #[must_use]
    pub fn arrivals(&self, to: HostId, end: Duration) -> Vec<Packet> {
        let mut state = self.state();
        let due = state.flying.range(..(end, 0)).filter(|(_, packet)| packet.to == to);
        let due: Vec<_> = due.map(|(key, _)| *key).collect();
        due.into_iter().filter_map(|key| state.flying.remove(&key)).collect()
    }

    /// Sends a packet at a moment of its sender's time.
    pub fn send(&self, now: Duration, from: HostId, to: HostId, content: Content) {
        let mut state = self.state();
        let now = now.max(state.now);
        let Some(window) = state.windows.get(from).copied() else { return };
        let mut at = now + window + state.dice.millis(0..1);
        let trouble = state.trouble.get(&(from, to)).copied().unwrap_or_default();
        // A second packet of the transport makes up for a lost one, later.
        if state.dice.chance(trouble.loss) {
            at += state.dice.millis(200..400);
            if state.dice.chance(trouble.loss) {
                drop(state);
                self.trace.note(now, format_args!("{from} -> {to} lost {}", content.name()));
                return;
            }
        }
        if trouble.slow > 0 {
            at += state.dice.millis(0..trouble.slow);
        }
        if state.cut.contains(&(from, to)) || state.dark.contains(&from) {
            return;
        }
        state.sent += 1;
        let key = (at, state.sent);
        state.flying.insert(key, Packet { at, to, from, content });
    }

    /// Notes a packet that its host takes.
    pub fn note(&self, packet: &Packet) {
        let Packet { at, to, from, content } = packet;
        self.trace.note(*at, format_args!("{from} -> {to} {}", content.name()));
    }

    /// Hands an answer to whoever waits for it.
    pub fn answered(&self, call: u64, answer: Result<Message, NoAnswer>) {
        let waiting = self.state().waiting.remove(&call);
        if let Some(waiting) = waiting {
            // Whoever stopped waiting does not need it.
            let _gone = waiting.send(answer);
        }
    }

    /// Whether anybody still waits for the answer to a call.
    #[must_use]
    pub fn is_awaited(&self, call: u64) -> bool {
        self.state().waiting.contains_key(&call)
    }

    fn begin(&self) -> (u64, oneshot::Receiver<Result<Message, NoAnswer>>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        state.calls += 1;
        let call = state.calls;
        state.waiting.insert(call, sender);
        (call, receiver)
    }

    fn forget(&self, call: u64) {
        self.state().waiting.remove(&call);
    }
}

impl Content {
    fn name(&self) -> String {
        match self {
            Self::Request { call, message } => format!("#{call} {message}"),
            Self::Answer { call, answer: Ok(message) } => format!("#{call} = {message}"),
            Self::Answer { call, answer: Err(error) } => format!("#{call} = {error:?}"),
        }
    }
}

/// What one life of a host holds of the network.
#[derive(Debug, Clone)]
pub struct Uplink {
    /// The network.
    pub network: Network,
    /// The host.
    pub host: HostId,
    /// Its sense of time.
    pub time: HostTime,
}

/// The time of the world as code within a host's runtime sees it.
#[derive(Debug, Clone, Copy)]
pub struct HostTime {
    /// The moment the runtime began.
    pub began: Duration,
    /// The same moment in the runtime's time.
    pub instant: tokio::time::Instant,
}

impl HostTime {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began + self.instant.elapsed()
    }
}

/// Removes a call that nobody waits for any more.
struct Waiting<'a>(&'a Network, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}

impl Uplink {
    /// Asks another host, or this one, and waits for the answer for as long as the caller likes.
    pub async fn call(&self, to: HostId, message: Message) -> Result<Message, NoAnswer> {
        let (call, answer) = self.network.begin();
        let _waiting = Waiting(&self.network, call);
        let content = Content::Request { call, message };
        self.network.send(self.time.now(), self.host, to, content);
        // The sender lives in the network until the answer or the end of this call.
        answer.await.unwrap_or(Err(NoAnswer::Reset))
    }

    /// The right to answer a call once; a call that is not answered is reset.
    #[must_use]
    pub fn responder(&self, to: HostId, call: u64) -> Responder {
        Responder { uplink: self.clone(), to, call, done: false }
    }
}

/// The right to answer a call.
#[derive(Debug)]
pub struct Responder {
    uplink: Uplink,
    to: HostId,
    call: u64,
    done: bool,
}

impl Responder {
    /// Answers.
    pub fn answer(mut self, message: Message) {
        self.done = true;
        self.send(Ok(message));
    }

    fn send(&self, answer: Result<Message, NoAnswer>) {
        let Uplink { network, host, time } = &self.uplink;
        let content = Content::Answer { call: self.call, answer };
        // Outside of every runtime when the process is ended; the network knows the time then.
        let inside = tokio::runtime::Handle::try_current().is_ok();
        let now = if inside { time.now() } else { Duration::ZERO };
        network.send(now, *host, self.to, content);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // The process ended in the middle: its kernel says so, if it still can.
        if !self.done {
            self.send(Err(NoAnswer::Reset));
        }
    }
}
