//! One thread that lives as long as the supervisor and makes every child process.
//!
//! Needed because the parent-death signal follows the spawning thread (W32): threads of the runtime come and go.
//! Called by `process`. Must not know what is spawned.

use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::sys;

struct Request {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

#[derive(Debug)]
pub(super) struct Spawner {
    requests: mpsc::Sender<Request>,
    thread: JoinHandle<()>,
}

impl Spawner {
    /// Starts the thread; children are watched by the current runtime.
    pub fn start() -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<Request>();
        let runtime = Handle::current();
        let thread = thread::Builder::new().name("engine-spawner".into()).spawn(move || {
            let _inside = runtime.enter();
            for mut request in inbox {
                // A child whose asker is gone is dropped here, which kills it.
                drop(request.reply.send(request.command.spawn()));
            }
        })?;
        Ok(Self { requests, thread })
    }

    /// Makes a child that is killed when this process dies, and when its handle is dropped.
    pub async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        command.kill_on_drop(true);
        sys::die_with_parent(&mut command);
        let gone = || io::Error::other("the spawning thread has ended");
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { command, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Ends the thread. Children that still run die with it.
    pub fn stop(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the spawning thread ended badly");
        }
    }
}
