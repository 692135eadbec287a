//! The owner of one child process: relays its output, signals it, kills it in time, reaps it, cleans up after it.
//!
//! Started by `process` for every start. Ends only when the process is gone. Must not know dRPC.

use std::path::PathBuf;
use std::process::ExitStatus as ProcessStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::engine_calls::Running;
use super::event::{EngineEventKind, ExitCause, ExitStatus};
use super::fleet::{Command, Fleet};
use super::launch::{EngineSignal, StopHow, StopLimits};
use super::output::{Source, relay};
use super::phase::Phase;

/// How long output may still come after the process is gone: something it started may hold the pipe.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

pub(super) struct EngineTask {
    pub running: Arc<Running>,
    pub fleet: Arc<Fleet>,
    pub socket_dir: PathBuf,
    pub child: Child,
    pub commands: mpsc::Receiver<Command>,
    pub gone: watch::Sender<Option<ExitStatus>>,
    pub limits: StopLimits,
    /// `<program>:<index>`.
    pub prefix: String,
}

/// What was decided about its end so far.
#[derive(Debug, Default)]
struct Ending {
    asked: bool,
    refused: bool,
    killed: bool,
    kill_at: Option<Instant>,
}

impl Ending {
    fn kill_by(&mut self, instant: Instant) {
        self.kill_at = Some(self.kill_at.map_or(instant, |before| before.min(instant)));
    }

    fn cause(&self) -> ExitCause {
        match (self.asked, self.killed, self.refused) {
            (true, true, _) => ExitCause::Killed,
            (true, false, _) => ExitCause::Stopped,
            (false, _, true) => ExitCause::Refused,
            (false, _, false) => ExitCause::Itself,
        }
    }
}

impl EngineTask {
    pub async fn run(mut self) {
        let mut output = self.relay_output();
        let mut ending = Ending::default();
        let status = self.until_exit(&mut ending).await;
        let drained = async { while output.join_next().await.is_some() {} };
        if timeout(OUTPUT_GRACE, drained).await.is_err() {
            tracing::debug!("{}: something it started still holds its output", self.prefix);
            output.shutdown().await;
        }
        self.remove_sockets();
        let (index, pid) = (self.running.index, self.running.pid);
        let was_ready = self.running.phase() != Phase::Launched;
        let cause = ending.cause();
        tracing::info!("{} (process {pid}) {status}", self.prefix);
        let event = EngineEventKind::Exited { pid, status, was_ready, cause };
        self.fleet.exited(index, event).await;
        self.gone.send_replace(Some(status));
    }

    fn relay_output(&mut self) -> JoinSet<()> {
        let mut output = JoinSet::new();
        if let Some(pipe) = self.child.stdout.take() {
            output.spawn(relay(pipe, Source::Stdout, self.prefix.clone()));
        }
        if let Some(pipe) = self.child.stderr.take() {
            output.spawn(relay(pipe, Source::Stderr, self.prefix.clone()));
        }
        output
    }

    async fn until_exit(&mut self, ending: &mut Ending) -> ExitStatus {
        loop {
            let kill_at = ending.kill_at;
            tokio::select! {
                ended = self.child.wait() => return self.reaped(ended),
                Some(command) = self.commands.recv() => self.carry_out(command, ending),
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                    tracing::warn!("{} did not end in time and is killed", self.prefix);
                    self.kill(ending);
                }
            }
        }
    }

    fn carry_out(&self, command: Command, ending: &mut Ending) {
        match command {
            Command::Stop(StopHow::Kill) => {
                ending.asked = true;
                self.kill(ending);
            }
            Command::Stop(StopHow::Graceful { deadline }) => {
                let serves = self.running.phase() == Phase::Up;
                let limit = if serves { deadline } else { deadline.min(self.limits.before_set_up) };
                if !ending.asked {
                    self.log_failure(self.signal(Signal::INT));
                }
                ending.asked = true;
                ending.kill_by(Instant::now() + limit);
            }
            Command::Refused => {
                ending.refused = true;
                ending.kill_by(Instant::now() + self.limits.after_refusal);
            }
            Command::Signal(signal, reply) => {
                // The asker may be gone; the signal was sent all the same.
                drop(reply.send(self.signal(raw(signal))));
            }
        }
    }

    /// Kills the process and everything in its group.
    fn kill(&self, ending: &mut Ending) {
        ending.killed = true;
        ending.kill_at = None;
        let group = self.pid().map_or(Ok(()), |pid| kill_process_group(pid, Signal::KILL));
        self.log_failure(group.map_err(Into::into));
    }

    fn signal(&self, signal: Signal) -> std::io::Result<()> {
        self.pid().map_or(Ok(()), |pid| Ok(kill_process(pid, signal)?))
    }

    /// Its number, which is its own until this task has reaped it.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
    }

    fn log_failure(&self, result: std::io::Result<()>) {
        if let Err(error) = result {
            tracing::error!(%error, "cannot signal {}", self.prefix);
        }
    }

    fn reaped(&self, ended: std::io::Result<ProcessStatus>) -> ExitStatus {
        use std::os::unix::process::ExitStatusExt;
        match ended {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => ExitStatus::Code(code),
                (None, Some(signal)) => ExitStatus::Signal(signal),
                (None, None) => ExitStatus::Unknown,
            },
            Err(error) => {
                tracing::error!(%error, "cannot wait for {}", self.prefix);
                ExitStatus::Unknown
            }
        }
    }

    /// Real engines leave their socket behind when killed, and remove it otherwise.
    fn remove_sockets(&self) {
        let pid = self.running.pid;
        let own = self.socket_dir.join(format!("daos_engine_{pid}.sock"));
        let announced: Option<PathBuf> = self.running.socket().filter(|path| *path != own);
        for path in announced.into_iter().chain([own]) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove the socket of an engine");
                }
                _ => {}
            }
        }
    }
}

fn raw(signal: EngineSignal) -> Signal {
    match signal {
        EngineSignal::Interrupt => Signal::INT,
        EngineSignal::Terminate => Signal::TERM,
        EngineSignal::User1 => Signal::USR1,
        EngineSignal::User2 => Signal::USR2,
        EngineSignal::Kill => Signal::KILL,
    }
}
