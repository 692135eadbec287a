//! A host: its power, the one life of its server that may run at present, and letting that run for a while.
//!
//! Each life has a runtime of its own on this thread, whose clock stands still unless told otherwise. Ending a life
//! drops the runtime with every task in it, wherever they are. Driven by `world`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

use super::clients::Clients;
use super::network::{Content, HostId, HostTime, Network, NoAnswer, Packet, Uplink};
use super::server::Server;
use super::setting::Setting;

/// What runs on a host.
#[derive(Debug, Clone)]
pub enum Program {
    /// A server.
    Server(Arc<Server>),
    /// Administrators.
    Clients(Arc<Clients>),
}

/// A program while it runs.
#[derive(Debug)]
struct Life {
    runtime: Runtime,
    program: Program,
    time: HostTime,
}

/// One host.
#[derive(Debug)]
pub struct Host {
    id: HostId,
    setting: Arc<Setting>,
    network: Network,
    life: Option<Life>,
    lives: u64,
    /// Its window.
    pub window: Duration,
    /// While it is paused: until when.
    paused: Option<Duration>,
    /// Without power it does not even refuse.
    powered: bool,
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process is killed: the kernel closes its connections.
    Killed,
    /// The machine is gone from one moment to the next.
    PowerLoss,
}

impl Host {
    /// A host that does not run.
    #[must_use]
    pub fn new(id: HostId, setting: &Arc<Setting>, network: &Network) -> Self {
        Self {
            id,
            setting: Arc::clone(setting),
            network: network.clone(),
            life: None,
            lives: 0,
            window: setting.window(id),
            paused: None,
            powered: true,
        }
    }

    /// Starts what runs on this host, with power.
    ///
    /// # Errors
    /// When no runtime can be made.
    pub fn start(&mut self, now: Duration) -> anyhow::Result<()> {
        if self.life.is_some() {
            return Ok(());
        }
        self.powered = true;
        self.paused = None;
        self.lives += 1;
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .context("no runtime")?;
        let (setting, network, host, life) =
            (Arc::clone(&self.setting), self.network.clone(), self.id, self.lives);
        let (program, time) = runtime.block_on(async move {
            let time = HostTime { began: now, instant: Instant::now() };
            let uplink = Uplink { network, host, time };
            let program = if host < setting.hosts {
                Program::Server(Server::start(&setting, uplink, life))
            } else {
                Program::Clients(Clients::start(&setting, uplink))
            };
            (program, time)
        });
        self.life = Some(Life { runtime, program, time });
        Ok(())
    }

    /// Ends its life.
    pub fn end(&mut self, how: Ending) {
        self.paused = None;
        // First the disk: nothing that still runs while the runtime goes can write.
        let disk = self.setting.disk(self.id).replica();
        match how {
            Ending::Killed => disk.cut_off(),
            Ending::PowerLoss => {
                disk.power_off();
                self.powered = false;
                self.network.darken(self.id, true);
            }
        }
        self.life = None;
        self.network.darken(self.id, false);
    }

    /// Stops it, with its clock going on, until a moment.
    pub fn pause(&mut self, until: Duration) {
        if self.life.is_some() {
            self.paused = Some(until);
        }
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        if self.paused.is_some() {
            self.paused = Some(Duration::ZERO);
        }
    }

    /// Its server, while it lives.
    #[must_use]
    pub fn server(&self) -> Option<&Arc<Server>> {
        match &self.life.as_ref()?.program {
            Program::Server(server) => Some(server),
            Program::Clients(_) => None,
        }
    }

    /// Its administrators.
    #[must_use]
    pub fn clients(&self) -> Option<&Arc<Clients>> {
        match &self.life.as_ref()?.program {
            Program::Server(_) => None,
            Program::Clients(clients) => Some(clients),
        }
    }

    /// Runs something in its runtime, beside what runs there.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(life) = &self.life {
            drop(life.runtime.spawn(work));
        }
    }

    /// Lets it run up to a moment, with everything that arrives before.
    pub fn run_until(&mut self, end: Duration) {
        let Some(life) = &self.life else {
            return self.nobody_home(end);
        };
        if let Some(until) = self.paused {
            if until > end {
                return;
            }
            self.paused = None;
            let behind = end
                .saturating_sub(self.window)
                .saturating_sub(life.runtime.block_on(async { life.time.now() }));
            // All that was due in the meantime happens now, as after SIGCONT.
            life.runtime.block_on(tokio::time::advance(behind));
        }
        for packet in self.network.arrivals(self.id, end) {
            life.take(&self.network, packet);
        }
        let until = life.time.instant + end.saturating_sub(life.time.began);
        life.runtime.block_on(async { sleep_until(until).await });
    }

    /// Nobody listens: the kernel says so, if there is one.
    fn nobody_home(&self, end: Duration) {
        for packet in self.network.arrivals(self.id, end) {
            if let (Content::Request { call, .. }, true) = (&packet.content, self.powered) {
                let content = Content::Answer { call: *call, answer: Err(NoAnswer::Refused) };
                self.network.send(packet.at, self.id, packet.from, content);
            }
        }
    }
}

impl Life {
    fn take(&self, network: &Network, packet: Packet) {
        let at = self.time.instant + packet.at.saturating_sub(self.time.began);
        let network = network.clone();
        let program = self.program.clone();
        drop(self.runtime.spawn(async move {
            sleep_until(at).await;
            network.note(&packet);
            match packet.content {
                Content::Answer { call, answer } => network.answered(call, answer),
                Content::Request { call, message } => {
                    // A caller that stopped waiting has closed its stream.
                    if let (Program::Server(server), true) = (program, network.is_awaited(call)) {
                        server.serve(packet.from, call, message).await;
                    }
                }
            }
        }));
    }
}
